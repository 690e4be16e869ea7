"""The nearest curve that keeps its constraints."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cholesky, null_space, solve_triangular
from scipy.optimize import nnls

from kanx.layers.base import EdgeFamily
from kanx.layers.constraints import Constraint
from kanx.layers.linear import LinearFamily
from kanx.layers.requirements import Requirements

ROUNDS = 20

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
    requirements = Requirements(bundle, index, constraints)
    root = _metric_root(bundle, index)
    for _ in range(ROUNDS):
        found = least_distance(root, start, requirements.equal, requirements.inequal)
        if not requirements.tighten(found):
            return found
    raise ValueError("the constraints could not be met on the whole domain")


def _metric_root(bundle: LinearFamily, index: int) -> Array:
    """Return ``T`` of the metric ``(T T')^-1``: the curve's mean square over the domain."""
    t = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None].expand(-1, bundle.in_features)
    features = bundle.basis(t)[..., index].detach().numpy()
    p = bundle.parameters_per_edge
    gram = np.eye(p)  # the value of missing inputs has a metric of its own
    own = features.T @ features / len(features)
    ridge = 1e-7 * np.trace(own) / len(own) * np.eye(len(own))
    gram[: len(own), : len(own)] = own + ridge
    return solve_triangular(cholesky(gram), np.eye(p))


def least_distance(root: Array, start: Array, equal: Array, inequal: Array) -> Array:
    r"""Minimise :math:`|T^{-1} (c - c_0)|` subject to :math:`E c = 0` and :math:`G c \ge 0`.

    Parameters
    ----------
    root : ndarray, (p, p)
        ``T``; with a covariance :math:`T T'` the nearest point is the most probable one.
    start : ndarray, (p,)
    equal, inequal : ndarray, (rows, p)

    Raises
    ------
    ValueError
        If nothing keeps all of them.

    References
    ----------
    Lawson and Hanson: Solving Least Squares Problems, chapter 23 (problem LDP).
    """
    free = np.eye(len(start))
    origin = np.zeros(len(start))
    if len(equal):
        rows = equal @ root
        origin = -np.linalg.pinv(rows) @ (equal @ start)
        free = null_space(rows)
    base = start + root @ origin
    if not len(inequal):
        return base
    basis = root @ free
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
