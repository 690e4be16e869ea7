"""Fourier edges: truncated trigonometric series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.trended import TrendedFamily

if TYPE_CHECKING:
    import sympy

    from kanx.kernels.device import Functions

VARIANTS = ("series", "slaf")


class Fourier(TrendedFamily):
    r"""Draw every edge as a trigonometric series beside a straight line.

    ``variant="series"`` is the Fourier series of period ``period``, and ``variant="slaf"`` the
    basis of the SLAF paper's code, whose sines turn around at the ends of the domain so that no
    jump between the ends has to be drawn:

    .. math:: \cos(2 \pi j t / p), \sin(2 \pi j t / p) \qquad
              \cos(\pi j t), \sin(\pi (2 j - 1) t / 2) \qquad j = 1 .. J

    Parameters
    ----------
    in_features, out_features : int
    harmonics : int, default=4
        ``J``.
    variant : {"series", "slaf"}, default="series"
    period : float, default=1.0
        Period of the series in units of the domain's width; ``p`` is twice as long.
    trend : bool, default=True
        Whether the line is part of the edge. Without it and with ``extrapolate="family"`` the
        series is a periodic function.
    missing, domain, extrapolate, generator
        See `TrendedFamily`.

    References
    ----------
    Xu et al.: FourierKAN-GCF, arXiv:2406.01034.
    Goyal, Goyal, Lall: Learning activation functions, arXiv:1906.09529 (variant ``slaf``).
    """

    name = "fourier"
    cosine_orders: Tensor
    sine_orders: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        harmonics: int = 4,
        variant: str = "series",
        period: float = 1.0,
        trend: bool = True,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if harmonics < 1 or not period > 0:
            raise ValueError(
                f"a Fourier edge needs harmonics >= 1 and period > 0, got {harmonics} and {period}"
            )
        if variant not in VARIANTS:
            raise ValueError(f"variant={variant!r} is unknown; choose one of {VARIANTS}")
        super().__init__(
            in_features,
            out_features,
            2 * harmonics,
            trend=trend,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.harmonics = harmonics
        self.variant = variant
        self.period = period
        order = torch.arange(1, harmonics + 1, dtype=torch.get_default_dtype())
        sine_order = order - 0.5 if variant == "slaf" else order.clone()
        self.register_buffer("cosine_orders", order[:, None])
        self.register_buffer("sine_orders", sine_order[:, None])

    @property
    def rates(self) -> tuple[Tensor, Tensor]:
        """Angular frequencies of cosines and sines on the normalised axis, ``(harmonics, 1)``."""
        base = math.pi if self.variant == "slaf" else math.pi / self.period
        return base * self.cosine_orders, base * self.sine_orders

    def functions(self, t: Tensor) -> Tensor:
        u, (c, s) = t.unsqueeze(-2), self.rates
        return torch.cat([(c * u).cos(), (s * u).sin()], -2)

    def fused_functions(self) -> Functions | None:
        from kanx.kernels.device import Functions

        rates = torch.cat(self.rates)[:, 0]
        phases = torch.zeros_like(rates)
        phases[self.harmonics :] = -math.pi / 2  # sines
        return Functions("wave", torch.stack([rates, phases]), self.trend)

    def functions_derivative(self, t: Tensor) -> Tensor:
        u, (c, s) = t.unsqueeze(-2), self.rates
        return torch.cat([-c * (c * u).sin(), s * (s * u).cos()], -2)

    def functions_prior(self) -> Tensor:
        # the precision grows as the mean squared slope does
        rates = torch.cat(self.rates)[:, 0].double()
        return torch.diag(1 + (rates / math.pi) ** 2).expand(self.in_features, -1, -1)

    def functions_sympy(self, index: int, symbol: sympy.Expr) -> list[sympy.Expr]:
        import sympy

        cosines, sines = (
            [sympy.Float(r, 17) for r in rates[:, 0].double().tolist()] for rates in self.rates
        )
        return [sympy.cos(r * symbol) for r in cosines] + [sympy.sin(r * symbol) for r in sines]

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "harmonics": self.harmonics,
            "variant": self.variant,
            "period": self.period,
        }
