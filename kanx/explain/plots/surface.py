"""What two inputs do together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kanx.explain.interactions import Interactions, Surface
from kanx.explain.plots.style import BLUE, GREY, get_axes, label, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIVERGING = "RdBu_r"


def plot_surface(surface: Surface, ax: Axes | None = None, *, joint: bool = False) -> Axes:
    """Draw an interaction as a map, with level lines where both inputs are numbers.

    Parameters
    ----------
    surface : Surface
    ax : matplotlib.axes.Axes, optional
    joint : bool, default=False
        Draw the main effects too, not the interaction alone.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, (5.0, 4.0))
    values = (surface.joint if joint else surface.interaction).T  # (second, first)
    most = max(float(np.abs(values).max()), 1e-12)
    numeric = surface.labels[0] is None and surface.labels[1] is None
    image = ax.pcolormesh(
        surface.grids[0],
        surface.grids[1],
        values,
        cmap=DIVERGING,
        vmin=-most,
        vmax=most,
        shading="gouraud" if numeric else "nearest",
        rasterized=True,
    )
    if numeric and np.ptp(values) > 1e-9:
        lines = ax.contour(
            surface.grids[0], surface.grids[1], values, levels=7, colors="black", linewidths=0.5
        )
        ax.clabel(lines, fontsize=7, fmt="%.2g")
    for axis, labels in zip((ax.xaxis, ax.yaxis), surface.labels, strict=True):
        if labels is not None:
            axis.set_ticks(range(len(labels)), [label(text, 14) for text in labels])
    ax.set_xlabel(label(surface.axis_labels[0], 40))
    ax.set_ylabel(label(surface.axis_labels[1], 40))
    bar = ax.figure.colorbar(image, ax=ax)
    what = "joint effect on" if joint else "interaction: effect on"
    bar.set_label(label(f"{what} {surface.target_label}", 44), fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    tidy(ax)
    return ax


def plot_interactions(
    interactions: Interactions, output: int = 0, ax: Axes | None = None, *, most: int = 12
) -> Axes:
    """Draw the strongest pairs' shares of the variance as bars."""
    share = interactions.share[:, output]
    order = [int(n) for n in np.argsort(-share, kind="stable") if share[n] > 1e-3 * share.max()][
        :most
    ]
    ax = get_axes(ax, (5.6, 1.0 + 0.28 * max(len(order), 1)))
    names = interactions.names
    pairs = [interactions.pairs[n] for n in order]
    ax.barh(range(len(order)), share[order], 0.65, color=BLUE)
    ax.set_yticks(
        range(len(order)), [f"{label(names[i], 20)} × {label(names[j], 20)}" for i, j in pairs]
    )
    ax.set_ylim(max(len(order), 1) - 0.5, -0.5)
    ax.set_xlim(0, None)
    if not order:
        ax.text(0.5, 0.5, "no interactions", transform=ax.transAxes, ha="center", color=GREY)
    ax.set_xlabel(f"share of the variance ({interactions.method})")
    tidy(ax)
    return ax
