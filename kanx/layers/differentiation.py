"""Derivatives of functions that act element by element."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def value_and_slope(function: Callable[[Tensor], Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate an element-wise function and its derivative, both differentiable in turn.

    The derivative is exact, by reverse-mode differentiation: forward mode loads decompositions
    that warn of their own deprecation.
    """
    value, pull_back = torch.func.vjp(function, t)[:2]
    return value, pull_back(torch.ones_like(value))[0]
