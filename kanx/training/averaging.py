"""The average of several networks with one hidden layer is one wider network."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kanx.layers import Composite, EdgeFamily, KANLayer, LinearFamily
from kanx.network import KAN


def average(networks: Sequence[KAN]) -> KAN:
    r"""Return the network that computes the mean of the given ones, exactly.

    Hidden nodes stand side by side, outer curves are divided by the number of networks, and the
    curves that go straight from an input to the output are averaged.

    Parameters
    ----------
    networks : sequence of KAN
        With the same inputs, outputs and edge families, the same grids on the inputs and at most
        one hidden layer.

    Raises
    ------
    ValueError
        If the networks are deeper or differ in their inputs.
    """
    first = networks[0]
    if len(networks) == 1:
        return first
    depth = len(first.layers)
    if depth > 2 or any(len(net.layers) != depth for net in networks):
        raise ValueError("only networks with the same depth of at most two layers can be averaged")
    if any(nodes.kinds for net in networks for nodes in net.nodes):
        raise ValueError("networks with multiplication or ratio nodes cannot be averaged")
    if depth == 1:
        result = _like(first, [first.in_features, first.out_features])
        _mean_of([net.layers[0] for net in networks], result.layers[0])
        return result
    width = sum(net.nodes[0].width for net in networks)
    result = _like(first, [first.in_features, width, first.out_features])
    _side_by_side([net.layers[0] for net in networks], result.layers[0])
    _stack_outer([net.layers[1] for net in networks], result.layers[1])
    if result.skip is not None:
        _mean_of([net.skip for net in networks if net.skip is not None], result.skip)
    return result


def can_average(network: KAN) -> bool:
    """Say whether networks of this form from several starts can be averaged into one.

    They can with at most one hidden layer of adding nodes and curves that are linear in their
    parameters.
    """
    adds = len(network.layers) <= 2 and not any(nodes.kinds for nodes in network.nodes)
    return adds and all(_is_linear(bundle) for _, bundle, _ in network.bundles())


def _is_linear(bundle: EdgeFamily) -> bool:
    parts = bundle.parts if isinstance(bundle, Composite) else [bundle]
    return all(isinstance(part, LinearFamily) for part in parts)


def _like(network: KAN, widths: list[int]) -> KAN:
    hidden = network.layers[-1].specs()[0] if len(widths) > 2 else None
    result = KAN(
        widths,
        network.layers[0].specs(),
        hidden_edge=hidden,
        skip=network.skip is not None,
        random_state=0,
    )
    return result.to(next(network.parameters()).dtype)


def _copy_grids(source: KANLayer, target: KANLayer) -> None:
    for old, new in zip(source.bundles, target.bundles, strict=True):
        buffers = dict(old.named_buffers())
        for name, buffer in new.named_buffers():
            if name != "mask" and buffer.shape == buffers[name].shape:
                buffer.copy_(buffers[name])


def _mean_of(sources: list[KANLayer], target: KANLayer) -> None:
    with torch.no_grad():
        _copy_grids(sources[0], target)
        for k, bundle in enumerate(target.bundles):
            own = [s.bundles[k] for s in sources]
            masked = [b.stacked_parameters() * b.mask for b in own]
            bundle.load_stacked(torch.stack(masked).mean(0))
            bundle.mask.copy_(torch.stack([b.mask for b in own]).amax(0))
        if target.bias is not None:
            target.bias.copy_(torch.stack(_biases(sources)).mean(0))


def _side_by_side(sources: list[KANLayer], target: KANLayer) -> None:
    with torch.no_grad():
        _copy_grids(sources[0], target)
        for k, bundle in enumerate(target.bundles):
            own = [s.bundles[k] for s in sources]
            bundle.load_stacked(torch.cat([b.stacked_parameters() for b in own], dim=-1))
            bundle.mask.copy_(torch.cat([b.mask for b in own], dim=-1))
        if target.bias is not None:
            target.bias.copy_(torch.cat(_biases(sources)))


def _stack_outer(sources: list[KANLayer], target: KANLayer) -> None:
    share = 1 / len(sources)
    with torch.no_grad():
        parts = [s.bundles[0].stacked_parameters() for s in sources]
        target.bundles[0].load_stacked(torch.cat(parts, dim=1) * share)
        target.bundles[0].mask.copy_(torch.cat([s.bundles[0].mask for s in sources]))
        if target.bias is not None:
            target.bias.copy_(torch.stack(_biases(sources)).mean(0))


def _biases(layers: list[KANLayer]) -> list[torch.Tensor]:
    return [layer.bias for layer in layers if layer.bias is not None]
