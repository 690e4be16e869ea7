"""Modules: blocks of inputs whose contributions add up behind a link of the target.

``T(y) = sum_b h_b(x_b)`` is a Kolmogorov-Arnold network of one layer with blocks in place of
single inputs. For a given ``T`` its curves and surfaces are linear least squares. Where it leaves
nothing but noise or rounding, every block is a smaller problem, on rows from which the others are
subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.data import MISFIT_RATIO, neighbour_ratio
from kanx.discovery.ridge import chebyshev, surface_basis

Array = NDArray[np.float64]
Block = tuple[int, ...]
CURVE_DEGREES = (4, 8, 12, 16, 24)
PAIR_DEGREE = 4
SURFACE_DEGREES = (4, 6, 8, 10, 12)
ROWS_PER_TERM = 4
NEGLIGIBLE = 1e-3  # share of the interactions that a pair may have and still be none
EXACT = 1e-10  # relative loss of a fit that is as good as exact
LARGEST_LOSS = 0.5  # of the target's variance: a sum that explains less is no structure


@dataclass(frozen=True)
class Modules:
    """Hold a block-additive fit.

    Parameters
    ----------
    blocks : tuple of tuple of int
        Columns of each block.
    values : array of shape (blocks, rows)
        What each block contributes, with mean zero.
    loss : float
        Weighted share of the target's variance that is left.
    score : float
        BIC.
    """

    blocks: tuple[Block, ...]
    values: Array
    loss: float
    score: float


def find_modules(columns: Array, target: Array, weight: Array) -> Modules | None:
    """Return blocks of inputs that add up to the target, or None if all inputs act together.

    Parameters
    ----------
    columns : array of shape (columns, rows)
        Inputs.
    target, weight : arrays of shape (rows,)
        Target behind its link, and weights.
    """
    n = len(columns)
    if n < 2:
        return None
    low, high = columns.min(axis=1, keepdims=True), columns.max(axis=1, keepdims=True)
    t = 2.0 * (columns - low) / (high - low + 1e-300) - 1.0
    singles = tuple((k,) for k in range(n))
    alone = _best_fit(t, singles, target, weight)
    if alone is not None and _leaves_nothing(alone, t, target):
        return alone
    blocks = _interacting(t, target, weight)
    if blocks is None or len(blocks) < 2 or len(blocks) == n:
        return None
    together = _best_fit(t, blocks, target, weight)
    if together is not None and _leaves_nothing(together, t, target):
        return together
    return None


def _basis(t: Array, block: Block, step: int) -> Array | None:
    """Return the functions of one block without the constant; None if there are too many."""
    degrees = CURVE_DEGREES if len(block) == 1 else SURFACE_DEGREES
    degree, size = degrees[step], len(block)
    if comb(degree + size, size) > t.shape[1] / ROWS_PER_TERM:
        return None
    return surface_basis(t[list(block)].T, degree)[0][:, 1:]


def _best_fit(t: Array, blocks: Sequence[Block], target: Array, weight: Array) -> Modules | None:
    """Return the block-additive fit of the degree of least BIC."""
    best: Modules | None = None
    for step in range(len(CURVE_DEGREES)):
        parts = [_basis(t, block, step) for block in blocks]
        known = [part for part in parts if part is not None]
        width = sum(part.shape[1] for part in known)
        if len(known) < len(parts) or width > len(target) / ROWS_PER_TERM:
            break
        fitted = _fit(known, blocks, target, weight)
        if best is None or fitted.score < best.score:
            best = fitted
    return best


def _fit(parts: list[Array], blocks: Sequence[Block], target: Array, weight: Array) -> Modules:
    n_rows, root = len(target), np.sqrt(weight)
    parts = [part - np.average(part, axis=0, weights=weight) for part in parts]
    centred = target - np.average(target, weights=weight)
    design = np.hstack(parts)
    coefficients = np.linalg.lstsq(design * root[:, None], centred * root, rcond=1e-12)[0]
    ends = np.cumsum([0, *(part.shape[1] for part in parts)])
    values = np.array(
        [part @ coefficients[a:b] for part, a, b in zip(parts, ends, ends[1:], strict=False)]
    )
    spread = float(np.sum(weight * centred**2)) + 1e-300
    loss = float(np.sum(weight * (centred - values.sum(axis=0)) ** 2)) / spread
    score = n_rows * np.log(loss + 1e-22) + design.shape[1] * np.log(n_rows)
    return Modules(tuple(blocks), values, loss, float(score))


def _leaves_nothing(modules: Modules, t: Array, target: Array) -> bool:
    """Return whether a fit leaves only noise or rounding."""
    if modules.loss < EXACT:
        return True
    if modules.loss > LARGEST_LOSS:
        return False
    residual = target - target.mean() - modules.values.sum(axis=0)
    return neighbour_ratio(t.T, residual) > MISFIT_RATIO


def _interacting(t: Array, target: Array, weight: Array) -> tuple[Block, ...] | None:
    """Return the blocks of inputs that are linked by interactions of two."""
    n, n_rows = t.shape
    tables = [chebyshev(column, max(CURVE_DEGREES[1], PAIR_DEGREE))[0][:, 1:] for column in t]
    pairs = list(combinations(range(n), 2))
    products = [
        (tables[i][:, :PAIR_DEGREE, None] * tables[j][:, None, :PAIR_DEGREE]).reshape(n_rows, -1)
        for i, j in pairs
    ]
    if sum(part.shape[1] for part in (*tables, *products)) > n_rows / 2:
        return None
    fitted = _fit([*tables, *products], [()] * (n + len(pairs)), target, weight)
    sizes = np.var(fitted.values[n:], axis=1)
    root = np.arange(n)
    for (i, j), size in zip(pairs, sizes, strict=True):
        if size > NEGLIGIBLE * sizes.sum():
            root[root == root[j]] = root[i]
    return tuple(tuple(int(k) for k in np.flatnonzero(root == r)) for r in np.unique(root))
