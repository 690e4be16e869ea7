"""Lookup edges: one learned value per category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import sympy


class Lookup(LinearFamily):
    r"""Give every category its own value: :math:`f(x) = c_x` for ``x`` in 0 .. categories - 1.

    Inputs are category codes. A code that is no category contributes nothing, and NaN its own
    learned value where ``missing`` is set.

    Parameters
    ----------
    in_features, out_features : int
    categories : int
        Number of categories.
    missing, extrapolate, generator
        See `LinearFamily`; extrapolation and domain have no meaning here.
    """

    name = "lookup"
    is_metric = False
    codes: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        categories: int = 2,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "family",
        generator: torch.Generator | None = None,
    ) -> None:
        if categories < 1:
            raise ValueError(f"a lookup edge needs at least one category, got {categories}")
        super().__init__(
            in_features,
            out_features,
            categories,
            missing=missing,
            domain=domain,
            extrapolate="family",
            generator=generator,
        )
        self.register_buffer("codes", torch.arange(categories, dtype=torch.get_default_dtype()))

    def normalise(self, x: Tensor) -> Tensor:
        return x  # codes are no measurements

    def outside(self, x: Tensor) -> Tensor:
        return ~(x.unsqueeze(-1) == self.codes).any(-1)

    def basis(self, t: Tensor) -> Tensor:
        return (t.unsqueeze(-2) == self.codes.unsqueeze(-1)).to(self.coefficients)

    def basis_derivative(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t).unsqueeze(-2).expand(*t.shape[:-1], self.n_basis, -1)

    def basis_prior(self) -> Tensor:
        return torch.eye(self.n_basis, dtype=torch.float64).expand(self.in_features, -1, -1)

    def sympy(self, edge: tuple[int, int], symbol: sympy.Symbol) -> sympy.Expr | None:
        import sympy

        i, o = edge
        values = (self.coefficients * self.mask).detach().double()[: self.n_basis, i, o].tolist()
        branches = [(sympy.Float(v, 17), sympy.Eq(symbol, k)) for k, v in enumerate(values)]
        return sympy.Piecewise(*branches, (0, True))

    def config(self) -> dict[str, Any]:
        return {"categories": self.n_basis, "missing": self.missing}
