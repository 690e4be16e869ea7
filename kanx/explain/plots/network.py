"""The network as a drawing, with every important curve on its edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kanx.explain.curves import Curve
from kanx.explain.explanation import Explanation
from kanx.explain.plots.network_layout import BOX, NEGLIGIBLE, Edge, Layout, Node, Point, lay_out
from kanx.explain.plots.style import BLUE, GREY, ORANGE, get_axes, ink, label, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_network(
    view: Explanation,
    ax: Axes | None = None,
    *,
    max_inputs: int = 50,
    max_nodes: int = 24,
    max_curves: int = 50,
) -> Axes:
    """Draw the network: curves on the edges, thickness by importance, pruned edges faint.

    Parameters
    ----------
    view : Explanation
    ax : matplotlib.axes.Axes, optional
        Drawn into; by default a new figure of the size that the network needs.
    max_inputs : int, default=50
        Inputs that are drawn, the most important ones.
    max_nodes : int, default=24
        The same of the nodes of every hidden layer.
    max_curves : int, default=50
        Curves that are drawn between two layers, the most important ones; the others are lines, and
        so are all that carry less than 0.2 % of the variance.

    Returns
    -------
    matplotlib.axes.Axes
    """
    layout = lay_out(view, max_inputs, max_nodes, max_curves)
    size = (layout.right - layout.left, layout.upper - layout.lower)
    ax = get_axes(ax, size)
    ax.set_xlim(layout.left, layout.right)
    ax.set_ylim(layout.lower, layout.upper)
    ax.set_aspect("equal")
    ax.set_axis_off()
    most = max([edge.share for edge in layout.edges], default=0.0) or 1.0
    for edge in sorted(layout.edges, key=lambda e: e.share):
        _draw_edge(ax, edge, edge.share / most)
    for edge in layout.edges:
        if edge.box is not None:
            _draw_box(ax, edge.curve, edge.box, edge.share / most)
    for depth, nodes in enumerate(layout.nodes):
        for node in nodes:
            _draw_node(ax, node, depth, len(layout.nodes) - 1)
    _draw_notes(ax, layout)
    return ax


def _draw_edge(ax: Axes, edge: Edge, strength: float) -> None:
    if not edge.curve.is_alive:
        _draw_path(ax, edge.start, edge.end, GREY, 0.6, 0.3, (0, (2, 3)))
        return
    width = 0.7 + 4.3 * strength
    alpha = 0.35 + 0.45 * strength
    if edge.box is None:
        _draw_path(ax, edge.start, edge.end, ink(), width, 0.5 * alpha)
        return
    x, y = edge.box
    _draw_path(ax, edge.start, (x - BOX[0] / 2, y), ink(), width, alpha)
    _draw_path(ax, (x + BOX[0] / 2, y), edge.end, ink(), width, alpha)


def _draw_path(
    ax: Axes,
    start: Point,
    end: Point,
    colour: str,
    width: float,
    alpha: float,
    dashes: object = "-",
) -> None:
    """Draw a smooth line that leaves and arrives horizontally."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    middle = (start[0] + end[0]) / 2
    path = Path(
        [start, (middle, start[1]), (middle, end[1]), end],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    ax.add_patch(
        PathPatch(
            path,
            facecolor="none",
            edgecolor=colour,
            linewidth=width,
            alpha=alpha,
            linestyle=dashes,
            capstyle="butt",
            zorder=1,
        )
    )


def _draw_box(ax: Axes, curve: Curve, at: Point, strength: float) -> None:
    """Draw a curve in its box, scaled to fill it; the edge's thickness tells its size."""
    from matplotlib.patches import FancyBboxPatch

    width, height = BOX
    left, bottom = at[0] - width / 2, at[1] - height / 2
    ax.add_patch(
        FancyBboxPatch(
            (left, bottom),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=paper(ax),
            edgecolor=ink(),
            linewidth=0.7,
            zorder=3,
        )
    )
    low, high = float(curve.value.min()), float(curve.value.max())
    reach = (high - low) or 1.0
    inner = (0.82 * width, 0.72 * height)

    def up(values: np.ndarray) -> np.ndarray:
        return at[1] + ((values - low) / reach - 0.5) * inner[1]

    if curve.labels is not None:
        count = len(curve.value)
        place = left + 0.09 * width + inner[0] * (np.arange(count) + 0.5) / count
        ax.bar(
            place,
            up(curve.value) - (at[1] - inner[1] / 2) + 0.02,
            0.8 * inner[0] / count,
            at[1] - inner[1] / 2 - 0.02,
            color=ORANGE,
            zorder=4,
        )
        return
    along = (curve.grid - curve.grid[0]) / (curve.grid[-1] - curve.grid[0])
    x = left + 0.09 * width + along * inner[0]
    ax.plot(x, up(curve.value), color=BLUE, linewidth=1.2 + 0.8 * strength, zorder=4)


def _draw_node(ax: Axes, node: Node, depth: int, last: int) -> None:
    from matplotlib.patches import Circle

    x, y = node.at
    faint = node.share < NEGLIGIBLE
    colour = GREY if faint else ink()
    if 0 < depth < last:
        ax.add_patch(Circle(node.at, 0.15, facecolor=paper(ax), edgecolor=colour, zorder=5))
        text = "×" if node.is_product else label(node.name, 6)
        ax.text(x, y, text, ha="center", va="center", fontsize=7, color=colour, zorder=6)
        return
    ax.add_patch(Circle(node.at, 0.07, facecolor=colour, edgecolor=colour, zorder=5))
    side = -1 if depth == 0 else 1
    ax.text(
        x + 0.16 * side,
        y,
        label(node.name),
        ha="right" if depth == 0 else "left",
        va="center",
        fontsize=9,
        color=colour,
        zorder=6,
    )


def _draw_notes(ax: Axes, layout: Layout) -> None:
    if layout.notes:
        unique = list(dict.fromkeys(layout.notes))
        ax.text(
            layout.left + 0.1,
            layout.lower + 0.08,
            "; ".join(unique),
            fontsize=7,
            color=GREY,
            ha="left",
            va="bottom",
        )
