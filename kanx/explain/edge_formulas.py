"""Exact expressions of edges and networks in the user's own variables and units."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
import torch

from kanx.explain.curves import node_names, sum_names
from kanx.explain.formula import Formula
from kanx.explain.formula_scale import formula_target, scale_notes
from kanx.explain.nesting import nested
from kanx.explain.subject import Subject
from kanx.layers import KANLayer


@dataclass(frozen=True)
class EdgeFormula:
    """The exact expression of one edge.

    Attributes
    ----------
    layer : int
        Index into ``network.all_layers``.
    edge : (int, int)
        Input and output of the layer.
    source, target : str
    expr : sympy.Expr
        In the symbol of the source; in the target's units where the edge ends at an output. Not
        centred: the whole formula is their sum with one constant.
    """

    layer: int
    edge: tuple[int, int]
    source: str
    target: str
    expr: sp.Expr


def edge_formulas(subject: Subject) -> list[EdgeFormula]:
    """Return the expressions of all edges that are alive and whose family has a closed form."""
    network = subject.network
    depth = len(network.layers)
    found = []
    for index, layer in enumerate(network.all_layers):
        sources = node_names(subject, 0 if index == depth else index)
        targets = sum_names(subject, index)
        to_output = subject.reaches_output(index) and not network.nodes[-1].kinds
        for i, o in torch.nonzero(layer.mask).tolist():
            expr = _edge(layer, i, o, sp.Symbol(sources[i]))
            if expr is None:
                continue
            if to_output:
                expr = _number(subject.target_scale[o].item()) * expr
            found.append(EdgeFormula(index, (i, o), sources[i], targets[o], expr))
    return found


def network_formulas(subject: Subject) -> tuple[Formula, ...]:
    """Return the exact formula of every output; none where an edge has no closed form.

    Categories enter by their codes 0, 1, ...; missing values have no place in a formula.
    """
    network = subject.network
    values: list[sp.Expr] = [sp.Symbol(name) for name in subject.names]
    inputs = values
    for layer, nodes in zip(network.layers, network.nodes, strict=True):
        sums = _sums(layer, values)
        if sums is None:
            return ()
        values = nodes.combine(sums)
    if network.skip is not None:
        direct = _sums(network.skip, inputs)
        if direct is None:
            return ()
        values = [a + b for a, b in zip(values, direct, strict=True)]
    return tuple(_formula(subject, k, value) for k, value in enumerate(values))


def _formula(subject: Subject, output: int, value: sp.Expr) -> Formula:
    scale, mean = subject.target_scale[output].item(), subject.target_mean[output].item()
    expr = value if scale == 1 else _number(scale) * value
    expr = expr if mean == 0 else _number(mean) + expr
    notes = ["This is the network itself, written out; it says nothing about the law behind it."]
    notes += scale_notes(subject, output)
    for j, column in enumerate(subject.columns):
        if column.categories is not None:
            codes = ", ".join(f"{k} = {value}" for k, value in enumerate(column.categories))
            notes.append(f"{subject.names[j]} is a code: {codes}.")
        if column.missing:
            notes.append(f"Rows where {subject.names[j]} is missing are not covered.")
    ranges = {
        column.name: (column.lower, column.upper)
        for column in subject.columns
        if column.categories is None
    }
    return Formula(
        expr,
        subject.names,
        units=subject.units,
        ranges=ranges,
        target=formula_target(subject, output),
        scores={"r2_network": 1.0},
        notes=notes,
    )


def _sums(layer: KANLayer, values: list[sp.Expr]) -> list[sp.Expr] | None:
    """Write the sums of a layer in terms of what enters it; None without a closed form."""
    totals: list[list[sp.Expr]] = [[] for _ in range(layer.out_features)]
    for i, o in torch.nonzero(layer.mask).tolist():
        expr = _edge(layer, i, o, values[i])
        if expr is None:
            return None
        totals[o].append(expr)
    if layer.bias is not None:
        for o, bias in enumerate(layer.bias.detach().double().tolist()):
            totals[o].append(_number(bias))
    return [sp.Add(*parts) for parts in totals]


def _edge(layer: KANLayer, i: int, o: int, value: sp.Expr) -> sp.Expr | None:
    """Write one edge in terms of what enters it; None where its family has no closed form."""
    bundle, place = layer.edge(i)
    if value.is_Symbol:
        return bundle.sympy((place, o), value)
    return nested(bundle, (place, o), value)


def _number(value: float) -> sp.Float:
    return sp.Float(value, 17)
