"""The network as a drawing: nodes, edges as thick as they matter, small curves on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from kanx.explain.curves import Curve, Curves, node_names
from kanx.explain.explanation import Explanation
from kanx.explain.report.markup import joined, tag
from kanx.explain.report.panels import colour
from kanx.explain.report.scales import Scale, padded, path
from kanx.explain.report.shares import Shares
from kanx.explain.report.story import pruned_places

Array = NDArray[np.float64]

ROW = 30
TOP = 16
LETTER = 7  # width of a letter of the names, roughly
THUMB_WIDTH, THUMB_HEIGHT = 52, 24
GAP = 150  # from the curves of one layer to the nodes of the next
OUTPUT_WIDTH = 120
MAX_NAME = 24
MOST_INPUTS = 50  # of more, only those that the report shows are drawn


@dataclass(frozen=True)
class _Layout:
    """Where everything is.

    Attributes
    ----------
    inputs : list of int
        Those that are drawn.
    rest : str
        What stands for the others; empty where there are none.
    counts : list of int
        Places for nodes, from the inputs to the outputs.
    starts : list of int
        Horizontal position of every layer of nodes.
    centres : list of ndarray
        Vertical positions of the nodes of every layer.
    """

    inputs: list[int]
    rest: str
    counts: list[int]
    starts: list[int]
    centres: list[Array]
    height: int

    @property
    def depth(self) -> int:
        return len(self.counts) - 1

    @property
    def has_output_colours(self) -> bool:
        return self.counts[-1] > 1

    def shows(self, layer: int, node: int) -> bool:
        return layer > 0 or node in self.inputs

    def at(self, layer: int, node: int) -> tuple[float, float]:
        place = self.inputs.index(node) if layer == 0 else node
        return self.starts[layer], float(self.centres[layer][place])


def drawing(view: Explanation, shares: Shares) -> Markup:
    """Draw the network of an explained model.

    Every node shows the curves that leave it; edges are as thick as their share of the output's
    variance, those that are pruned faint and dotted. Of very many inputs the least important are
    only counted.
    """
    network = view.subject.network
    inputs, rest = _inputs(view, shares)
    counts = [len(inputs) + bool(rest), *(nodes.width for nodes in network.nodes)]
    height = TOP * 2 + ROW * max(counts)
    longest = max(len(rest), *(min(len(view.names[j]), MAX_NAME) for j in inputs))
    starts = [24 + LETTER * longest + (THUMB_WIDTH + GAP + 44) * k for k in range(len(counts))]
    centres = [_spread(count, height) for count in counts]
    layout = _Layout(inputs, rest, counts, starts, centres, height)
    width = starts[-1] + 12 + OUTPUT_WIDTH
    return tag(
        "svg",
        joined(_edges(view, layout)),
        joined(_nodes(view, layout)),
        *_rest(layout),
        viewBox=f"0 0 {width} {height}",
        role="img",
        class_="network",
        style=f"min-width:{min(width, 520)}px;max-width:{width * 1.35:.0f}px",
        aria_label="drawing of the network",
    )


def _inputs(view: Explanation, shares: Shares) -> tuple[list[int], str]:
    """Return the inputs to draw, in the order of the columns, and what stands for the others."""
    if len(view.names) <= MOST_INPUTS:
        return list(range(len(view.names))), ""
    gone = pruned_places(view)
    shown, folded = shares.split(gone)
    parts = [f"{len(folded)} small ones"] if folded else []
    parts += [f"{len(gone)} pruned"] if gone else []
    return sorted(shown), ", ".join(parts)


def _rest(layout: _Layout) -> list[Markup]:
    if not layout.rest:
        return []
    y = f"{layout.centres[0][-1] + 4:.1f}"
    return [tag("text", layout.rest, x=layout.starts[0] - 10, y=y, class_="end faint")]


def _spread(count: int, height: float) -> Array:
    """Place nodes one under the other, spread over the height if there are few."""
    pitch = min((height - 2 * TOP) / count, 2.5 * ROW)
    return height / 2 + pitch * (np.arange(count, dtype=float) - (count - 1) / 2)


def _edges(view: Explanation, layout: _Layout) -> list[Markup]:
    found = []
    for layer, shares in enumerate(view.importances.edges):
        is_direct = layer == layout.depth
        first, last = (0, layout.depth) if is_direct else (layer, layer + 1)
        ends = _ends(view, last - 1)
        for curve in view.curves.select(layer=layer):
            i, o = curve.edge
            if not layout.shows(first, i):
                continue
            x, y = layout.at(first, i)
            begin = (x + 16 + THUMB_WIDTH, y)
            x, y = layout.at(last, ends[o])
            share = float(shares[i, o].mean())
            found.append(_edge(curve, begin, (x - 8, y), share, _style(curve, layout), is_direct))
    return found


def _ends(view: Explanation, layer: int) -> list[int]:
    """Return the node that every sum of a layer ends in; factors of a product share one."""
    nodes = view.subject.network.nodes[layer]
    found = list(range(nodes.sums))
    for k, arity in enumerate(nodes.arities):
        found += [nodes.sums + k] * arity
    return found


def _style(curve: Curve, layout: _Layout) -> str:
    return colour(curve.edge[1] if curve.ends_at_output and layout.has_output_colours else 0)


def _edge(
    curve: Curve,
    begin: tuple[float, float],
    end: tuple[float, float],
    share: float,
    style: str,
    is_direct: bool,
) -> Markup:
    bend = (end[0] - begin[0]) * 0.45
    line = (
        f"M{begin[0]:.0f} {begin[1]:.1f}C{begin[0] + bend:.0f} {begin[1]:.1f} "
        f"{end[0] - bend:.0f} {end[1]:.1f} {end[0]:.0f} {end[1]:.1f}"
    )
    if not curve.is_alive:
        return tag("path", d=line, class_="edge pruned")
    return tag(
        "path",
        d=line,
        class_=f"edge {style}" + (" direct" if is_direct else ""),
        stroke_width=f"{0.7 + 7 * np.sqrt(max(share, 0)):.2f}",
        data_tip=f"{curve.source} → {curve.target}: {100 * share:.1f} % of the variance",
    )


def _nodes(view: Explanation, layout: _Layout) -> list[Markup]:
    found: list[Markup] = []
    for layer in range(layout.depth + 1):
        names = node_names(view.subject, layer)
        weights = view.importances.nodes[layer].mean(-1)
        for place, name in enumerate(names):
            if not layout.shows(layer, place):
                continue
            leaving = _leaving(view.curves, layer, layout.depth, place)
            found += _node(name, layer, place, leaving, float(weights[place]), layout)
    return found


def _leaving(curves: Curves, layer: int, depth: int, place: int) -> list[Curve]:
    """Return the living curves of a node, direct ones to the output included."""
    layers = {layer, depth} if layer == 0 else {layer}
    return [
        curve
        for curve in curves
        if layer < depth and curve.layer in layers and curve.edge[0] == place and curve.is_alive
    ]


def _node(
    name: str, layer: int, place: int, leaving: Sequence[Curve], weight: float, layout: _Layout
) -> list[Markup]:
    x, y = layout.at(layer, place)
    is_output = layer == layout.depth
    faint = "" if leaving or is_output else " faint"
    shown = name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
    style = colour(place if is_output and layout.has_output_colours else 0)
    tip = name if is_output else f"{name}: {100 * weight:.1f} % of the variance"
    if is_output:
        label = tag("text", shown, x=x + 10, y=f"{y + 4:.1f}")
    elif layer == 0:
        label = tag("text", shown, x=x - 10, y=f"{y + 4:.1f}", class_=f"end{faint}")
    else:  # lines arrive from the left
        label = tag("text", shown, x=x, y=f"{y - 8:.1f}", class_=f"middle over{faint}")
    return [
        tag("circle", cx=x, cy=f"{y:.1f}", r=4.5, class_=f"node {style}{faint}", data_tip=tip),
        label,
        *_thumbnail(leaving, x + 12, y - THUMB_HEIGHT / 2, layout),
    ]


def _thumbnail(curves: Sequence[Curve], left: float, top: float, layout: _Layout) -> list[Markup]:
    """Draw all curves that leave a node into one small frame."""
    if not curves:
        return []
    low = min(float(curve.value.min()) for curve in curves)
    high = max(float(curve.value.max()) for curve in curves)
    y = Scale(*padded(low, high, 0.12), top + THUMB_HEIGHT, top)
    parts = [
        tag(
            "rect",
            x=f"{left:g}",
            y=f"{top:.1f}",
            width=THUMB_WIDTH,
            height=THUMB_HEIGHT,
            rx=3,
            class_="frame",
        )
    ]
    for curve in curves:
        grid, values = curve.grid, curve.value
        if curve.labels is not None:  # steps, one per category
            grid = np.repeat(np.arange(len(values) + 1.0), 2)[1:-1]
            values = np.repeat(values, 2)
        x = Scale(float(grid[0]), float(grid[-1]), left + 3, left + THUMB_WIDTH - 3)
        line = path(x(grid), y(values))
        parts.append(tag("path", d=line, class_=f"thumb {_style(curve, layout)}"))
    return parts
