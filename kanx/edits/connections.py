"""Which edges and nodes carry anything from an input to an output."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.nodes import Nodes


def node_sums(nodes: Nodes) -> list[list[int]]:
    """Return the sums that every node takes, in order."""
    found = [[k] for k in range(nodes.sums)]
    start = nodes.sums
    for arity in nodes.arities:
        found.append(list(range(start, start + arity)))
        start += arity
    return found


def live_edges(network: KAN) -> list[Tensor]:
    """Say which edges are on a path from an input to an output, ``bool (in, out)`` per layer.

    Of ``network.all_layers``. Pruned edges are not, nor are those that leave a node which no
    input reaches or that lead to a node which reaches no output.
    """
    alive = [layer.mask > 0 for layer in network.all_layers]
    fed = fed_nodes(network)
    used = torch.ones(network.out_features, dtype=torch.bool).to(alive[0].device)
    found: list[Tensor] = []
    for index in reversed(range(len(network.layers))):
        used_sums = torch.zeros(alive[index].shape[1], dtype=torch.bool).to(used)
        for node, sums in enumerate(node_sums(network.nodes[index])):
            used_sums[sums] = used[node]
        live = alive[index] & fed[index][:, None] & used_sums
        found.insert(0, live)
        used = live.any(1)
    if network.skip is not None:
        found.append(alive[-1])
    return found


def fed_nodes(network: KAN) -> list[Tensor]:
    """Say which inputs of every layer vary with the network's inputs, and which outputs do.

    One ``bool (in,)`` per layer without the skip layer, and one ``bool (outputs,)``.
    """
    mask = network.layers[0].mask
    found = [torch.ones(network.in_features, dtype=torch.bool).to(mask.device)]
    for layer, nodes in zip(network.layers, network.nodes, strict=True):
        sums = ((layer.mask > 0) & found[-1][:, None]).any(0)
        found.append(torch.stack([sums[own].any() for own in node_sums(nodes)]))
    if network.skip is not None:
        found[-1] = found[-1] | (network.skip.mask > 0).any(0)
    return found


def is_connected(network: KAN) -> bool:
    """Say whether every output still depends on some input."""
    return bool(fed_nodes(network)[-1].all())


def live_inputs(network: KAN) -> list[int]:
    """Return the inputs that an output depends on."""
    live = live_edges(network)
    used = live[0].any(1)
    if network.skip is not None:
        used = used | live[-1].any(1)
    return torch.nonzero(used)[:, 0].tolist()
