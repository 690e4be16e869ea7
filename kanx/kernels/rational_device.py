"""Sums of Padé edges on a GPU by their operator; what it leaves out is plain tensor code."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from kanx.kernels import device, verified

ROWS_TRIED, TOLERANCE = 48, 1e-4  # when the kernels are compared with plain tensor code


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

    None where the operator does not apply: float64, a form that is not smooth, a transform, or a
    kernel that was tried and does not agree with plain tensor code.

    Parameters
    ----------
    family : RationalFamily
    x : Tensor, (..., in), float32
    mask : Tensor, (in, out)
    """
    if family.form != "smooth" or not device.applies(x):
        return None
    above, below = family.numerator.shape, family.denominator.shape
    if not _agrees("quotient_sum", above, below, x.device):
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


def quotient(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Evaluate a quotient per input: ``(rows, in) -> (rows, in)``, by the kernel if it is right.

    Parameters
    ----------
    t, above, below
        See `kanx.kernels.rational.quotient`.
    """
    if not _agrees("quotient", above.shape, below.shape, t.device):
        return plain(t, above, below)
    from kanx.kernels import rational

    return rational.quotient(t, above, below)


def plain(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Evaluate quotients in plain tensor code; ``t`` broadcasts with one coefficient."""
    # the kernels know nothing of the families that use them, nor does importing them
    from kanx.layers.denominators import DENOMINATORS
    from kanx.layers.polynomials import horner

    return horner(above, t)[0] / DENOMINATORS["smooth"].evaluate(below, t)[0]


def plain_sum(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Sum a quotient per edge over the inputs in plain tensor code."""
    return plain(t.unsqueeze(-1), above, below).sum(-2)


def _agrees(name: str, above: tuple[int, ...], below: tuple[int, ...], where: torch.device) -> bool:
    """Try the kernels on a few rows, with as many edges as there are."""
    outputs = above[1:] if name == "quotient" else above[2:]

    def problem() -> list[Tensor]:
        t = verified.noise(0, ROWS_TRIED, above[1]).clamp(-1, 1)
        own = [t, verified.noise(1, *above), verified.noise(2, *below)]
        return [value.to(where) for value in (*own, verified.noise(3, ROWS_TRIED, *outputs))]

    def found() -> list[Tensor]:
        from kanx.kernels import rational

        *own, upstream = problem()
        if name == "quotient":
            return [rational.quotient(*own), *rational.quotient_backward(*own, upstream)]
        return [rational.quotient_sum(*own), *rational.quotient_sum_backward(*own, upstream)]

    def wanted() -> list[Tensor]:
        *own, upstream = problem()
        return verified.pulled_back(plain if name == "quotient" else plain_sum, own, upstream)

    return verified.agrees((name, *above, *below), where, found, wanted, TOLERANCE)
