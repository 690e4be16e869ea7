"""Where everything in a drawing of a network goes, in inches; no two boxes overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kanx.explain.curves import Curve, node_names
from kanx.explain.explanation import Explanation
from kanx.explain.plots.style import shortened

BOX = (0.66, 0.40)  # width and height of a curve's box
PITCH = 0.50  # from one box to the next
NODE_PITCH = 0.46
GAP = 2.5  # from one layer of nodes to the next
LETTER = 0.078  # width of a letter of a label
NEGLIGIBLE = 0.002  # share of the variance below which a curve is not worth its box

Point = tuple[float, float]


@dataclass
class Node:
    """A node and its place."""

    name: str
    at: Point
    share: float
    is_product: bool = False


@dataclass
class Edge:
    """An edge, with a box for its curve where there is room for one."""

    curve: Curve
    start: Point
    end: Point
    share: float
    box: Point | None = None


@dataclass
class Layout:
    """A drawing's nodes by layer, its edges, its size and what it leaves out."""

    nodes: list[list[Node]] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    left: float = 0.0
    right: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    notes: list[str] = field(default_factory=list)


def lay_out(
    view: Explanation, max_inputs: int = 50, max_nodes: int = 24, max_boxes: int = 50
) -> Layout:
    """Place the nodes and curves of a network.

    Parameters
    ----------
    view : Explanation
    max_inputs : int
        Inputs that are drawn, the most important ones.
    max_nodes : int
        The same of the nodes of every hidden layer.
    max_boxes : int
        Curves that are drawn in a gap between two layers, the most important ones; the others
        are lines.
    """
    layout = Layout()
    kept = _kept_nodes(view, max_inputs, max_nodes, layout)
    shown = [c for c in view.curves if _is_shown(view, c, kept)]
    depth = len(view.subject.network.layers)
    shares = {id(c): _share(view, c) for c in shown}
    boxed: dict[int, list[Curve]] = {}
    for layer in range(len(view.subject.network.all_layers)):
        alive = [c for c in shown if c.layer == layer and c.is_alive]
        worth = [c for c in alive if shares[id(c)] >= NEGLIGIBLE] or alive
        best = sorted(worth, key=lambda c: -shares[id(c)])[:max_boxes]
        if len(worth) < len(alive):
            layout.notes.append(f"edges of less than {100 * NEGLIGIBLE:g} % have no box")
        if len(best) < len(worth):
            layout.notes.append(
                f"curves are drawn on the {len(best)} most important of {len(alive)} edges"
            )
        boxed[layer] = sorted(best, key=lambda c: (c.edge[0], c.edge[1]))
    lane = len(boxed.get(depth, [])) * PITCH
    main = max(
        [len(boxed[k]) * PITCH for k in range(depth)]
        + [len(nodes) * NODE_PITCH for nodes in kept[1:]]
    )
    inputs = len(kept[0]) * NODE_PITCH
    main = max(main, inputs - lane)
    _place_nodes(view, layout, kept, main, lane)
    _place_edges(layout, shown, boxed, shares, kept, (main, lane))
    widest = max(len(shortened(node.name)) for node in layout.nodes[0])
    target = max(len(shortened(node.name)) for node in layout.nodes[-1])
    layout.left, layout.right = -widest * LETTER - 0.35, depth * GAP + target * LETTER + 0.4
    layout.lower, layout.upper = -lane - 0.3 - 0.2 * bool(layout.notes), main + 0.15
    return layout


def _kept_nodes(
    view: Explanation, max_inputs: int, max_nodes: int, layout: Layout
) -> list[list[int]]:
    """Return the nodes of every layer that are drawn."""
    network = view.subject.network
    inputs = sorted(view.importances.ranking()[:max_inputs])
    if len(inputs) < len(view.names):
        layout.notes.append(f"less important inputs left out: {len(view.names) - len(inputs)}")
    kept = [inputs]
    for layer in range(1, len(network.layers)):
        share = view.importances.nodes[layer].sum(1)
        alive = [int(k) for k in np.flatnonzero(share > 0)]
        if len(alive) < len(share):
            layout.notes.append(f"hidden nodes without effect left out: {len(share) - len(alive)}")
        best = sorted(sorted(alive, key=lambda k: -share[k])[:max_nodes])
        if len(best) < len(alive):
            layout.notes.append(f"less important hidden nodes left out: {len(alive) - len(best)}")
        kept.append(best)
    kept.append(list(range(network.out_features)))
    return kept


def _is_shown(view: Explanation, curve: Curve, kept: list[list[int]]) -> bool:
    depth = len(view.subject.network.layers)
    if curve.layer == depth and not curve.is_alive:
        return False
    source = kept[0] if curve.starts_at_input else kept[curve.layer]
    return curve.edge[0] in source and _target(view, curve)[1] in kept[_target(view, curve)[0]]


def _target(view: Explanation, curve: Curve) -> tuple[int, int]:
    """Return the layer and the index of the node where an edge ends."""
    depth = len(view.subject.network.layers)
    if curve.layer == depth:
        return depth, curve.edge[1]
    nodes = view.subject.network.nodes[curve.layer]
    if curve.edge[1] < nodes.sums:
        return curve.layer + 1, curve.edge[1]
    ends = nodes.sums + np.cumsum(nodes.arities)
    product = int(np.searchsorted(ends, curve.edge[1], side="right"))
    return curve.layer + 1, nodes.sums + product


def _share(view: Explanation, curve: Curve) -> float:
    i, o = curve.edge
    return float(view.importances.edges[curve.layer][i, o].mean())


def spread_evenly(count: int, lower: float, upper: float) -> list[float]:
    """Return heights of things stacked evenly, the first at the top."""
    step = (upper - lower) / max(count, 1)
    return [upper - step * (k + 0.5) for k in range(count)]


def _place_nodes(
    view: Explanation, layout: Layout, kept: list[list[int]], main: float, lane: float
) -> None:
    network = view.subject.network
    for layer, indices in enumerate(kept):
        whole = layer in (0, len(kept) - 1)
        heights = spread_evenly(len(indices), -lane if whole else 0.0, main)
        names = node_names(view.subject, layer)
        share = view.importances.nodes[layer].mean(1)
        sums = network.nodes[layer - 1].sums if layer else len(names)
        layout.nodes.append(
            [
                Node(names[k], (layer * GAP, y), float(share[k]), k >= sums)
                for k, y in zip(indices, heights, strict=True)
            ]
        )
    if len(layout.nodes[-1]) and network.out_features == 1:
        layout.nodes[-1][0].name = view.subject.output_label(0)


def _place_edges(
    layout: Layout,
    shown: Sequence[Curve],
    boxed: dict[int, list[Curve]],
    shares: dict[int, float],
    kept: list[list[int]],
    heights: tuple[float, float],
) -> None:
    main, lane = heights
    depth = len(kept) - 1
    boxes: dict[int, Point] = {}
    for layer, curves in boxed.items():
        if layer == depth:
            x, ys = depth * GAP / 2, spread_evenly(len(curves), -lane, 0.0)
        else:
            x, ys = (layer + 0.5) * GAP, spread_evenly(len(curves), 0.0, main)
            if depth == 1 and len(kept[1]) == 1:  # an additive model: each box beside its input
                rows = {k: node.at[1] for k, node in zip(kept[0], layout.nodes[0], strict=True)}
                ys = [rows[c.edge[0]] for c in curves]
        for curve, y in zip(curves, ys, strict=True):
            boxes[id(curve)] = (x, y)
    places = [
        {k: node.at for k, node in zip(indices, nodes, strict=True)}
        for indices, nodes in zip(kept, layout.nodes, strict=True)
    ]
    for curve in shown:
        source = 0 if curve.layer == depth else curve.layer
        layer = depth if curve.layer == depth else curve.layer + 1
        end = _end(layout, places, curve, layer)
        start = places[source][curve.edge[0]]
        layout.edges.append(Edge(curve, start, end, shares[id(curve)], boxes.get(id(curve))))


def _end(layout: Layout, places: list[dict[int, Point]], curve: Curve, layer: int) -> Point:
    name = curve.target.split(" (factor ")[0]
    if curve.edge[1] in places[layer] and " (factor " not in curve.target:
        return places[layer][curve.edge[1]]
    return next(node.at for node in layout.nodes[layer] if node.name == name)
