"""Polynomials in one variable as tensor code."""

from __future__ import annotations

import torch
from torch import Tensor


def horner(coefficients: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate ``sum_j c_j t^j`` and its derivative.

    Parameters
    ----------
    coefficients : Tensor, (degree + 1, ...)
        Lowest power first.
    t : Tensor
        Broadcastable with one coefficient.
    """
    value = coefficients[-1] + torch.zeros_like(t)
    slope = torch.zeros_like(value)
    for c in coefficients.flip(0)[1:]:
        slope = slope * t + value
        value = value * t + c
    return value, slope
