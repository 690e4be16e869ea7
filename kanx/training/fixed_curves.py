"""Curves that are known functions: left out of the fit as an offset, put in afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kanx.layers.symbolic import Symbolic
from kanx.network import KAN
from kanx.training.constrained import direct_layer
from kanx.training.losses import Loss


class Offset(Loss):
    """A loss of the outputs plus a known part, which stands beside the target.

    Parameters
    ----------
    loss : Loss
        Its targets are the first columns of ``y``, the known part the last ones.
    outputs : int
    """

    def __init__(self, loss: Loss, outputs: int) -> None:
        self.loss = loss
        self.outputs = outputs

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        return self.loss.value(*self._split(f, y))

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        return self.loss.gradient(*self._split(f, y))

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        return self.loss.root_curvature(*self._split(f, y))

    def mean(self, f: Tensor) -> Tensor:
        return self.loss.mean(f)

    def _split(self, f: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return f + y[:, -self.outputs :], y[:, : -self.outputs]


def fixed_part(x: Tensor, fixed: Mapping[int, str], scale: Tensor) -> Tensor:
    """Return what the known functions add to the outputs, ``(rows, outputs)``.

    Parameters
    ----------
    x : Tensor, (rows, in)
        Missing values add nothing.
    fixed : mapping from column to name in `kanx.functions.FUNCTIONS`
    scale : Tensor, (outputs,)
        Target units per unit of the output.

    Raises
    ------
    ValueError
        If a name is unknown, or the function is not defined for some value.
    """
    from kanx.functions import FUNCTIONS  # it imports sympy

    total = torch.zeros(len(x), dtype=torch.float64)
    for column, name in fixed.items():
        if name not in FUNCTIONS or FUNCTIONS[name].arity != 1:
            known = sorted(f.name for f in FUNCTIONS.values() if f.arity == 1)
            raise ValueError(f"function {name!r} is unknown; choose one of {known}")
        absent = torch.isnan(x[:, column])
        values = FUNCTIONS[name].torch(x[~absent, column])
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{name!r} is not defined for every value of column {column}")
        total[~absent] += values
    return total.unsqueeze(-1) / scale


def leave_out(network: KAN, fixed: Mapping[int, str]) -> None:
    """Take the fixed columns out of a network that is to be fitted."""
    for layer in {network.layers[0], direct_layer(network)[1]}:
        mask = layer.mask.clone()
        mask[list(fixed)] = 0
        layer.set_mask(mask)


def put_in(network: KAN, fixed: Mapping[int, str], scale: Tensor) -> None:
    """Set the direct curves of the fixed columns to their functions."""
    layer = direct_layer(network)[1]
    mask = layer.mask.clone()
    mask[list(fixed)] = 1
    layer.set_mask(mask)
    for column in fixed:
        bundle, i = layer.edge(column)
        assert isinstance(bundle, Symbolic)
        values = bundle.stacked_parameters().detach().clone()
        lower, upper = bundle.lower[i].item(), bundle.upper[i].item()
        values[0, i], values[1, i] = (upper - lower) / 2, (upper + lower) / 2
        values[2, i], values[3:, i] = 1 / scale, 0
        bundle.load_stacked(values)
