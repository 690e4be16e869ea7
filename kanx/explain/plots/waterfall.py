"""How one prediction comes about, input by input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kanx.explain.local import Contributions
from kanx.explain.plots.style import BLUE, GREY, ORANGE, get_axes, ink, label, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_waterfall(
    contributions: Contributions,
    row: int = 0,
    output: int = 0,
    ax: Axes | None = None,
    *,
    most: int = 12,
) -> Axes:
    """Draw the contributions to one prediction as steps from the average to the prediction.

    Steps up are orange and steps down blue, as in maps of interactions and in the report.

    Parameters
    ----------
    contributions : Contributions
    row : int, default=0
    output : int, default=0
    ax : matplotlib.axes.Axes, optional
    most : int, default=12
        Inputs that get a step of their own, the largest contributions; the others share one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    IndexError
        If there is no such row.
    """
    rows = len(contributions.values)
    if not -rows <= row < rows:
        raise IndexError(f"there is no row {row}; the contributions are those of {rows} rows")
    names, steps = _steps(contributions, row, output, most)
    ax = get_axes(ax, (6.4, 1.1 + 0.34 * len(steps)))
    base = float(contributions.base[output])
    ends = base + np.cumsum(steps)
    starts = np.concatenate([[base], ends[:-1]])
    place = np.arange(len(steps))
    span = max(np.ptp(np.append(ends, base)), 1e-12)
    for y, start, step in zip(place, starts, steps, strict=True):
        ax.barh(y, step, 0.62, left=start, color=ORANGE if step >= 0 else BLUE)
        end = start + step
        ax.annotate(
            f"{step:+.3g}",
            (max(start, end), y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
        ax.plot([end, end], [y - 0.31, y + 1.31], color=GREY, linewidth=0.7)
    ax.axvline(base, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    ax.set_yticks([*place, len(steps)], [*names, "prediction"])
    prediction = float(contributions.prediction[row, output])
    ax.plot([prediction], [len(steps)], marker="D", color=ink(), markersize=6)
    ax.annotate(
        f"{prediction:.4g}",
        (prediction, len(steps)),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )
    reached = [base, prediction, *ends]
    ax.set_xlim(min(reached) - 0.05 * span, max(reached) + 0.16 * span)
    ax.set_ylim(len(steps) + 0.6, -1.3)
    low, high = ax.get_xlim()
    side = (base - low) / (high - low)
    anchor = "left" if side < 0.2 else "right" if side > 0.8 else "center"
    ax.text(base, -0.55, f"average {base:.4g}", ha=anchor, va="bottom", fontsize=8, color=GREY)
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel(label(contributions.target_labels[output], 60))
    if contributions.outside[row].any():
        ax.set_title("values beyond the training data are marked !", fontsize=8, color=ORANGE)
    tidy(ax)
    return ax


def _steps(
    contributions: Contributions, row: int, output: int, most: int
) -> tuple[list[str], np.ndarray]:
    """Return labels and sizes of the steps, the largest first, the rest and the residual last."""
    values = contributions.values[row, :, output]
    order = [int(j) for j in np.argsort(-np.abs(values), kind="stable") if values[j] != 0]
    shown, rest = order[:most], order[most:]
    names = []
    for j in shown:
        mark = "! " if contributions.outside[row, j] else ""
        value = label(contributions.shown[row][j], 14)
        names.append(f"{mark}{label(contributions.names[j])} = {value}")
    steps = [values[j] for j in shown]
    if rest:
        names.append(f"{len(rest)} other inputs")
        steps.append(values[rest].sum())
    residual = contributions.residual[row, output]
    if abs(residual) > 1e-6 * max(1.0, np.abs(values).max()):
        names.append("not accounted for")
        steps.append(residual)
    return names, np.array(steps or [0.0]) if names else np.zeros(0)
