"""Curves with error bands over the data they were learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kanx.explain.curves import Curve
from kanx.explain.plots.style import (
    BLUE,
    CYCLE,
    GREY,
    MOST_LABELS,
    ORANGE,
    draw_line,
    get_axes,
    label,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def plot_curve(curve: Curve, ax: Axes | None = None, *, colour: str = BLUE) -> Axes:
    """Draw one curve: band, data below it, bars for categories, a mark for missing values.

    Parameters
    ----------
    curve : Curve
    ax : matplotlib.axes.Axes, optional
        Drawn into; a new figure otherwise.
    colour : str, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, (4.0, 3.0))
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    if not curve.is_alive:
        colour = GREY
    if curve.labels is not None:
        _bars(ax, curve, colour)
    else:
        draw_line(ax, curve, colour)
        _histogram(ax, curve)
        _missing(ax, curve)
    ax.set_xlabel(label(curve.source_label, 34))
    ax.set_ylabel(label(f"effect on {curve.target_label}", 34))
    if not curve.is_alive:
        ax.text(0.5, 0.6, "pruned", transform=ax.transAxes, ha="center", color=GREY, fontsize=9)
    tidy(ax)
    return ax


def plot_curves(
    curves: Sequence[Curve],
    axes: Any = None,
    *,
    columns: int | None = None,
    share_y: bool = True,
) -> Figure | SubFigure:
    """Draw a grid of curves, by default with one scale, so that their sizes compare.

    Parameters
    ----------
    curves : sequence of Curve
    axes : sequence of Axes, optional
        One for every curve; a new figure otherwise.
    columns : int, optional
        Curves side by side.
    share_y : bool, default=True

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not curves:
        raise ValueError("there is no curve to draw: all of them are pruned, or none was selected")
    if axes is None:
        panels = _new_grid(len(curves), columns)
    else:
        panels = list(np.ravel(axes))
        if len(panels) < len(curves):
            raise ValueError(f"{len(curves)} curves need as many axes, got {len(panels)}")
    for curve, ax in zip(curves, panels, strict=False):
        plot_curve(curve, ax)
    if share_y:
        used = panels[: len(curves)]
        same_heights(used)
        first = [ax for ax in used if _is_first(ax)]
        for ax in used:
            if ax not in first and ax.get_ylabel() == used[0].get_ylabel():
                ax.set_ylabel("")
    return panels[0].figure


def plot_effects_together(curves: Sequence[Curve], ax: Axes | None = None) -> Axes:
    """Draw the effects of one input on several outputs in one picture, told apart by line style."""
    ax = get_axes(ax)
    styles = ("-", "--", "-.", ":")
    for k, curve in enumerate(curves):
        colour = CYCLE[k % len(CYCLE)]
        if curve.labels is not None:
            width = 0.8 / len(curves)
            place = np.arange(len(curve.labels)) + (k - (len(curves) - 1) / 2) * width
            ax.bar(place, curve.value, width, color=colour, label=label(curve.target))
            continue
        draw_line(ax, curve, colour)
        ax.lines[-1].set(linestyle=styles[k % len(styles)], label=label(curve.target))
    if curves and curves[0].labels is not None:
        _category_ticks(ax, curves[0].labels)
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    ax.set_xlabel(label(curves[0].source_label, 34))
    ax.set_ylabel("effect")
    ax.legend(fontsize=8, frameon=False)
    tidy(ax)
    return ax


def same_heights(panels: Sequence[Axes]) -> None:
    """Give all panels the vertical range that the widest of them needs."""
    low = min(ax.get_ylim()[0] for ax in panels)
    high = max(ax.get_ylim()[1] for ax in panels)
    for ax in panels:
        ax.set_ylim(low, high)


def _is_first(ax: Axes) -> bool:
    place = ax.get_subplotspec()
    return place is None or place.is_first_col()


def _new_grid(count: int, columns: int | None) -> list[Axes]:
    import matplotlib.pyplot as plt

    across = columns or min(count, 3 if count <= 9 else 4 if count <= 16 else 5)
    down = math.ceil(count / across)
    _, axes = plt.subplots(
        down, across, figsize=(3.1 * across, 2.5 * down), squeeze=False, layout="constrained"
    )
    panels = list(axes.ravel())
    for ax in panels[count:]:
        ax.set_visible(False)
    return panels


def _bars(ax: Axes, curve: Curve, colour: str) -> None:
    assert curve.labels is not None
    place = np.arange(len(curve.labels), dtype=float)
    value, std = curve.value, curve.std
    names = list(curve.labels)
    if curve.missing is not None:
        place = np.append(place, len(names))
        value, std = np.append(value, curve.missing[0]), np.append(std, curve.missing[1])
        names.append("missing")
    error = 1.96 * std if np.isfinite(std).all() else None
    bars = ax.bar(place, value, 0.7, yerr=error, color=colour, capsize=3, ecolor=GREY)
    if curve.missing is not None:
        bars[-1].set(facecolor="none", edgecolor=ORANGE, hatch="///")
    counts = list(curve.support.counts) + [curve.support.missing] * (curve.missing is not None)
    for x, count in zip(place, counts, strict=True):
        if len(names) <= MOST_LABELS:
            ax.annotate(
                f"n={count}",
                (x, 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=6,
                color=GREY,
            )
    ax.margins(y=0.15)
    _category_ticks(ax, names)


def _category_ticks(ax: Axes, names: Sequence[str]) -> None:
    step = math.ceil(len(names) / MOST_LABELS)
    shown = range(0, len(names), step)
    crowded = sum(len(names[k]) for k in shown) > 24
    ax.set_xticks(
        list(shown),
        [label(names[k], 14) for k in shown],
        rotation=40 if crowded else 0,
        ha="right" if crowded else "center",
    )


def _histogram(ax: Axes, curve: Curve) -> None:
    """Draw where the data are, along the bottom, in a tenth of the height."""
    support = curve.support
    if not support.counts.any():
        return
    heights = support.counts / support.counts.max() * 0.1
    ax.bar(
        support.edges[:-1],
        heights,
        np.diff(support.edges),
        align="edge",
        transform=ax.get_xaxis_transform(),
        color=GREY,
        alpha=0.35,
        linewidth=0,
        zorder=0,
    )
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.14 * (high - low), high)  # the curve stays above the data


def _missing(ax: Axes, curve: Curve) -> None:
    """Mark the value of missing inputs to the right of the curve."""
    if curve.missing is None:
        return
    value, std = curve.missing
    low, high = curve.grid[0], curve.grid[-1]
    at = high + 0.08 * (high - low)
    ax.errorbar(
        [at],
        [value],
        yerr=[1.96 * std] if np.isfinite(std) else None,
        fmt="D",
        markersize=4,
        color=ORANGE,
        capsize=3,
    )
    ax.annotate(
        "missing",
        (at, value),
        xytext=(0, 7),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color=ORANGE,
    )
