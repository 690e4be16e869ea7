"""Nonlinear families that add up a number of equal terms beside a straight line."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from kanx.layers.nonlinear import NonlinearFamily

if TYPE_CHECKING:
    import sympy


class TermFamily(NonlinearFamily):
    r"""Edges :math:`f(t) = c_0 + c_1 t + \sum_{k=1}^n T(t; \theta_k)`.

    Parameters
    ----------
    in_features, out_features : int
    start : dict of str to Tensor
        Start of every parameter group of the terms, each ``(terms, in, out)``.
    trend : bool, default=True
        Whether the line is part of the edge.
    missing, domain, extrapolate
        See `NonlinearFamily`.
    """

    term_groups: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        start: dict[str, Tensor],
        *,
        trend: bool = True,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
    ) -> None:
        self.terms = len(start[self.term_groups[0]])
        self.trend = trend
        line = torch.zeros(2, in_features, out_features)
        super().__init__(
            in_features,
            out_features,
            {**start, "line": line},
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
        )

    @property
    def groups(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.term_groups, "line") if self.trend else self.term_groups

    @abstractmethod
    def term(self, t: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate one term and its derivative by ``t``; a parameter of each group."""

    @abstractmethod
    def term_sympy(self, t: sympy.Expr, *parameters: sympy.Expr) -> sympy.Expr:
        """Write one term as an expression."""

    @abstractmethod
    def term_start(self, noise: Tensor) -> Tensor:
        """Turn standard normal noise ``(parameters of the terms, in, out)`` into a start."""

    def value(self, t: Tensor, theta: Tensor) -> Tensor:
        return self._evaluate(t, theta)[0]

    def derivative(self, t: Tensor, theta: Tensor) -> Tensor:
        return self._evaluate(t, theta)[1]

    def prior_diagonal(self) -> Tensor:
        count = self.terms * len(self.term_groups) + 2 * self.trend
        return torch.ones(count, dtype=torch.float64)

    def refit_starts(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        count = self.terms * len(self.term_groups)
        shape = (self.parameters_per_edge, self.in_features, self.out_features)
        starts = []
        for _ in range(5):  # many short fits: a term has to find its place on the axis
            start = torch.zeros(shape, dtype=torch.float64)
            noise = torch.randn(count, *shape[1:], generator=generator)
            start[:count] = self.term_start(noise)
            starts.append(start)
        return starts

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        import sympy

        i, o = edge
        theta = self._without_missing(self.stacked_parameters()).detach().double()
        numbers = [sympy.Float(v, 17) for v in theta[:, i, o].tolist()]
        count = self.terms * len(self.term_groups)
        terms = [self.term_sympy(t, *numbers[k : count : self.terms]) for k in range(self.terms)]
        if self.trend:
            terms.append(numbers[count] + numbers[count + 1] * t)
        return sympy.Integer(1 if self.mask[i, o] else 0) * sympy.Add(*terms)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "terms": self.terms, "trend": self.trend}

    def _evaluate(self, t: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        count = self.terms * len(self.term_groups)
        value, slope = torch.zeros_like(t), torch.zeros_like(t)
        for k in range(self.terms):
            own, own_slope = self.term(t, *theta[k : count : self.terms])
            value, slope = value + own, slope + own_slope
        if self.trend:
            value = value + theta[count] + theta[count + 1] * t
            slope = slope + theta[count + 1]
        return value, slope
