"""Wavelet edges with trained scales and translations (Wav-KAN)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.terms import TermFamily

if TYPE_CHECKING:
    import sympy

MORLET_FREQUENCY = 5.0


def _mexican_hat(u: Tensor) -> tuple[Tensor, Tensor]:
    norm = 2 / (math.sqrt(3) * math.pi**0.25)
    envelope = norm * torch.exp(-0.5 * u * u)
    return envelope * (1 - u * u), envelope * u * (u * u - 3)


def _morlet(u: Tensor) -> tuple[Tensor, Tensor]:
    envelope = torch.exp(-0.5 * u * u)
    cosine, sine = (MORLET_FREQUENCY * u).cos(), (MORLET_FREQUENCY * u).sin()
    return envelope * cosine, -envelope * (u * cosine + MORLET_FREQUENCY * sine)


def _derivative_of_gaussian(u: Tensor) -> tuple[Tensor, Tensor]:
    envelope = torch.exp(-0.5 * u * u)
    return -u * envelope, (u * u - 1) * envelope


WAVELETS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "mexican_hat": _mexican_hat,
    "morlet": _morlet,
    "dog": _derivative_of_gaussian,
}


class Wavelet(TermFamily):
    r"""Draw every edge as a sum of scaled and shifted wavelets beside a straight line.

    .. math:: f(t) = c_0 + c_1 t + \sum_{k=1}^n w_k \, \psi\big((t - b_k) e^{-s_k}\big)

    ==============  ==========================================================================
    wavelet         :math:`\psi(u)`
    ==============  ==========================================================================
    mexican_hat     :math:`2 / (\sqrt 3 \pi^{1/4}) (1 - u^2) e^{-u^2 / 2}`
    morlet          :math:`\cos(5 u) e^{-u^2 / 2}`
    dog             :math:`-u e^{-u^2 / 2}`, the derivative of a Gaussian
    ==============  ==========================================================================

    Wav-KAN divides by a trained scale, which may pass through zero; here its logarithm is trained
    and bounded to [-7, 7].

    Parameters
    ----------
    in_features, out_features : int
    terms : int, default=3
        ``n``; Wav-KAN has one.
    wavelet : {"mexican_hat", "morlet", "dog"}, default="mexican_hat"
    trend, missing, domain, extrapolate
        See `TermFamily`.
    generator : torch.Generator, optional

    References
    ----------
    Bozorgasl and Chen: Wav-KAN: wavelet Kolmogorov-Arnold networks, arXiv:2405.12832.
    """

    name = "wavelet"
    term_groups = ("amplitudes", "translations", "log_scales")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        terms: int = 3,
        wavelet: str = "mexican_hat",
        trend: bool = True,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if terms < 1:
            raise ValueError(f"a wavelet edge needs at least one term, got {terms}")
        if wavelet not in WAVELETS:
            raise ValueError(f"wavelet={wavelet!r} is unknown; choose one of {sorted(WAVELETS)}")
        noise = torch.randn(3 * terms, in_features, out_features, generator=generator)
        groups = self.term_start(noise).chunk(3)
        super().__init__(
            in_features,
            out_features,
            dict(zip(self.term_groups, groups, strict=True)),
            trend=trend,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
        )
        self.wavelet = wavelet

    def term_start(self, noise: Tensor) -> Tensor:
        amplitudes, translations, scales = noise.chunk(3)
        return torch.cat([0.1 * amplitudes, 0.6 * translations, 0.3 * scales - 0.7])

    def term(self, t: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        amplitude, translation, log_scale = parameters
        rate = torch.exp(-log_scale.clamp(-7, 7))
        # far out the wavelet is zero; the bound keeps powers of u finite there
        value, slope = WAVELETS[self.wavelet](((t - translation) * rate).clamp(-1e4, 1e4))
        return amplitude * value, amplitude * rate * slope

    def term_sympy(self, t: sympy.Expr, *parameters: sympy.Expr) -> sympy.Expr:
        import sympy

        amplitude, translation, log_scale = parameters
        bounded = min(max(float(log_scale), -7.0), 7.0)
        u = (t - translation) * sympy.Float(math.exp(-bounded), 17)
        envelope = sympy.exp(-(u**2) / 2)
        if self.wavelet == "mexican_hat":
            shape = sympy.Float(2 / (math.sqrt(3) * math.pi**0.25), 17) * (1 - u**2)
        elif self.wavelet == "morlet":
            shape = sympy.cos(sympy.Float(MORLET_FREQUENCY, 17) * u)
        else:
            shape = -u
        return amplitude * shape * envelope

    def config(self) -> dict[str, Any]:
        return {**super().config(), "wavelet": self.wavelet}
