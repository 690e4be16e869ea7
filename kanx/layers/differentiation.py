"""Derivatives of functions that act element by element."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


def value_and_slope(function: Callable[[Tensor], Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate an element-wise function and its derivative, both differentiable in turn.

    The derivative is exact, by automatic differentiation.
    """
    if torch.compiler.is_exporting():  # only forward mode leaves a clean graph of operations
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, at first use
            value, slope = torch.func.jvp(function, (t,), (torch.ones_like(t),))[:2]
            return value, slope
    value, pull_back = torch.func.vjp(function, t)[:2]
    return value, pull_back(torch.ones_like(value))[0]
