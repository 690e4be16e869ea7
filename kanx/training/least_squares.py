"""Levenberg-Marquardt down to rounding, with a penalty that vanishes with the residual."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kanx.training.separable import Point, SeparableProblem, decompose

ROUNDING = 1e-15  # root mean square residual, relative to the target's, that nothing improves
LEAST_DAMPING = 1e-15  # relative to the largest squared singular value
FIRST_DAMPING = 1e-2
SLOW = 3  # steps in a row that hardly help before the end
# root mean square residual, relative to the target's, below which one is enough: a polynomial of
# this degree cannot be nearer
EXACT = 1e-5


@dataclass(frozen=True)
class Descent:
    """Where a descent ended, and the penalty to go on with."""

    point: Point
    penalty: float


def descend(
    problem: SeparableProblem,
    penalty: float,
    *,
    iterations: int,
    tol: float = 0.02,
    damping: float = FIRST_DAMPING,
) -> Descent:
    r"""Lower the penalised sum of squares by damped Gauss-Newton steps from the present place.

    The penalty follows the residual: with the variance :math:`\sigma^2` of the residuals and
    that of the whitened coordinates, :math:`s^2`, it is :math:`\lambda = \sigma^2 / s^2`, the
    ratio that a common prior of all coordinates would have. Where the network can be exact it
    vanishes together with the residual; elsewhere it keeps curves from running wild between rows.

    The singular values of the Jacobian give the step at every damping and stay accurate where
    normal equations, which square them, would be singular.

    Parameters
    ----------
    problem : SeparableProblem
        Left at the result.
    penalty : float
        To start with; 0 stays 0.
    iterations : int
        Largest number of steps.
    tol : float, default=0.02
        Stop when three steps in a row lower the sum of squares by less than this share each; one,
        where the residual is below `EXACT`.
    damping : float, default=1e-2
        To start with.

    References
    ----------
    Nielsen: Damping parameter in Marquardt's method, IMM-REP-1999-05 (how the damping changes).
    """
    whole = (problem.y @ problem.y).item()
    floor = ROUNDING**2 * whole
    point = problem.start(penalty)
    slow = 0
    for _ in range(iterations):
        if point.squares <= floor or not (problem.inner.any() or penalty):
            break
        before = point.squares
        penalty = _penalty(problem, point, penalty)
        if bool(problem.inner.any()):
            trial, damping = _improved(problem, point, penalty, damping)
        else:
            trial = problem.at(point.w, penalty)
        if trial is None:
            problem.at(point.w, penalty)
            break
        point = trial
        slow = slow + 1 if point.squares > (1 - tol) * before else 0
        if slow == (1 if point.squares < EXACT**2 * whole else SLOW):
            break
    return Descent(point, penalty)


def _penalty(problem: SeparableProblem, point: Point, present: float) -> float:
    """Return the most likely penalty, not more than the present one."""
    noise = point.squares / len(point.residual)
    spread = point.size / problem.parameters
    return min(present, noise / max(spread, 1e-300))


def _improved(
    problem: SeparableProblem, point: Point, penalty: float, damping: float
) -> tuple[Point | None, float]:
    """Return the first point that is better, and the damping for the step after it."""
    matrix, wanted = problem.system(point, penalty)
    if not bool(torch.isfinite(matrix).all() & torch.isfinite(wanted).all()):
        return None, damping  # a high polynomial far outside its domain
    values, right, target = decompose(matrix, wanted)
    squares, value, growth = values**2, point.value(penalty), 10.0
    while damping < 1e8:
        shift = damping * squares[0]
        w = point.w.clone()
        w[problem.inner] += right.mT @ (values / (squares + shift) * target)
        trial = problem.at(w, penalty)
        gain = value - trial.value(penalty)
        if gain > 0:
            kept = shift / (squares + shift)
            promise = (target**2 * (1 - kept**2)).sum().item()
            factor = max(0.1, 1 - (2 * gain / max(promise, 1e-300) - 1) ** 3)
            return trial, max(damping * factor, LEAST_DAMPING)
        damping, growth = max(damping, LEAST_DAMPING) * growth, 2 * growth
    return None, damping
