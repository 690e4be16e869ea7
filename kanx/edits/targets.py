"""Targets as a re-fit takes them, and scores in an estimator's own terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from torch import Tensor

from kanx.training.losses import Poisson

if TYPE_CHECKING:
    from kanx.estimator_base import KANEstimator


def encoded_target(model: KANEstimator, y: ArrayLike, rows: int) -> Tensor:
    """Return targets in the units of the network's loss.

    Standardised numbers ``(rows, outputs)`` for a regressor, or counts; 0 and 1 ``(rows, 1)``, or
    class codes ``(rows,)`` for more than two classes.

    Raises
    ------
    ValueError
        If there are more or fewer targets than rows, a number is not finite, or a class is new.
    """
    values = np.asarray(y)
    if len(values) != rows:
        raise ValueError(f"X has {rows} rows, y has {len(values)}")
    classes = getattr(model, "classes_", None)
    if classes is not None:
        codes = np.searchsorted(classes, values).clip(0, len(classes) - 1)
        strange = sorted({str(v) for v in values[classes[codes] != values]})
        if strange:
            raise ValueError(f"y holds the classes {strange}, the model knows {classes.tolist()}")
        found = torch.from_numpy(codes)
        return found.double()[:, None] if len(classes) == 2 else found
    numbers = np.asarray(values, dtype=np.float64).reshape(rows, -1)
    inner = model.model_
    counts = isinstance(inner.members[0].loss, Poisson)
    if numbers.shape[1] != len(inner.target_scale) or not np.isfinite(numbers).all():
        raise ValueError(
            f"y must hold {len(inner.target_scale)} finite numbers per row, got shape "
            f"{values.shape}"
        )
    if counts:
        if numbers.min(initial=0) < 0:
            raise ValueError(f"y holds counts, which are not negative, got {numbers.min()}")
        return torch.from_numpy(numbers)
    return (torch.from_numpy(numbers) - inner.target_mean) / inner.target_scale


def scores(
    model: KANEstimator, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """Score an estimator: R2 and RMSE of numbers, accuracy and log loss of classes."""
    if hasattr(model, "classes_"):
        probabilities = model.predict_proba(X)  # type: ignore[attr-defined]
        predicted = model.classes_[probabilities.argmax(1)]
        return {
            "accuracy": float(accuracy_score(y, predicted, sample_weight=sample_weight)),
            "log loss": float(
                log_loss(y, probabilities, labels=model.classes_, sample_weight=sample_weight)
            ),
        }
    predicted = model.predict(X)  # type: ignore[attr-defined]
    square = mean_squared_error(y, predicted, sample_weight=sample_weight)
    return {
        "R2": float(r2_score(y, predicted, sample_weight=sample_weight)),
        "RMSE": float(np.sqrt(square)),
    }


def checked_weight(sample_weight: ArrayLike | None, rows: int) -> Tensor:
    """Return sample weights, ones by default, refusing negative ones."""
    if sample_weight is None:
        return torch.ones(rows, dtype=torch.float64)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (rows,) or not np.isfinite(weight).all() or weight.min() < 0:
        raise ValueError(f"sample_weight must hold {rows} numbers that are not negative")
    return torch.from_numpy(weight)
