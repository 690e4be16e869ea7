"""How the training went: the log evidence or the log posterior, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kanx.explain.explanation import Explanation
from kanx.explain.plots.style import CYCLE, GREY, get_axes, tidy
from kanx.training.options import FIRST_ORDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = ("-", "--", "-.", ":")


def plot_trace(view: Explanation, ax: Axes | None = None) -> Axes:
    """Draw how the training went, for every network that was averaged into the model.

    The log evidence after every round of Levenberg-Marquardt; where the estimator was asked for a
    first-order optimiser, the log posterior of the rows that an epoch met, up to a constant.

    Parameters
    ----------
    view : Explanation
        Of a fitted estimator.
    ax : matplotlib.axes.Axes, optional

    Raises
    ------
    ValueError
        If the model has no record of its training.
    """
    traces = [member.trace for member in view.subject.members]
    if not any(traces):
        raise ValueError("this model has no record of its training; explain a fitted estimator")
    ax = get_axes(ax)
    for k, (trace, member) in enumerate(zip(traces, view.subject.members, strict=True)):
        colour = CYCLE[k % len(CYCLE)]
        name = f"start {k + 1}" + ("" if member.converged else " (not converged)")
        ax.plot(
            range(1, len(trace) + 1), trace, STYLES[k % 4], color=colour, marker=".", label=name
        )
    ax.set_ylim(*_range(traces))
    by_epochs = getattr(view.subject.estimator, "optimizer", "lm") in FIRST_ORDER
    ax.set_xlabel("epoch" if by_epochs else "round")
    ax.set_ylabel("log posterior, up to a constant" if by_epochs else "log evidence")
    if len(traces) > 1 or not view.subject.members[0].converged:
        ax.legend(fontsize=8, frameon=False, loc="lower right")
    ax.grid(axis="y", color=GREY, alpha=0.2)
    tidy(ax)
    return ax


def _range(traces: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Leave out the first rounds' plunge, which would flatten all that comes later."""
    values = np.concatenate([np.asarray(trace) for trace in traces])
    high = values.max()
    settled = np.concatenate([np.asarray(trace)[len(trace) // 4 :] for trace in traces])
    reach = max(high - settled.min(), 1.0)
    return float(max(values.min(), high - 1.5 * reach) - 0.05 * reach), float(high + 0.1 * reach)
