"""Two hidden nodes that change places."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.edits.columns import columns_of_layer, compose
from kanx.edits.connections import node_sums
from kanx.edits.pruning import check_hidden
from kanx.edits.rebuild import bias_of, replaced
from kanx.edits.result import Edited, edited
from kanx.network import KAN
from kanx.nodes import Nodes


def swap_nodes(
    network: KAN, layer: int, first: int, second: int, *, x: Tensor | None = None
) -> Edited:
    """Let two hidden nodes of one kind change places, to untangle a drawing.

    Exact.

    Parameters
    ----------
    network : KAN
    layer : int
        Hidden layer, 0 for the first.
    first, second : int
        Nodes of it: both add, both multiply, or both divide.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such node.
    ValueError
        If the nodes are of different kinds.
    """
    for node in (first, second):
        check_hidden(network, layer, node)
    nodes = network.nodes[layer]
    kinds = ["adds"] * nodes.sums
    kinds += ["multiplies"] * len(nodes.products) + ["divides"] * len(nodes.ratios)
    if kinds[first] != kinds[second]:
        raise ValueError(
            f"adding nodes come first, then those that multiply, then those that divide: node "
            f"{first} {kinds[first]} and node {second} {kinds[second]}, so they cannot be swapped"
        )
    order = list(range(nodes.width))
    order[first], order[second] = order[second], order[first]
    return edited(network, _reordered(network, layer, order), x)


def _reordered(network: KAN, layer: int, order: list[int]) -> KAN:
    nodes = network.nodes[layer]
    groups = node_sums(nodes)
    sums = [k for node in order for k in groups[node]]
    before, following = network.layers[layer], network.layers[layer + 1]
    bias = bias_of(before)
    inner = compose(
        columns_of_layer(before),
        len(sums),
        None if bias is None else bias[torch.as_tensor(sums)],
        outputs=sums,
    )
    columns = columns_of_layer(following)
    outer = compose([columns[k] for k in order], following.out_features, bias_of(following))
    fresh = list(network.nodes)
    fresh[layer] = select_nodes(nodes, order)
    return replaced(network, {layer: inner, layer + 1: outer}, fresh)


def select_nodes(nodes: Nodes, order: list[int]) -> Nodes:
    """Return some nodes of a layer in the order given; adding, multiplying, dividing ones."""
    last = nodes.sums + len(nodes.products)
    return Nodes(
        sum(k < nodes.sums for k in order),
        [nodes.products[k - nodes.sums] for k in order if nodes.sums <= k < last],
        [nodes.ratios[k - last] for k in order if k >= last],
    )
