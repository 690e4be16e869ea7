"""Domains of polynomial edges that follow the values they see."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from kanx.layers import SLAF, KANLayer
from kanx.network import KAN

# room on both sides of the values seen, as a share of their range: new rows go a little further
INPUT_MARGIN, HIDDEN_MARGIN = 0.01, 0.05
WIDE = 0.7  # share of a domain that the values have to fill


def widen_inputs(network: KAN) -> None:
    """Give the domains of polynomial edges on the inputs room for new rows, in place.

    Outside its domain a curve goes on along its tangent, so without room the error there would
    be that of a tangent and not that of the polynomial.
    """
    for bundle in _on_inputs(network):
        room = INPUT_MARGIN * (bundle.upper - bundle.lower)
        bundle.set_domain(bundle.lower - room, bundle.upper + room)


def place_hidden(network: KAN, x: Tensor, *, anew: bool = False) -> bool:
    """Move the domains of polynomial edges on hidden nodes to the values there, in place.

    The curves stay what they are: a polynomial is one of the same degree on every interval.

    Their constants go to the biases.

    Parameters
    ----------
    network : KAN
        Its polynomials are continued by their own formula (``extrapolate="family"``).
    x : Tensor, (rows, in)
    anew : bool
        Whether domains that hold the values, perhaps with hardly any room, are moved too.

    Returns
    -------
    bool
        Whether a domain was moved.
    """
    entering = [x]
    with torch.no_grad():
        for layer, nodes in zip(network.layers[:-1], network.nodes[:-1], strict=True):
            entering.append(nodes(layer(entering[-1])))
    return place_layers(network, entering, anew=anew)


def place_layers(network: KAN, entering: Sequence[Tensor], *, anew: bool = False) -> bool:
    """As `place_hidden`, where it is known what enters the layers, a tensor ``(rows, in)`` each."""
    moved = False
    with torch.no_grad():
        for layer, h in zip(network.layers[1:], entering[1:], strict=True):
            moved = _place_layer(layer, h, anew) or moved
    return moved


def narrowed(network: KAN, x: Tensor) -> KAN:
    """Return a copy whose polynomials end where the values do and go on along their tangents.

    Beyond the rows that it was fitted to, even by a hundredth of their range, a polynomial of a
    high degree is hardly known: what it is there is its error, many times larger. A tangent is
    only wrong by a bend.

    Parameters
    ----------
    network : KAN
        Its polynomials are continued by their own formula (``extrapolate="family"``), those on
        the inputs have the room that `widen_inputs` gives them.
    x : Tensor, (rows, in)
    """
    network = copy.deepcopy(network)
    share = INPUT_MARGIN / (1 + 2 * INPUT_MARGIN)
    h = x
    with torch.no_grad():
        for bundle in _on_inputs(network):
            room = share * (bundle.upper - bundle.lower)
            _move(bundle, bundle.lower + room, bundle.upper - room)
        for index, (layer, nodes) in enumerate(zip(network.layers, network.nodes, strict=True)):
            for edge, columns in zip(layer.bundles, layer.columns, strict=True):
                if index and isinstance(edge, SLAF):
                    _move(edge, *_interval(h[:, columns], 0.0))
            _leave_constants(layer, layer)
            h = nodes(layer(h))
        if network.skip is not None and not network.nodes[-1].kinds:
            _leave_constants(network.skip, network.layers[-1])
    for _, edge, _ in network.bundles():
        if isinstance(edge, SLAF):
            edge.extrapolate = "linear"
    return network


def _leave_constants(layer: KANLayer, owner: KANLayer) -> None:
    """Add the constants of a layer's polynomials to the bias of a layer with the same outputs."""
    if owner.bias is None:
        return
    for edge in layer.bundles:
        if isinstance(edge, SLAF):
            owner.bias.add_((edge.coefficients[0] * edge.mask).sum(0))
            if edge.missing:  # the level of a missing value stands in the place of the curve
                edge.coefficients[-1] -= edge.coefficients[0]
            edge.coefficients[0] = 0


def _on_inputs(network: KAN) -> list[SLAF]:
    layers = [network.layers[0], *([] if network.skip is None else [network.skip])]
    return [edge for layer in layers for edge in layer.bundles if isinstance(edge, SLAF)]


def _interval(values: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return the ends of the values of every column with room as a share of their range."""
    lowest, highest = values.amin(0), values.amax(0)
    # a node that does not vary keeps an interval that has a width
    room = (margin * (highest - lowest)).clamp_min(1e-6 * (1 + highest.abs()))
    return lowest - room, highest + room


def _place_layer(layer: KANLayer, h: Tensor, anew: bool) -> bool:
    moved = False
    for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
        if not isinstance(bundle, SLAF):
            continue
        own = h[:, columns]
        lowest, highest = own.amin(0), own.amax(0)
        inside = (bundle.lower <= lowest) & (highest <= bundle.upper)
        filled = highest - lowest > WIDE * (bundle.upper - bundle.lower)
        if not anew and bool((inside & filled).all()):
            continue
        lower, upper = _interval(own, HIDDEN_MARGIN)
        if bool(torch.isfinite(lower).all() & torch.isfinite(upper).all()):
            _move(bundle, lower, upper)
            moved = True
    if moved:
        _leave_constants(layer, layer)
    return moved


def chebyshev_points(lower: Tensor, upper: Tensor, count: int) -> Tensor:
    """Return Chebyshev's points of intervals, ``(count, in)``, where a polynomial is well known."""
    angle = torch.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count
    t = angle.cos().unsqueeze(-1).to(lower)
    return (lower + upper) / 2 + t * (upper - lower) / 2


def _move(bundle: SLAF, lower: Tensor, upper: Tensor) -> None:
    if not bool(torch.isfinite(lower).all() & torch.isfinite(upper).all()):
        return
    count = bundle.n_basis
    points = chebyshev_points(lower, upper, count)
    values = bundle.curves(points)  # (count, in, out)
    bundle.set_domain(lower, upper)
    features = bundle.expand(points).movedim(-1, 0)[..., :count]  # (in, count, n_basis)
    fresh = bundle.stacked_parameters().detach().clone()
    fresh[:count] = torch.linalg.solve(features, values.movedim(1, 0)).movedim(0, 1)
    bundle.load_stacked(fresh)
