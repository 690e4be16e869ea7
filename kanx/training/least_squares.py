"""Levenberg-Marquardt without a penalty, down to rounding."""

from __future__ import annotations

from torch import Tensor

from kanx.training.separable import Point, SeparableProblem, decompose

ROUNDING = 1e-15  # root mean square residual, relative to the target's, that nothing improves
LEAST_DAMPING = 1e-15  # relative to the largest squared singular value


def descend(
    problem: SeparableProblem, point: Point, *, iterations: int, tol: float = 0.05
) -> Point:
    r"""Lower the sum of squares by damped Gauss-Newton steps, at most `iterations` of them.

    The singular values of the Jacobian give the step at every damping and stay accurate where
    normal equations, which square them, would be singular.

    Parameters
    ----------
    problem : SeparableProblem
        Left at the result.
    point : Point
    iterations : int
        Largest number of Jacobians.
    tol : float, default=0.05
        Stop when three steps in a row lower the sum of squares by less than this share each.

    References
    ----------
    Nielsen: Damping parameter in Marquardt's method, IMM-REP-1999-05 (how the damping changes).
    """
    floor = ROUNDING**2 * (problem.y @ problem.y).item()
    damping, slow = None, 0
    for _ in range(iterations):
        if point.value <= floor or not bool(problem.inner.any()):
            break
        step = _Steps(point)
        damping = 1e-3 if damping is None else damping
        trial, damping = _improved(problem, point, step, damping)
        if trial is None:
            problem.at(point.w)
            break
        slow = slow + 1 if trial.value > (1 - tol) * point.value else 0
        point = trial
        if slow == 3:
            break
    return point


def _improved(
    problem: SeparableProblem, point: Point, steps: _Steps, damping: float
) -> tuple[Point | None, float]:
    """Return the first point that is better, and the damping for the step after it."""
    growth = 2.0
    while damping < 1e8:
        step, promise = steps.at(damping)
        w = point.w.clone()
        w[problem.inner] += step
        trial = problem.at(w)
        gain = point.value - trial.value
        if gain > 0:
            ratio = gain / max(promise, 1e-300)
            factor = max(0.1, 1 - (2 * ratio - 1) ** 3)
            return trial, max(damping * factor, LEAST_DAMPING)
        damping, growth = max(damping, LEAST_DAMPING) * growth, 2 * growth
    return None, damping


class _Steps:
    """Steps from one point at any damping, from one singular value decomposition."""

    def __init__(self, point: Point) -> None:
        self.values, self.right, self.target = decompose(point.jacobian, point.residual)

    def at(self, damping: float) -> tuple[Tensor, float]:
        """Return the step, and how much it lowers the sum of squares of the linear model."""
        squares = self.values**2
        shift = damping * squares[0]
        weights = self.values / (squares + shift)
        step = self.right.mT @ (weights * self.target)
        kept = shift / (squares + shift)
        return step, (self.target**2 * (1 - kept**2)).sum().item()
