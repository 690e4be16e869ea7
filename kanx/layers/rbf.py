"""Radial-basis edges: Gaussian bumps on a grid, fixed or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kanx.layers.trended import TrendedFamily

if TYPE_CHECKING:
    import sympy

    from kanx.kernels.device import Functions


class RadialBasis(TrendedFamily):
    r"""Draw every edge as a sum of Gaussian bumps beside a straight line.

    .. math:: f(t) = c_0 + c_1 t + \sum_g c_g \exp\big(-((t - z_g) / w_g)^2\big)

    Parameters
    ----------
    in_features, out_features : int
    centres : int, default=8
        Number of bumps, evenly spaced over the domain.
    width : float, default=1.0
        Start of ``w_g`` in units of the spacing of the centres.
    trainable : bool, default=False
        Whether centres and widths of every input are parameters too. They are trained by gradients
        only; the closed-form derivative by parameters and `refit` concern the coefficients.
    trend, missing, domain, extrapolate, generator
        See `TrendedFamily`.

    References
    ----------
    Li: Kolmogorov-Arnold networks are radial basis function networks, arXiv:2405.06721. Its layer
    normalisation is left out: it mixes the inputs, and an edge would no longer be a function of
    one variable.
    Free-RBF-KAN, arXiv:2601.07760 (trained centres and widths).
    """

    name = "rbf"
    positions: Tensor
    log_widths: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        centres: int = 8,
        width: float = 1.0,
        trainable: bool = False,
        trend: bool = True,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if centres < 2 or not width > 0:
            raise ValueError(
                f"radial basis edges need centres >= 2 and width > 0, got {centres} and {width}"
            )
        super().__init__(
            in_features,
            out_features,
            centres,
            trend=trend,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.centres = centres
        self.width = width
        self.trainable = trainable
        positions = torch.linspace(-1, 1, centres)[:, None].repeat(1, in_features)
        log_widths = torch.full_like(positions, width * 2 / (centres - 1)).log()
        if trainable:
            self.positions, self.log_widths = nn.Parameter(positions), nn.Parameter(log_widths)
        else:
            self.register_buffer("positions", positions)
            self.register_buffer("log_widths", log_widths)

    def functions(self, t: Tensor) -> Tensor:
        u = (t.unsqueeze(-2) - self.positions) / self.log_widths.exp()
        return torch.exp(-u * u)

    def fused_functions(self) -> Functions | None:
        from kanx.kernels.device import Functions

        if self.trainable:
            return None
        table = torch.stack([self.positions[:, 0], (-self.log_widths[:, 0]).exp()])
        return Functions("gaussian", table, self.trend)

    def functions_derivative(self, t: Tensor) -> Tensor:
        widths = self.log_widths.exp()
        u = (t.unsqueeze(-2) - self.positions) / widths
        return -2 * u / widths * torch.exp(-u * u)

    def functions_prior(self) -> Tensor:
        # the curve's squared norm in a Gaussian kernel's space, sum_gh c_g k(z_g, z_h) c_h
        z = self.positions.detach().double().T
        squares = self.log_widths.detach().double().exp().square().T
        joint = (squares.unsqueeze(-1) + squares.unsqueeze(-2)) / 2
        gram = torch.exp(-((z.unsqueeze(-1) - z.unsqueeze(-2)) ** 2) / joint)
        return gram + 1e-6 * torch.eye(self.centres).to(gram)

    def functions_sympy(self, index: int, symbol: sympy.Expr) -> list[sympy.Expr]:
        import sympy

        z = self.positions.detach().double()[:, index].tolist()
        w = self.log_widths.detach().double()[:, index].exp().tolist()
        return [
            sympy.exp(-(((symbol - sympy.Float(a, 17)) / sympy.Float(b, 17)) ** 2))
            for a, b in zip(z, w, strict=True)
        ]

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "centres": self.centres,
            "width": self.width,
            "trainable": self.trainable,
        }
