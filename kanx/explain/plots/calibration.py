"""Whether probabilities and intervals mean what they say, on rows the model has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, norm

from kanx.explain.plots.style import BLUE, CYCLE, GREY, get_axes, label, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])


def coverage(estimator: Any, X: Any, y: ArrayLike) -> NDArray[np.float64]:
    """Return the share of targets inside the central intervals, ``(levels, targets)``.

    The levels are those of `LEVELS`.

    Parameters
    ----------
    estimator : KANRegressor
    X : table, (rows, features)
        Rows that the model was not fitted on.
    y : array, (rows,) or (rows, targets)
    """
    mean, std = estimator.predict(X, return_std=True)
    distance = np.abs(np.asarray(y, dtype=float) - mean) / std
    half = norm.ppf(0.5 + LEVELS / 2)
    inside = distance.reshape(len(distance), -1)[None] <= half[:, None, None]
    return inside.mean(1)


def plot_coverage(estimator: Any, X: Any, y: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the share of held-out targets inside each interval against its nominal level.

    Above the diagonal intervals are too wide, below it too narrow; the grey band is what chance
    allows (95 %) for so many rows.

    Parameters
    ----------
    estimator : KANRegressor
    X : table, (rows, features)
    y : array, (rows,) or (rows, targets)
    ax : matplotlib.axes.Axes, optional
    """
    if hasattr(estimator, "predict_proba") or not hasattr(estimator, "predict_interval"):
        raise TypeError(
            f"coverage needs a regressor with error bars, got {type(estimator).__name__}; use "
            "plot_calibration for a classifier"
        )
    found = coverage(estimator, X, y)
    rows = len(np.asarray(y))
    ax = get_axes(ax, (4.2, 4.0))
    hits = np.round(LEVELS * rows)
    ax.fill_between(
        LEVELS,
        beta.ppf(0.025, hits + 0.5, rows - hits + 0.5),
        beta.ppf(0.975, hits + 0.5, rows - hits + 0.5),
        color=GREY,
        alpha=0.25,
        linewidth=0,
    )
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    names = estimator.model_.target_names
    for k in range(found.shape[1]):
        ax.plot(LEVELS, found[:, k], color=CYCLE[k % len(CYCLE)], marker="o", label=label(names[k]))
    if found.shape[1] > 1:
        ax.legend(fontsize=8, frameon=False)
    _unit_square(ax)
    ax.set_xlabel("level of the interval")
    ax.set_ylabel(f"share of {rows} held-out rows inside")
    return ax


def plot_calibration(
    estimator: Any, X: Any, y: ArrayLike, ax: Axes | None = None, *, bins: int = 10
) -> Axes:
    """Draw how often a class occurs against the probability that was predicted for it.

    Parameters
    ----------
    estimator : KANClassifier
    X : table, (rows, features)
        Rows that the model was not fitted on.
    y : array, (rows,)
    ax : matplotlib.axes.Axes, optional
    bins : int, default=10
        Groups of rows of similar probability, equally large; the bars are 95 % intervals.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"calibration needs a classifier, got {type(estimator).__name__}; use plot_coverage "
            "for a regressor"
        )
    probability = estimator.predict_proba(X)
    hits = np.asarray(y)[:, None] == estimator.classes_
    binary = len(estimator.classes_) == 2
    ax = get_axes(ax, (4.2, 4.0))
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    for k in [1] if binary else range(len(estimator.classes_)):
        colour = BLUE if binary else CYCLE[k % len(CYCLE)]
        groups = np.array_split(np.argsort(probability[:, k], kind="stable"), bins)
        groups = [group for group in groups if len(group)]
        mean = np.array([probability[group, k].mean() for group in groups])
        count = np.array([len(group) for group in groups])
        found = np.array([hits[group, k].sum() for group in groups])
        rate = found / count
        low = beta.ppf(0.025, found + 0.5, count - found + 0.5)
        high = beta.ppf(0.975, found + 0.5, count - found + 0.5)
        error = np.stack([np.maximum(rate - low, 0), np.maximum(high - rate, 0)])
        name = label(str(estimator.classes_[k]))
        ax.errorbar(
            mean, rate, yerr=error, color=colour, marker="o", markersize=4, capsize=2, label=name
        )
    if not binary:
        ax.legend(fontsize=8, frameon=False)
    _unit_square(ax)
    of = f" of {label(str(estimator.classes_[1]))}" if binary else ""
    ax.set_xlabel(f"predicted probability{of}")
    ax.set_ylabel("share of the rows where it is so")
    return ax


def _unit_square(ax: Axes) -> None:
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_aspect("equal")
    tidy(ax)
