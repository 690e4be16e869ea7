"""Gaussian-process edges: curves through control points (Sun et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.covariance import Covariance, from_gpytorch
from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import gpytorch


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
        self.jitter = jitter
        if kernel is None:
            width = length_scale * 2 / (control_points - 1)
            self.covariance = Covariance("squared_exponential", {"length_scale": width})
        elif isinstance(kernel, Covariance):
            self.covariance = kernel
        elif isinstance(kernel, dict):
            self.covariance = Covariance.from_dict(kernel)
        else:
            self.covariance = from_gpytorch(kernel)
        positions = torch.linspace(-1, 1, control_points, dtype=torch.float64)
        shape = (in_features, control_points)
        dtype = torch.get_default_dtype()
        self.register_buffer("control_positions", positions.expand(shape).to(dtype))
        self.register_buffer("weights", torch.zeros(*shape, control_points, dtype=dtype))
        self.register_buffer("trend", torch.zeros(in_features, 2, control_points, dtype=dtype))
        self._bake(positions.expand(shape))

    def set_control_positions(self, positions: Tensor) -> None:
        """Move the control points, ``(in, control_points)`` in normalised units; heights stay.

        Raises
        ------
        ValueError
            If the positions of some input are not strictly increasing or leave [-1, 1].
        """
        positions = positions.double().expand(self.in_features, self.n_basis)
        if not bool((positions.diff(dim=-1) > 0).all()) or bool((positions.abs() > 1 + 1e-9).any()):
            raise ValueError("control positions must increase strictly within [-1, 1]")
        self._bake(positions)

    def basis(self, t: Tensor) -> Tensor:
        k = self.covariance(t.unsqueeze(-2), self.control_positions.T)  # (..., points, in)
        curved = torch.einsum("...mi,img->...gi", k, self.weights)
        return curved + self.trend[:, 0].T + t.unsqueeze(-2) * self.trend[:, 1].T

    def basis_derivative(self, t: Tensor) -> Tensor:
        dk = self.covariance.derivative(t.unsqueeze(-2), self.control_positions.T)
        return torch.einsum("...mi,img->...gi", dk, self.weights) + self.trend[:, 1].T

    def basis_prior(self) -> Tensor:
        # a GP whose linear mean has unit-variance coefficients
        z = self.control_positions.double().unsqueeze(-1)
        return torch.linalg.inv(self._gram(z.squeeze(-1)) + 1 + z @ z.mT)

    def conditional_variance(self, x: Tensor) -> Tensor:
        r"""Return the prior variance that the control points leave: ``(..., in)``.

        .. math:: k(t, t) - k(t, z) K^{-1} k(z, t) + r(t)' (H'K^{-1}H)^{-1} r(t), \quad
                  r(t) = h(t) - H'K^{-1}k(z, t)

        It is zero at the control points and in units of the kernel's variance; an edge of prior
        precision ``a`` adds it divided by ``a`` to the variance of its curve.
        """
        t = self.normalise(x).double()
        z = self.control_positions.double()
        gram = self._gram(z)
        k = self.covariance(t.unsqueeze(-1), z)  # (..., in, points)
        solved = torch.linalg.solve(gram, k.unsqueeze(-1)).squeeze(-1)
        design = torch.stack([torch.ones_like(z), z], -1)  # (in, points, 2)
        information = design.mT @ torch.linalg.solve(gram, design)
        rest = torch.stack([torch.ones_like(t), t], -1) - (solved.unsqueeze(-2) @ design).squeeze(
            -2
        )
        drift = (rest * torch.linalg.solve(information, rest.unsqueeze(-1)).squeeze(-1)).sum(-1)
        own = self.covariance(t, t)
        return (own - (k * solved).sum(-1) + drift).clamp_min(0)

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "control_points": self.n_basis,
            "length_scale": self.length_scale,
            "jitter": self.jitter,
            "kernel": self.covariance.to_dict(),
        }

    def _gram(self, z: Tensor) -> Tensor:
        gram = self.covariance(z.unsqueeze(-1), z.unsqueeze(-2))
        level = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        return gram + self.jitter * level * torch.eye(self.n_basis, dtype=gram.dtype)

    def _bake(self, z: Tensor) -> None:
        """Store the matrices that turn ``k(t, z)`` and ``h(t)`` into cardinal functions."""
        inverse = torch.linalg.inv(self._gram(z))  # (in, points, points)
        design = torch.stack([torch.ones_like(z), z], dim=-1)  # (in, points, 2)
        information = design.mT @ inverse @ design
        trend = torch.linalg.solve(information, design.mT @ inverse)  # (in, 2, points)
        residual = torch.eye(self.n_basis, dtype=z.dtype) - design @ trend
        with torch.no_grad():
            self.control_positions.copy_(z)
            self.weights.copy_(inverse @ residual)
            self.trend.copy_(trend)
