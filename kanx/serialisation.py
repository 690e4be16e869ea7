"""Models as a JSON header and named arrays: the one form behind files, pickle and skops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from kanx.model import Model
from kanx.network import KAN
from kanx.tables import Column
from kanx.training.coordinates import Coordinates
from kanx.training.evidence import Fit
from kanx.training.losses import Gaussian, Huber, Logistic, Loss, Poisson, Softmax
from kanx.training.posterior import Posterior
from kanx.training.student_t import StudentT

Arrays = dict[str, np.ndarray]
_LOSSES: dict[str, type[Loss]] = {
    cls.__name__: cls for cls in (Gaussian, Huber, Logistic, Poisson, Softmax, StudentT)
}
_PREVIOUS = "previous."
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def network_to_arrays(network: KAN, prefix: str = "") -> tuple[dict[str, Any], Arrays]:
    """Return a network's description and its tensors."""
    dtype = str(next(network.parameters()).dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise ValueError(f"a network in {dtype} cannot be stored; use .float() or .double() first")
    arrays = {
        f"{prefix}{name}": tensor.detach().cpu().numpy().copy()
        for name, tensor in network.state_dict().items()
    }
    return {**network.config(), "dtype": dtype}, arrays


def network_from_arrays(
    header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str = ""
) -> KAN:
    """Rebuild a network from `network_to_arrays`.

    Raises
    ------
    ValueError
        If arrays are missing, superfluous or of another shape than the description says.
    """
    network = KAN.from_config(header).to(_DTYPES[header["dtype"]])
    own = {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(f"the arrays do not fit the network described: {error}") from error
    return network.eval()


def model_to_arrays(model: Model) -> tuple[dict[str, Any], Arrays]:
    """Return a fitted model's description and its arrays."""
    members = []
    arrays: Arrays = {
        "target_mean": model.target_mean.numpy(),
        "target_scale": model.target_scale.numpy(),
    }
    for k, member in enumerate(model.members):
        described, own = network_to_arrays(member.network, f"members.{k}.network.")
        posterior = member.posterior
        own[f"members.{k}.covariance"] = posterior.covariance.numpy()
        own[f"members.{k}.living"] = posterior.living.numpy()
        own[f"members.{k}.precision"] = posterior.precision.numpy()
        if posterior.noise_precision is not None:
            own[f"members.{k}.noise_precision"] = posterior.noise_precision.numpy()
        if isinstance(member.loss, Poisson):
            own[f"members.{k}.offset"] = member.loss.offset.numpy()
        if isinstance(member.loss, StudentT):
            own[f"members.{k}.noise"] = member.loss.noise.numpy()
        arrays.update(own)
        members.append(
            {
                "network": described,
                "loss": type(member.loss).__name__,
                "evidence": member.evidence,
                "trace": list(member.trace),
                "converged": bool(member.converged),
            }
        )
    header = {
        "columns": [column.to_dict() for column in model.columns],
        "members": members,
        "target_names": model.target_names,
        "history": model.history,
    }
    if model.previous is not None:
        header["previous"], own = model_to_arrays(model.previous)
        arrays.update({f"{_PREVIOUS}{name}": array for name, array in own.items()})
    return header, arrays


def model_from_arrays(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Model:
    """Rebuild a fitted model from `model_to_arrays`.

    Raises
    ------
    ValueError
        If description and arrays do not belong together.
    """
    members = [_member(k, own, arrays) for k, own in enumerate(header["members"])]
    previous = None
    if header.get("previous") is not None:  # a model that was never edited has none
        before = {
            name.removeprefix(_PREVIOUS): array
            for name, array in arrays.items()
            if name.startswith(_PREVIOUS)
        }
        previous = model_from_arrays(header["previous"], before)
    return Model(
        [Column.from_dict(column) for column in header["columns"]],
        members,
        _tensor(arrays, "target_mean"),
        _tensor(arrays, "target_scale"),
        [str(name) for name in header["target_names"]],
        list(header["history"]),
        previous,
    )


def _member(k: int, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Fit:
    network = network_from_arrays(header["network"], arrays, f"members.{k}.network.")
    coordinates = Coordinates(network)
    living = _tensor(arrays, f"members.{k}.living")
    covariance = _tensor(arrays, f"members.{k}.covariance")
    precision = _tensor(arrays, f"members.{k}.precision")
    size = int(living.sum())
    if (
        living.shape != (coordinates.size,)
        or covariance.shape not in ((size, size), (size,))
        or precision.shape != (coordinates.n_groups,)
    ):
        raise ValueError("the posterior does not fit the network described")
    noise_name = f"members.{k}.noise_precision"
    noise = _tensor(arrays, noise_name) if noise_name in arrays else None
    kind = _LOSSES[header["loss"]]
    stored = noise if kind is not Poisson else _tensor(arrays, f"members.{k}.offset")
    loss = kind(stored) if stored is not None else kind()  # type: ignore[call-arg]
    if isinstance(loss, StudentT):
        loss = loss.with_noise(_tensor(arrays, f"members.{k}.noise"))
    return Fit(
        network,
        Posterior(coordinates, living, covariance, precision, noise),
        float(header["evidence"]),
        loss,
        [float(value) for value in header["trace"]],
        bool(header["converged"]),
    )


def _tensor(arrays: Mapping[str, np.ndarray], name: str) -> torch.Tensor:
    if name not in arrays:
        raise ValueError(f"the array {name!r} is missing")
    return torch.from_numpy(np.array(arrays[name]))
