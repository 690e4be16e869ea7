"""Inputs that act only through a sum or a difference: ``x_i + r x_j`` becomes one coordinate.

A polynomial of the rows gives gradients; ``f_i = f_j / r`` on all rows proposes a pair, and the
proposal is confirmed by re-fitting: polynomials of the merged coordinate are a subset of those of
the pair, so a merge that is right does not raise the loss beyond the degrees of freedom. Where the
polynomial is too poor for that comparison, the merge must pay for itself: fewer inputs leave room
for a higher degree, and its BIC must be lower.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kanx.discovery.ridge import surface_basis

Array = NDArray[np.float64]
LARGEST_DEGREE = 12


class Merge(NamedTuple):
    """Say that columns ``first`` and ``second`` act through ``x_first + ratio * x_second``."""

    first: int
    second: int
    ratio: float


class _Polynomial(NamedTuple):
    degree: int
    loss: float
    size: int
    score: float  # BIC
    gradient: Array  # (columns, rows)


def _fit_polynomial(columns: Array, target: Array, weight: Array, degree: int) -> _Polynomial:
    low, high = columns.min(axis=1), columns.max(axis=1)
    scale = 2.0 / (high - low)
    t = ((columns.T - low) * scale) - 1.0
    values, slopes = surface_basis(t, degree)
    root = np.sqrt(weight)[:, None]
    coefficients, *_ = np.linalg.lstsq(values * root, target * root[:, 0], rcond=1e-10)
    residual = target - values @ coefficients
    gradient = np.array([(slopes[k] @ coefficients) * scale[k] for k in range(len(columns))])
    loss, size, n_rows = float(np.sum(weight * residual**2)), values.shape[1], len(target)
    score = n_rows * np.log(loss + 1e-300) + size * np.log(n_rows)
    return _Polynomial(degree, loss, size, score, gradient)


def _best_degree(columns: Array, target: Array, weight: Array) -> _Polynomial | None:
    """Return the polynomial of the total degree with the least BIC."""
    n, n_rows = columns.shape
    best: _Polynomial | None = None
    terms = 1 + n
    for degree in range(2, LARGEST_DEGREE + 1):
        terms = terms * (n + degree) // degree
        if terms > min(n_rows / 5, 400):
            break
        fitted = _fit_polynomial(columns, target, weight, degree)
        if best is None or fitted.score < best.score:
            best = fitted
    return best


def find_merges(columns: Array, y: Array, weight: Array, limit: int = 4) -> list[list[Merge]]:
    """Return sets of merges that the data do not contradict, the largest set first.

    Parameters
    ----------
    columns : array of shape (columns, rows)
        Inputs.
    y, weight : arrays of shape (rows,)
        Target and weights.
    limit : int
        Most merges in a set.
    """
    if len(columns) < 2:
        return []
    found: list[list[Merge]] = []
    targets = [y]
    if (y > 0).all() or (y < 0).all():
        targets.insert(0, np.log(np.abs(y)))
    for target in targets:
        w = weight * y**2 if target is not y else weight
        merges = _confirmed(columns, target, w / w.mean(), limit)
        for size in range(len(merges), 0, -1):
            if merges[:size] not in found:
                found.append(merges[:size])
    return found


def _confirmed(columns: Array, target: Array, weight: Array, limit: int) -> list[Merge]:
    """Return the merges accepted one after the other."""
    full = _best_degree(columns, target, weight)
    if full is None:
        return []
    champion = full
    proposals = sorted(
        (_mismatch(full.gradient[i], full.gradient[j]), i, j)
        for i, j in combinations(range(len(columns)), 2)
    )
    accepted: list[Merge] = []
    used: set[int] = set()
    for (mismatch, ratio), i, j in proposals[: 3 * limit]:
        if mismatch > 0.35 or i in used or j in used or len(accepted) == limit:
            continue
        trial = [*accepted, Merge(i, j, ratio)]
        reduced = merged_columns(columns, trial)
        merged = _fit_polynomial(reduced, target, weight, full.degree)
        best = _best_degree(reduced, target, weight) or merged
        if _is_consistent(merged, full, columns.shape[1]) or best.score < champion.score:
            accepted, champion = trial, min(best, champion, key=lambda p: p.score)
            used |= {i, j}
    return accepted


def _mismatch(first: Array, second: Array) -> tuple[float, float]:
    """Return how far ``second`` is from ``ratio * first``, and the ratio."""
    ratio = float(first @ second) / (float(first @ first) + 1e-300)
    if abs(abs(ratio) - 1.0) < 0.25:
        ratio = float(np.sign(ratio))
    gap = np.linalg.norm(second - ratio * first)
    return float(gap / (np.linalg.norm(second) + 1e-300)), ratio


def _is_consistent(merged: _Polynomial, full: _Polynomial, n_rows: int) -> bool:
    """Return whether the restriction costs no more than its degrees of freedom explain.

    The polynomial is itself only an approximation, so twice the expected rise is allowed.
    """
    restrictions, free = full.size - merged.size, n_rows - full.size
    statistic = ((merged.loss - full.loss) / restrictions) / (full.loss / free + 1e-300)
    return bool(statistic < 2.0 * stats.f.ppf(0.999, restrictions, free))


def merged_columns(columns: Array, merges: list[Merge]) -> Array:
    """Return the other columns followed by the merged ones."""
    used = {k for m in merges for k in (m.first, m.second)}
    rest = [columns[k] for k in range(len(columns)) if k not in used]
    return np.array(rest + [columns[m.first] + m.ratio * columns[m.second] for m in merges])
