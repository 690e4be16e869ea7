"""Linear families with a straight line beside their own functions."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import sympy


class TrendedFamily(LinearFamily):
    r"""Edges :math:`f(t) = c_0 + c_1 t + \sum_g c_g \varphi_g(t)`.

    Bumps and waves alone cannot draw a straight line; with the trend constants and lines are
    exact, and what the functions have to learn is the rest.

    Parameters
    ----------
    in_features, out_features : int
    n_functions : int
        Number of the family's own functions.
    trend : bool, default=True
        Whether the line is part of the edge.
    missing, domain, extrapolate, generator
        See `LinearFamily`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        n_functions: int,
        *,
        trend: bool = True,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            n_functions + 2 * trend,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.trend = trend

    @abstractmethod
    def functions(self, t: Tensor) -> Tensor:
        """Evaluate the family's own functions: ``(..., in) -> (..., n_functions, in)``."""

    @abstractmethod
    def functions_derivative(self, t: Tensor) -> Tensor:
        """Differentiate `functions` by ``t``."""

    @abstractmethod
    def functions_prior(self) -> Tensor:
        """Return the prior precision of their coefficients, ``(in, n_functions, n_functions)``."""

    @abstractmethod
    def functions_sympy(self, index: int, symbol: sympy.Expr) -> list[sympy.Expr]:
        """Return the functions of input `index` as expressions."""

    def basis(self, t: Tensor) -> Tensor:
        own = self.functions(t)
        if not self.trend:
            return own
        return torch.cat([torch.stack([torch.ones_like(t), t], -2), own], -2)

    def basis_derivative(self, t: Tensor) -> Tensor:
        own = self.functions_derivative(t)
        if not self.trend:
            return own
        return torch.cat([torch.stack([torch.zeros_like(t), torch.ones_like(t)], -2), own], -2)

    def basis_prior(self) -> Tensor:
        own = self.functions_prior().double()
        if not self.trend:
            return own
        full = torch.eye(self.n_basis).to(own).repeat(self.in_features, 1, 1)
        full[:, 2:, 2:] = own
        return full

    def basis_sympy(
        self, coefficients: list[float], index: int, symbol: sympy.Expr
    ) -> sympy.Expr | None:
        import sympy

        functions = self.functions_sympy(index, symbol)
        if self.trend:
            functions = [sympy.Integer(1), symbol, *functions]
        return sympy.Add(
            *(sympy.Float(c, 17) * f for c, f in zip(coefficients, functions, strict=True))
        )

    def config(self) -> dict[str, Any]:
        return {**super().config(), "trend": self.trend}
