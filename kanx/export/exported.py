"""The whole fitted model as plain numbers: columns, piecewise polynomials and the link."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanx.export import runtime
from kanx.export.pieces import Categories, Pieces, curves_of
from kanx.layers import KANLayer
from kanx.model import Model
from kanx.network import KAN
from kanx.nodes import Product, Ratio
from kanx.nodes.kinds import NodeKind
from kanx.tables import Column
from kanx.training.losses import Poisson

Array = NDArray[np.float64]
CHECKED_ROWS = 2000


@dataclass(frozen=True)
class ExportedLayer:
    """A layer: its curves, its constants, and how its sums become nodes.

    Attributes
    ----------
    curves : list of Pieces or Categories
    bias : ndarray, (sums,)
    sums : int
        Nodes that only add.
    combined : list of (str, int)
        Every further node: ``"product"``, or ``"ratio A"`` or ``"ratio S"`` as in
        `kanx.nodes.Ratio`, and how many sums it takes.
    """

    curves: list[Pieces | Categories]
    bias: Array
    sums: int
    combined: list[tuple[str, int]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as JSON."""
        return {
            "curves": [curve.to_dict() for curve in self.curves],
            "bias": self.bias.tolist(),
            "sums": self.sums,
            "combined": [list(node) for node in self.combined],
        }


@dataclass(frozen=True)
class Exported:
    """A fitted model without torch.

    Attributes
    ----------
    columns : list of Column
    layers : list of ExportedLayer
    skip : ExportedLayer or None
        Direct curves from inputs to outputs.
    mean, scale : ndarray, (outputs,)
        ``output = mean + scale * network``.
    link : {"identity", "log", "logistic", "softmax"}
    targets : list of str
        Names of what is predicted: the targets, or the classes.
    classes : list or None
        The classes as they are.
    error : float
        Largest difference between the predictions and the model's that was found on rows in and
        around the range of the training rows; for classes, of the probabilities.
    """

    columns: list[Column]
    layers: list[ExportedLayer]
    skip: ExportedLayer | None
    mean: Array
    scale: Array
    link: str
    targets: list[str]
    classes: list[Any] | None
    error: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON; `kanx.export.runtime` computes with it."""
        return {
            "columns": [
                {"name": c.name, "categories": None if c.categories is None else [*c.categories]}
                for c in self.columns
            ],
            "layers": [layer.to_dict() for layer in self.layers],
            "skip": None if self.skip is None else self.skip.to_dict(),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "link": self.link,
            "targets": self.targets,
            "classes": self.classes,
            "error": self.error,
        }

    @property
    def note(self) -> str:
        """A sentence for the head of the exported code."""
        what = "the probabilities" if self.classes else "the predictions"
        return (
            f"Differs from the model by at most {self.error:.1e} in {what}, found on "
            f"{CHECKED_ROWS} rows in and around its range."
        )


def exported(estimator: Any) -> Exported:
    """Write a fitted estimator as plain numbers.

    Parameters
    ----------
    estimator : KANRegressor or KANClassifier, fitted

    Raises
    ------
    TypeError
        If it is no fitted estimator.
    """
    model = fitted_model(estimator)
    classes = getattr(estimator, "classes_", None)
    network = copy.deepcopy(model.network).double().eval()
    layers = [
        _layer(layer, nodes.sums, [_combined(kind) for kind in nodes.kinds])
        for layer, nodes in zip(network.layers, network.nodes, strict=True)
    ]
    skip = None if network.skip is None else _layer(network.skip, network.out_features)
    found = Exported(
        list(model.columns),
        layers,
        skip,
        model.target_mean.numpy(),
        model.target_scale.numpy(),
        link_of(estimator),
        [str(c) for c in classes] if classes is not None else list(model.target_names),
        None if classes is None else classes.tolist(),
    )
    return _measured(found, model, network)


def fitted_model(estimator: Any) -> Model:
    """Return an estimator's fitted model.

    Raises
    ------
    TypeError
        If it is no fitted `KANRegressor` or `KANClassifier`.
    """
    model = getattr(estimator, "model_", None)
    if not isinstance(model, Model):
        raise TypeError(
            f"only a fitted KANRegressor or KANClassifier can be exported, got "
            f"{type(estimator).__name__}; call fit first, or kanx.load"
        )
    return model


def link_of(estimator: Any) -> str:
    """Say how the outputs become predictions: "identity", "log", "logistic" or "softmax"."""
    if not hasattr(estimator, "classes_"):
        counts = isinstance(estimator.model_.members[0].loss, Poisson)
        return "log" if counts else "identity"
    return "logistic" if estimator.model_.network.out_features == 1 else "softmax"


def rows_around(columns: Sequence[Column], count: int, random_state: int = 0) -> Array:
    """Draw encoded rows in and around the range of the training rows, ``(count, columns)``.

    Numbers reach half a range beyond either end; categories include the unknown one; where the
    training rows had missing values, some are missing.
    """
    rng = np.random.default_rng(random_state)
    x = np.empty((count, len(columns)))
    for j, column in enumerate(columns):
        if column.categories is not None:
            x[:, j] = rng.integers(-1, len(column.categories), count)
        else:
            spread = column.upper - column.lower or 1.0
            x[:, j] = rng.uniform(column.lower - spread / 2, column.upper + spread / 2, count)
        if column.missing:
            x[rng.random(count) < 0.1, j] = np.nan
    return x


def _layer(layer: KANLayer, sums: int, combined: Sequence[tuple[str, int]] = ()) -> ExportedLayer:
    bias = np.zeros(layer.out_features)
    if layer.bias is not None:
        bias = layer.bias.detach().numpy().copy()
    return ExportedLayer(curves_of(layer), bias, sums, list(combined))


def _combined(kind: NodeKind) -> tuple[str, int]:
    """Name what a node does with its sums."""
    if isinstance(kind, Product):
        return "product", kind.arity
    if isinstance(kind, Ratio):
        return f"ratio {kind.variant}", kind.arity
    raise TypeError(f"cannot export nodes of the kind {type(kind).__name__}")


def _measured(found: Exported, model: Model, network: KAN) -> Exported:
    """Return the same with the error against the model."""
    x = rows_around(model.columns, CHECKED_ROWS)
    with torch.no_grad():
        raw = network(torch.from_numpy(x)).numpy()
    truth = runtime.linked(found.mean + found.scale * raw, found.link)
    own = runtime.predict_encoded(found.to_dict(), x)
    error = float(np.nanmax(np.abs(own - truth), initial=0.0))
    return replace(found, error=error)
