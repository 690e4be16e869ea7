"""Gaussian-process edges: curves through control points (Sun et al. 2020)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from kanx.layers.covariance import Covariance, from_gpytorch
from kanx.layers.leave_one_out import leave_one_out_errors
from kanx.layers.linear import LinearFamily
from kanx.layers.warp import warp

if TYPE_CHECKING:
    import gpytorch

    from kanx.kernels.device import Functions

# weights to their version and the basis in Chebyshev polynomials, None where that is not smooth
_PROJECTIONS = WeakTensorKeyDictionary()


class GaussianProcess(LinearFamily):
    r"""Draw every edge as the posterior mean of a Gaussian process through control points.

    With control positions :math:`z_m`, heights :math:`v_m` (the parameters) and a linear mean
    :math:`h(t)'\beta`, ``h(t) = (1, t)``, the curve is the universal-kriging mean

    .. math:: f(t) = h(t)'\beta + k(t, z) K^{-1} (v - H\beta), \quad
              \beta = (H'K^{-1}H)^{-1} H'K^{-1} v, \quad K = k(z, z) + \sigma^2 I .

    It is linear in ``v``: the basis are the cardinal functions of the control points, baked once
    in float64, so ``v_m`` is the height of the curve at ``z_m`` (to within the jitter) and
    straight lines are exact.

    Parameters
    ----------
    in_features, out_features : int
    control_points : int, default=10
        Number of control points per edge; 8 to 12 is a good range.
    length_scale : float, default=1.5
        Length-scale of the squared exponential, in units of the mean spacing of the control
        points. Above 2 the matrices become ill-conditioned in float32.
    kernel : gpytorch.kernels.Kernel, Covariance or dict, optional
        Any one-dimensional kernel instead, on the normalised input in [-1, 1]. Its present
        hyperparameters are used and not trained. A dict is `Covariance.to_dict`'s.
    adaptive : bool, default=False
        Whether `set_control_positions` may move the control points off the even grid, for
        instance towards quantiles of the data. The kernel then acts on a smooth monotone map
        ``u(t)`` that sends the control points to an even grid, so the curve can bend where the
        points are dense; the mean stays linear in ``t``.
    jitter : float, default=1e-6
        Observation variance :math:`\sigma^2` of the control heights, relative to ``k(0, 0)``.
    missing, domain, extrapolate, generator
        See `LinearFamily`.

    References
    ----------
    Sun, Li, Wei, Tsourdos, Guo: Explainable deep learning with Gaussian-process activations in
    the Kolmogorov superposition theorem, arXiv:2006.06057.
    Rasmussen and Williams: Gaussian Processes for Machine Learning, section 2.7 (linear mean).
    """

    name = "gp"
    control_positions: Tensor
    weights: Tensor
    trend: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        control_points: int = 10,
        length_scale: float = 1.5,
        kernel: gpytorch.kernels.Kernel | Covariance | dict[str, Any] | None = None,
        adaptive: bool = False,
        jitter: float = 1e-6,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if control_points < 3:
            raise ValueError(f"a GP edge needs at least 3 control points, got {control_points}")
        if not length_scale > 0:
            raise ValueError(f"length_scale must be positive, got {length_scale}")
        super().__init__(
            in_features,
            out_features,
            control_points,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.length_scale = length_scale
        self.adaptive = adaptive
        self.jitter = jitter
        if kernel is None:
            self.covariance = _squared_exponential(length_scale, control_points)
        elif isinstance(kernel, Covariance):
            self.covariance = kernel
        elif isinstance(kernel, dict):
            self.covariance = Covariance.from_dict(kernel)
        else:
            self.covariance = from_gpytorch(kernel)
        positions = torch.linspace(-1, 1, control_points, dtype=torch.float64)
        shape = (in_features, control_points)
        dtype = torch.get_default_dtype()
        self.register_buffer("control_positions", positions.to(dtype).repeat(in_features, 1))
        self.register_buffer("weights", torch.zeros(*shape, control_points, dtype=dtype))
        self.register_buffer("trend", torch.zeros(in_features, 2, control_points, dtype=dtype))
        self._bake(positions.expand(shape))

    def start_length_scale(
        self,
        x: Tensor,
        targets: Tensor,
        weight: Tensor | None = None,
        candidates: Sequence[float] = (0.75, 1.0, 1.5, 2.0, 2.5),
    ) -> float:
        """Choose the length-scale by closed-form leave-one-out errors, and fit the edges with it.

        For every candidate the edges are fitted to the targets and each control height is
        predicted from all others; the candidate with the smallest mean squared error stays.

        Parameters
        ----------
        x : Tensor, (batch, in)
        targets : Tensor, (batch, in, out)
            Wanted value of every edge.
        weight : Tensor, (batch,), optional
        candidates : sequence of float
            Length-scales in units of the mean spacing of the control points.

        Returns
        -------
        float
            The chosen candidate.

        Raises
        ------
        ValueError
            If the edges have a kernel other than the squared exponential.
        """
        if self.covariance.kind != "squared_exponential":
            raise ValueError(
                f"the length-scale of a {self.covariance.kind!r} kernel is part of that kernel; "
                "build the edges without kernel= to choose it here"
            )
        errors = {}
        for candidate in candidates:
            self._set_length_scale(candidate)
            self.refit(x, targets, weight)
            heights = self.coefficients.detach().double()[: self.n_basis]
            z = self.control_positions.double()
            error = leave_one_out_errors(self._gram(), z, heights)
            errors[candidate] = error.square().mean().item()
        best = min(errors, key=lambda candidate: errors[candidate])
        self._set_length_scale(best)
        self.refit(x, targets, weight)
        return best

    def set_control_positions(self, positions: Tensor) -> None:
        """Move the control points, ``(in, control_points)`` in normalised units; heights stay.

        Raises
        ------
        ValueError
            If the edges are not adaptive, or the positions of some input do not increase strictly
            from -1 to 1.
        """
        if not self.adaptive:
            raise ValueError("only edges built with adaptive=True can move their control points")
        positions = positions.double().expand(self.in_features, self.n_basis).clone()
        ends = positions[:, [0, -1]].abs()
        if not bool((positions.diff(dim=-1) > 0).all()) or not bool(
            ((ends - 1).abs() < 1e-6).all()
        ):
            raise ValueError("control positions must increase strictly from -1 to 1")
        self._bake(positions)

    def basis(self, t: Tensor) -> Tensor:
        u, _ = self._even(t)
        curved = self._weighted(self.covariance(u.unsqueeze(-1), self._grid().to(t)))
        return curved + self.trend[:, 0].T + t.unsqueeze(-2) * self.trend[:, 1].T

    def basis_derivative(self, t: Tensor) -> Tensor:
        u, slope = self._even(t)
        dk = self.covariance.derivative(u.unsqueeze(-1), self._grid().to(t))
        if self.adaptive:
            dk = dk * slope.unsqueeze(-1)
        return self._weighted(dk) + self.trend[:, 1].T

    def fused_functions(self) -> Functions | None:
        from kanx.kernels import chebyshev
        from kanx.kernels.device import Functions

        known = _PROJECTIONS.get(self.weights)
        if known is None or known[0] != self.weights._version:
            with torch.no_grad():  # in double precision, where the weights may cancel
                exact = copy.deepcopy(self).cpu().double()
                projection = chebyshev.projection(exact.basis, self.in_features)
            projection = None if projection is None else projection.to(self.weights)
            _PROJECTIONS[self.weights] = known = (self.weights._version, projection)
        if known[1] is None:
            return None
        table = chebyshev.table(len(known[1])).to(self.weights)
        return Functions("recurrence", table, projection=known[1])

    def basis_prior(self) -> Tensor:
        # a GP whose linear mean has unit-variance coefficients
        z = self.control_positions.double().unsqueeze(-1)
        return torch.linalg.inv(self._gram() + 1 + z @ z.mT)

    def conditional_variance(self, x: Tensor) -> Tensor:
        r"""Return the prior variance that the control points leave: ``(..., in)``.

        .. math:: k(t, t) - k(t, z) K^{-1} k(z, t) + r(t)' (H'K^{-1}H)^{-1} r(t), \quad
                  r(t) = h(t) - H'K^{-1}k(z, t)

        It is zero at the control points and in units of the kernel's variance; an edge of prior
        precision ``a`` adds it divided by ``a`` to the variance of its curve.
        """
        t = self.normalise(x).double()
        z = self.control_positions.double()
        gram = self._gram().expand(self.in_features, -1, -1)
        u, _ = self._even(t)
        k = self.covariance(u.unsqueeze(-1), self._grid())  # (..., in, points)
        solved = torch.linalg.solve(gram, k.unsqueeze(-1)).squeeze(-1)
        design = torch.stack([torch.ones_like(z), z], -1)  # (in, points, 2)
        information = design.mT @ torch.linalg.solve(gram, design)
        rest = torch.stack([torch.ones_like(t), t], -1) - (solved.unsqueeze(-2) @ design).squeeze(
            -2
        )
        drift = (rest * torch.linalg.solve(information, rest.unsqueeze(-1)).squeeze(-1)).sum(-1)
        own = self.covariance(u, u)
        return (own - (k * solved).sum(-1) + drift).clamp_min(0)

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "control_points": self.n_basis,
            "length_scale": self.length_scale,
            "adaptive": self.adaptive,
            "jitter": self.jitter,
            "kernel": self.covariance.to_dict(),
        }

    def _set_length_scale(self, length_scale: float) -> None:
        self.length_scale = length_scale
        self.covariance = _squared_exponential(length_scale, self.n_basis)
        self._bake(self.control_positions.double())

    def _weighted(self, k: Tensor) -> Tensor:
        """Turn kernel sections into cardinal functions: ``(..., in, points) -> (..., p, in)``."""
        # large weights of both signs cancel here, which half precision would not survive
        with torch.autocast(k.device.type, enabled=False):
            return torch.einsum("...im,img->...gi", k, self.weights)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # a cast rounds the matrices of which large entries cancel: bake them for the new type
        super()._apply(fn, recurse)
        if not self.control_positions.is_meta:
            even = self._grid().expand_as(self.control_positions)
            self._bake(self.control_positions.double() if self.adaptive else even)
        return self

    def _grid(self) -> Tensor:
        """Where the control points lie as the kernel sees them, ``(points,)``, float64."""
        device = self.control_positions.device
        return torch.linspace(-1, 1, self.n_basis, dtype=torch.float64, device=device)

    def _even(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Map the normalised input to the kernel's axis; the value and the derivative."""
        if not self.adaptive:
            return t, torch.ones_like(t)
        u, slope = warp(t.clamp(-1, 1), self.control_positions.to(t))
        beyond = t - t.clamp(-1, 1)
        return u + beyond * slope, slope

    def _gram(self) -> Tensor:
        grid = self._grid()
        gram = self.covariance(grid.unsqueeze(-1), grid.unsqueeze(-2))
        return gram + self.jitter * gram.diagonal().mean() * torch.eye(self.n_basis).to(gram)

    def _bake(self, z: Tensor) -> None:
        """Store the matrices that turn ``k(t, z)`` and ``h(t)`` into cardinal functions."""
        inverse = torch.linalg.inv(self._gram())
        inverse = inverse.expand(*z.shape[:-1], -1, -1)  # (in, points, points)
        design = torch.stack([torch.ones_like(z), z], dim=-1)  # (in, points, 2)
        information = design.mT @ inverse @ design
        trend = torch.linalg.solve(information, design.mT @ inverse)  # (in, 2, points)
        residual = torch.eye(self.n_basis).to(z) - design @ trend
        with torch.no_grad():
            self.control_positions.copy_(z)
            self.weights.copy_(inverse @ residual)
            self.trend.copy_(trend)


def _squared_exponential(length_scale: float, control_points: int) -> Covariance:
    width = length_scale * 2 / (control_points - 1)
    return Covariance("squared_exponential", {"length_scale": width})
