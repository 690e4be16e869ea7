"""Which of several formulas to believe: description length with the constants at simple values.

Data with noise leave many forms equally likely. A law has constants such as 1 and 1/2 where a
lucky imitation has 0.83, so a constant that may be a simple number is charged for that number
instead of for its digits. The quadratic approximation of the loss says what that costs, without a
new fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.discovery.archive import LOG2, Archive, Candidate
from kanx.discovery.least_squares import fit_constants
from kanx.discovery.polish import pull_scales
from kanx.discovery.trees import from_sympy, to_sympy

Array = NDArray[np.float64]
LARGEST_MOVE = 0.3  # relative; farther away the loss is not quadratic
SIMPLE_NUMBERS = tuple(
    Fraction(sign * p, q)
    for p, q in ((0, 1), (1, 1), (2, 1), (1, 2), (3, 1), (4, 1), (3, 2), (1, 4), (1, 3), (5, 1))
    for sign in (1, -1)
)


def choice_score(archive: Archive, candidate: Candidate, symbols: Sequence[sp.Symbol]) -> float:
    """Return the description length in nats when every constant that may be simple is simple.

    Parameters
    ----------
    archive : Archive
        Its data judge the formula.
    candidate : Candidate
        A fitted formula.
    symbols : sequence of sympy.Symbol
        One per column.
    """
    data = archive.data
    try:
        form = pull_scales(to_sympy(candidate.tree, symbols))
        tree = from_sympy(form, symbols)
    except ValueError:  # a constant folded to an expression outside the table
        return candidate.score
    fit = fit_constants(tree, data.columns, data.y, data.weight, 4)
    loss = fit.loss / data.size
    if not (np.isfinite(loss) and loss <= 1.001 * candidate.loss):
        fit, loss = candidate.fit, candidate.loss
    count = len(fit.tree.constants)
    score = min(candidate.score, archive.score(fit.tree, loss))
    if not count:
        return score
    variance = fit.loss / max(data.n_rows - count, 1)
    inverse = np.linalg.pinv(fit.curvature, rcond=1e-14, hermitian=True)
    covariance: Array = np.asarray(inverse * variance, dtype=float)
    alone: Array = np.asarray(variance / np.maximum(np.diag(fit.curvature), 1e-300), dtype=float)
    return score - _saving(fit.tree.constants, covariance, alone, data.n_rows)


def _saving(values: Array, covariance: Array, alone: Array, n_rows: int) -> float:
    """Return the nats saved by the simple numbers, chosen one after the other.

    ``alone`` holds the variance of each constant while the others stay: a constant becomes 0 only
    if it may do so alone, since the argument of a function that vanishes takes others with it.
    """
    values, covariance = values.copy(), covariance.copy()
    saved, open_positions = 0.0, set(range(len(values)))
    while open_positions:
        offers = [
            (
                _gain(values[k], covariance[k, k] if number else alone[k], number, n_rows),
                k,
                float(number),
            )
            for k in open_positions
            for number in SIMPLE_NUMBERS
            if number == 0 or abs(values[k] - number) < LARGEST_MOVE * abs(number)
        ]
        gain, k, number = max(offers, default=(0.0, 0, 0.0))
        if gain <= 0:
            break
        saved += gain
        column = covariance[:, k] / max(covariance[k, k], 1e-300)
        values += column * (number - values[k])
        covariance -= np.outer(column, covariance[k])
        open_positions.remove(k)
    return saved


def _gain(value: float, variance: float, number: Fraction, n_rows: int) -> float:
    """Return what is saved by one number: half ``log N``, less its bits and the worse fit."""
    bits = np.log2(1.0 + abs(number.numerator)) + 2.0 * np.log2(number.denominator) + (number < 0)
    misfit = abs(value - float(number)) / max(np.sqrt(max(variance, 0.0)), 1e-12)
    return float(0.5 * np.log(n_rows) - LOG2 * bits - 0.5 * misfit**2)
