"""B-spline edges of any degree, with a grid that follows the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import sympy

    from kanx.kernels.device import Functions

# knots to their version and whether they are evenly spaced: asking a GPU takes long
_KNOWN_EVEN = WeakTensorKeyDictionary()


class BSpline(LinearFamily):
    r"""Draw every edge as a spline :math:`f(t) = \sum_g c_g B_{g,k}(t)` of degree ``k``.

    The basis functions follow the Cox-de Boor recursion on ``intervals + 2 degree + 1`` knots; the
    outer ones lie outside [-1, 1], so the basis sums to one on the whole domain.

    Parameters
    ----------
    in_features, out_features : int
    intervals : int, default=8
        Number of polynomial pieces in the domain.
    degree : int, default=3
        Degree of the pieces; the curve has ``degree - 1`` continuous derivatives.
    missing, domain, extrapolate, generator
        See `LinearFamily`. ``extrapolate="family"`` falls to zero within ``degree`` intervals.

    References
    ----------
    de Boor: A Practical Guide to Splines, chapter IX.
    Eilers and Marx: Flexible smoothing with B-splines and penalties, 1996 (the prior).
    """

    name = "spline"
    knots: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        intervals: int = 8,
        degree: int = 3,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if intervals < 1 or degree < 1:
            raise ValueError(
                f"a spline edge needs intervals >= 1 and degree >= 1, got {intervals} and {degree}"
            )
        super().__init__(
            in_features,
            out_features,
            intervals + degree,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.intervals = intervals
        self.degree = degree
        inner = torch.linspace(-1, 1, intervals + 1, dtype=torch.float64)
        knots = self._extended(inner[:, None].expand(-1, in_features))
        self.register_buffer("knots", knots.to(torch.get_default_dtype()))

    def set_grid(self, inner: Tensor) -> None:
        """Move the knots, ``(intervals + 1, in)`` from -1 to 1 in normalised units.

        The coefficients stay; call `refit` to keep the curves.

        Raises
        ------
        ValueError
            If the knots of some input do not increase strictly from -1 to 1.
        """
        inner = inner.double()
        ends = torch.tensor([-1.0, 1.0], dtype=torch.float64)[:, None]
        if inner.shape != (self.intervals + 1, self.in_features):
            raise ValueError(
                f"expected knots of shape {(self.intervals + 1, self.in_features)}, got "
                f"{tuple(inner.shape)}"
            )
        if not bool((inner.diff(dim=0) > 0).all()) or not torch.allclose(inner[[0, -1]], ends):
            raise ValueError("the knots of every input must increase strictly from -1 to 1")
        with torch.no_grad():
            self.knots.copy_(self._extended(inner))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        from kanx.kernels import spline

        total = spline.edge_sum(self, x, self.mask, bias)
        return super().forward(x, bias) if total is None else total

    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        from kanx.kernels import spline

        total = spline.edge_sum(self, x, mask)
        return super().edge_sum(x, mask) if total is None else total

    def compiled_for(self, x: Tensor) -> bool:
        from kanx.kernels import spline

        return spline.takes(self, x)

    def fused_functions(self) -> Functions | None:
        from kanx.kernels.device import Functions

        if self.degree not in (2, 3) or not _even(self.knots):
            return None
        rate = self.intervals / 2
        start = (torch.arange(self.n_basis).to(self.knots) - self.degree) / rate - 1
        table = torch.stack([start, torch.full_like(start, rate)])
        return Functions("quadratic" if self.degree == 2 else "cubic", table)

    def basis(self, t: Tensor) -> Tensor:
        return self._recursion(t, self.degree)

    def basis_derivative(self, t: Tensor) -> Tensor:
        k, knots = self.degree, self.knots
        lower = self._recursion(t, k - 1)  # (..., n_basis + 1, in)
        width = knots[k : k + self.n_basis + 1] - knots[: self.n_basis + 1]
        quotient = k * lower / width
        return quotient[..., :-1, :] - quotient[..., 1:, :]

    def basis_prior(self) -> Tensor:
        # P-spline roughness (second differences) beside a small ridge for the straight lines
        difference = torch.eye(self.n_basis, dtype=torch.float64).diff(dim=0)
        if self.n_basis > 2:
            difference = difference.diff(dim=0)
        roughness = difference.mT @ difference
        precision = 4 * roughness + torch.eye(self.n_basis, dtype=torch.float64) / self.n_basis
        return precision.expand(self.in_features, -1, -1)

    def basis_sympy(
        self, coefficients: list[float], index: int, symbol: sympy.Expr
    ) -> sympy.Expr | None:
        import sympy
        from scipy.interpolate import BSpline as ScipySpline
        from scipy.interpolate import PPoly

        knots = self.knots[:, index].double().cpu().numpy()
        k = self.degree
        if self.extrapolate == "family":  # the basis falls to zero beyond the domain
            step = np.arange(1, k + 1) * (knots[-1] - knots[0])
            knots = np.concatenate([knots[0] - step[::-1], knots, knots[-1] + step])
            coefficients = [0.0] * k + coefficients + [0.0] * k
        pieces = PPoly.from_spline(ScipySpline(knots, coefficients, k))
        branches = []
        for j in range(k, len(knots) - 1 - k):
            left = sympy.Float(float(knots[j]), 17)
            value: sympy.Expr = sympy.Integer(0)
            for c in pieces.c[:, j]:
                value = value * (symbol - left) + sympy.Float(float(c), 17)
            branches.append((value, symbol < sympy.Float(float(knots[j + 1]), 17)))
        if self.extrapolate == "family":
            branches.insert(0, (sympy.Integer(0), symbol < sympy.Float(float(knots[k]), 17)))
            branches.append((sympy.Integer(0), True))
        else:
            branches[-1] = (branches[-1][0], True)
        return sympy.Piecewise(*branches)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "intervals": self.intervals, "degree": self.degree}

    def _extended(self, inner: Tensor) -> Tensor:
        steps = torch.arange(1, self.degree + 1, dtype=inner.dtype)[:, None]
        before = inner[:1] - steps.flip(0) * (inner[1:2] - inner[:1])
        after = inner[-1:] + steps * (inner[-1:] - inner[-2:-1])
        return torch.cat([before, inner, after])

    def _recursion(self, t: Tensor, degree: int) -> Tensor:
        """Cox-de Boor: all basis functions of a degree at once, ``(..., count, in)``."""
        u, knots = t.unsqueeze(-2), self.knots
        # intervals are closed on the left, from the end of the domain on on the right, so that
        # value and derivative at both ends are those from inside
        # no torch.where of truth values: ONNX runtimes lack it
        from_left = (u > knots) | ((u >= knots) & (knots < self.knots[-self.degree - 1]))
        values = (from_left[..., :-1, :] & ~from_left[..., 1:, :]).to(t)
        for k in range(1, degree + 1):
            rising = (u - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
            falling = (knots[k + 1 :] - u) / (knots[k + 1 :] - knots[1:-k])
            values = rising * values[..., :-1, :] + falling * values[..., 1:, :]
        return values


def _even(knots: Tensor) -> bool:
    """Say whether the knots of all inputs have the same even spacing."""
    known = _KNOWN_EVEN.get(knots)
    if known is None or known[0] != knots._version:
        steps = knots.diff(dim=0)
        even = bool(torch.allclose(steps, steps[:1, :1].expand_as(steps), rtol=1e-4))
        _KNOWN_EVEN[knots] = known = (knots._version, even)
    return known[1]
