"""Cauchy edges: simple fractions with trained poles off the real axis (XNet)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanx.layers.terms import TermFamily

if TYPE_CHECKING:
    import sympy

FLOOR = 1e-4


class Cauchy(TermFamily):
    r"""Draw every edge as a sum of Cauchy activations beside a straight line.

    .. math:: f(t) = c_0 + c_1 t + \sum_{k=1}^n
              \frac{\lambda_{1k} (t - z_k) + \lambda_{2k}}{(t - z_k)^2 + d_k^2 + 10^{-4}}

    The constant in the denominator, which the paper leaves out, keeps the curve finite when a
    width ``d_k`` is trained or pruned to zero.

    Parameters
    ----------
    in_features, out_features : int
    terms : int, default=2
        ``n``; XNet's unit has one term, with its centre ``z`` in the affine map before it.
    trend, missing, domain, extrapolate
        See `TermFamily`.
    generator : torch.Generator, optional

    References
    ----------
    Li, Xia, Zhang: Cauchy activation function and XNet, arXiv:2409.19221.
    """

    name = "cauchy"
    term_groups = ("odd_part", "even_part", "centres", "widths")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        terms: int = 2,
        trend: bool = True,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if terms < 1:
            raise ValueError(f"a Cauchy edge needs at least one term, got {terms}")
        noise = torch.randn(4 * terms, in_features, out_features, generator=generator)
        groups = self.term_start(noise).chunk(4)
        super().__init__(
            in_features,
            out_features,
            dict(zip(self.term_groups, groups, strict=True)),
            trend=trend,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
        )

    def term_start(self, noise: Tensor) -> Tensor:
        odd, even, centres, widths = noise.chunk(4)
        return torch.cat([0.1 * odd, 0.1 * even, 0.6 * centres, 0.5 + 0.1 * widths])

    def term(self, t: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        odd, even, centre, width = parameters
        s = t - centre
        below = s * s + width * width + FLOOR
        value = (odd * s + even) / below
        return value, (odd - 2 * s * value) / below

    def term_sympy(self, t: sympy.Expr, *parameters: sympy.Expr) -> sympy.Expr:
        import sympy

        odd, even, centre, width = parameters
        s = t - centre
        return (odd * s + even) / (s**2 + width**2 + sympy.Float(FLOOR, 17))
