"""Self-learnable activation functions (SLAF): learned polynomials (Goyal et al. 2019)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import sympy

    from kanx.kernels.device import Functions

BASES = ("legendre", "chebyshev", "hermite", "powers")
STARTS = ("small", "near_identity")


class SLAF(LinearFamily):
    r"""Draw every edge as a polynomial of the normalised input.

    ``basis="powers"`` is the paper's normalised form: every power has its own mean and standard
    deviation, :math:`B_j(t) = (t^j - \mu_j) / \sqrt{s_j^2 + 10^{-8}}`, ``j = 1 .. k``, beside a
    constant. The orthogonal bases :math:`P_j(t)` (Legendre) and :math:`T_j(t)` (Chebyshev) span
    the same polynomials and stay well-conditioned at high degree, which is why Legendre is the
    default: on [-1, 1] the condition of the design is 1 instead of 1e3 at degree 10.
    :math:`He_j(t) / \sqrt{j!}` (Hermite) is the basis for inputs that are normally distributed:
    put the domain at one standard deviation around the mean, with ``extrapolate="family"``.

    Parameters
    ----------
    in_features, out_features : int
    degree : int, default=5
        Highest power.
    basis : {"legendre", "chebyshev", "hermite", "powers"}, default="legendre"
    start : {"small", "near_identity"}, default="small"
        Small random coefficients, or, as in the paper's code, the identity plus those.
    missing, domain, extrapolate, generator
        See `LinearFamily`.

    Notes
    -----
    The moments :math:`\mu_j, s_j` of the powers start as those of the uniform distribution and are
    set from data by `set_moments`; they are buffers and never change in `forward`. The read-out is
    exact: the coefficient of :math:`t^j` is :math:`a_j / s_j`.

    The paper's other routines: inputs divided by their maximum are the domain of every edge
    family here (`set_domain`), its Fourier basis is `Fourier` with ``variant="slaf"``, and its
    penalties are `penalty`.

    References
    ----------
    Goyal, Goyal, Lall: Learning activation functions: a new paradigm for understanding neural
    networks, arXiv:1906.09529.
    """

    name = "slaf"
    means: Tensor
    deviations: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        degree: int = 5,
        basis: str = "legendre",
        start: str = "small",
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if degree < 1:
            raise ValueError(f"a SLAF edge needs degree >= 1, got {degree}")
        if basis not in BASES:
            raise ValueError(f"basis={basis!r} is unknown; choose one of {BASES}")
        if start not in STARTS:
            raise ValueError(f"start={start!r} is unknown; choose one of {STARTS}")
        super().__init__(
            in_features,
            out_features,
            degree + 1,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )
        self.degree = degree
        self.basis_name = basis
        self.start = start
        powers = torch.arange(1, degree + 1, dtype=torch.float64)
        means = torch.where(powers % 2 == 0, 1 / (powers + 1), 0.0)
        deviations = (1 / (2 * powers + 1) - means**2 + 1e-8).sqrt()
        dtype = torch.get_default_dtype()
        self.register_buffer("means", means[:, None].repeat(1, in_features).to(dtype))
        self.register_buffer("deviations", deviations[:, None].repeat(1, in_features).to(dtype))
        if start == "near_identity":
            slope = deviations[0].item() if basis == "powers" else 1.0
            with torch.no_grad():
                self.coefficients[1] += slope

    def penalty(self, l1: float = 0.0, l2: float = 0.0) -> Tensor:
        """Return ``l1 sum |c| + l2 sum c^2`` over the coefficients of edges that are not pruned.

        The paper's regularisers of the activation coefficients, for loops that train by gradients.
        """
        c = self.coefficients * self.mask
        return l1 * c.abs().sum() + l2 * c.square().sum()

    def set_moments(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Normalise the powers by their moments over data ``(batch, in)``; coefficients stay."""
        t = self.normalise(x).double().clamp(-1, 1)
        powers = torch.stack([t**j for j in range(1, self.degree + 1)], dim=-2)
        w = torch.ones(len(x)).to(powers) if weight is None else weight.to(powers)
        w = (w / w.sum())[:, None, None]
        means = (w * powers).sum(0)
        variances = (w * (powers - means) ** 2).sum(0)
        with torch.no_grad():
            self.means.copy_(means)
            self.deviations.copy_((variances + 1e-8).sqrt())

    def basis(self, t: Tensor) -> Tensor:
        if self.basis_name == "powers":
            rows = [t]
            for _ in range(1, self.degree):
                rows.append(rows[-1] * t)
            powers = torch.stack(rows, dim=-2)
            one = torch.ones_like(t).unsqueeze(-2)
            return torch.cat([one, (powers - self.means) / self.deviations], dim=-2)
        return torch.stack(self._orthogonal(t), dim=-2)

    def fused_functions(self) -> Functions | None:
        from kanx.kernels.device import Functions

        if self.basis_name == "powers":  # (t^j - m_j) / s_j in the powers themselves
            ones = self.lower.new_ones(self.n_basis)
            sizes = torch.cat([torch.ones_like(self.deviations[:1]), 1 / self.deviations])
            projection = torch.diag_embed(sizes.T).movedim(0, -1).contiguous()  # (powers, p, in)
            projection[0, 1:] = -self.means / self.deviations
            return Functions("recurrence", torch.stack([ones, 0 * ones]), projection=projection)
        g = torch.arange(self.n_basis).to(self.lower)  # f_{g+1} = a_g t f_g - b_g f_{g-1}
        if self.basis_name == "legendre":
            table = torch.stack([(2 * g + 1) / (g + 1), g / (g + 1)])
        elif self.basis_name == "hermite":
            table = torch.stack([(g + 1).rsqrt(), (g / (g + 1)).sqrt()])
        else:
            table = torch.stack([2 - (g == 0).to(g), (g > 0).to(g)])
        return Functions("recurrence", table)

    def basis_derivative(self, t: Tensor) -> Tensor:
        zero = torch.zeros_like(t)
        if self.basis_name == "powers":
            rows = [torch.ones_like(t)]
            for j in range(2, self.degree + 1):
                rows.append(rows[-1] * t * (j / (j - 1)))
            powers = torch.stack(rows, dim=-2) / self.deviations
            return torch.cat([zero.unsqueeze(-2), powers], dim=-2)
        values = self._orthogonal(t)
        rows = [zero, torch.ones_like(t)]
        for j in range(2, self.degree + 1):
            if self.basis_name == "legendre":  # P'_j = P'_{j-2} + (2j - 1) P_{j-1}
                rows.append(rows[j - 2] + (2 * j - 1) * values[j - 1])
            elif self.basis_name == "hermite":  # He'_j = j He_{j-1}, both normalised
                rows.append(math.sqrt(j) * values[j - 1])
            else:  # T'_j = j (2 T_{j-1} + T'_{j-2} / (j - 2))
                lower = rows[j - 2] / (j - 2) if j > 2 else zero
                rows.append(j * (2 * values[j - 1] + lower))
        return torch.stack(rows, dim=-2)

    def basis_prior(self) -> Tensor:
        # high degrees are the rough ones: the precision grows as the mean squared slope does
        order = torch.arange(self.n_basis, dtype=torch.float64)
        precision = 1 + order * (order - 1).clamp_min(0)
        return torch.diag(precision).expand(self.in_features, -1, -1)

    def power_coefficients(self, edge: tuple[int, int]) -> list[float]:
        """Return the coefficients of ``t^0 .. t^degree`` of edge ``(input, output)``, exactly."""
        from numpy.polynomial import chebyshev, hermite_e, legendre

        i, o = edge
        c = (self.coefficients * self.mask).detach().double()[: self.n_basis, i, o]
        if self.basis_name == "powers":
            scaled = c[1:] / self.deviations[:, i].double()
            constant = c[0] - (scaled * self.means[:, i].double()).sum()
            return [constant.item(), *scaled.tolist()]
        if self.basis_name == "hermite":
            norms = [math.sqrt(math.factorial(j)) for j in range(self.n_basis)]
            powers = hermite_e.herme2poly(c.cpu().numpy() / norms).tolist()
        else:
            convert = legendre.leg2poly if self.basis_name == "legendre" else chebyshev.cheb2poly
            powers = convert(c.cpu().numpy()).tolist()
        return powers + [0.0] * (self.n_basis - len(powers))

    def basis_sympy(
        self, coefficients: list[float], index: int, symbol: sympy.Expr
    ) -> sympy.Expr | None:
        import sympy

        if self.basis_name == "powers":
            means = self.means[:, index].double().tolist()
            deviations = self.deviations[:, index].double().tolist()
            terms = [sympy.Float(coefficients[0], 17)]
            for j, (c, m, s) in enumerate(zip(coefficients[1:], means, deviations, strict=True), 1):
                terms.append(sympy.Float(c / s, 17) * (symbol**j - sympy.Float(m, 17)))
            return sympy.Add(*terms)
        if self.basis_name == "hermite":
            coefficients = [
                c * 2 ** (-j / 2) / math.sqrt(math.factorial(j)) for j, c in enumerate(coefficients)
            ]
            scaled = symbol / sympy.sqrt(2)  # He_j(t) = 2^(-j/2) H_j(t / sqrt 2)
            return sympy.Add(
                *(sympy.Float(c, 17) * sympy.hermite(j, scaled) for j, c in enumerate(coefficients))
            )
        polynomial = sympy.legendre if self.basis_name == "legendre" else sympy.chebyshevt
        return sympy.Add(
            *(sympy.Float(c, 17) * polynomial(j, symbol) for j, c in enumerate(coefficients))
        )

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "degree": self.degree,
            "basis": self.basis_name,
            "start": self.start,
        }

    def _orthogonal(self, t: Tensor) -> list[Tensor]:
        rows = [torch.ones_like(t), t]
        for j in range(2, self.degree + 1):
            if self.basis_name == "legendre":
                a, b = (2 * j - 1) / j, (j - 1) / j
            elif self.basis_name == "hermite":
                a, b = 1 / math.sqrt(j), math.sqrt((j - 1) / j)
            else:
                a, b = 2.0, 1.0
            rows.append(torch.addcmul(-b * rows[-2], t, rows[-1], value=a))
        return rows
