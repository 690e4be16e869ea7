"""Sums of Padé edges on a GPU by their operator; what it leaves out is plain tensor code."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from kanx.kernels import device


class RationalFamily(Protocol):
    """What the operator needs to know of a bundle of Padé edges."""

    form: str
    in_features: int
    extrapolate: str
    numerator: Tensor
    denominator: Tensor

    @property
    def missing_value(self) -> Tensor:
        """Value of each edge where its input is missing, ``(1, in, out)``."""

    def filled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Fill missing values; return also where they are, None where NaN is not legal."""

    def normalise(self, x: Tensor) -> Tensor:
        """Map the domain to [-1, 1]."""

    def inside(self, t: Tensor) -> Tensor:
        """Move normalised inputs into the domain."""

    def derivative(self, t: Tensor, theta: Tensor) -> Tensor:
        """Differentiate the curves at ``t (in, 1)`` under parameters, ``(in, out)``."""


def edge_sum(family: RationalFamily, x: Tensor, mask: Tensor) -> Tensor | None:
    """Sum the edges of each output: ``(..., in), (in, out) -> (..., out)``.

    None where the operator does not apply: float64, a form that is not smooth, a transform.

    Parameters
    ----------
    family : RationalFamily
    x : Tensor, (..., in), float32
    mask : Tensor, (in, out)
    """
    if family.form != "smooth" or not device.applies(x):
        return None
    with torch.autocast(x.device.type, enabled=False):
        return _composed(family, x, mask)


def _composed(family: RationalFamily, x: Tensor, mask: Tensor) -> Tensor:
    from kanx.kernels import rational

    filled, absent = family.filled(x.reshape(-1, x.shape[-1]))
    t = family.normalise(filled)
    inside = family.inside(t)
    above = family.numerator * mask  # an edge that is off has no numerator
    total = rational.quotient_sum(inside, above, family.denominator)
    if family.extrapolate == "linear":
        theta = torch.cat([above, family.denominator])
        end = t.new_ones(family.in_features, 1)
        beyond = t - inside  # its derivative vanishes at the ends, where both meet
        total = total + beyond.clamp_max(0) @ family.derivative(-end, theta)
        total = total + beyond.clamp_min(0) @ family.derivative(end, theta)
    if absent is not None:  # missing values were filled with the middle of the domain, f(0) = a_0
        total = total + absent.to(t) @ (family.missing_value[0] * mask - above[0])
    return total.view(*x.shape[:-1], total.shape[-1])
