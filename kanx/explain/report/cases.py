"""A few rows to look at closely: typical ones, extreme ones, doubtful ones and mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kanx.explain.counterfactual import Change, find_counterfactuals
from kanx.explain.explanation import Explanation
from kanx.explain.local import read_contributions
from kanx.explain.report.playable import predictions_of

Array = NDArray[np.float64]
MOST_CLASSES = 4
MOST_CHANGES = 2


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes
    ----------
    title, caption : str
        Why it was chosen, in two words and in a sentence.
    row : ndarray, (in,)
        Encoded.
    actual : str or None
        True value of the target, where known.
    contributions : ndarray, (in, outputs)
    flips : str
        What changes the decision, in a sentence; empty for a regression.
    """

    title: str
    caption: str
    row: Array
    actual: str | None
    contributions: Array
    flips: str

    def to_dict(self) -> dict[str, Any]:
        """Return the case as JSON; None for missing entries."""
        return {
            "title": self.title,
            "caption": self.caption,
            "row": [None if np.isnan(v) else float(v) for v in self.row],
            "actual": self.actual,
            "contributions": self.contributions.tolist(),
            "flips": self.flips,
        }


def class_names(view: Explanation) -> list[str]:
    """Return the names of all classes, in the order of the probabilities; none for regression."""
    if view.link == "identity":
        return []
    classes = getattr(view.subject.estimator, "classes_", None)
    if classes is not None:
        return [str(label) for label in classes]
    if view.link == "logistic":
        return [f"not {view.target_names[0]}", view.target_names[0]]
    return list(view.target_names)


def choose_cases(
    view: Explanation, y: ArrayLike | None = None, fixed: Sequence[str] = ()
) -> tuple[list[Case], str]:
    """Choose rows and split their predictions into contributions.

    Parameters
    ----------
    view : Explanation
    y : array, (rows,), optional
        True targets of the table that was explained, to find the worst mistake.
    fixed : sequence of str
        Inputs that are not asked what change of them turns the decision.

    Returns
    -------
    cases : list of Case
    note : str
        What the contributions are.
    """
    subject = view.subject
    predictions = predictions_of(subject.outputs(subject.x).numpy(), view.link)
    if subject.counts:
        predictions = np.exp(predictions)
    truth = _truth(view, y)
    names = class_names(view)
    picked = _of_classes(predictions, names, truth) if names else _of_numbers(predictions, truth)
    rows = [row for row, _, _ in picked]
    parts = read_contributions(subject, subject.x[rows], view.random_state)
    cases = [
        Case(
            title,
            f"Row {subject.rows[row] + 1} of {subject.n_given}: {why}.",
            subject.x[row].numpy(),
            None if truth is None else _text(truth[row]),
            parts.values[k],
            _flips(view, row, fixed) if names else "",
        )
        for k, (row, title, why) in enumerate(picked)
    ]
    return cases, parts.note


def _truth(view: Explanation, y: ArrayLike | None) -> NDArray[Any] | None:
    """Return the true targets of the explained rows, of the first target where there are more."""
    if y is None:
        return None
    truth = np.asarray(y)
    if len(truth) == view.subject.n_given:
        truth = truth[view.subject.rows]
    elif len(truth) != view.n_rows:
        raise ValueError(
            f"y has {len(truth)} rows, the table that was explained {view.subject.n_given}"
        )
    return truth[:, 0] if truth.ndim > 1 else truth


def _flips(view: Explanation, row: int, fixed: Sequence[str]) -> str:
    """Say which single inputs change the decision on a row, and how far they must move."""
    subject = view.subject
    found = find_counterfactuals(subject, subject.x[row], None, 0, fixed, together=False)
    if not found.changes:
        return f"No input alone turns it into {found.wanted} within the range of the data."
    ways = [
        f"{name} from {before} to {_far_enough(view, name, row, change, after)}"
        for change in found.changes[:MOST_CHANGES]
        for name, (before, after) in change.changed.items()
    ]
    return f"Smallest changes of one input that turn it into {found.wanted}: {'; or '.join(ways)}."


def _far_enough(view: Explanation, name: str, row: int, change: Change, after: str) -> str:
    """Write a changed number so that typing what is written flips the decision as well."""
    j = view.names.index(name)
    column = view.subject.columns[j]
    start, end = view.subject.x[row, j].item(), float(change.row[j])
    if column.is_categorical or np.isnan(start) or start == end:
        return after
    decimals = 2 - math.floor(math.log10(abs(end - start)))
    away = math.ceil if end > start else math.floor
    value = away(end * 10.0**decimals) / 10.0**decimals
    return f"{value:.{max(decimals, 0)}f}" if column.lower <= value <= column.upper else after


Picked = list[tuple[int, str, str]]


def _of_numbers(predictions: Array, truth: Array | None) -> Picked:
    p = predictions[:, 0]
    order = np.argsort(p, kind="stable")
    found = [
        (int(order[len(p) // 2]), "typical", "its prediction is the median"),
        (int(order[-1]), "highest", "it has the highest prediction"),
        (int(order[0]), "lowest", "it has the lowest prediction"),
    ]
    if truth is not None:
        worst = int(np.abs(truth.astype(float) - p).argmax())
        found.append((worst, "worst error", "its prediction is farthest from the true value"))
    return found


def _of_classes(predictions: Array, names: list[str], truth: Array | None) -> Picked:
    found = []
    for k, name in list(enumerate(names))[:MOST_CLASSES]:
        row = int(predictions[:, k].argmax())
        found.append((row, f"surely {name}", f"the most probable {name}"))
    ordered = np.sort(predictions, axis=1)
    doubtful = int((ordered[:, -1] - ordered[:, -2]).argmin())
    found.append((doubtful, "most doubtful", "its two most probable classes are closest"))
    if truth is not None:
        place = {name: k for k, name in enumerate(names)}
        own = np.array([place.get(_text(label), -1) for label in truth])
        given = np.where(own >= 0, predictions[np.arange(len(own)), np.maximum(own, 0)], np.nan)
        if np.isfinite(given).any() and np.nanmin(given) < 0.5:
            worst = int(np.nanargmin(given))
            found.append((worst, "worst mistake", "its true class got the least probability"))
    return found


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return str(value)
