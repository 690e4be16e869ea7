"""Layers of splines in one call, where nobody looks at what passes between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from kanx.kernels.conditions import called_plainly
from kanx.layers.layer import KANLayer
from kanx.layers.piecewise_linear import PiecewiseLinear
from kanx.layers.spline import BSpline


def chain(layers: Iterable[KANLayer], x: Tensor) -> Tensor | None:
    """Apply layers in turn; None where they must be called one by one.

    They may be called together if all are splines of one family per layer and no hook waits for
    one of them.
    """
    families: list[BSpline] = []
    trained: list[Tensor | None] = []
    fixed: list[Tensor] = []
    for layer in layers:
        # what replaces entries of a module's dictionaries changes its class (parametrisations)
        bundles = entries(layer, "bundles")
        if type(layer) is not KANLayer or len(bundles) != 1:
            return None
        family = bundles["0"]
        if type(family) not in (BSpline, PiecewiseLinear) or not called_plainly(layer, family):
            return None
        families.append(family)
        trained += family._parameters.get("coefficients"), layer._parameters.get("bias")
        buffers = family._buffers
        fixed += buffers["mask"], buffers["knots"], buffers["lower"], buffers["upper"]
    from kanx.kernels import chain as kernels

    return kernels.chain(families, x, trained, fixed)


def entries(module: nn.Module, name: str) -> dict[str, Any]:
    """Return the entries of a list of modules; as an attribute it takes a microsecond longer."""
    return module._modules[name]._modules  # type: ignore[union-attr]
