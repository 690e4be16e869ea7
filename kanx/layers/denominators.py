"""Denominators of rational functions that cannot vanish, in tensors and in symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from kanx.layers.polynomials import horner

if TYPE_CHECKING:
    import sympy

PRODUCT_FLOOR = 1e-6  # ERA's constant
FLOOR_C = 0.1


class Denominator(NamedTuple):
    """One form of denominator.

    Parameters
    ----------
    evaluate : callable
        Coefficients ``(count, ...)`` and ``t`` to ``(Q, dQ/dt)``.
    sympy : callable
        Coefficients and symbol to the expression.
    start : callable
        Standard normal noise ``(count, ...)`` to start values.
    """

    evaluate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    sympy: Callable[[list[sympy.Expr], sympy.Symbol], sympy.Expr]
    start: Callable[[Tensor], Tensor]


def _tail(b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``sum_{k >= 1} b_k t^k`` and its derivative."""
    r, dr = horner(b, t)
    return t * r, r + t * dr


def _smooth(b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    s, ds = _tail(b, t)
    return 1 + s * s, 2 * s * ds


def _product(b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    q, dq = torch.ones_like(t * b[0]), torch.zeros_like(t * b[0])
    for c, d in zip(*b.chunk(2), strict=True):
        factor = (t - c) ** 2 + d * d
        q, dq = q * factor, dq * factor + q * 2 * (t - c)
    return PRODUCT_FLOOR + q, dq


def _form_a(b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    r, dr = horner(b.abs(), t.abs())
    return 1 + t.abs() * r, t.sign() * (r + t.abs() * dr)


def _form_b(b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    s, ds = _tail(b, t)
    return 1 + s.abs(), s.sign() * ds


def _form_c(b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    s, ds = horner(b, t)
    return FLOOR_C + s.abs(), s.sign() * ds


def _polynomial(b: list[sympy.Expr], t: sympy.Symbol, first: int = 1) -> sympy.Expr:
    import sympy

    return sympy.Add(*(c * t**k for k, c in enumerate(b, first)))


def _sympy_product(b: list[sympy.Expr], t: sympy.Symbol) -> sympy.Expr:
    import sympy

    half = len(b) // 2
    factors = ((t - c) ** 2 + d**2 for c, d in zip(b[:half], b[half:], strict=True))
    return sympy.Float(PRODUCT_FLOOR, 17) + sympy.Mul(*factors)


def _sympy_a(b: list[sympy.Expr], t: sympy.Symbol) -> sympy.Expr:
    import sympy

    return 1 + sympy.Add(*(abs(c) * sympy.Abs(t) ** k for k, c in enumerate(b, 1)))


def _sympy_b(b: list[sympy.Expr], t: sympy.Symbol) -> sympy.Expr:
    import sympy

    return 1 + sympy.Abs(_polynomial(b, t))


def _sympy_c(b: list[sympy.Expr], t: sympy.Symbol) -> sympy.Expr:
    import sympy

    return sympy.Float(FLOOR_C, 17) + sympy.Abs(_polynomial(b, t, 0))


def _small(noise: Tensor) -> Tensor:
    return 0.2 * noise  # b = 0 is a saddle of the smooth form: start beside it


def _start_c(noise: Tensor) -> Tensor:
    return torch.cat([torch.full_like(noise[:1], 0.9), _small(noise[1:])])


def _start_product(noise: Tensor) -> Tensor:
    centres, widths = noise.chunk(2)
    return torch.cat([0.5 * centres, 1 + _small(widths)])


DENOMINATORS = {
    "smooth": Denominator(_smooth, lambda b, t: 1 + _polynomial(b, t) ** 2, _small),
    "product": Denominator(_product, _sympy_product, _start_product),
    "A": Denominator(_form_a, _sympy_a, _small),
    "B": Denominator(_form_b, _sympy_b, _small),
    "C": Denominator(_form_c, _sympy_c, _start_c),
    "D": Denominator(_form_b, _sympy_b, _small),
}
