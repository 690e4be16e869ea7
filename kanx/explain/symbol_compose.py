"""A network written out with one chosen form for each of its curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from kanx.explain.edge_fit import X
from kanx.explain.symbol_choices import Choice, Place
from kanx.layers import KANLayer
from kanx.network import KAN


def compose(
    network: KAN,
    names: Sequence[str],
    forms: Mapping[Place, Choice],
    output: int,
    mean: float,
    scale: float,
) -> sp.Expr:
    """Return ``mean + scale * output`` of a network whose curves have the chosen forms.

    Parameters
    ----------
    network : KAN
    names : sequence of str
        Of the inputs.
    forms : mapping of (layer, input, output) to Choice
        Curves that are not listed have no way to the output.
    output : int
    mean, scale : float
    """
    inputs: list[sp.Expr] = [sp.Symbol(name) for name in names]
    values = inputs
    for index, (layer, nodes) in enumerate(zip(network.layers, network.nodes, strict=True)):
        sums = _sums(index, layer, values, forms)
        values = nodes.combine(sums)
    total = values[output]
    if network.skip is not None:
        direct = _sums(len(network.layers), network.skip, inputs, forms)
        total = total + direct[output]
    terms = [sp.Float(scale, 17) * term for term in sp.Add.make_args(total)]
    return sp.Add(sp.Float(mean, 17), *terms)


def _sums(
    index: int, layer: KANLayer, values: list[sp.Expr], forms: Mapping[Place, Choice]
) -> list[sp.Expr]:
    """Return the sums of a layer, each with one constant."""
    bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    terms: list[list[sp.Expr]] = [[] for _ in bias]
    for (at, i, o), form in forms.items():
        if at == index:
            terms[o].append(form.expr.xreplace({X: values[i]}))
            bias[o] += form.constant
    # a constant that happens to be zero must stay free to move
    return [
        sp.Add(sp.Float(constant or 1e-12, 17), *parts)
        for constant, parts in zip(bias, terms, strict=True)
    ]
