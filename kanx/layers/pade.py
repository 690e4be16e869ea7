"""Padé edges: quotients of polynomials whose denominator has no zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.denominators import DENOMINATORS
from kanx.layers.nonlinear import NonlinearFamily
from kanx.layers.polynomials import horner

if TYPE_CHECKING:
    import sympy


class Pade(NonlinearFamily):
    r"""Draw every edge as a rational function :math:`f(t) = P(t) / Q(t)` of the normalised input.

    :math:`P(t) = \sum_{j=0}^m a_j t^j`, and the denominator never vanishes:

    ========  ==========================================================  =======================
    form      denominator                                                 source
    ========  ==========================================================  =======================
    smooth    :math:`1 + (\sum_{k=1}^n b_k t^k)^2`                        infinitely smooth
    product   :math:`10^{-6} + \prod_{k=1}^{n/2} ((t - c_k)^2 + d_k^2)`   ERA; infinitely smooth
    A         :math:`1 + \sum_{k=1}^n |b_k t^k|`                          PAU, "safe"; kink at 0
    B         :math:`1 + |\sum_{k=1}^n b_k t^k|`                          kinks at the sum's roots
    C         :math:`0.1 + |\sum_{k=0}^n b_k t^k|`                        as B, bounded by 0.1
    D         as B, coefficients times U(0.9, 1.1) while training         randomised PAU
    ========  ==========================================================  =======================

    The smooth form is the default: its formula is a plain rational function, and it has no kinks
    for a reader or an optimiser to stumble over. Setting any coefficient to zero makes no pole in
    any form; the product form comes near one where ``d_k`` and ``t - c_k`` vanish together.

    Parameters
    ----------
    in_features, out_features : int
    numerator_degree, denominator_degree : int, default=4, 3
        ``m`` and ``n``; ``n`` is even in the product form.
    form : {"smooth", "product", "A", "B", "C", "D"}, default="smooth"
    missing, domain, extrapolate
        See `NonlinearFamily`.
    generator : torch.Generator, optional

    Notes
    -----
    The noise of form D is drawn in `forward` alone, from the global generator, as that of
    `torch.nn.Dropout`; `curves` and all derivatives are those of the noiseless function.

    References
    ----------
    Molina, Schramowski, Kersting: Padé activation units, arXiv:1907.06732 (forms A and D).
    Delfosse et al.: rational_activations (forms B and C).
    Trimmel et al.: ERA: enhanced rational activations, ECCV 2022 (product form).
    """

    name = "pade"
    groups = ("numerator", "denominator")
    numerator: Tensor
    denominator: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        numerator_degree: int = 4,
        denominator_degree: int = 3,
        form: str = "smooth",
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if numerator_degree < 1 or denominator_degree < 1:
            raise ValueError(
                "a Padé edge needs both degrees >= 1, got "
                f"{numerator_degree} and {denominator_degree}"
            )
        if form not in DENOMINATORS:
            raise ValueError(f"form={form!r} is unknown; choose one of {sorted(DENOMINATORS)}")
        if form == "product" and denominator_degree % 2:
            raise ValueError(
                f"the product form needs an even denominator_degree, got {denominator_degree}"
            )
        shape = (in_features, out_features)
        numerator = torch.randn(numerator_degree + 1, *shape, generator=generator)
        noise = torch.randn(denominator_degree + (form == "C"), *shape, generator=generator)
        start = {
            "numerator": numerator * (0.1 / max(in_features, 1) ** 0.5),
            "denominator": DENOMINATORS[form].start(noise),
        }
        super().__init__(
            in_features,
            out_features,
            start,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
        )
        self.numerator_degree = numerator_degree
        self.denominator_degree = denominator_degree
        self.form = form

    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        if x.is_cuda and not torch.compiler.is_compiling():
            from kanx.kernels import device, rational_device

            total = rational_device.edge_sum(self, x, mask) if device.enabled() else None
            if total is not None:
                return total
        return super().edge_sum(x, mask)

    def forward_parameters(self) -> Tensor:
        theta = self.stacked_parameters()
        if self.form == "D" and self.training:
            return theta * (0.9 + 0.2 * torch.rand_like(theta))
        return theta

    def value(self, t: Tensor, theta: Tensor) -> Tensor:
        a, b = theta[: self.numerator_degree + 1], theta[self.numerator_degree + 1 :]
        return horner(a, t)[0] / DENOMINATORS[self.form].evaluate(b, t)[0]

    def derivative(self, t: Tensor, theta: Tensor) -> Tensor:
        a, b = theta[: self.numerator_degree + 1], theta[self.numerator_degree + 1 :]
        p, dp = horner(a, t)
        q, dq = DENOMINATORS[self.form].evaluate(b, t)
        return (dp - p / q * dq) / q

    def prior_diagonal(self) -> Tensor:
        # high powers are the rough ones: the precision grows as the mean squared slope does
        order = torch.arange(len(self.numerator), dtype=torch.float64)
        rest = torch.ones(len(self.denominator), dtype=torch.float64)
        return torch.cat([1 + order * (order - 1).clamp_min(0), rest])

    def refit_starts(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        shape = (self.parameters_per_edge, self.in_features, self.out_features)
        starts = []
        for size in (0.3, 1.0, 3.0):
            start = torch.zeros(shape, dtype=torch.float64)
            noise = torch.randn(len(self.denominator), *shape[1:], generator=generator)
            first = len(self.numerator)
            start[first : first + len(noise)] = DENOMINATORS[self.form].start(size * noise)
            starts.append(start)
        return starts

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        import sympy

        i, o = edge
        a, b = (
            [sympy.Float(v, 17) for v in group[:, i, o].detach().double().tolist()]
            for group in (self.numerator, self.denominator)
        )
        above = sympy.Add(*(c * t**j for j, c in enumerate(a)))
        edge_on = sympy.Integer(1 if self.mask[i, o] else 0)
        return edge_on * above / DENOMINATORS[self.form].sympy(b, t)

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "numerator_degree": self.numerator_degree,
            "denominator_degree": self.denominator_degree,
            "form": self.form,
        }
