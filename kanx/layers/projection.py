"""The nearest curve that keeps its constraints."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cholesky, null_space, solve_triangular
from scipy.optimize import nnls
from torch import Tensor

from kanx.layers.base import EdgeFamily
from kanx.layers.constraints import SHAPES, Constraint, equality_rows, shape_rows
from kanx.layers.linear import LinearFamily
from kanx.layers.spline import BSpline

COARSE, FINE = 200, 4001  # places where a shape is imposed, and where it is checked
ROUNDS = 20
ROUNDING = 1e-11  # relative to the terms of a sum that should not be negative

Array = NDArray[np.float64]


def project(
    bundle: EdgeFamily,
    index: int,
    constraints: str | Constraint | Sequence[str | Constraint],
    outputs: Sequence[int] | None = None,
) -> None:
    r"""Move the curves of one input to the nearest ones that keep all constraints.

    Nearest in the mean square over the domain: a least-distance problem in the coefficients,
    solved exactly by non-negative least squares. Splines keep a shape everywhere by construction;
    for other families it is imposed on a grid and wherever a grid 20 times finer finds it broken,
    until it is nowhere. A curve that keeps its constraints already stays as it is, so that calling
    this after every step of an optimiser is projected gradient descent.

    Gaussian-process edges of short length-scale ripple: of those below 2 spacings hardly any curve
    but a straight line is convex.

    Monotone and convex curves stay so outside the domain with ``extrapolate="linear"``; with
    ``"constant"`` only monotone ones do.

    Parameters
    ----------
    bundle : EdgeFamily
        A family that is linear in its coefficients.
    index : int
        Input, counted within the bundle.
    constraints : str, Constraint or sequence of these
        A name stands for a constraint that needs nothing else, such as ``"increasing"``.
    outputs : sequence of int, optional
        Outputs whose curves are meant; all if left out.

    Raises
    ------
    TypeError
        If the family is not linear in its coefficients.
    ValueError
        If no curve of the family keeps all constraints.

    References
    ----------
    Lawson and Hanson: Solving Least Squares Problems, chapter 23 (least-distance programming).
    Hettich and Kortanek: Semi-infinite programming, SIAM Review 35, 1993 (exchange of points).
    """
    if not isinstance(bundle, LinearFamily) or not bundle.is_metric:
        raise TypeError(
            f"curves of the family {bundle.name!r} cannot be constrained; choose one that is "
            "linear in its coefficients, such as 'gp', 'spline' or 'slaf'"
        )
    if isinstance(constraints, str | Constraint):
        constraints = [constraints]
    wanted = [Constraint(c) if isinstance(c, str) else c for c in constraints]
    twin = copy.deepcopy(bundle).double().cpu()
    for constraint in wanted:
        if constraint.function is not None:
            twin.start_from(constraint.function)
    chosen = range(bundle.out_features) if outputs is None else outputs
    values = bundle.stacked_parameters().detach().clone()
    for output in chosen:
        start = twin.coefficients[:, index, output].detach().numpy()
        nearest = torch.from_numpy(_nearest(twin, index, wanted, start))
        values[:, index, output] = nearest.to(values)
    bundle.load_stacked(values)


def _nearest(
    bundle: LinearFamily, index: int, constraints: Sequence[Constraint], start: Array
) -> Array:
    equalities = [
        _rows(equality_rows(bundle, index, c))
        for c in constraints
        if c.kind in ("periodic", "zero_at")
    ]
    shapes = [c.kind for c in constraints if c.kind in SHAPES]
    factor = _metric(bundle, index)
    equal = np.concatenate([*equalities, np.zeros((0, len(start)))])
    fine = torch.linspace(-1, 1, FINE, dtype=torch.float64)
    checks = [_rows(shape_rows(bundle, index, kind, fine)) for kind in shapes]
    imposed = np.zeros(FINE, dtype=bool)
    imposed[:: FINE // COARSE] = True
    imposed[[-2, -1]] = True  # a linear continuation begins with the slope at the end
    for _ in range(ROUNDS):
        inequal = _shapes(bundle, index, shapes, fine[torch.from_numpy(imposed)])
        found = _least_distance(factor, start, equal, inequal)
        broken = imposed.copy()
        for rows in checks:
            slack = rows @ found
            places = np.nonzero(slack < -ROUNDING * (np.abs(rows) @ np.abs(found)))[0]
            broken[places] = True
            broken[np.minimum(places + 1, FINE - 1)] = True
        if (broken == imposed).all() or isinstance(bundle, BSpline):
            return found
        imposed = broken
    raise ValueError(f"the constraints {shapes} could not be met on the whole domain")


def _rows(rows: Tensor) -> Array:
    return rows.detach().numpy()


def _shapes(bundle: LinearFamily, index: int, shapes: Sequence[str], t: Tensor) -> Array:
    rows = [_rows(shape_rows(bundle, index, kind, t)) for kind in shapes]
    return np.concatenate([*rows, np.zeros((0, bundle.parameters_per_edge))])


def _metric(bundle: LinearFamily, index: int) -> Array:
    """Return the triangular factor ``R`` of the metric ``R'R``: the curve's mean square."""
    t = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None].expand(-1, bundle.in_features)
    features = _rows(bundle.basis(t)[..., index])
    p = bundle.parameters_per_edge
    gram = np.eye(p)  # the value of missing inputs has a metric of its own
    own = features.T @ features / len(features)
    ridge = 1e-7 * np.trace(own) / len(own) * np.eye(len(own))
    gram[: len(own), : len(own)] = own + ridge
    return cholesky(gram)


def _least_distance(factor: Array, start: Array, equal: Array, inequal: Array) -> Array:
    """Minimise ``|R (c - start)|`` subject to ``E c = 0`` and ``G c >= 0``."""
    inverse = solve_triangular(factor, np.eye(len(factor)))
    free = np.eye(len(start))
    origin = np.zeros(len(start))
    if len(equal):
        rows = equal @ inverse
        origin = -np.linalg.pinv(rows) @ (equal @ start)
        free = null_space(rows)
    base = start + inverse @ origin
    if not len(inequal):
        return base
    basis = inverse @ free
    size = np.linalg.norm(inequal @ basis, axis=1, keepdims=True)
    size[size == 0] = 1
    left = (inequal @ basis) / size
    right = -(inequal @ base) / size[:, 0]
    if (right <= 0).all():
        return base
    target = np.zeros(left.shape[1] + 1)
    target[-1] = 1
    system = np.vstack([left.T, right])
    multipliers, _ = nnls(system, target, maxiter=50 * system.shape[1])
    residual = system @ multipliers - target
    if abs(residual[-1]) < 1e-12:
        raise ValueError("no curve of this family keeps all constraints")
    return base - basis @ (residual[:-1] / residual[-1])
