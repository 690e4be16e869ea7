"""Symbolic edges: an elementary function with four constants on every edge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.nonlinear import NonlinearFamily

if TYPE_CHECKING:
    import sympy

    from kanx.functions import Domain, Function

MARGIN = 1e-6  # how far an argument is kept from a border of the function's domain
MARGIN_AT_ZERO = 1e-12  # the same at a closed border at 0, such as the square root's


class Symbolic(NonlinearFamily):
    r"""Draw every edge as :math:`f(t) = c \, F(a t + b) + d` with ``F`` from the function table.

    An argument that leaves the domain of ``F`` is held at its border, so that a curve is finite
    for any constants; where that can happen the expression says so. Edges with different functions
    are parts of a `Composite`.

    Parameters
    ----------
    in_features, out_features : int
    function : str, default="sin"
        Name in `kanx.functions.FUNCTIONS`.
    missing, domain, extrapolate
        See `NonlinearFamily`. With ``extrapolate="family"`` the formula holds everywhere; one that
        grows like the exponential function then overflows far away.
    generator : torch.Generator, optional

    Raises
    ------
    ValueError
        If the function is not in the table or takes two arguments.
    """

    name = "symbolic"
    groups = ("inner_scale", "inner_shift", "outer_scale", "outer_shift")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        function: str = "sin",
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        shape = (in_features, out_features)
        noise = torch.randn(4, *shape, generator=generator)
        scale, shift = _inner_start(_known(function).domain)
        start = {
            "inner_scale": scale * (1 + 0.1 * noise[:1]),
            "inner_shift": shift + 0.1 * scale * noise[1:2],
            "outer_scale": noise[2:3] * (0.3 / max(in_features, 1) ** 0.5),
            "outer_shift": torch.zeros(1, *shape),
        }
        super().__init__(
            in_features,
            out_features,
            start,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
        )
        self.function_name = function

    @property
    def function(self) -> Function:
        """The function's entry in the table."""
        return _known(self.function_name)

    def value(self, t: Tensor, theta: Tensor) -> Tensor:
        a, b, c, d = theta
        return c * self.function.torch(_held(a * t + b, self.function.domain)) + d

    def prior_diagonal(self) -> Tensor:
        return torch.ones(4, dtype=torch.float64)

    def refit_starts(self) -> list[Tensor]:
        shape = (self.in_features, self.out_features)
        scale, shift = _inner_start(self.function.domain)
        inner = [(scale, shift), (-scale, shift)]
        if self.function.domain.covers(-1e9, 1e9):
            inner += [(s * scale, b) for s in (0.4, 2.5, 6.0) for b in (0.0, 1.5)]
        starts = []
        for a, b in inner:
            row = torch.zeros(self.parameters_per_edge, *shape, dtype=torch.float64)
            row[0], row[1], row[2] = a, b, 1.0
            starts.append(row)
        return starts

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        import sympy

        i, o = edge
        theta = self.stacked_parameters()[:4, i, o].detach().double().tolist()
        a, b, c, d = (sympy.Float(v, 17) for v in theta)
        reach = math.inf if self.extrapolate == "family" else 1.0
        value = _sympy_held(self.function, a * t + b, theta[0], theta[1], reach)
        return sympy.Integer(1 if self.mask[i, o] else 0) * (c * value + d)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "function": self.function_name}


def _known(name: str) -> Function:
    from kanx.functions import FUNCTIONS  # it imports sympy

    if name not in FUNCTIONS or FUNCTIONS[name].arity != 1:
        known = sorted(f.name for f in FUNCTIONS.values() if f.arity == 1)
        raise ValueError(f"function={name!r} is unknown; choose one of {known}")
    return FUNCTIONS[name]


def _inner_start(domain: Domain) -> tuple[float, float]:
    """Return ``a, b`` that send [-1, 1] well into the domain."""
    if math.isfinite(domain.low) and math.isfinite(domain.high):
        return 0.4 * (domain.high - domain.low), (domain.high + domain.low) / 2
    if math.isfinite(domain.low):
        return 1.0, domain.low + 2
    if math.isfinite(domain.high):
        return 1.0, domain.high - 2
    return 1.0, 0.0 if domain.hole is None else domain.hole + 2


def _borders(domain: Domain) -> tuple[float, float]:
    low = domain.low + (MARGIN_AT_ZERO if domain.low == 0 and not domain.low_open else MARGIN)
    high = domain.high - (MARGIN_AT_ZERO if domain.high == 0 and not domain.high_open else MARGIN)
    return low, high


def _held(u: Tensor, domain: Domain) -> Tensor:
    """Hold an argument inside a domain."""
    low, high = _borders(domain)
    if math.isfinite(low) or math.isfinite(high):
        u = u.clamp(low, high)
    if domain.hole is not None:
        beside = torch.where(u < domain.hole, domain.hole - MARGIN, domain.hole + MARGIN).to(u)
        u = torch.where((u - domain.hole).abs() < MARGIN, beside, u)
    return u


def _sympy_held(function: Function, u: sympy.Expr, a: float, b: float, reach: float) -> sympy.Expr:
    """Write ``F(u)``, with the argument held in the domain where ``|t| <= reach`` may leave it."""
    import sympy

    domain = function.domain
    extent = abs(a) * reach if a else 0.0
    low, high = _borders(domain)
    if b - extent < low:
        u = sympy.Max(u, sympy.Float(low, 17))
    if b + extent > high:
        u = sympy.Min(u, sympy.Float(high, 17))
    if domain.hole is None or abs(b - domain.hole) - extent >= MARGIN:
        return function.sympy(u)
    hole, margin = sympy.Float(domain.hole, 17), sympy.Float(MARGIN, 17)
    held = sympy.Piecewise(
        (u, sympy.Abs(u - hole) >= margin), (hole - margin, u < hole), (hole + margin, True)
    )
    return function.sympy(held)
