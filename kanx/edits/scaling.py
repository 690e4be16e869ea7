"""Curves multiplied by a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanx.edits.rebuild import add_to_bias, bias_of, own_edge, replaced
from kanx.edits.result import Edited, edited
from kanx.layers import (
    Cauchy,
    Composite,
    EdgeFamily,
    KANLayer,
    LinearFamily,
    Pade,
    Symbolic,
    Wavelet,
)
from kanx.network import KAN

# parameter groups that the value of a nonlinear family is linear in
VALUE_GROUPS: dict[type[EdgeFamily], tuple[str, ...]] = {
    Pade: ("numerator",),
    Cauchy: ("odd_part", "even_part", "line"),
    Wavelet: ("amplitudes", "line"),
    Symbolic: ("outer_scale", "outer_shift"),
}


def can_scale(bundle: EdgeFamily) -> bool:
    """Say whether the curves of a bundle can be multiplied by a number exactly."""
    if isinstance(bundle, Composite):
        return all(can_scale(part) for part in bundle.parts)
    return isinstance(bundle, LinearFamily) or type(bundle) in VALUE_GROUPS


def scale_curves(bundle: EdgeFamily, factor: Tensor) -> None:
    """Multiply the curves of a bundle by factors ``(in, out)``, in place and exactly.

    Raises
    ------
    TypeError
        If the family has no parameters that scale its curves.
    """
    if not can_scale(bundle):
        raise TypeError(
            f"curves of the family {bundle.name!r} cannot be scaled; change them to another family "
            "first with kanx.edits.change_family"
        )
    with torch.no_grad():
        if isinstance(bundle, Composite):
            for part in bundle.parts:
                scale_curves(part, factor)
        elif isinstance(bundle, LinearFamily):
            bundle.coefficients.mul_(factor.to(bundle.coefficients))
        else:
            names = [*VALUE_GROUPS[type(bundle)], "missing_value"]
            for name in names:
                if hasattr(bundle, name):
                    getattr(bundle, name).mul_(factor.to(bundle.lower))


def scale_outputs(layer: KANLayer, factor: Tensor) -> None:
    """Multiply the sums of a layer, curves and biases, by factors ``(out,)``, in place."""
    for bundle in layer.bundles:
        scale_curves(bundle, factor[None])
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.mul_(factor.to(layer.bias))


def damp(network: KAN, edge: Sequence[int], factor: float, *, x: Tensor | None = None) -> Edited:
    r"""Pull one curve towards its mean: :math:`f \to \bar f + c\,(f - \bar f)`.

    Exact. The mean, over the rows given or else over the domain, goes into the bias of the sum
    that the curve leads to; a direct curve's into the bias of the output.

    Parameters
    ----------
    network : KAN
    edge : (int, int, int)
        Layer (an index into ``network.all_layers``), input and output.
    factor : float
        ``c``: 0 flattens the curve, 1 leaves it, above 1 it is amplified.
    x : Tensor, (rows, in), optional
        Rows of the mean.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such edge.
    TypeError
        If the family has no parameters that scale its curves.
    """
    index, i, o = own_edge(network, edge)
    layer = network.all_layers[index]
    bundle, place = layer.edge(i)
    mean = mean_curves(network, index, x)[i, o]
    result = replaced(network, {})
    target, _ = result.all_layers[index].edge(i)
    factors = torch.ones(bundle.in_features, bundle.out_features).to(bundle.lower)
    factors[place, o] = factor
    scale_curves(target, factors)
    shift = (1 - factor) * mean
    add_to_output(result, index, o, shift)
    return edited(network, result, x)


def mean_curves(network: KAN, index: int, x: Tensor | None) -> Tensor:
    """Return the mean of every living curve of a layer, ``(in, out)``.

    Over rows of the network's inputs, or over the domains where there are none.
    """
    layer = network.all_layers[index]
    with torch.no_grad():
        if x is None:
            return layer.curves(domain_rows(layer)).mean(0)
        entering = x if index == len(network.layers) else network.activations(x)[index]
        return layer.curves(entering.to(next(network.parameters()))).mean(0)


def domain_rows(layer: KANLayer, points: int = 201) -> Tensor:
    """Return rows that run evenly through the domain of every input of a layer, or its codes."""
    rows = torch.empty(points, layer.in_features).to(layer.bundles[0].lower)
    share = torch.linspace(0, 1, points).to(rows)
    for i in range(layer.in_features):
        bundle, place = layer.edge(i)
        low, high = bundle.lower[place], bundle.upper[place]
        if bundle.name == "lookup":
            rows[:, i] = torch.arange(points).to(rows) % len(bundle.get_buffer("codes"))
        else:
            rows[:, i] = low + share * (high - low)
    return rows


def add_to_output(network: KAN, index: int, output: int, amount: Tensor) -> None:
    """Add a constant to a sum of a layer, in place; to the output for the direct curves.

    Raises
    ------
    ValueError
        If it belongs to a direct curve and the output is no sum, which has no bias.
    """
    layer = network.all_layers[index]
    if layer.bias is not None:
        add_to_bias(layer, output, amount)
        return
    last = network.layers[-1]
    if bias_of(last) is None or output >= network.nodes[-1].sums:
        raise ValueError(
            f"output {output} multiplies or divides, so it has no bias that could take the mean of "
            "a direct curve"
        )
    add_to_bias(last, output, amount)
