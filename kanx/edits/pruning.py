"""Edges, nodes and inputs switched off, their means kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from kanx.edits.connections import node_sums
from kanx.edits.rebuild import checked_edge, replaced
from kanx.edits.result import Edited, edited
from kanx.edits.scaling import add_to_output, mean_curves
from kanx.network import KAN


def prune_edges(network: KAN, edges: Iterable[Sequence[int]], *, x: Tensor | None = None) -> Edited:
    """Replace curves by their means.

    Exact where a curve is constant, else the best constant in its place. The means, over the rows
    given or else over the domains, go into the biases of the sums that the curves lead to; a
    direct curve's into the output's bias, and nowhere if the output multiplies or divides. The
    curves are masked: `compact` removes what they leave behind.

    Parameters
    ----------
    network : KAN
    edges : iterable of (int, int, int)
        Layer (an index into ``network.all_layers``), input and output. Pruned ones stay pruned.
    x : Tensor, (rows, in), optional
        Rows of the means, and on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such edge.
    ValueError
        If `x` has missing values where the network takes none.
    """
    doomed = sorted({checked_edge(network, edge) for edge in edges})
    result = replaced(network, {})
    for index in sorted({edge[0] for edge in doomed}):
        mean = mean_curves(network, index, x)
        mask = result.all_layers[index].mask.clone()
        for _, i, o in (edge for edge in doomed if edge[0] == index):
            if mask[i, o] == 0:
                continue
            if not bool(torch.isfinite(mean[i, o])):
                raise ValueError(
                    f"edge {(index, i, o)} has no finite mean over x; fill in the missing values "
                    "or leave such rows out"
                )
            if _has_bias(result, index, o):
                add_to_output(result, index, o, mean[i, o])
            mask[i, o] = 0
        result.all_layers[index].set_mask(mask)
        if not torch.equal(result.all_layers[index].mask, mask):
            raise ValueError(
                f"some edges of layer {index} are shared by several inputs, the elements of a set; "
                "prune those of all of them together"
            )
    return edited(network, result, x)


def prune_nodes(
    network: KAN, nodes: Iterable[tuple[int, int]], *, x: Tensor | None = None
) -> Edited:
    """Replace hidden nodes by the means of their outgoing curves; see `prune_edges`.

    Parameters
    ----------
    network : KAN
    nodes : iterable of (int, int)
        Layer that computes the node (0 for the first hidden layer), and the node.
    x : Tensor, (rows, in), optional
        See `prune_edges`.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such hidden node.
    """
    edges: list[tuple[int, int, int]] = []
    for index, node in nodes:
        check_hidden(network, index, node)
        sums = node_sums(network.nodes[index])[node]
        following = network.layers[index + 1]
        edges += [(index + 1, node, o) for o in range(following.out_features)]
        edges += [(index, i, o) for i in range(network.layers[index].in_features) for o in sums]
    return prune_edges(network, edges, x=x)


def prune_inputs(network: KAN, inputs: Iterable[int], *, x: Tensor | None = None) -> Edited:
    """Replace all curves of inputs by their means; the network still takes as many inputs.

    Parameters
    ----------
    network : KAN
    inputs : iterable of int
    x : Tensor, (rows, in), optional
        See `prune_edges`.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such input.
    """
    first = [0] if network.skip is None else [0, len(network.layers)]
    edges = [
        (index, i, o)
        for i in inputs
        for index in first
        for o in range(network.all_layers[index].out_features)
    ]
    return prune_edges(network, edges, x=x)


def check_hidden(network: KAN, index: int, node: int = 0) -> None:
    """Check that a layer computes hidden nodes and has the one asked for.

    Raises
    ------
    IndexError
        If not.
    """
    hidden = [nodes.width for nodes in list(network.nodes)[:-1]]
    if not 0 <= index < len(hidden):
        raise IndexError(
            f"the network has {len(hidden)} hidden layers, counted from 0; got {index}"
        )
    if not 0 <= node < hidden[index]:
        raise IndexError(
            f"hidden layer {index} has {hidden[index]} nodes, counted from 0; got {node}"
        )


def _has_bias(network: KAN, index: int, output: int) -> bool:
    if network.all_layers[index].bias is not None:
        return True
    return network.layers[-1].bias is not None and output < network.nodes[-1].sums
