"""What all families share whose value is linear in the coefficients."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from kanx.layers.base import EdgeFamily

if TYPE_CHECKING:
    import sympy

    from kanx.kernels.device import Functions


class LinearFamily(EdgeFamily):
    r"""Edges of the form :math:`f_{io}(x) = \sum_g c_{gio} B_g(t(x))`, ``t`` in [-1, 1].

    A subclass supplies the basis on the normalised input and its derivative; evaluation is one
    basis expansion and one matrix product.

    Parameters
    ----------
    in_features, out_features : int
    n_basis : int
        Number of basis functions of the family.
    missing : bool, default=False
        Whether NaN is a legal input. Then one more coefficient per edge is the value that the
        edge takes where its input is missing.
    domain, extrapolate
        See `EdgeFamily`.
    generator : torch.Generator, optional
        Source of the random start.
    """

    is_metric: ClassVar[bool] = True  # whether inputs are measurements, not codes
    coefficients: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        n_basis: int,
        *,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(in_features, out_features, domain=domain, extrapolate=extrapolate)
        self.n_basis = n_basis
        self.missing = missing
        start = torch.randn(n_basis + missing, in_features, out_features, generator=generator)
        self.coefficients = nn.Parameter(start * (0.1 / in_features**0.5))

    # -- what a linear family must supply -----------------------------------------------------

    @abstractmethod
    def basis(self, t: Tensor) -> Tensor:
        """Evaluate the basis at normalised inputs: ``(..., in) -> (..., n_basis, in)``."""

    @abstractmethod
    def basis_derivative(self, t: Tensor) -> Tensor:
        """Differentiate the basis by ``t``: ``(..., in) -> (..., n_basis, in)``."""

    @abstractmethod
    def basis_prior(self) -> Tensor:
        """Return the prior precision of the basis coefficients, ``(in, n_basis, n_basis)``."""

    def basis_sympy(
        self, coefficients: list[float], index: int, symbol: sympy.Expr
    ) -> sympy.Expr | None:
        """Return ``sum_g c_g B_g`` of input `index` as an expression of the normalised symbol."""
        return None

    # -- the shared implementation ------------------------------------------------------------

    @property
    def parameters_per_edge(self) -> int:
        return self.n_basis + self.missing

    def stacked_parameters(self) -> Tensor:
        return self.coefficients

    def load_stacked(self, values: Tensor) -> None:
        with torch.no_grad():
            self.coefficients.copy_(values)

    def expand(self, x: Tensor) -> Tensor:
        """Evaluate the basis, extrapolation and missing values included.

        ``(..., in) -> (..., parameters_per_edge, in)``
        """
        filled, absent = self.filled(x)
        t = self.normalise(filled)
        inside = self.inside(t)
        features = self.basis(inside)
        if self.extrapolate == "linear":
            features = features + self._tangents(t - inside)
        return self._with_missing(features, absent, absent)

    def expand_derivative(self, x: Tensor) -> Tensor:
        """Differentiate `expand` by ``x``: ``(..., in) -> (..., parameters_per_edge, in)``."""
        filled, absent = self.filled(x)
        t = self.normalise(filled)
        features = self.basis_derivative(self.inside(t))
        if self.extrapolate == "constant":
            features = features * (t.abs() <= 1).unsqueeze(-2)
        return self._with_missing(features * self.scale, absent, None)

    def fused_functions(self) -> Functions | None:
        """Return the basis as the fused operator of GPUs takes it, None where it cannot."""
        return None

    def filled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Put the middle of the domain where a value is missing; return also where that is."""
        if not self.missing:
            return x, None
        absent = torch.isnan(x)
        return torch.where(absent, (self.lower + self.upper) / 2, x), absent

    @property
    def basis_is_fixed(self) -> bool:
        """Whether the coefficients are the only parameters of the bundle."""
        return len(self._parameters) == 1 and not self._modules

    def expands_like(self, other: LinearFamily) -> bool:
        """Say whether the other has the same basis functions of the same inputs."""
        if self.name != other.name or self.config() != other.config():
            return False
        own, others = dict(self.named_buffers(recurse=False)), dict(other.named_buffers())
        return all(
            name == "mask" or (value.shape == others[name].shape and value.equal(others[name]))
            for name, value in own.items()
        )

    def expand_block(self, x: Tensor) -> Tensor:
        """Evaluate what `expand` does without a derivative, in fewer passes over memory."""
        filled, absent = self.filled(x)
        t = self.normalise(filled)
        inside = self.inside(t)
        features = self.basis(inside)
        if self.extrapolate == "linear":
            beyond = t.sub_(inside)
            if bool(beyond.any()):
                features = features + self._tangents(beyond)
        return self._with_missing(features, absent, absent)

    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        from kanx.kernels import blocked, device

        if x.is_cuda and not torch.compiler.is_compiling() and device.enabled():
            total = device.edge_sum(self, x, mask, device.precision(x.device))
        else:
            total = blocked.edge_sum(self, x, mask)
        if total is not None:
            return total
        weight = (self.coefficients * mask).flatten(0, 1)  # (p * in, out)
        return self.expand(x).flatten(-2) @ weight

    def curves(self, x: Tensor) -> Tensor:
        return torch.einsum("bgi,gio->bio", self.expand(x), self.coefficients * self.mask)

    def slopes(self, x: Tensor) -> Tensor:
        return torch.einsum(
            "bgi,gio->bio", self.expand_derivative(x), self.coefficients * self.mask
        )

    def gradients(self, x: Tensor) -> Tensor:
        return self.expand(x).unsqueeze(-1)

    def input_jacobian(self, x: Tensor, upstream: Tensor) -> Tensor:
        weight = (self.coefficients * self.mask).flatten(0, 1)  # (p * in, out)
        pulled = (upstream @ weight.T).unflatten(-1, (-1, self.in_features))
        return (self.expand_derivative(x) * pulled).sum(-2)

    def prior(self) -> Tensor:
        precision = self.basis_prior().to(self.lower.device)
        if not self.missing:
            return precision
        full = torch.zeros(self.in_features, self.n_basis + 1, self.n_basis + 1).to(precision)
        full[:, :-1, :-1] = precision
        full[:, -1, -1] = 1
        return full

    def refit(
        self, x: Tensor, targets: Tensor, weight: Tensor | None = None, ridge: float = 1e-10
    ) -> None:
        features = self.expand(x).double().movedim(-1, 0)  # (in, batch, p)
        wanted = targets.double().movedim(1, 0)  # (in, batch, out)
        w = torch.ones(len(x)).to(features) if weight is None else weight.to(features)
        gram = features.mT @ (features * w[:, None])
        level = gram.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(1e-300)
        penalty = self.prior().to(gram)
        penalty = penalty / penalty.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        system = gram + ridge * level[:, None, None] * penalty
        solution = torch.linalg.solve(system, features.mT @ (wanted * w[:, None]))
        self.load_stacked(solution.movedim(0, 1).to(self.coefficients))

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        i, o = edge
        values = (self.coefficients * self.mask).detach().double()[: self.n_basis, i, o]
        return self.basis_sympy(values.tolist(), i, t)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "missing": self.missing}

    # -- details -----------------------------------------------------------------------------

    def _tangents(self, beyond: Tensor) -> Tensor:
        """Continue the basis by its tangents; ``beyond`` is how far ``t`` is past an end.

        As ``t - t.clamp(-1, 1)``, its derivative vanishes at the ends, where both parts meet.
        """
        end = beyond.new_ones(1, self.in_features)  # nothing is copied between devices
        slope = self.basis_derivative(torch.cat([-end, end]))  # (2, n_basis, in)
        below, above = beyond.clamp_max(0).unsqueeze(-2), beyond.clamp_min(0).unsqueeze(-2)
        return below * slope[0] + above * slope[1]

    def _with_missing(
        self, features: Tensor, absent: Tensor | None, indicator: Tensor | None
    ) -> Tensor:
        if absent is None:
            return features
        features = torch.where(absent.unsqueeze(-2), 0, features)
        extra = torch.zeros_like(features[..., :1, :])
        if indicator is not None:
            extra = indicator.unsqueeze(-2).to(features)
        return torch.cat([features, extra], dim=-2)
