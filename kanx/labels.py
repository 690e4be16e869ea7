"""Class labels as users hold them, and their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight


def check_labels(labels: Iterable[Any]) -> None:
    """Refuse labels that are missing, or that have no order because some are text and some not.

    Parameters
    ----------
    labels : iterable
        Of Python objects.

    Raises
    ------
    ValueError
        The message names the first such row.
    """
    first: Any = None
    for row, label in enumerate(labels):
        if label is None or type(label).__name__ in ("NAType", "NaTType") or label != label:
            raise ValueError(
                f"the labels y contain NaN or None: row {row} holds {label!r}; remove such rows or "
                "give them a class of their own"
            )
        if row == 0:
            first = label
        elif isinstance(label, str) != isinstance(first, str):
            raise ValueError(
                f"all labels y must be text or all must be numbers, but row 0 holds {first!r} and "
                f"row {row} holds {label!r}; turn all of them into text"
            )


def class_weights(
    class_weight: str | Mapping[Any, float] | None, labels: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the weight of every row's class.

    Parameters
    ----------
    class_weight : "balanced", mapping from class to float, or None
    labels : ndarray, (rows,)

    Raises
    ------
    ValueError
        If a weight is negative or no finite number.
    """
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            number = isinstance(weight, int | float | np.number)
            if not number or not np.isfinite(weight) or weight < 0:
                raise ValueError(
                    f"class_weight must give every class zero or a positive number, got {weight!r} "
                    f"for the class {label!r}"
                )
    weights: NDArray[np.float64] = compute_sample_weight(class_weight, labels)
    return weights


def check_present(labels: NDArray[Any], weight: NDArray[np.float64]) -> None:
    """Refuse rows of which only those of one class have a weight.

    Parameters
    ----------
    labels, weight : ndarray, (rows,)
    """
    present = np.unique(labels[weight > 0])
    if len(present) < 2:
        raise ValueError(
            "Classifier can't train when only one class is present: every row with weight is "
            f"{present.tolist()}; see sample_weight and class_weight"
        )
