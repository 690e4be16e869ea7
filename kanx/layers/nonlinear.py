"""What all families share whose value is not linear in the parameters."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kanx.layers.base import EdgeFamily
from kanx.layers.curve_fit import fit_curves
from kanx.layers.differentiation import value_and_slope

CHUNK = 8  # inputs that `forward` evaluates at once


class NonlinearFamily(EdgeFamily):
    r"""Edges of the form :math:`f_{io}(x) = F(t(x); \theta_{io})`, ``t`` in [-1, 1].

    A subclass supplies ``F`` element by element and the start of its parameters, which come in
    named groups (so that optimisers can treat, say, numerator and denominator apart).

    Parameters
    ----------
    in_features, out_features : int
    start : dict of str to Tensor
        Group name to start values ``(count, in, out)``; every group becomes a parameter.
    missing : bool, default=False
        Whether NaN is legal; then each edge learns the value it takes there.
    domain, extrapolate
        See `EdgeFamily`.
    """

    groups: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        start: dict[str, Tensor],
        *,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
    ) -> None:
        super().__init__(in_features, out_features, domain=domain, extrapolate=extrapolate)
        self.missing = missing
        for group in self.groups:
            self.register_parameter(group, nn.Parameter(start[group]))
        if missing:
            self.missing_value = nn.Parameter(torch.zeros(1, in_features, out_features))

    # -- what a nonlinear family must supply --------------------------------------------------

    @abstractmethod
    def value(self, t: Tensor, theta: Tensor) -> Tensor:
        """Evaluate the curves element by element.

        ``t (..., in, 1)`` and ``theta (parameters, ..., in, out)`` to ``(..., in, out)``.
        """

    @abstractmethod
    def prior_diagonal(self) -> Tensor:
        """Return the prior precision of each parameter, ``(parameters,)``, missing value aside."""

    def derivative(self, t: Tensor, theta: Tensor) -> Tensor:
        """Differentiate `value` by ``t``."""
        shape = torch.broadcast_shapes(t.shape, theta.shape[1:])
        return value_and_slope(lambda s: self.value(s, theta), t.expand(shape).clone())[1]

    # -- the shared implementation ------------------------------------------------------------

    @property
    def parameters_per_edge(self) -> int:
        return sum(len(getattr(self, group)) for group in self.groups) + self.missing

    def stacked_parameters(self) -> Tensor:
        parts = [getattr(self, group) for group in self.groups]
        return torch.cat([*parts, self.missing_value] if self.missing else parts)

    def load_stacked(self, values: Tensor) -> None:
        names = [*self.groups, "missing_value"] if self.missing else self.groups
        parameters = [getattr(self, name) for name in names]
        with torch.no_grad():
            for parameter, part in zip(
                parameters, values.split([len(p) for p in parameters]), strict=True
            ):
                parameter.copy_(part)

    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        theta = self.forward_parameters()
        total = x.new_zeros(*x.shape[:-1], self.out_features)
        # a few inputs at a time: nothing of size (batch, in, out) is formed
        for first in range(0, self.in_features, CHUNK):
            own = slice(first, first + CHUNK)
            edges = self._edges(x[..., own], theta[:, own], own) * mask[own]
            total = total + edges.sum(-2)
        return total

    def forward_parameters(self) -> Tensor:
        """Return the parameters that `forward` uses; a family may add noise in training."""
        return self.stacked_parameters()

    def curves(self, x: Tensor) -> Tensor:
        return self._edges(x, self.stacked_parameters(), slice(None)) * self.mask

    def slopes(self, x: Tensor) -> Tensor:
        filled, absent = self.filled(x)
        t = self.normalise(filled).unsqueeze(-1)
        slope = self.derivative(self.inside(t), self._without_missing(self.stacked_parameters()))
        if self.extrapolate == "constant":
            slope = torch.where(t.abs() <= 1, slope, 0)
        if absent is not None:
            slope = torch.where(absent.unsqueeze(-1), 0, slope)
        return slope * self.scale.unsqueeze(-1) * self.mask

    def filled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Put the middle of the domain where a value is missing; return also where that is."""
        return self._fill(x, slice(None))

    def gradients(self, x: Tensor) -> Tensor:
        theta = self.stacked_parameters()
        own = theta.unsqueeze(1).expand(-1, len(x), -1, -1)  # a copy per sample

        def total(values: Tensor) -> Tensor:
            return self._edges(x, values, slice(None)).sum()

        return torch.func.grad(total)(own).movedim(0, 1)

    def refit(self, x: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        twin = copy.deepcopy(self).double()  # a failure leaves this bundle as it was
        x, targets = x.double(), targets.double()
        w = torch.ones(len(x)).to(x) if weight is None else weight.to(x)
        self.load_stacked(fit_curves(twin, x, targets, w, twin.refit_starts()).to(self.lower))

    def prior(self) -> Tensor:
        diagonal = self.prior_diagonal().double().to(self.lower.device)
        if self.missing:
            diagonal = torch.cat([diagonal, torch.ones(1).to(diagonal)])
        return torch.diag(diagonal).expand(self.in_features, -1, -1)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "missing": self.missing}

    # -- details -----------------------------------------------------------------------------

    def _without_missing(self, theta: Tensor) -> Tensor:
        return theta[:-1] if self.missing else theta

    def _fill(self, x: Tensor, inputs: slice) -> tuple[Tensor, Tensor | None]:
        if not self.missing:
            return x, None
        absent = torch.isnan(x)
        return torch.where(absent, ((self.lower + self.upper) / 2)[inputs], x), absent

    def _edges(self, x: Tensor, theta: Tensor, inputs: slice) -> Tensor:
        """Evaluate the edges of some inputs: ``(..., n)`` to ``(..., n, out)``, masks aside."""
        filled, absent = self._fill(x, inputs)
        lower, upper = self.lower[inputs], self.upper[inputs]
        t = ((2 * filled - (upper + lower)) / (upper - lower)).unsqueeze(-1)
        own = self._without_missing(theta)
        inside = self.inside(t)
        value = self.value(inside, own)
        if self.extrapolate == "linear":
            end = t.new_ones(t.shape[-2], 1)
            beyond = t - inside  # its derivative vanishes at the ends, where both meet
            value = value + beyond.clamp_max(0) * self.derivative(-end, own)
            value = value + beyond.clamp_min(0) * self.derivative(end, own)
        if absent is not None:
            value = torch.where(absent.unsqueeze(-1), theta[-1], value)
        return value
