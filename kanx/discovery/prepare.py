"""Rows and columns fit for a search: subsample, hold out, drop what cannot matter, scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.data import Data
from kanx.discovery.screening import relevant_columns

Array = NDArray[np.float64]


MOST_ROWS_COMPARED = 20_000  # sorting larger tables to find equal rows is not worth the time


@dataclass(frozen=True)
class Prepared:
    """Hold the data of one target.

    Parameters
    ----------
    search : Data
        Rows of the search; the target is divided by ``scale``.
    train, test : Data
        Rows on which constants are fitted finally, and held-out rows; the user's scale.
    kept : tuple of int
        Columns of X that the search sees.
    scale : float
        Root mean square of the target.
    notes : tuple of str
        What was left out.
    train_rows, test_rows : arrays of int
        Rows of X that `train` and `test` hold.
    """

    search: Data
    train: Data
    test: Data
    kept: tuple[int, ...]
    scale: float
    notes: tuple[str, ...]
    train_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]


def prepare(
    X: Array,
    y: Array,
    weight: Array,
    names: list[str],
    max_rows: int,
    generator: np.random.Generator,
) -> Prepared:
    """Return the data of a search.

    Parameters
    ----------
    X : array of shape (rows, columns)
        Finite inputs.
    y, weight : arrays of shape (rows,)
        Finite target; non-negative weights, rows of weight zero are ignored.
    names : list of str
        Columns, for the notes.
    max_rows : int
        Most rows of the search; more are subsampled.
    generator : numpy.random.Generator
        Draws the rows.
    """
    notes: list[str] = []
    X, y, weight, origin = distinct_rows(X, y, weight)
    rows = np.arange(len(y))
    kept = _useful_columns(X[rows], names, notes)
    order = generator.permutation(rows)
    n_test = len(order) // 10 if len(order) >= 500 else 0
    test, train = np.sort(order[:n_test]), order[n_test:]
    if len(train) > max_rows:
        notes.append(
            f"the search used {max_rows} of {len(rows)} rows, drawn at random; the constants were "
            f"fitted on {min(len(train), 20 * max_rows)}"
        )
    search = np.sort(train[:max_rows])
    kept = _relevant(X[search], y[search], weight[search], kept, names, notes)
    train, test = np.sort(train[: 20 * max_rows]), test[: 20 * max_rows]

    def take(chosen: Array, scale: float) -> Data:
        w = weight[chosen] / weight[chosen].mean() if len(chosen) else weight[chosen]
        return Data(np.ascontiguousarray(X[chosen][:, kept].T), y[chosen] / scale, w, scale)

    scale = float(np.sqrt(np.average(y[search] ** 2, weights=weight[search])))
    scale = scale if scale > 0 else 1.0
    return Prepared(
        take(search, scale), take(train, 1.0), take(test, 1.0), tuple(kept), scale, tuple(notes),
        origin[train], origin[test],
    )  # fmt: skip


def distinct_rows(
    X: Array, y: Array, weight: Array
) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Drop rows of weight zero and add up the weights of equal rows; say where each was.

    A row given twice and a row of weight two are then the same data, to the last bit.
    """
    origin = np.flatnonzero(weight > 0)
    X, y, weight = X[origin], y[origin], weight[origin]
    if len(y) > MOST_ROWS_COMPARED:
        return X, y, weight, origin
    table, first, index = np.unique(np.c_[X, y], axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(index.ravel(), weights=weight).astype(float)
    return table[:, :-1], table[:, -1], sums, origin[first]


def _useful_columns(X: Array, names: list[str], notes: list[str]) -> list[int]:
    """Return the columns that vary and do not repeat another one up to a factor."""
    kept: list[int] = []
    for k in range(X.shape[1]):
        column = X[:, k]
        if np.ptp(column) <= 1e-12 * np.abs(column).max(initial=0.0):
            notes.append(f"{names[k]} is constant and was left out")
            continue
        twin = next((j for j in kept if _proportional(X[:, j], column)), None)
        if twin is not None:
            notes.append(f"{names[k]} repeats {names[twin]} and was left out")
            continue
        kept.append(k)
    return kept


def _relevant(
    X: Array, y: Array, weight: Array, kept: list[int], names: list[str], notes: list[str]
) -> list[int]:
    """Return the columns that the target depends on, and note the others."""
    chosen = [kept[k] for k in relevant_columns(np.ascontiguousarray(X[:, kept].T), y, weight)]
    left = [names[k] for k in kept if k not in chosen]
    if left:
        notes.append(f"the target does not depend on {', '.join(left)} as far as the rows can tell")
    return chosen


def _proportional(a: Array, b: Array) -> bool:
    factor = float(a @ b) / float(a @ a)
    return bool(np.abs(b - factor * a).max() <= 1e-12 * np.abs(b).max())
