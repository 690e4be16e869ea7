"""Padé edges with shared poles: one denominator per input, or per group as in KAT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kanx.layers.denominators import DENOMINATORS
from kanx.layers.linear import LinearFamily
from kanx.layers.pade import Pade
from kanx.layers.polynomials import horner

if TYPE_CHECKING:
    import sympy

    from kanx.kernels.device import Functions


class SharedPade(LinearFamily):
    r"""Draw every edge as a rational function whose poles are shared.

    The denominators :math:`Q` belong to inputs, or to groups of inputs; an edge has a numerator of
    its own, or only a weight:

    .. math:: f_{io}(t) = \frac{\sum_{j=0}^m a_{jio} t^j}{Q_{g(i)}(t)} \qquad\text{or}\qquad
              f_{io}(t) = w_{io} \frac{\sum_{j=0}^m a_j t^j}{Q_{g(i)}(t)}

    The second is the layer of KAT (GR-KAN): one numerator for all, a denominator per group.

    Parameters
    ----------
    in_features, out_features : int
    numerator_degree, denominator_degree : int, default=4, 3
    groups : int, optional
        Number of groups of neighbouring inputs; one per input if left out.
    numerator : {"edge", "shared"}, default="edge"
        Whose numerator it is.
    form : str, default="smooth"
        Form of the denominator, see `Pade`.
    missing, domain, extrapolate, generator
        See `LinearFamily`.

    Notes
    -----
    Denominators, and a shared numerator, are trained by gradients only; the closed-form derivative
    by parameters and `refit` concern the edges' own coefficients.

    KAT's published code evaluates :math:`|b_k| |t|^k` on a GPU and :math:`|b_k| t^k` elsewhere,
    which differ for negative inputs; here every form is one function everywhere.

    References
    ----------
    Yang and Wang: Kolmogorov-Arnold transformer, arXiv:2409.10594.
    """

    name = "shared_pade"
    group_of: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        numerator_degree: int = 4,
        denominator_degree: int = 3,
        groups: int | None = None,
        numerator: str = "edge",
        form: str = "smooth",
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if numerator_degree < 1 or denominator_degree < 1:
            raise ValueError(
                f"both degrees must be >= 1, got {numerator_degree} and {denominator_degree}"
            )
        forms = sorted(set(DENOMINATORS) - {"D"})  # the noise of D is drawn per edge
        if form not in forms or (form == "product" and denominator_degree % 2):
            raise ValueError(
                f"form={form!r} with denominator_degree={denominator_degree} is not possible; "
                f"choose one of {forms}, the product with an even degree"
            )
        if numerator not in ("edge", "shared"):
            raise ValueError(f"numerator={numerator!r} is unknown; choose 'edge' or 'shared'")
        if groups is not None and not 1 <= groups <= max(in_features, 1):
            raise ValueError(f"groups={groups} must lie between 1 and {in_features} inputs")
        n_basis = numerator_degree + 1 if numerator == "edge" else 1
        super().__init__(
            in_features,
            out_features,
            n_basis,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.numerator_degree = numerator_degree
        self.denominator_degree = denominator_degree
        self.groups = groups
        self.form = form
        count = in_features if groups is None else groups
        self.register_buffer("group_of", torch.arange(in_features) * count // in_features)
        noise = torch.randn(denominator_degree + (form == "C"), count, generator=generator)
        self.denominator = nn.Parameter(DENOMINATORS[form].start(noise))
        self.shared_numerator: nn.Parameter | None = None
        if numerator == "shared":
            identity = torch.zeros(numerator_degree + 1)
            identity[1] = 1
            self.shared_numerator = nn.Parameter(identity)

    def start_from(self, function: str | Callable[[Tensor], Tensor], points: int = 201) -> float:
        """Fit shared shapes and then every edge to one function, as `EdgeFamily.start_from`.

        The shapes are those of the best rational function on the first input's domain.
        """
        template = Pade(
            1,
            1,
            numerator_degree=self.numerator_degree,
            denominator_degree=self.denominator_degree,
            form=self.form,
            generator=torch.Generator().manual_seed(0),
        ).to(self.lower)
        template.set_domain(self.lower[:1], self.upper[:1])
        template.start_from(function, points)
        with torch.no_grad():
            self.denominator.copy_(template.denominator[:, 0])
            if self.shared_numerator is not None:
                self.shared_numerator.copy_(template.numerator[:, 0, 0])
        return super().start_from(function, points)

    def basis(self, t: Tensor) -> Tensor:
        return self._basis_and_slope(t)[0]

    def basis_derivative(self, t: Tensor) -> Tensor:
        return self._basis_and_slope(t)[1]

    def fused_functions(self) -> Functions | None:
        from kanx.kernels.device import Functions

        if self.form != "smooth":
            return None
        ones = self.lower.new_ones(self.n_basis)
        powers = torch.stack([ones, torch.zeros_like(ones)])  # f_{g+1} = t f_g
        return Functions("recurrence", powers, start=self._fused_quotient)

    def basis_prior(self) -> Tensor:
        order = torch.arange(self.n_basis, dtype=torch.float64)
        precision = 1 + order * (order - 1).clamp_min(0)
        return torch.diag(precision).expand(self.in_features, -1, -1)

    def basis_sympy(
        self, coefficients: list[float], index: int, symbol: sympy.Expr
    ) -> sympy.Expr | None:
        import sympy

        own = self.denominator[:, self.group_of[index]].detach().double().tolist()
        below = DENOMINATORS[self.form].sympy([sympy.Float(b, 17) for b in own], symbol)
        if self.shared_numerator is not None:
            shared = self.shared_numerator.detach().double().tolist()
            coefficients = [coefficients[0] * a for a in shared]
        return (
            sympy.Add(*(sympy.Float(a, 17) * symbol**j for j, a in enumerate(coefficients))) / below
        )

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "numerator_degree": self.numerator_degree,
            "denominator_degree": self.denominator_degree,
            "groups": self.groups,
            "numerator": "edge" if self.shared_numerator is None else "shared",
            "form": self.form,
        }

    def _fused_quotient(self, t: Tensor) -> Tensor:
        """Return the first function of the basis, ``(rows, in)``, by the operator of GPUs."""
        from kanx.kernels import rational_device

        shared = self.shared_numerator
        above = t.new_ones(1) if shared is None else shared
        above = above.unsqueeze(-1).expand(-1, self.in_features)
        return rational_device.quotient(t, above, self.denominator[:, self.group_of])

    def _basis_and_slope(self, t: Tensor) -> tuple[Tensor, Tensor]:
        q, dq = DENOMINATORS[self.form].evaluate(self.denominator[:, self.group_of], t)
        if self.shared_numerator is not None:
            value, slope = horner(self.shared_numerator, t)
            p, dp = value.unsqueeze(-2), slope.unsqueeze(-2)
        else:
            rows, slopes = [torch.ones_like(t)], [torch.zeros_like(t)]
            for j in range(1, self.n_basis):
                slopes.append(j * rows[-1])
                rows.append(rows[-1] * t)
            p, dp = torch.stack(rows, -2), torch.stack(slopes, -2)
        q, dq = q.unsqueeze(-2), dq.unsqueeze(-2)
        return p / q, (dp - p / q * dq) / q
