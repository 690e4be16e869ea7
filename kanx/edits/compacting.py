"""Dead edges, nodes and parts removed, so that they cost nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.edits.columns import columns_of_layer, compose
from kanx.edits.connections import fed_nodes, live_edges, live_inputs, node_sums
from kanx.edits.factors import without_constant_factors
from kanx.edits.parts import without_dead_parts
from kanx.edits.rebuild import bias_of, replaced
from kanx.edits.result import Edited, edited, probe
from kanx.edits.scaling import domain_rows
from kanx.edits.swapping import select_nodes
from kanx.network import KAN


def compact(network: KAN, *, inputs: bool = False, x: Tensor | None = None) -> Edited:
    """Remove what is pruned and whatever only pruned edges lead to or from.

    Exact. Hidden nodes that no input reaches are constants, which go into the biases after them;
    nodes that reach no output disappear; so do factors of multiplication nodes that are constants
    (their number goes into another factor), parts of composite edges that no edge uses, and direct
    curves if all are pruned. Outputs stay in their order, and so do inputs unless they are to go.
    A network whose outputs are all constant keeps one node in every layer.

    Parameters
    ----------
    network : KAN
    inputs : bool, default=False
        Whether inputs without effect go too. The network then takes the columns
        ``live_inputs(network)`` only.
    x : Tensor, (rows, in), optional
        Rows, of all inputs, on which the change of the outputs is measured.

    Returns
    -------
    Edited
    """
    result = replaced(network, {})
    _fold_constants(result)
    result = without_constant_factors(result)
    _fold_constants(result)
    result = _without_dead_nodes(result)
    with torch.no_grad():
        for layer, live in zip(result.all_layers, live_edges(result), strict=True):
            layer.set_mask(live.to(layer.mask))
    if result.skip is not None and not bool(result.skip.mask.any()):
        result = replaced(result, {}, keep_skip=False)
    result = without_dead_parts(result)
    if not inputs:
        return edited(network, result, x)
    kept = live_inputs(result) or [0]
    result = _without_inputs(result, kept)
    rows = probe(network) if x is None else x.to(next(network.parameters()))
    with torch.no_grad():
        error = (result(rows[:, kept]) - network(rows)).abs().amax().item() if len(rows) else 0.0
    return Edited(result, error)


def _fold_constants(network: KAN) -> None:
    """Put the curves of hidden nodes that no input reaches into the biases after them, in place."""
    fed = fed_nodes(network)
    for index in range(len(network.layers) - 1):
        layer, following = network.layers[index], network.layers[index + 1]
        constant = torch.nonzero(~fed[index + 1])[:, 0].tolist()
        if not constant or layer.bias is None or following.bias is None:
            continue
        with torch.no_grad():
            row = domain_rows(following, 1)[0]
            values = torch.stack(network.nodes[index].combine(list(layer.bias)))
            row[constant] = values[constant]
            curves = following.curves(row[None])[0]  # (in, out)
            mask = following.mask.clone()
            following.bias.add_((curves * mask)[constant].sum(0))
            mask[constant] = 0
            following.set_mask(mask)


def _without_dead_nodes(network: KAN) -> KAN:
    """Keep the hidden nodes that carry something, at least one per layer."""
    live = live_edges(network)
    kept = []
    for index in range(len(network.layers) - 1):
        carrying = torch.nonzero(live[index + 1].any(1))[:, 0].tolist()
        kept.append(carrying or [0])
    kept.append(list(range(network.out_features)))
    layers, nodes = [], []
    entering = list(range(network.in_features))
    for index, layer in enumerate(network.layers):
        groups = node_sums(network.nodes[index])
        sums = [k for node in kept[index] for k in groups[node]]
        columns = columns_of_layer(layer)
        bias = bias_of(layer)
        chosen = None if bias is None else bias[torch.as_tensor(sums).to(bias.device)]
        layers.append(compose([columns[i] for i in entering], len(sums), chosen, outputs=sums))
        nodes.append(select_nodes(network.nodes[index], kept[index]))
        entering = kept[index]
    return replaced(network, layers, nodes)


def _without_inputs(network: KAN, kept: list[int]) -> KAN:
    fresh = {}
    first = [0] if network.skip is None else [0, len(network.layers)]
    for index in first:
        layer = network.all_layers[index]
        columns = columns_of_layer(layer)
        fresh[index] = compose([columns[i] for i in kept], layer.out_features, bias_of(layer))
    return replaced(network, fresh)
