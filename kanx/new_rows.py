"""Warnings about rows to predict that are unlike those of the training data."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence

import numpy as np

from kanx.tables import Column

NEAR = 0.1  # of a range's width: how far beyond it a prediction is not worth a warning
NAMED = 5  # columns in a warning: of a wide table, all of them would be a page


class OutOfRangeWarning(UserWarning):
    """Rows to predict lie outside the range of the training data, where curves are continued."""


class MissingValueWarning(UserWarning):
    """Rows to predict lack values of columns that no training row lacked."""


def warn_unlike(learned: Sequence[Column], encoded: np.ndarray) -> None:
    """Warn of rows that are unlike those of the training data, see the two warnings.

    New data hardly ever stay within the range exactly, and a curve continued by a little is as good
    as inside: nothing is said while all numbers lie within a tenth of a range's width of it.

    Parameters
    ----------
    learned : sequence of Column
    encoded : ndarray, (rows, columns)
        From `kanx.tables.encode`.
    """
    _warn_missing(learned, encoded)
    lower, upper = (np.array([getattr(c, end) for c in learned]) for end in ("lower", "upper"))
    numeric = np.array([not c.is_categorical for c in learned])
    excess = np.where(numeric, np.maximum(lower - encoded, encoded - upper), 0)
    outside = excess > 0  # NaN is not outside
    far = excess > NEAR * (upper - lower)
    if not far.any():
        return
    ranges = [f", range {own.lower:.4g} to {own.upper:.4g}" for own in learned]
    named = _named(learned, outside, ranges)
    _warn(
        f"{int(outside.any(1).sum())} of {len(encoded)} rows lie outside the range of the training "
        f"data, {int(far.any(1).sum())} of them by more than {100 * NEAR:g} % of its width, in "
        f"{named}; the curves are continued there as their extrapolate= says, in a straight line "
        "by default",
        OutOfRangeWarning,
    )


def _warn_missing(learned: Sequence[Column], encoded: np.ndarray) -> None:
    fresh = np.isnan(encoded) & np.array([not column.missing for column in learned])
    if not fresh.any():
        return
    named = _named(learned, fresh, [""] * len(learned))
    _warn(
        f"{int(fresh.any(1).sum())} of {len(encoded)} rows lack values that every training row "
        f"had, in {named}; each curve takes its mean there, and intervals do not contain how much "
        "the value would have changed the prediction: train with rows that lack it too",
        MissingValueWarning,
    )


def _named(learned: Sequence[Column], flags: np.ndarray, details: Sequence[str]) -> str:
    """Name the columns with most flagged rows, and say how many others there are."""
    counts = flags.sum(0)
    most = sorted(np.flatnonzero(counts).tolist(), key=lambda j: -counts[j])
    named = ", ".join(f"{learned[j].name!r} ({counts[j]}{details[j]})" for j in most[:NAMED])
    return named + (f" and {len(most) - NAMED} other columns" if len(most) > NAMED else "")


def _warn(message: str, kind: type[UserWarning]) -> None:
    """Point a warning at code outside this package."""
    frame = inspect.currentframe()
    level = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("kanx."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, kind, stacklevel=level + 1)
