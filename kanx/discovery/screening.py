"""Which of many inputs matter: matching pursuit over waves of one input and products of two.

Most of many columns are dummies, and every one of them makes the search for groups slower and the
formulas ambiguous. Terms enter one after the other while the extended BIC (Chen and Chen 2008)
falls; the inputs that occur in them are kept.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from kanx.discovery.ridge import chebyshev

Array = NDArray[np.float64]
FEWEST_SCREENED = 11  # fewer inputs are all kept
MOST_ROWS = 1000
MOST_TERMS = 60
DEGREE = 4
PAIR_DEGREE = 2


class _Dictionary(NamedTuple):
    values: Array  # (terms, rows), centred and of length one
    inputs: list[tuple[int, ...]]


def relevant_columns(columns: Array, y: Array, weight: Array) -> list[int]:
    """Return the inputs on which the target depends; all of them if there are few.

    Parameters
    ----------
    columns : array of shape (columns, rows)
        Inputs.
    y, weight : arrays of shape (rows,)
        Target and weights.
    """
    everything = list(range(len(columns)))
    if len(columns) < FEWEST_SCREENED:
        return everything
    step = max(1, len(y) // MOST_ROWS)
    columns, y, root = columns[:, ::step], y[::step], np.sqrt(weight[::step])
    dictionary = _dictionary(columns, root)
    residual = _centred((y * root)[None], root)[0]
    n_rows, n_terms = len(y), len(dictionary.values)
    price = np.log(n_rows) + 2.0 * np.log(n_terms)
    basis = np.empty((0, n_rows))
    kept: set[int] = set()
    for _ in range(min(MOST_TERMS, n_rows // 4)):
        size = float(residual @ residual)
        gain = (dictionary.values @ residual) ** 2
        best = int(np.argmax(gain))
        direction = dictionary.values[best] - basis.T @ (basis @ dictionary.values[best])
        length = float(np.linalg.norm(direction))
        if size <= 1e-24 or length < 1e-6:
            break
        direction /= length
        remaining = size - float(direction @ residual) ** 2
        if n_rows * np.log(max(remaining, 1e-300) / size) + price > 0:
            break
        residual = residual - (direction @ residual) * direction
        basis = np.vstack([basis, direction])
        kept |= set(dictionary.inputs[best])
    return sorted(kept) or everything


def _dictionary(columns: Array, root: Array) -> _Dictionary:
    """Return Chebyshev polynomials of the ranks of each input, and products of two of them."""
    ranks = 2.0 * rankdata(columns, axis=1) / columns.shape[1] - 1.0
    tables = [chebyshev(t, DEGREE)[0][:, 1:].T for t in ranks]
    values = [np.vstack(tables)]
    inputs: list[tuple[int, ...]] = [(k,) for k in range(len(columns)) for _ in range(DEGREE)]
    for i, j in combinations(range(len(columns)), 2):
        values.append(
            np.vstack([tables[i][a] * tables[j][:PAIR_DEGREE] for a in range(PAIR_DEGREE)])
        )
        inputs += [(i, j)] * PAIR_DEGREE**2
    centred = _centred(np.vstack(values) * root, root)
    return _Dictionary(centred / np.linalg.norm(centred, axis=1, keepdims=True), inputs)


def _centred(rows: Array, root: Array) -> Array:
    unit = root / np.linalg.norm(root)
    return np.asarray(rows - np.outer(rows @ unit, unit))
