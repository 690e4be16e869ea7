"""Levenberg-Marquardt in float64 for the free constants of an expression tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.trees import Tree, evaluate, evaluate_with_jacobian

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Hold a tree with fitted constants.

    Parameters
    ----------
    tree : Tree
        The expression with its least-squares constants.
    loss : float
        Weighted sum of squared residuals; infinite if the tree is not finite on the rows.
    curvature : array of shape (constants, constants)
        ``J^T W J`` at the solution; its inverse times the noise variance is the covariance.
    """

    tree: Tree
    loss: float
    curvature: Array

    def standard_errors(self, noise_variance: float) -> Array:
        """Return the standard error of each free constant for this noise variance."""
        scale = np.sqrt(np.maximum(np.diag(self.curvature), 1e-300))
        scaled = self.curvature / np.outer(scale, scale)
        inverse = np.linalg.pinv(scaled, rcond=1e-14)
        return np.sqrt(np.maximum(np.diag(inverse), 0.0) * noise_variance) / scale


def weighted_loss(tree: Tree, columns: Array, y: Array, weight: Array) -> float:
    """Return ``sum w (y - f)^2``, infinite where the tree is not finite."""
    residual = y - evaluate(tree, columns)
    loss = float(np.sum(weight * residual**2))
    return loss if np.isfinite(loss) else np.inf


def fit_constants(
    tree: Tree,
    columns: Array,
    y: Array,
    weight: Array,
    iterations: int = 30,
    tolerance: float = 0.0,
) -> Fit:
    """Minimise ``sum w (y - f(x; c))^2`` over the free constants of a tree.

    Marquardt's scaling, damping raised by 6 and lowered by 8 (Nielsen's simpler cousin); stops
    when a step gains less than one part in 1e10, or below ``tolerance``.

    Parameters
    ----------
    tree : Tree
        Expression whose constants are the starting point.
    columns : array of shape (variables, rows)
        Inputs.
    y, weight : arrays of shape (rows,)
        Target and inverse noise variances up to a factor.
    iterations : int
        Most accepted steps.
    tolerance : float
        Loss at which the fit is as good as exact.
    """
    c = tree.constants
    if not len(c):
        return Fit(tree, weighted_loss(tree, columns, y, weight), np.zeros((0, 0)))
    root = np.sqrt(weight)

    def linearise(values: Array) -> tuple[float, Array, Array]:
        f, jacobian = evaluate_with_jacobian(tree.with_constants(values), columns)
        residual = root * (y - f)
        loss = float(residual @ residual)
        jacobian *= root[:, None]
        if not (np.isfinite(loss) and np.isfinite(jacobian).all()):
            return np.inf, residual, jacobian
        return loss, residual, jacobian

    with np.errstate(all="ignore"):
        loss, residual, jacobian = linearise(c)
        damping = 1e-3
        for _ in range(iterations):
            if not np.isfinite(loss) or loss <= tolerance:
                break
            scale = np.sqrt(np.sum(jacobian**2, axis=0)) + 1e-300
            scaled = jacobian / scale
            hessian, gradient = scaled.T @ scaled, scaled.T @ residual
            step, gain, damping = None, 0.0, damping
            for _ in range(8):
                damped = hessian + damping * np.eye(len(c))
                move = _solve(damped, gradient) / scale
                trial = linearise(c + move)
                if trial[0] < loss:
                    step, gain = move, 1.0 - trial[0] / loss
                    break
                damping *= 6.0
            if step is None:
                break
            c, (loss, residual, jacobian) = c + step, trial
            damping = max(damping / 8.0, 1e-15)
            if gain < 1e-10:
                break
        curvature = jacobian.T @ jacobian
    return Fit(tree.with_constants(c), loss, curvature)


def _solve(matrix: Array, vector: Array) -> Array:
    """Solve a damped system; least squares where rounding has made it singular."""
    try:
        return np.asarray(np.linalg.solve(matrix, vector), dtype=float)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, vector, rcond=1e-12)[0], dtype=float)
