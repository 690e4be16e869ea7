"""Padé edges: quotients of polynomials whose denominator has no zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kanx.layers.base import EdgeFamily

if TYPE_CHECKING:
    import sympy

FORMS = ("smooth", "A", "B", "C")


class Pade(EdgeFamily):
    r"""Draw every edge as a rational function :math:`f(t) = P(t) / Q(t)` of the normalised input.

    :math:`P(t) = \sum_{j=0}^m a_j t^j`, and the denominator never vanishes:

    ========  ==========================================================  =======================
    form      denominator                                                 source
    ========  ==========================================================  =======================
    smooth    :math:`1 + (\sum_{k=1}^n b_k t^k)^2`                        infinitely smooth
    A         :math:`1 + \sum_{k=1}^n |b_k t^k|`                          PAU, "safe"; kink at 0
    B         :math:`1 + |\sum_{k=1}^n b_k t^k|`                          kinks at the sum's roots
    C         :math:`0.1 + |\sum_{k=0}^n b_k t^k|`                        as B, bounded by 0.1
    ========  ==========================================================  =======================

    Parameters
    ----------
    in_features, out_features : int
    numerator_degree, denominator_degree : int, default=4, 3
        ``m`` and ``n``.
    form : {"smooth", "A", "B", "C"}, default="smooth"
    missing : bool, default=False
        Whether NaN is legal; then each edge learns the value it takes there.
    domain, extrapolate
        See `EdgeFamily`.
    generator : torch.Generator, optional

    References
    ----------
    Molina, Schramowski, Kersting: Padé activation units, arXiv:1907.06732 (form A).
    Delfosse et al.: rational_activations (forms B and C).
    """

    name = "pade"

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
        if form not in FORMS:
            raise ValueError(f"form={form!r} is unknown; choose one of {FORMS}")
        super().__init__(in_features, out_features, domain=domain, extrapolate=extrapolate)
        self.numerator_degree = numerator_degree
        self.denominator_degree = denominator_degree
        self.form = form
        self.missing = missing
        shape = (in_features, out_features)
        start = torch.randn(numerator_degree + 1, *shape, generator=generator)
        self.numerator = nn.Parameter(start * (0.1 / in_features**0.5))
        # form C has its own constant; b = 0 is a saddle of the smooth form, so start beside it
        first = 0 if form == "C" else 1
        tails = 0.2 * torch.randn(denominator_degree + 1 - first, *shape, generator=generator)
        if form == "C":
            tails[0] = 0.9
        self.denominator = nn.Parameter(tails)
        if missing:
            self.missing_value = nn.Parameter(torch.zeros(1, *shape))

    @property
    def parameters_per_edge(self) -> int:
        return len(self.numerator) + len(self.denominator) + self.missing

    def stacked_parameters(self) -> Tensor:
        parts: list[Tensor] = [self.numerator, self.denominator]
        if self.missing:
            parts.append(self.missing_value)
        return torch.cat(parts)

    def load_stacked(self, values: Tensor) -> None:
        sizes = [len(self.numerator), len(self.denominator), int(self.missing)]
        numerator, denominator, missing = values.split(sizes)
        with torch.no_grad():
            self.numerator.copy_(numerator)
            self.denominator.copy_(denominator)
            if self.missing:
                self.missing_value.copy_(missing)

    def forward(self, x: Tensor) -> Tensor:
        # one input at a time: nothing of size (batch, in, out) is formed
        total = x.new_zeros(*x.shape[:-1], self.out_features)
        for i in range(self.in_features):
            total = total + self._edges(x[..., i : i + 1], slice(i, i + 1))[..., 0, :]
        return total

    def curves(self, x: Tensor) -> Tensor:
        return self._edges(x, slice(None))

    def slopes(self, x: Tensor) -> Tensor:
        filled, absent = self._fill(x, slice(None))
        t = self.normalise(filled).unsqueeze(-1)
        inside = t if self.extrapolate == "family" else t.clamp(-1, 1)
        slope = self._derivative(inside, slice(None)) * self.scale.unsqueeze(-1)
        if self.extrapolate == "constant":
            slope = slope * (t.abs() <= 1)
        if absent is not None:
            slope = torch.where(absent.unsqueeze(-1), 0, slope)
        return slope * self.mask

    def gradients(self, x: Tensor) -> Tensor:
        filled, absent = self._fill(x, slice(None))
        t = self.normalise(filled).unsqueeze(-1)  # (batch, in, 1)
        inside = t if self.extrapolate == "family" else t.clamp(-1, 1)
        rows = self._value_gradients(inside)
        if self.extrapolate == "linear":
            beyond = t - inside
            ones = torch.ones_like(inside)
            tangent = torch.func.jvp(self._value_gradients, (inside,), (ones,))[1]
            rows = rows + beyond.unsqueeze(1) * tangent
        if absent is not None:
            gone = absent[:, None, :, None]
            extra = gone.to(rows).expand(-1, 1, -1, self.out_features)
            rows = torch.cat([torch.where(gone, 0, rows), extra], dim=1)
        return rows

    def refit(
        self, x: Tensor, targets: Tensor, weight: Tensor | None = None, iterations: int = 60
    ) -> None:
        dtype = self.numerator.dtype
        work = self.double()
        x, targets = x.double(), targets.double()
        w = torch.ones(len(x)).to(x) if weight is None else weight.to(x)
        values = work.stacked_parameters().detach().clone()
        penalty = 1e-8 * work.prior().diagonal(dim1=-2, dim2=-1)[..., None].movedim(0, 1)
        penalty = penalty * targets.pow(2).mean().clamp_min(1e-12) * w.sum()
        damping = torch.full(targets.shape[1:], 1e-2).to(x)

        def state(values: Tensor) -> tuple[Tensor, Tensor]:
            work.load_stacked(values)
            with torch.no_grad():
                residual = targets - work.curves(x)
            loss = torch.einsum("bio,b->io", residual**2, w) + (penalty * values**2).sum(0)
            return residual, loss

        residual, loss = state(values)
        for _ in range(iterations):
            work.load_stacked(values)
            with torch.no_grad():
                rows = work.gradients(x)
            normal = torch.einsum("bpio,b,bqio->iopq", rows, w, rows)
            normal = normal + torch.diag_embed(penalty.expand_as(values).movedim(0, -1))
            right = torch.einsum("bpio,b,bio->iop", rows, w, residual)
            right = right - (penalty * values).movedim(0, -1)
            level = normal.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12)
            system = normal + torch.diag_embed(damping[..., None] * level)
            step = torch.linalg.solve(system, right.unsqueeze(-1)).squeeze(-1).movedim(-1, 0)
            new_residual, new_loss = state(values + step)
            better = new_loss < loss  # NaN counts as worse
            values = torch.where(better, values + step, values)
            residual = torch.where(better, new_residual, residual)
            loss = torch.where(better, new_loss, loss)
            damping = torch.where(better, damping / 4, damping * 8).clamp(1e-12, 1e12)
        work.load_stacked(values)
        self.to(dtype)

    def prior(self) -> Tensor:
        order = torch.arange(len(self.numerator), dtype=torch.float64)
        precision = 1 + order * (order - 1).clamp_min(0)
        rest = torch.ones(self.parameters_per_edge - len(order), dtype=torch.float64)
        return torch.diag(torch.cat([precision, rest])).expand(self.in_features, -1, -1)

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        import sympy

        i, o = edge
        first = 0 if self.form == "C" else 1

        def terms(values: Tensor, start: int) -> list[sympy.Expr]:
            numbers = values.detach().double()[:, i, o].tolist()
            return [sympy.Float(v, 17) * t**j for j, v in enumerate(numbers, start)]

        tails = terms(self.denominator, first)
        if self.form == "smooth":
            below = 1 + sympy.Add(*tails) ** 2
        elif self.form == "A":
            below = 1 + sympy.Add(*(sympy.Abs(term) for term in tails))
        else:
            floor = sympy.Float(0.1, 17) if self.form == "C" else sympy.Integer(1)
            below = floor + sympy.Abs(sympy.Add(*tails))
        edge_on = sympy.Float(self.mask[i, o].item(), 17)
        return edge_on * sympy.Add(*terms(self.numerator, 0)) / below

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "numerator_degree": self.numerator_degree,
            "denominator_degree": self.denominator_degree,
            "form": self.form,
            "missing": self.missing,
        }

    # -- details -----------------------------------------------------------------------------

    def _fill(self, x: Tensor, inputs: slice) -> tuple[Tensor, Tensor | None]:
        if not self.missing:
            return x, None
        absent = torch.isnan(x)
        return torch.where(absent, ((self.lower + self.upper) / 2)[inputs], x), absent

    def _edges(self, x: Tensor, inputs: slice) -> Tensor:
        filled, absent = self._fill(x, inputs)
        middle, scale = ((self.upper + self.lower) / 2)[inputs], self.scale[inputs]
        t = ((filled - middle) * scale).unsqueeze(-1)  # (..., in, 1)
        inside = t if self.extrapolate == "family" else t.clamp(-1, 1)
        value = self._value(inside, inputs)
        if self.extrapolate == "linear":
            value = value + self._derivative(inside, inputs) * (t - inside)
        if absent is not None:
            value = torch.where(absent.unsqueeze(-1), self.missing_value[0, inputs], value)
        return value * self.mask[inputs]

    def _parts(self, t: Tensor, inputs: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return P, Q and their derivatives at ``t (..., in, 1)``, each ``(..., in, out)``."""
        a, b = self.numerator[:, inputs], self.denominator[:, inputs]
        p, dp = _horner(a, t)
        if self.form == "C":
            s, ds = _horner(b, t)
            return p, 0.1 + s.abs(), dp, s.sign() * ds
        if self.form == "A":
            r, dr = _horner(b.abs(), t.abs())
            return p, 1 + t.abs() * r, dp, t.sign() * (r + t.abs() * dr)
        r, dr = _horner(b, t)
        s, ds = t * r, r + t * dr
        if self.form == "B":
            return p, 1 + s.abs(), dp, s.sign() * ds
        return p, 1 + s * s, dp, 2 * s * ds

    def _value(self, t: Tensor, inputs: slice) -> Tensor:
        p, q, _, _ = self._parts(t, inputs)
        return p / q

    def _derivative(self, t: Tensor, inputs: slice) -> Tensor:
        p, q, dp, dq = self._parts(t, inputs)
        return (dp - p / q * dq) / q

    def _value_gradients(self, t: Tensor) -> Tensor:
        """Differentiate P/Q by its coefficients: ``(batch, a and b, in, out)``."""
        first = 0 if self.form == "C" else 1
        count = max(len(self.numerator), len(self.denominator) + first)
        powers = [torch.ones_like(t)]
        for _ in range(1, count):
            powers.append(powers[-1] * t)
        stacked = torch.stack(powers, dim=1)  # (batch, powers, in, 1)
        p, q, _, _ = self._parts(t, slice(None))
        tails = stacked[:, first : first + len(self.denominator)]
        sum_of_tails = (tails * self.denominator).sum(1, keepdim=True)
        if self.form == "smooth":
            sensitivity = 2 * sum_of_tails * tails
        elif self.form == "A":
            sensitivity = self.denominator.sign() * tails.abs()
        else:
            sensitivity = sum_of_tails.sign() * tails
        by_denominator = -(p / q**2).unsqueeze(1) * sensitivity
        by_numerator = stacked[:, : len(self.numerator)] / q.unsqueeze(1)
        return torch.cat([by_numerator, by_denominator], dim=1)


def _horner(coefficients: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate ``sum_j c_j t^j`` and its derivative; ``c (count, in, out)``, ``t (..., in, 1)``."""
    value = coefficients[-1] + torch.zeros_like(t)
    slope = torch.zeros_like(value)
    for c in coefficients.flip(0)[1:]:
        slope = slope * t + value
        value = value * t + c
    return value, slope
