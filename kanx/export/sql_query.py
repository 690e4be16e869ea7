"""A model's layers as steps of an SQL query.

A curve's pieces are the rows of a table of constants, joined where the input lies; so the text of
the query stays short, and databases with many constants in one expression are spared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kanx.export.exported import ExportedLayer
from kanx.export.pieces import Categories, Pieces

MOST_JOINS = 16  # databases limit the tables of one join


class Query:
    """Steps of a query; each computes columns from those of the step before.

    Parameters
    ----------
    table : str
        What the first step reads, quoted.
    keep : list of str
        Columns, quoted, that all steps pass on.
    materialized : bool
        Whether steps are marked ``MATERIALIZED``.
    prefix : str
        Start of all names of the steps and their columns.
    """

    def __init__(self, table: str, keep: list[str], materialized: bool, prefix: str) -> None:
        self.source = table
        self.keep = keep
        self.word = "MATERIALIZED " if materialized else ""
        self.prefix = prefix
        self.steps: list[str] = []

    def own(self, name: str) -> str:
        """Return the name of a column of a step."""
        return self.prefix + name

    def step(self, columns: dict[str, str], carried: Sequence[str], joins: str = "") -> None:
        """Add a step: its new columns, and those of the step before that are still needed."""
        shown = [*self.keep, *map(self.own, carried)]
        shown += [f"{expression} AS {self.own(name)}" for name, expression in columns.items()]
        name = f"{self.prefix}step{len(self.steps)}"
        body = ",\n  ".join(shown)
        self.steps.append(f"{name} AS {self.word}(SELECT\n  {body}\n  FROM {self.source}{joins})")
        self.source = name

    def pieces(self, curve: Pieces, name: str, inside: str) -> str:
        """Add the table of a curve's pieces and return the join that finds the one of a row."""
        _, count, outputs = curve.coefficients.shape
        names = ["low", "high", "centre"]
        names += [f"c{o}_{power}" for o in range(outputs) for power in range(count)]
        breaks = curve.breaks
        centres, halves = (breaks[1:] + breaks[:-1]) / 2, np.diff(breaks) / 2
        ends = np.append(breaks[1:-1], np.inf)
        rows = []
        for k, powers in enumerate(curve.coefficients):
            scaled = powers / halves[k] ** np.arange(count)[:, None]  # of (t - centre)
            high = breaks[-1] + 1 if np.isinf(ends[k]) else ends[k]
            values = [breaks[k], high, centres[k], *scaled.T.ravel()]
            rows.append(f"({', '.join(map(number, values))})")
        table = self.own(name)
        body = ",\n  ".join(rows)
        self.steps.append(f"{table} ({', '.join(names)}) AS (VALUES\n  {body})")
        return f"\n  LEFT JOIN {table} ON {inside} >= {table}.low AND {inside} < {table}.high"


def add_layer(
    query: Query, layer: ExportedLayer, names: list[str], stem: str, needed: list[str]
) -> list[str]:
    """Add the steps of a layer.

    Parameters
    ----------
    query : Query
    layer : ExportedLayer
    names : list of str
        Columns that hold the layer's inputs.
    stem : str
        Start of the names of this layer's columns.
    needed : list of str
        Columns that later steps need too.

    Returns
    -------
    list of str
        Columns that hold the layer's nodes.
    """
    own = query.own
    pieces = [curve for curve in layer.curves if isinstance(curve, Pieces)]
    carried = list(dict.fromkeys([*names, *needed]))
    query.step({f"{stem}t{c.input}": _normalised(c, own(names[c.input])) for c in pieces}, carried)
    held: dict[str, str] = {}
    for c in pieces:
        t, first, last = own(f"{stem}t{c.input}"), number(c.breaks[0]), number(c.breaks[-1])
        held[f"{stem}i{c.input}"] = (
            f"CASE WHEN {t} < {first} THEN {first} WHEN {t} > {last} THEN {last} ELSE {t} END"
        )
        held[f"{stem}b{c.input}"] = f"CASE WHEN {t} < {first} THEN {t} - {first} ELSE 0.0 END"
        held[f"{stem}a{c.input}"] = f"CASE WHEN {t} > {last} THEN {t} - {last} ELSE 0.0 END"
    query.step(held, carried)
    sums = [number(bias) for bias in layer.bias]
    for first_curve in range(0, len(layer.curves), MOST_JOINS):
        chunk = layer.curves[first_curve : first_curve + MOST_JOINS]
        columns, joins = _sums(query, chunk, names, stem, sums)
        named = {f"{stem}s{first_curve}_{o}": value for o, value in enumerate(columns)}
        query.step(named, [*carried, *held], joins)
        sums = [own(name) for name in named]
    nodes = {f"{stem}{o}": sums[o] for o in range(layer.sums)}
    start = layer.sums
    for kind, arity in layer.combined:
        nodes[f"{stem}{len(nodes)}"] = _node(kind, sums[start : start + arity])
        start += arity
    query.step(nodes, carried)
    return list(nodes)


def total(terms: list[str]) -> str:
    """Add up by halves: databases limit how deep an expression is."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f"({total(terms[:half])} + {total(terms[half:])})"


def number(value: float) -> str:
    """Write a floating-point number."""
    text = repr(float(value))
    text = text if "." in text or "e" in text else text + ".0"
    return f"({text})" if text.startswith("-") else text


def _sums(
    query: Query,
    curves: Sequence[Pieces | Categories],
    names: list[str],
    stem: str,
    sums: list[str],
) -> tuple[list[str], str]:
    """Return the sums so far plus some inputs' curves, and the joins that these need."""
    terms = [[so_far] for so_far in sums]
    joins = []
    for curve in curves:
        x = query.own(names[curve.input])
        if isinstance(curve, Pieces):
            name = f"{stem}p{curve.input}"
            joins.append(query.pieces(curve, name, query.own(f"{stem}i{curve.input}")))
            values = [_value(query, curve, o, stem) for o in range(len(curve.outputs))]
            fallback = None
        else:
            values = [_category(curve, o, x) for o in range(len(curve.outputs))]
            fallback = "0.0"
        for o, output in enumerate(curve.outputs):
            missing = fallback if curve.missing is None else number(curve.missing[o])
            if missing is not None:
                values[o] = f"CASE WHEN {x} IS NULL THEN {missing} ELSE {values[o]} END"
            terms[output].append(values[o])
    return [total(own) for own in terms], "".join(joins)


def _node(kind: str, sums: list[str]) -> str:
    if kind == "product":
        return " * ".join(sums)
    if kind == "ratio A":
        return f"{sums[0]} / {total(['1.0', *(f'ABS({s})' for s in sums[1:])])}"
    q = [f"(1.0 + {s})" for s in sums[2:]]
    second = f"{q[1]} * {sums[1]}" if len(q) == 2 else sums[1]
    return f"({q[0]} * {sums[0]} + {second}) / {total(['1.0', *(f'{own} * {own}' for own in q)])}"


def _category(curve: Categories, o: int, x: str) -> str:
    branches = " ".join(f"WHEN {k} THEN {number(v)}" for k, v in enumerate(curve.values[:, o]))
    return f"CASE {x} {branches} ELSE 0.0 END"


def _value(query: Query, curve: Pieces, o: int, stem: str) -> str:
    inside, below, above = (query.own(f"{stem}{letter}{curve.input}") for letter in "iba")
    alias = query.own(f"{stem}p{curve.input}")
    text = f"{alias}.c{o}_{curve.coefficients.shape[1] - 1}"
    for power in range(curve.coefficients.shape[1] - 2, -1, -1):
        text = f"({text} * ({inside} - {alias}.centre) + {alias}.c{o}_{power})"
    low, high = (number(tail) for tail in curve.tails[:, o])
    return f"({text} + {below} * {low} + {above} * {high})"


def _normalised(curve: Pieces, x: str) -> str:
    t = f"(2.0 * {x} - {number(curve.middle)}) / {number(curve.width)}"
    return f"({t}) - 2.0 * FLOOR((({t}) + 1.0) / 2.0)" if curve.periodic else t
