"""What accuracy costs: formulas by their complexity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kanx.explain.formula import Formula
from kanx.explain.formula_text import plain_text
from kanx.explain.plots.style import BLUE, GREY, ORANGE, get_axes, label, paper, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORES = ("r2_test", "r2_train", "r2_network")
FLOOR = 1e-16  # of the unexplained share: what double precision can tell from zero


def plot_front(
    formulas: Sequence[Formula],
    chosen: Formula | None = None,
    ax: Axes | None = None,
    *,
    score: str | None = None,
) -> Axes:
    """Draw the share of the variance that formulas leave unexplained against their complexity.

    Parameters
    ----------
    formulas : sequence of Formula
        Such as ``formula.front``.
    chosen : Formula, optional
        Marked and written out.
    ax : matplotlib.axes.Axes, optional
    score : str, optional
        An R2 in the formulas' scores; the first of r2_test, r2_train, r2_network that all of them
        have by default.

    Raises
    ------
    ValueError
        If there is no formula or no score that all of them have.
    """
    wanted = SCORES if score is None else (score,)
    own = list(formulas) + ([] if chosen is None else [chosen])
    common = [name for name in wanted if own and all(name in f.scores for f in own)]
    if not common:
        raise ValueError(f"the front needs formulas that all have one of the scores {wanted}")
    name = common[0]
    ax = get_axes(ax)
    ranked = sorted(formulas, key=lambda formula: formula.complexity)
    complexity = [formula.complexity for formula in ranked]
    ax.semilogy(complexity, [_unexplained(f, name) for f in ranked], "o-", color=BLUE)
    if chosen is not None:
        at = (chosen.complexity, _unexplained(chosen, name))
        ax.plot(*at, "D", color=ORANGE, markersize=9, zorder=3)
        right = chosen.complexity > np.mean(complexity or [0])
        ax.annotate(
            label(plain_text(chosen.expr, 3), 48),
            at,
            xytext=(-6 if right else 6, 10),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
            color=ORANGE,
            bbox={"facecolor": paper(ax), "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    ax.set_xlabel("complexity")
    ax.set_ylabel(f"unexplained share of the variance, 1 - {name}")
    ax.grid(axis="y", color=GREY, alpha=0.2)
    tidy(ax)
    return ax


def _unexplained(formula: Formula, score: str) -> float:
    return max(1 - formula.scores[score], FLOOR)
