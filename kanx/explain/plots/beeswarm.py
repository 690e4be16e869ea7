"""The contributions of every input over many rows, and their shares of the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanx.explain.importances import Importances
from kanx.explain.local import Contributions
from kanx.explain.plots.style import BLUE, GREY, get_axes, is_dark, label, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 60
COLOURS = "cividis"  # even in lightness for colour-blind eyes
VISIBLE = {False: (0.0, 0.9), True: (0.3, 1.0)}  # its parts that stand out on light and dark pages


def plot_beeswarm(
    contributions: Contributions, output: int = 0, ax: Axes | None = None, *, most: int = 20
) -> Axes:
    """Draw a dot for every row and input: its contribution, coloured by the input's rank.

    Crosses are rows where the input is missing; categories, which have no order, are grey.

    Parameters
    ----------
    contributions : Contributions
        Of many rows.
    output : int, default=0
    ax : matplotlib.axes.Axes, optional
    most : int, default=20
        Inputs that are drawn, those with the largest mean contribution.

    Returns
    -------
    matplotlib.axes.Axes
    """
    values = contributions.values[:, :, output]
    size = np.abs(values).mean(0)
    order = [int(j) for j in np.argsort(-size, kind="stable") if size[j] > 0][:most]
    ax = get_axes(ax, (6.8, 1.2 + 0.36 * max(len(order), 1)))
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    dots = None
    colours = _colours()
    for y, j in enumerate(order):
        offset = _offsets(values[:, j])
        absent = np.isnan(contributions.inputs[:, j])
        plain_dots = ~absent & contributions.categorical[j]  # codes have no order to colour
        coloured = ~absent & ~plain_dots
        level = _ranks(contributions.inputs[:, j])
        ax.scatter(values[absent, j], y + offset[absent], s=9, color=GREY, marker="x", linewidths=1)
        ax.scatter(values[plain_dots, j], y + offset[plain_dots], s=9, color=GREY, linewidths=0)
        if coloured.any():
            dots = ax.scatter(
                values[coloured, j],
                y + offset[coloured],
                s=9,
                c=level[coloured],
                cmap=colours,
                vmin=0,
                vmax=1,
                linewidths=0,
            )
    ax.set_yticks(range(len(order)), [label(contributions.names[j]) for j in order])
    ax.set_ylim(len(order) - 0.5, -0.6)
    ax.set_xlabel(label(f"contribution to {contributions.target_labels[output]}", 60))
    if dots is not None:
        bar = ax.figure.colorbar(dots, ax=ax, ticks=[0, 1], aspect=40, pad=0.02)
        bar.ax.set_yticklabels(["low", "high"], fontsize=8)
        bar.set_label("input", fontsize=8, labelpad=-8)
        bar.outline.set_visible(False)
    tidy(ax)
    return ax


def plot_importances(
    importances: Importances, output: int | None = None, ax: Axes | None = None, *, most: int = 20
) -> Axes:
    """Draw the inputs' shares of the variance as bars with the error over the posterior.

    Parameters
    ----------
    importances : Importances
    output : int, optional
        One output; the mean over all of them by default.
    ax : matplotlib.axes.Axes, optional
    most : int, default=20
        Inputs that are drawn, the most important ones.
    """
    if output is None:
        share, std = importances.features.mean(1), importances.features_std.mean(1)
    else:
        share, std = importances.features[:, output], importances.features_std[:, output]
    order = [j for j in importances.ranking(output) if share[j] > 0][:most]
    ax = get_axes(ax, (5.6, 0.9 + 0.28 * max(len(order), 1)))
    error = None
    if np.isfinite(std).all():
        half = 1.96 * std[order]
        error = np.stack([np.minimum(half, share[order]), np.minimum(half, 1 - share[order])])
    ax.barh(
        range(len(order)),
        share[order],
        0.65,
        xerr=error,
        color=BLUE,
        ecolor=GREY,
        capsize=2,
    )
    ax.set_yticks(range(len(order)), [label(importances.names[j]) for j in order])
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlim(0, None)
    of = "" if output is None else f" of {label(importances.target_names[output])}"
    ax.set_xlabel(f"share of the variance{of}")
    tidy(ax)
    return ax


def _colours() -> Any:
    """Return the part of the colour map that stands out on the page."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    low, high = VISIBLE[is_dark()]
    return ListedColormap(mpl.colormaps[COLOURS](np.linspace(low, high, 128)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0 to 1, ties shared; NaN stays."""
    found = np.full(len(values), np.nan)
    present = ~np.isnan(values)
    distinct, inverse = np.unique(values[present], return_inverse=True)
    found[present] = inverse / max(len(distinct) - 1, 1)
    return found


def _offsets(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each dot moves sideways, so that dots of one bin lie side by side."""
    low, span = values.min(), np.ptp(values) or 1.0
    bins = np.floor((values - low) / span * (BINS - 1)).astype(int)
    order = np.argsort(bins, kind="stable")
    first = np.searchsorted(bins[order], bins[order])
    number = np.empty(len(values))
    number[order] = np.arange(len(values)) - first
    side = np.where(number % 2 == 0, 1, -1) * np.ceil(number / 2)
    most = np.bincount(bins).max()
    return side * min(0.07, 0.8 / max(most, 1))
