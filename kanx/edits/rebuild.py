"""A network with some of its layers replaced; the old one stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanx.edits.columns import (
    Column,
    columns_of_layer,
    compose,
    is_tied,
    new_bundle,
    single,
)
from kanx.layers import EdgeFamily, KANLayer
from kanx.network import KAN
from kanx.nodes import Nodes

Edge = tuple[int, int, int]


def replaced(
    network: KAN,
    layers: Mapping[int, KANLayer] | Sequence[KANLayer],
    nodes: Sequence[Nodes] | None = None,
    *,
    keep_skip: bool = True,
) -> KAN:
    """Return a copy of a network with other layers.

    Parameters
    ----------
    network : KAN
    layers : mapping of int to KANLayer, or sequence of KANLayer
        By index in ``network.all_layers``; or all layers, without the skip layer.
    nodes : sequence of Nodes, optional
        Those of the new layers; the old ones by default.
    keep_skip : bool, default=True
        Whether the direct curves stay.
    """
    result = copy.deepcopy(network)
    last = len(network.layers)
    if isinstance(layers, Mapping):
        for index, layer in layers.items():
            if index == last:
                result.skip = layer
            else:
                result.layers[index] = layer
    else:
        result.layers = nn.ModuleList(layers)  # type: ignore[assignment]
    if nodes is not None:
        result.nodes = nn.ModuleList(Nodes.of(own) for own in nodes)  # type: ignore[assignment]
    if not keep_skip:
        result.skip = None
    result.in_features = result.layers[0].in_features
    return result.train(network.training)


def change_columns(
    network: KAN,
    change: Callable[[list[EdgeFamily], list[list[int]]], list[EdgeFamily]],
    layers: int | Iterable[int] | None = None,
    inputs: Iterable[int] | None = None,
) -> KAN:
    """Return a copy of a network with the edges of some inputs replaced.

    Parameters
    ----------
    network : KAN
    change : callable
        Takes the edges of the chosen inputs of one layer, each a bundle of one input (a copy), and
        for each the inputs that it stands for: one, or all elements of a set that share it.
        Returns as many bundles of one input; one that it returns itself stays.
    layers : int or iterable of int, optional
        Indices into ``network.all_layers``, in which the skip layer is the last; all by default.
    inputs : iterable of int, optional
        Inputs of these layers; all by default.

    Raises
    ------
    IndexError
        If there is no such layer or input.
    """
    fresh = {}
    inputs = None if inputs is None else list(inputs)
    for index in chosen_layers(network, layers):
        layer = network.all_layers[index]
        columns = columns_of_layer(layer)
        chosen = list(range(layer.in_features)) if inputs is None else sorted(set(inputs))
        if chosen and not 0 <= chosen[0] <= chosen[-1] < layer.in_features:
            raise IndexError(
                f"layer {index} has {layer.in_features} inputs, counted from 0; got {chosen}"
            )
        alone = [i for i in chosen if not is_tied(columns[i].bundle)]
        before = [single(columns[i]) for i in alone]
        changed = change(before, [[i] for i in alone]) if alone else []
        for i, old, new in zip(alone, before, changed, strict=True):
            if new is not old:
                columns[i] = Column(new, 0)
        for bundle, members in zip(layer.bundles, layer.columns, strict=True):
            if is_tied(bundle) and set(members) & set(chosen):
                _change_tied(bundle, members, set(chosen), columns, change)
        fresh[index] = rebuilt_layer(layer, columns)
    return replaced(network, fresh)


def _change_tied(
    bundle: EdgeFamily,
    members: list[int],
    chosen: set[int],
    columns: list[Column],
    change: Callable[[list[EdgeFamily], list[list[int]]], list[EdgeFamily]],
) -> None:
    """Change the functions that the elements of a set share, in the list of columns."""
    if not chosen >= set(members):
        raise ValueError(
            f"the inputs {members} are elements of a set that share their functions; choose all of "
            "them or none"
        )
    inner: Any = bundle.get_submodule("inner")
    features = inner.in_features
    before = [single(Column(inner, k)) for k in range(features)]
    after = change(before, [members[k::features] for k in range(features)])
    layer = compose([Column(new, 0) for new in after], bundle.out_features, None)
    if len(layer.bundles) != 1:
        raise ValueError("the features of the elements of a set need edges of one specification")
    spec = Column(bundle, 0).spec()
    spec["inner"] = Column(layer.bundles[0], 0).spec()
    fresh = new_bundle(spec, bundle.in_features, bundle.out_features, bundle)
    fresh.get_submodule("inner").load_state_dict(layer.bundles[0].state_dict())
    for place, i in enumerate(members):
        columns[i] = Column(fresh, place)


def rebuilt_layer(layer: KANLayer, columns: Sequence[Column]) -> KANLayer:
    """Put a layer together from other columns, with its biases."""
    return compose(columns, layer.out_features, bias_of(layer))


def bias_of(layer: KANLayer) -> Tensor | None:
    """Return a copy of a layer's biases, None where it has none."""
    return None if layer.bias is None else layer.bias.detach().clone()


def chosen_layers(network: KAN, layers: int | Iterable[int] | None) -> list[int]:
    """Check indices into ``network.all_layers``; None stands for all.

    Raises
    ------
    IndexError
        If there is no such layer.
    """
    count = len(network.all_layers)
    if layers is None:
        return list(range(count))
    found = [layers] if isinstance(layers, int) else list(layers)
    for index in found:
        if not 0 <= index < count:
            raise IndexError(
                f"the network has {count} layers, counted from 0 with the direct curves last; got "
                f"{index}"
            )
    return sorted(set(found))


def checked_edge(network: KAN, edge: Sequence[int]) -> Edge:
    """Check an edge ``(layer, input, output)``.

    Raises
    ------
    IndexError
        If there is no such edge.
    """
    if len(edge) != 3:
        raise IndexError(f"an edge is given as (layer, input, output), got {tuple(edge)}")
    index, i, o = (int(k) for k in edge)
    (index,) = chosen_layers(network, index)
    layer = network.all_layers[index]
    if not (0 <= i < layer.in_features and 0 <= o < layer.out_features):
        raise IndexError(
            f"layer {index} has {layer.in_features} inputs and {layer.out_features} outputs, "
            f"counted from 0; there is no edge {(index, i, o)}"
        )
    return index, i, o


def own_edge(network: KAN, edge: Sequence[int]) -> Edge:
    """Check an edge ``(layer, input, output)`` whose function no other edge shares.

    Raises
    ------
    IndexError
        If there is no such edge.
    ValueError
        If elements of a set share it.
    """
    index, i, o = checked_edge(network, edge)
    if is_tied(network.all_layers[index].edge(i)[0]):
        raise ValueError(
            f"the function of edge {(index, i, o)} is shared by the elements of a set and cannot "
            "be changed for one of them"
        )
    return index, i, o


def add_to_bias(layer: KANLayer, output: int, amount: Tensor) -> None:
    """Raise the bias of one output of a layer, in place."""
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias[output] += amount
