"""Constant factors taken out of multiplication nodes."""

from __future__ import annotations

import torch

from kanx.edits.columns import columns_of_layer, compose
from kanx.edits.connections import node_sums
from kanx.edits.rebuild import bias_of, replaced
from kanx.edits.scaling import can_scale, scale_outputs
from kanx.network import KAN
from kanx.nodes import Nodes


def without_constant_factors(network: KAN) -> KAN:
    """Multiply factors that no edge leads to into the other factors of their nodes.

    Exact. A product of one factor becomes an adding node; in the last layer only where the
    outputs stay in their order. A node with a factor of zero is cut off: it is zero. Families
    whose curves cannot be scaled keep their constant factors, see
    `kanx.edits.scaling.scale_curves`.
    """
    result = network
    for index, nodes in enumerate(network.nodes):
        if nodes.products:
            result = _simplified(result, index)
    return result


def _simplified(network: KAN, index: int) -> KAN:
    result = replaced(network, {})
    layer, nodes = result.layers[index], result.nodes[index]
    is_last = index == len(result.layers) - 1
    groups = node_sums(nodes)
    adding = list(range(nodes.sums))
    products: list[int] = []
    for node in range(nodes.sums, nodes.sums + len(nodes.products)):
        groups[node] = _fewer_factors(result, index, groups[node])
        if len(groups[node]) == 1 and not (is_last and products):
            adding.append(node)
        elif len(groups[node]) == 1:  # outputs keep their order: keep a factor of one
            groups[node] = node_sums(nodes)[node]
            products.append(node)
        else:
            products.append(node)
    ratios = list(range(nodes.sums + len(nodes.products), nodes.width))
    order = [*adding, *products, *ratios]
    sums = [k for node in order for k in groups[node]]
    bias = bias_of(layer)
    fresh = {
        index: compose(
            columns_of_layer(layer),
            len(sums),
            None if bias is None else bias[torch.as_tensor(sums).to(bias.device)],
            outputs=sums,
        )
    }
    if not is_last:
        following = result.layers[index + 1]
        columns = columns_of_layer(following)
        ordered = [columns[k] for k in order]
        fresh[index + 1] = compose(ordered, following.out_features, bias_of(following))
    new_nodes = list(result.nodes)
    new_nodes[index] = Nodes(len(adding), [len(groups[k]) for k in products], nodes.ratios)
    return replaced(result, fresh, new_nodes)


def _fewer_factors(network: KAN, index: int, sums: list[int]) -> list[int]:
    """Move constant factors into another one, in place; return the sums that are still needed."""
    layer = network.layers[index]
    if layer.bias is None or not all(can_scale(bundle) for bundle in layer.bundles):
        return sums
    mask = layer.mask
    constant = [k for k in sums if not bool(mask[:, k].any())]
    varying = [k for k in sums if k not in constant]
    if not constant or not varying:
        return sums
    bias = layer.bias.detach().double()
    value = bias[constant].prod()
    if value == 0:
        mask = mask.clone()
        mask[:, sums] = 0
        layer.set_mask(mask)
        with torch.no_grad():
            layer.bias[sums] = 0
        return sums
    factor = torch.ones(layer.out_features).to(bias)
    factor[varying[0]] = value
    scale_outputs(layer, factor)
    with torch.no_grad():
        layer.bias[constant] = 1
    return varying
