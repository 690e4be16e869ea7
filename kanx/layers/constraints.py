"""What a curve may be required to be: monotone, convex, periodic, zero at a point, or known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.layers.linear import LinearFamily
from kanx.layers.spline import BSpline

SHAPES = ("increasing", "decreasing", "convex", "concave")
KINDS = (*SHAPES, "periodic", "zero_at", "fixed")


@dataclass(frozen=True)
class Constraint:
    """One requirement on a curve.

    Parameters
    ----------
    kind : {"increasing", "decreasing", "convex", "concave", "periodic", "zero_at", "fixed"}
        Periodic curves have equal values and slopes at both ends of the domain.
    point : float, optional
        Where the curve of kind ``"zero_at"`` is zero, in the units of the input.
    function : callable or str, optional
        What a curve of kind ``"fixed"`` is, see `EdgeFamily.start_from`.

    Raises
    ------
    ValueError
        If the kind is unknown or lacks what it needs.
    """

    kind: str
    point: float | None = None
    function: str | Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"constraint {self.kind!r} is unknown; choose one of {KINDS}")
        if (self.kind == "zero_at") != (self.point is not None):
            raise ValueError("point= belongs to the constraint 'zero_at', which needs it")
        if (self.kind == "fixed") != (self.function is not None):
            raise ValueError("function= belongs to the constraint 'fixed', which needs it")


def equality_rows(bundle: LinearFamily, index: int, constraint: Constraint) -> Tensor:
    """Return the rows ``E`` of ``E c = 0`` for one input's coefficients, ``(rows, p)``."""
    if constraint.kind == "zero_at":
        assert constraint.point is not None
        x = torch.full((1, bundle.in_features), constraint.point, dtype=torch.float64).to(
            bundle.lower
        )
        return bundle.expand(x)[..., index]
    ends = torch.ones(2, bundle.in_features).to(bundle.lower) * torch.tensor([[-1.0], [1.0]])
    values = bundle.basis(ends)[..., index].diff(dim=0)
    slopes = bundle.basis_derivative(ends)[..., index].diff(dim=0)
    return _padded(bundle, torch.cat([values, slopes]))


def shape_rows(bundle: LinearFamily, index: int, kind: str, t: Tensor) -> Tensor:
    """Return the rows ``G`` of ``G c >= 0`` for one input's coefficients, ``(rows, p)``.

    Splines are constrained through their coefficients, which holds everywhere (de Boor, chapter
    XI: variation diminishing); other families at the sorted places ``t`` of the domain.
    """
    if isinstance(bundle, BSpline):
        k, n = bundle.degree, bundle.n_basis
        width = bundle.knots[k + 1 : k + n, index] - bundle.knots[1:n, index]
        slopes = torch.eye(n).to(width).diff(dim=0) / width[:, None]
    else:
        slopes = bundle.basis_derivative(t[:, None].expand(-1, bundle.in_features))[..., index]
    rows = slopes.diff(dim=0) if kind in ("convex", "concave") else slopes
    return _padded(bundle, -rows if kind in ("decreasing", "concave") else rows)


def _padded(bundle: LinearFamily, rows: Tensor) -> Tensor:
    """Add the column of the missing value, which no shape concerns."""
    return torch.cat(
        [rows, rows.new_zeros(len(rows), bundle.parameters_per_edge - bundle.n_basis)], 1
    )
