"""Power-gated ridge units: ``y = prod x^a G(prod x^b1, ..., prod x^bd)`` by variable projection.

The curve or surface ``G`` is a Chebyshev series, solved exactly at every step; the exponents move
by Levenberg-Marquardt with Kaufman's projected Jacobian (Golub and Pereyra 2003). It finds which
groups of inputs matter, as dimensional analysis would, without knowing the units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as cartesian

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.deadline import Deadline

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class RidgeUnit:
    """Hold a fitted unit.

    Parameters
    ----------
    gate : array of shape (coordinates,)
        Exponents ``a``.
    directions : array of shape (groups, coordinates)
        Exponents ``b``, one row per group.
    loss : float
        Weighted sum of squares divided by that of the target.
    """

    gate: Array
    directions: Array
    loss: float


@dataclass(frozen=True)
class RidgeProblem:
    """State the data of a unit.

    Parameters
    ----------
    logs : array of shape (rows, coordinates)
        Logarithms of the inputs that enter groups, centred.
    axes : array of shape (rows, axes)
        Inputs that enter ``G`` as they are (those with both signs).
    y, weight : arrays of shape (rows,)
        Target and weights.
    order : int
        Total degree of the Chebyshev series.
    power_chart : bool
        Whether ``G`` is a series in the groups themselves; else in their logarithms.
    """

    logs: Array
    axes: Array
    y: Array
    weight: Array
    order: int
    power_chart: bool

    def reduced(self, rows: Rows) -> RidgeProblem:
        """Return the problem on a subset of the rows."""
        return RidgeProblem(
            self.logs[rows], self.axes[rows], self.y[rows], self.weight[rows], self.order,
            self.power_chart,
        )  # fmt: skip


def chebyshev(t: Array, order: int) -> tuple[Array, Array]:
    """Return the polynomials T_0..T_order at t (rows, order + 1) and their derivatives."""
    first, second = [np.ones_like(t), t], [np.ones_like(t), 2 * t]
    for _ in range(2, order + 1):
        first.append(2 * t * first[-1] - first[-2])
        second.append(2 * t * second[-1] - second[-2])
    slopes = [np.zeros_like(t)] + [k * second[k - 1] for k in range(1, order + 1)]
    return np.stack(first[: order + 1], 1), np.stack(slopes, 1)


def surface_basis(t: Array, order: int) -> tuple[Array, Array]:
    """Return total-degree products of Chebyshev polynomials and their derivatives.

    Parameters
    ----------
    t : array of shape (rows, dimensions)
        Coordinates scaled to [-1, 1].
    order : int
        Total degree.

    Returns
    -------
    values : array of shape (rows, terms)
    slopes : array of shape (dimensions, rows, terms)
    """
    n_rows, n_dims = t.shape
    if n_dims == 0:
        return np.ones((n_rows, 1)), np.zeros((0, n_rows, 1))
    tables = [chebyshev(t[:, k], order) for k in range(n_dims)]
    powers = [p for p in cartesian(range(order + 1), repeat=n_dims) if sum(p) <= order]
    index = np.array(powers)
    values = np.ones((n_rows, len(powers)))
    for k in range(n_dims):
        values *= tables[k][0][:, index[:, k]]
    slopes = np.empty((n_dims, n_rows, len(powers)))
    for k in range(n_dims):
        slopes[k] = tables[k][1][:, index[:, k]]
        for j in range(n_dims):
            if j != k:
                slopes[k] *= tables[j][0][:, index[:, j]]
    return values, slopes


class Projection:
    """The least-squares surface of given exponents, and the pieces of its Jacobian.

    Parameters
    ----------
    problem : RidgeProblem
        Data.
    gate : array of shape (coordinates,)
        Exponents of the gate.
    directions : array of shape (groups, coordinates)
        Exponents of the groups.
    """

    def __init__(self, problem: RidgeProblem, gate: Array, directions: Array) -> None:
        self.problem, n_groups = problem, len(directions)
        z = problem.logs @ directions.T  # (rows, groups)
        if problem.power_chart:
            z = np.exp(np.clip(z, -30, 30))
            stretch = z.copy()
        else:
            stretch = np.ones_like(z)
        self.coordinates = np.hstack([z, problem.axes])
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        scale = 2.0 / (high - low + 1e-12)
        values, slopes = surface_basis((self.coordinates - low) * scale - 1.0, problem.order)
        self.weight = np.exp(np.clip(problem.logs @ gate, -30, 30)) * np.sqrt(problem.weight)
        design = values * self.weight[:, None]
        self.q, triangular = np.linalg.qr(design)
        target = problem.y * np.sqrt(problem.weight)
        coefficients = np.linalg.lstsq(triangular, self.q.T @ target, rcond=1e-12)[0]
        self.fitted = design @ coefficients
        self.residual = target - self.fitted
        self.loss = float(self.residual @ self.residual)
        self.slopes = [
            (slopes[k] @ coefficients) * self.weight * scale[k] * stretch[:, k]
            for k in range(n_groups)
        ]

    @property
    def score(self) -> float:
        """BIC of the surface with these exponents."""
        n_rows, size = self.q.shape
        total = float(np.sum(self.problem.weight * self.problem.y**2)) + 1e-300
        return n_rows * float(np.log(self.loss / total + 1e-14)) + size * float(np.log(n_rows))

    def jacobian(self, moves_gate: Flags, moves: Flags) -> Array:
        """Return the projected Jacobian by the free exponents (gate first)."""
        logs = self.problem.logs
        columns = [self.fitted[:, None] * logs[:, moves_gate]]
        columns += [s[:, None] * logs[:, m] for s, m in zip(self.slopes, moves, strict=True)]
        jacobian = np.hstack(columns)
        return jacobian - self.q @ (self.q.T @ jacobian)


def descend(
    problem: RidgeProblem,
    gate: Array,
    directions: Array,
    free_gate: Flags | None = None,
    free: Flags | None = None,
    iterations: int = 60,
) -> RidgeUnit:
    """Improve the exponents of a unit from one start.

    Parameters
    ----------
    problem : RidgeProblem
        Data.
    gate, directions : arrays of shape (coordinates,) and (groups, coordinates)
        Start.
    free_gate, free : boolean arrays of the same shapes, optional
        Which exponents may move; all by default.
    iterations : int
        Most accepted steps.
    """
    free_gate = np.ones(gate.shape, bool) if free_gate is None else free_gate
    free = np.ones(directions.shape, bool) if free is None else free
    size = float(np.sum(problem.weight * problem.y**2)) + 1e-300
    state, damping, small_gains = Projection(problem, gate, directions), 1e-2, 0
    for _ in range(iterations):
        jacobian = state.jacobian(free_gate, free)
        if not (jacobian.shape[1] and np.isfinite(jacobian).all()):
            break
        hessian, gradient = jacobian.T @ jacobian, jacobian.T @ state.residual
        diagonal = np.diag(hessian) + 1e-12 * np.diag(hessian).max() + 1e-300
        improved = None
        for _ in range(6):
            matrix = hessian + np.diag(damping * diagonal + 1e-13 * diagonal.max())
            step = np.linalg.solve(matrix, gradient)
            step *= min(1.0, 1.5 / (np.abs(step).max() + 1e-300))
            new_gate, new_directions = gate.copy(), directions.copy()
            new_gate[free_gate] += step[: free_gate.sum()]
            new_directions[free] += step[free_gate.sum() :]
            trial = Projection(problem, new_gate, new_directions)
            if trial.loss < state.loss:
                improved = trial
                break
            damping *= 6.0
        if improved is None:
            break
        gain = 1.0 - improved.loss / state.loss
        gate, directions, state = new_gate, new_directions, improved
        damping = max(damping / 8.0, 1e-14)
        small_gains = small_gains + 1 if gain < 1e-4 else 0
        if small_gains >= 3 or state.loss < 1e-22 * size:
            break
    return RidgeUnit(gate, directions, state.loss / size)


def log_linear_gate(logs: Array, y: Array, weight: Array) -> Array:
    """Return the exponents of the monomial nearest to ``|y|``: the natural start of a gate."""
    large = np.abs(y) > 0.05 * np.abs(y).max()
    if large.sum() <= logs.shape[1] + 1:
        return np.zeros(logs.shape[1])
    design = np.c_[np.ones(large.sum()), logs[large]]
    return np.linalg.lstsq(design, np.log(np.abs(y[large])), rcond=None)[0][1:]


def search_units(
    problem: RidgeProblem,
    n_groups: int,
    generator: np.random.Generator,
    deadline: Deadline,
    starts: int,
    good_enough: float = 1e-14,
) -> list[RidgeUnit]:
    """Run ``descend`` from several starts and return the distinct results, best first."""
    n = problem.logs.shape[1]
    rows = np.arange(len(problem.y))
    if len(rows) > 700:
        rows = np.sort(generator.permutation(len(rows))[:700])
    small = problem.reduced(rows)
    gate0 = log_linear_gate(problem.logs, problem.y, problem.weight)
    found: list[RidgeUnit] = []
    queue: list[tuple[Array, Array]] = []
    for s in range(starts):
        directions = generator.standard_normal((n_groups, n))
        if n_groups == 1 and s < n:
            directions = 0.05 * directions
            directions[0, s] = 1.0
        directions /= np.abs(directions).max(axis=1, keepdims=True)
        gate = gate0 + (0.0 if s < n else 0.7) * generator.standard_normal(n)
        queue.append((gate, directions))
    for gate, directions in queue:
        found.append(descend(small, gate, directions))
        found.sort(key=lambda u: u.loss)
        if found[0].loss < good_enough or deadline.passed:
            break
    best = [descend(problem, u.gate, u.directions, iterations=25) for u in found[:3]]
    return sorted(best, key=lambda u: u.loss)
