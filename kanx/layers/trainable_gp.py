"""Gaussian-process edges whose length-scales and control positions are trained too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from kanx.layers.linear import LinearFamily

LEAST, MOST = 0.5, 3.0  # length-scale in spacings: beyond, ripple below and cancellation above


class TrainableGaussianProcess(LinearFamily):
    r"""Draw every edge as `GaussianProcess` does; length-scales and positions are trained too.

    The kernel is the squared exponential. Every input has one length-scale :math:`\ell_i`, bounded
    below by half the mean spacing and above by three times it, where the matrices stay well
    conditioned, and control positions that stay in order within the domain: they are cumulated
    shares of it.

    Every forward pass solves one small system per input, in float64. `GaussianProcess` with its
    baked matrices is several times cheaper and exports to smaller graphs: the length-scale matters
    less than the number of control points.

    Parameters
    ----------
    in_features, out_features : int
    control_points : int, default=10
    length_scale : float, default=1.5
        Start, in units of the mean spacing of the control points, between 0.5 and 3.
    train_positions : bool, default=True
        Whether the control positions are trained as well.
    jitter : float, default=1e-6
        Observation variance of the control heights.
    missing, domain, extrapolate, generator
        See `LinearFamily`.

    Notes
    -----
    Length-scales and positions are trained by gradients only; the closed-form derivative by
    parameters and `refit` concern the heights.

    References
    ----------
    Sun, Li, Wei, Tsourdos, Guo, arXiv:2006.06057. Siyuan Chen: GP-KAN, arXiv:2407.18397 (trained
    positions and length-scales).
    """

    name = "trainable_gp"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        control_points: int = 10,
        length_scale: float = 1.5,
        train_positions: bool = True,
        jitter: float = 1e-6,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if control_points < 3:
            raise ValueError(f"a GP edge needs at least 3 control points, got {control_points}")
        if not LEAST < length_scale < MOST:
            raise ValueError(
                f"length_scale must lie between {LEAST} and {MOST} spacings, got {length_scale}"
            )
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
        self.train_positions = train_positions
        share = (length_scale - LEAST) / (MOST - LEAST)
        start = torch.full((in_features,), share).logit()
        self.length_scale_logits = nn.Parameter(start)
        spacing = torch.zeros(control_points - 1, in_features)
        self.spacing_logits = nn.Parameter(spacing, requires_grad=train_positions)

    @property
    def length_scales(self) -> Tensor:
        """Length-scale of every input on the normalised axis, ``(in,)``."""
        spacings = LEAST + (MOST - LEAST) * torch.sigmoid(self.length_scale_logits)
        return spacings * 2 / (self.n_basis - 1)

    @property
    def control_positions(self) -> Tensor:
        """Where the heights are on the normalised axis, ``(in, control_points)``."""
        # equal shares where the logits are equal; none below a tenth of that
        count = self.n_basis - 1
        shares = 0.1 / count + 0.9 * torch.softmax(self.spacing_logits, dim=0)
        inner = 2 * torch.cumsum(shares, dim=0)[:-1] - 1
        end = torch.ones_like(inner[:1])
        return torch.cat([-end, inner, end]).T

    def basis(self, t: Tensor) -> Tensor:
        return self._basis_and_slope(t)[0]

    def basis_derivative(self, t: Tensor) -> Tensor:
        return self._basis_and_slope(t)[1]

    def basis_prior(self) -> Tensor:
        z = self.control_positions.detach().double()
        gram = self._gram(z, self.length_scales.detach().double())
        design = z.unsqueeze(-1)
        return torch.linalg.inv(gram + 1 + design @ design.mT)

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "control_points": self.n_basis,
            "length_scale": self.length_scale,
            "train_positions": self.train_positions,
            "jitter": self.jitter,
        }

    def _gram(self, z: Tensor, length_scales: Tensor) -> Tensor:
        u = (z.unsqueeze(-1) - z.unsqueeze(-2)) / length_scales[:, None, None]
        return torch.exp(-0.5 * u * u) + self.jitter * self._identity(z)

    def _identity(self, z: Tensor) -> Tensor:
        return torch.eye(self.n_basis, dtype=z.dtype, device=z.device)

    def _basis_and_slope(self, t: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(t.device.type, enabled=False):
            z, length_scales = self.control_positions.double(), self.length_scales.double()
            design = torch.stack([torch.ones_like(z), z], -1)  # (in, points, 2)
            eye = self._identity(z).expand(self.in_features, -1, -1)
            solved = torch.linalg.solve(self._gram(z, length_scales), torch.cat([eye, design], -1))
            inverse, half = solved[..., :-2], solved[..., -2:]
            trend = torch.linalg.solve(design.mT @ half, half.mT)  # (in, 2, points)
            weights = inverse - half @ trend
            u = (t.unsqueeze(-2) - z.T) / length_scales  # (..., points, in)
            k = torch.exp(-0.5 * u * u)
            line = trend[:, 0].T + t.unsqueeze(-2) * trend[:, 1].T
            value = torch.einsum("...mi,img->...gi", k, weights) + line
            slope = torch.einsum("...mi,img->...gi", -k * u / length_scales, weights)
        return value.to(t), (slope + trend[:, 1].T).to(t)
