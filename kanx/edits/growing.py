"""More nodes and more layers, which change nothing until they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kanx.edits.columns import Column, columns_of_layer, compose, new_bundle, single
from kanx.edits.pruning import check_hidden
from kanx.edits.rebuild import bias_of, replaced
from kanx.edits.result import Edited, edited, probe
from kanx.edits.scaling import scale_curves
from kanx.edits.transfer import transfer
from kanx.layers import KANLayer, Lookup
from kanx.network import KAN
from kanx.nodes import Nodes, Ratio


def widen(
    network: KAN,
    layer: int = 0,
    sums: int = 1,
    *,
    products: Sequence[int] = (),
    ratios: Sequence[str | Sequence[Any] | Ratio] = (),
    random_state: int | None = None,
    x: Tensor | None = None,
) -> Edited:
    """Add hidden nodes whose outgoing curves are zero.

    Exact. The curves that lead to the new nodes start small and at random, on the grids of their
    neighbours; the outgoing ones are zero and learn first.

    Parameters
    ----------
    network : KAN
    layer : int, default=0
        Hidden layer, 0 for the first.
    sums : int, default=1
        Number of adding nodes to add, after those there are.
    products, ratios
        Multiplication and ratio nodes to add, as `kanx.nodes.Nodes` takes them.
    random_state : int, optional
        Seed of the start; the global generator of torch is used without it.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such hidden layer.
    ValueError
        If nothing is to be added.
    TypeError
        If curves of the family after the new nodes cannot be set to zero.
    """
    check_hidden(network, layer)
    old = network.nodes[layer]
    added = Nodes(sums, products, ratios) if sums or products or ratios else None
    if added is None or sums < 0:
        raise ValueError(f"there must be something to add, got sums={sums} and no other nodes")
    new = Nodes(old.sums + sums, (*old.products, *added.products), (*old.ratios, *added.ratios))
    generator = torch.Generator()
    seed = int(torch.randint(2**31, ())) if random_state is None else random_state
    generator.manual_seed(seed)
    before = network.layers[layer]
    sum_places, node_places = _places(old, added)
    bias = bias_of(before)
    grown = None if bias is None else bias.new_zeros(new.sums_needed)
    if grown is not None and bias is not None:
        grown[sum_places] = bias
    inner = compose(
        columns_of_layer(before), new.sums_needed, grown, places=sum_places, generator=generator
    )
    following = network.layers[layer + 1]
    columns = columns_of_layer(following)
    fresh = single(columns[0])
    scale_curves(fresh, torch.zeros_like(fresh.mask))
    with torch.no_grad():
        fresh.mask.fill_(1)
    ordered = [Column(fresh, 0)] * new.width
    for place, column in zip(node_places, columns, strict=True):
        ordered[place] = column
    outer = compose(ordered, following.out_features, bias_of(following))
    nodes = list(network.nodes)
    nodes[layer] = new
    result = replaced(network, {layer: inner, layer + 1: outer}, nodes)
    return edited(network, result, x)


def deepen(
    network: KAN,
    position: int,
    edge: str | Mapping[str, Any] = "spline",
    *,
    x: Tensor | None = None,
) -> Edited:
    """Insert a layer that passes its inputs on.

    Exact for families that hold straight lines, continued linearly outside their domain: splines,
    Gaussian processes (to their jitter), SLAF, piecewise linear, Fourier, radial-basis and Cauchy
    edges with a trend; the least-squares approximation for others. Every curve of the new layer
    is alive: those beside the identities are zero and can be trained.

    Parameters
    ----------
    network : KAN
    position : int
        Layer that the new one is put before; the number of layers puts it behind the last (and
        before direct curves are added).
    edge : str or mapping, default="spline"
        Family of the new edges; see `KANLayer`.
    x : Tensor, (rows, in), optional
        Rows that say what values enter the new layer, which become its domain; `probe` without.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such position.
    ValueError
        If the layer would come before inputs that are categories or may be missing.
    """
    count = len(network.layers)
    if not 0 <= position <= count:
        raise IndexError(f"position must lie between 0 and {count}, got {position}")
    if position == 0 and any(
        isinstance(bundle, Lookup)
        or getattr(bundle, "missing", False)
        or getattr(bundle, "padded", False)
        for bundle in network.layers[0].bundles
    ):
        raise ValueError(
            "categories and missing values cannot pass through a curve; insert the layer at "
            "position 1 or later"
        )
    rows = probe(network) if x is None else x.to(next(network.parameters()))
    twin = network if network.skip is None else replaced(network, {}, keep_skip=False)
    with torch.no_grad():
        entering = twin.activations(rows)[position]
    layer = _identity(entering, edge, like=network.layers[0])
    layers, nodes = list(network.layers), list(network.nodes)
    layers.insert(position, layer)
    nodes.insert(position, Nodes(entering.shape[1]))
    return edited(network, replaced(network, layers, nodes), x)


def _identity(entering: Tensor, edge: str | Mapping[str, Any], like: KANLayer) -> KANLayer:
    """Return a layer that passes on values such as those given, ``(rows, width)``."""
    asked = {"family": edge} if isinstance(edge, str) else dict(edge)
    width = entering.shape[1]
    pairs = []
    for i in range(width):
        low, high = entering[:, i].amin(), entering[:, i].amax()
        if not bool(low < high):
            low, high = low - 1, high + 1
        line = new_bundle(
            {"family": "piecewise_linear", "control_points": 2}, 1, width, like.bundles[0]
        )
        target = new_bundle(asked, 1, width, like.bundles[0])
        for bundle in (line, target):
            bundle.set_domain(low[None], high[None])
        heights = torch.zeros(2, 1, width).to(entering)
        heights[:, 0, i] = torch.stack([low, high])
        line.load_stacked(heights)
        pairs.append((line, target))
    transfer(pairs)
    bias = torch.zeros(width).to(entering)
    return compose([Column(target, 0) for _, target in pairs], width, bias)


def _places(old: Nodes, added: Nodes) -> tuple[list[int], list[int]]:
    """Return where the old sums and the old nodes are once nodes are added."""
    new_products, old_products = sum(added.products), sum(old.products)
    first = old.sums
    sums = list(range(first))
    sums += [added.sums + k for k in range(first, first + old_products)]
    sums += [added.sums + new_products + k for k in range(first + old_products, old.sums_needed)]
    last_product = first + len(old.products)
    nodes = list(range(first))
    nodes += [added.sums + k for k in range(first, last_product)]
    nodes += [added.sums + len(added.products) + k for k in range(last_product, old.width)]
    return sums, nodes
