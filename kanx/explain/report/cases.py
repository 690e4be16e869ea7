"""A few rows to look at closely: typical ones, extreme ones, doubtful ones and mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kanx.explain.explanation import Explanation
from kanx.explain.local import read_contributions
from kanx.explain.report.playable import predictions_of

Array = NDArray[np.float64]
MOST_CLASSES = 4


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
    """

    title: str
    caption: str
    row: Array
    actual: str | None
    contributions: Array

    def to_dict(self) -> dict[str, Any]:
        """Return the case as JSON; None for missing entries."""
        return {
            "title": self.title,
            "caption": self.caption,
            "row": [None if np.isnan(v) else float(v) for v in self.row],
            "actual": self.actual,
            "contributions": self.contributions.tolist(),
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


def choose_cases(view: Explanation, y: ArrayLike | None = None) -> tuple[list[Case], str]:
    """Choose rows and split their predictions into contributions.

    Parameters
    ----------
    view : Explanation
    y : array, (rows,), optional
        True targets of the explained rows, to find the worst mistake.

    Returns
    -------
    cases : list of Case
    note : str
        What the contributions are.
    """
    subject = view.subject
    predictions = predictions_of(subject.outputs(subject.x).numpy(), view.link)
    truth = None if y is None or len(np.asarray(y)) != view.n_rows else np.asarray(y)
    if truth is not None and truth.ndim > 1:
        truth = truth[:, 0]
    names = class_names(view)
    picked = _of_classes(predictions, names, truth) if names else _of_numbers(predictions, truth)
    rows = [row for row, _, _ in picked]
    parts = read_contributions(subject, subject.x[rows], view.random_state)
    cases = [
        Case(
            title,
            f"Row {row + 1} of the {view.n_rows} explained: {why}.",
            subject.x[row].numpy(),
            None if truth is None else _text(truth[row]),
            parts.values[k],
        )
        for k, (row, title, why) in enumerate(picked)
    ]
    return cases, parts.note


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
