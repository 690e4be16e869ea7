"""From what a user calls a curve to the edge that it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kanx.edits.rebuild import Edge, checked_edge
from kanx.network import KAN

Term = Any  # a name, a pair of names, an edge, or a curve of `kanx.explain`


def find_edge(network: KAN, term: Term, names: Sequence[str], target_names: Sequence[str]) -> Edge:
    """Find the living edge that a term means.

    Parameters
    ----------
    network : KAN
    term : str, (str, str), (int, int, int) or Curve
        The name of an input from which a single living curve leaves; names of an input and a
        target, for the curve that goes straight from one to the other; layer, input and output; or
        a curve of `kanx.explain`.
    names, target_names : sequence of str
        Of inputs and targets.

    Raises
    ------
    ValueError
        If there is no such curve, it is pruned, or the term may mean several.
    IndexError
        If there is no such edge.
    """
    layer = getattr(term, "layer", None)
    if layer is not None:
        term = (layer, *term.edge)
    if isinstance(term, str):
        found = _leaving(network, find_input(term, names))
        if len(found) != 1:
            raise ValueError(
                f"{len(found)} curves leave {term!r}; name one as (layer, input, output) among "
                f"{found}, or pass a curve of kanx.explain(model, X).curves"
            )
        return found[0]
    if isinstance(term, Sequence) and len(term) == 2 and all(isinstance(n, str) for n in term):
        return _direct(network, find_input(term[0], names), find_target(term[1], target_names))
    if not (isinstance(term, Sequence) and len(term) == 3):
        raise ValueError(
            f"a term is the name of an input, the names of an input and a target, an edge (layer, "
            f"input, output) or a curve of kanx.explain, got {term!r}"
        )
    edge = checked_edge(network, term)
    return _living(network, edge)


def find_input(name: str, names: Sequence[str]) -> int:
    """Return the index of an input.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return _find(name, names, "input")


def find_target(name: str, target_names: Sequence[str]) -> int:
    """Return the index of a target.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return _find(name, target_names, "target")


def _find(name: str, names: Sequence[str], kind: str) -> int:
    if name not in names:
        raise ValueError(f"there is no {kind} {name!r}; the {kind}s are {list(names)}")
    return list(names).index(name)


def edges_of_input(network: KAN, index: int) -> list[Edge]:
    """Return all edges that leave an input, pruned ones too."""
    layers = [0] if network.skip is None else [0, len(network.layers)]
    return [
        (layer, index, o) for layer in layers for o in range(network.all_layers[layer].out_features)
    ]


def describe(network: KAN, edge: Edge, names: Sequence[str], target_names: Sequence[str]) -> str:
    """Name an edge in words, such as ``"age → y"`` or ``"age → node 3"``."""
    layer, i, o = edge
    last = len(network.layers) - 1
    direct = layer > last
    source = names[i] if layer == 0 or direct else f"node {i + 1} of layer {layer}"
    reaches = direct or (layer == last and o < network.nodes[-1].sums)
    target = target_names[o] if reaches else f"sum {o + 1} of layer {layer + 1}"
    return f"{source} → {target}"


def _leaving(network: KAN, index: int) -> list[Edge]:
    return [
        edge
        for edge in edges_of_input(network, index)
        if network.all_layers[edge[0]].mask[edge[1], edge[2]] > 0
    ]


def _direct(network: KAN, index: int, output: int) -> Edge:
    if len(network.layers) == 1:
        return _living(network, (0, index, output))
    if network.skip is None:
        raise ValueError(
            "the network has no direct curves from inputs to outputs; name an edge as (layer, "
            "input, output)"
        )
    return _living(network, (len(network.layers), index, output))


def _living(network: KAN, edge: Edge) -> Edge:
    if network.all_layers[edge[0]].mask[edge[1], edge[2]] == 0:
        raise ValueError(f"the edge {edge} is pruned; it has no curve to edit")
    return edge
