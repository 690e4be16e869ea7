"""Several families on every edge, added up; a part may be switched off edge by edge."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kanx.layers.base import EdgeFamily
from kanx.layers.curve_fit import fit_curves

if TYPE_CHECKING:
    import sympy


class Composite(EdgeFamily):
    r"""Draw every edge as a sum of curves of several families, :math:`f = f_1 + f_2 + \dots`.

    The masks of the parts make different edges of one layer different families: the way an edge is
    set to a formula while its neighbours stay splines, and the way a base function runs beside a
    spline.

    Parameters
    ----------
    in_features, out_features : int
    parts : sequence of str or mapping
        Families and their options, as `KANLayer` takes them.
    missing, domain, extrapolate
        See `LinearFamily`; they hold for all parts. Where an input is missing, every part
        contributes its own learned value.
    generator : torch.Generator, optional

    Raises
    ------
    ValueError
        If there is no part or a part is unknown.
    """

    name = "composite"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        parts: Sequence[str | Mapping[str, Any]],
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        from kanx.layers.registry import build_family  # the registry lists this class

        super().__init__(in_features, out_features, domain=domain, extrapolate=extrapolate)
        if isinstance(parts, str) or not parts:
            raise ValueError(f"a composite edge needs a list of at least one part, got {parts!r}")
        self.missing = missing
        shared = {"missing": missing, "extrapolate": extrapolate, "domain": domain}
        self.parts: list[EdgeFamily] = nn.ModuleList()  # type: ignore[assignment]
        for part in parts:
            options = {"family": part} if isinstance(part, str) else dict(part)
            if "family" not in options:
                raise ValueError(f"a part needs the key 'family', got {options}")
            family = options.pop("family")
            chosen = {**options, **shared, "generator": generator}
            self.parts.append(build_family(family, in_features, out_features, **chosen))

    @property
    def parameters_per_edge(self) -> int:
        return sum(self._sizes())

    def stacked_parameters(self) -> Tensor:
        return torch.cat([part.stacked_parameters() for part in self.parts])

    def load_stacked(self, values: Tensor) -> None:
        for part, own in zip(self.parts, values.split(self._sizes()), strict=True):
            part.load_stacked(own)

    def set_domain(self, lower: Tensor, upper: Tensor) -> None:
        super().set_domain(lower, upper)
        for part in self.parts:
            part.set_domain(lower, upper)

    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        total = x.new_zeros(*x.shape[:-1], self.out_features)
        for part in self.parts:
            total = total + part.edge_sum(x, mask * part.mask)
        return total

    def curves(self, x: Tensor) -> Tensor:
        return torch.stack([part.curves(x) for part in self.parts]).sum(0) * self.mask

    def slopes(self, x: Tensor) -> Tensor:
        return torch.stack([part.slopes(x) for part in self.parts]).sum(0) * self.mask

    def gradients(self, x: Tensor) -> Tensor:
        return torch.cat([part.gradients(x) * part.mask for part in self.parts], dim=1)

    def prior(self) -> Tensor:
        blocks = [part.prior() for part in self.parts]
        return torch.stack(
            [torch.block_diag(*(b[i] for b in blocks)) for i in range(len(blocks[0]))]
        )

    def refit_starts(self) -> list[Tensor]:
        own = [part.refit_starts() for part in self.parts]
        starts = []
        for k in range(max(map(len, own))):
            pieces = [
                part_starts[k % len(part_starts)].to(values) if part_starts else 0 * values
                for part_starts, values in zip(
                    own, self.stacked_parameters().detach().split(self._sizes()), strict=True
                )
            ]
            starts.append(torch.cat(pieces))
        return starts

    def refit(self, x: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        twin = copy.deepcopy(self).double()  # a failure leaves this bundle as it was
        x, targets = x.double(), targets.double()
        w = torch.ones(len(x)).to(x) if weight is None else weight.to(x)
        self.load_stacked(fit_curves(twin, x, targets, w, twin.refit_starts()).to(self.lower))

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        import sympy

        total: sympy.Expr = sympy.Integer(0)
        if self.mask[edge] == 0:
            return total
        for part in self.parts:
            if part.mask[edge] == 0:
                continue
            own = part.sympy_inside(edge, t)
            if own is None:
                return None
            total += own
        return total

    def config(self) -> dict[str, Any]:
        parts = [{"family": part.name, **part.config()} for part in self.parts]
        return {**super().config(), "missing": self.missing, "parts": parts}

    def _sizes(self) -> list[int]:
        return [part.parameters_per_edge for part in self.parts]
