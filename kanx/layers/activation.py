"""Activation edges: one known function times a weight, as beside the spline of a KAN edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kanx.layers.activations import Activation, find_activation
from kanx.layers.differentiation import value_and_slope
from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import sympy


class ActivationEdge(LinearFamily):
    r"""Draw every edge as :math:`f(t) = w \, g(t; s)` with a known activation function ``g``.

    Alone it is the classical weighted activation; as the second part of a `Composite` it is the
    residual branch of a KAN edge (``residual=`` of `KANLayer`).

    Parameters
    ----------
    in_features, out_features : int
    function : str, default="silu"
        A name in `kanx.layers.activations.ACTIVATIONS`, or a function of the whole real line in
        `kanx.functions.FUNCTIONS`, such as ``"tanh"``.
    missing, domain, extrapolate, generator
        See `LinearFamily`.

    Notes
    -----
    Shape parameters ``s``, one set per input, are trained by gradients only; the closed-form
    derivative by parameters and `refit` concern the weights.
    """

    name = "activation"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        function: str = "silu",
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        activation = find_activation(function)
        super().__init__(
            in_features,
            out_features,
            1,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.function = function
        start = torch.tensor(activation.start, dtype=torch.get_default_dtype())
        self.shape = nn.Parameter(start[:, None].repeat(1, in_features)) if len(start) else None

    @property
    def activation(self) -> Activation:
        """The function of the edges."""
        return find_activation(self.function)

    def basis(self, t: Tensor) -> Tensor:
        return self.activation.torch(t, *self._shapes()).unsqueeze(-2)

    def basis_derivative(self, t: Tensor) -> Tensor:
        shapes = self._shapes()
        return value_and_slope(lambda s: self.activation.torch(s, *shapes), t)[1].unsqueeze(-2)

    def basis_prior(self) -> Tensor:
        return torch.ones(self.in_features, 1, 1, dtype=torch.float64)

    def basis_sympy(
        self, coefficients: list[float], index: int, symbol: sympy.Expr
    ) -> sympy.Expr | None:
        import sympy

        shape = [] if self.shape is None else self.shape.detach().double()[:, index].tolist()
        numbers = [sympy.Float(s, 17) for s in shape]
        return sympy.Float(coefficients[0], 17) * self.activation.sympy(symbol, *numbers)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "function": self.function}

    def _shapes(self) -> tuple[Tensor, ...]:
        return () if self.shape is None else self.shape.unbind()
