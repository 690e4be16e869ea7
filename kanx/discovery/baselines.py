"""Say when a linear or a log-linear model does as well as the formula that was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.data import Data

Array = NDArray[np.float64]
AS_GOOD = 1.05  # largest ratio of the losses at which the simple model does as well


def baseline_notes(data: Data, loss: float) -> list[str]:
    """Return a note for each simple model whose loss is at most 1.05 times ``loss``.

    Parameters
    ----------
    data : Data
        Rows in the user's units.
    loss : float
        Weighted sum of squares of the formula on them.
    """
    notes = []
    ceiling = AS_GOOD * loss + 1e-24 * data.size
    if _weighted_loss(data, _linear_prediction(data.columns, data.y, data.weight)) <= ceiling:
        notes.append("a linear model of the inputs does as well")
    if (data.columns > 0).all() and ((data.y > 0).all() or (data.y < 0).all()):
        logs = np.log(np.abs(data.y))
        fitted = _linear_prediction(np.log(data.columns), logs, data.weight * data.y**2)
        predicted = np.sign(data.y[0]) * np.exp(fitted)
        if _weighted_loss(data, predicted) <= ceiling:
            notes.append("a log-linear model (a product of powers) does as well")
    return notes


def _linear_prediction(columns: Array, target: Array, weight: Array) -> Array:
    design = np.vstack([np.ones_like(target), columns]).T
    root = np.sqrt(weight)
    coefficients = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
    return np.asarray(design @ coefficients, dtype=float)


def _weighted_loss(data: Data, predicted: Array) -> float:
    return float(np.sum(data.weight * (data.y - predicted) ** 2))
