"""A search that knows the units: first among dimensionless groups, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import sympy as sp

from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.dimensions import Consistency
from kanx.discovery.engine import Search
from kanx.discovery.trees import (
    Tree,
    constant,
    evaluate,
    from_sympy,
    monomial,
    product,
    scaled,
    substitute,
    variable,
)
from kanx.discovery.units import (
    Dimensions,
    combined,
    dimensionless,
    own_dimensions,
    unit_text,
)
from kanx.explain.formula import Formula

MOST_SEEDS = 30
LARGEST_RANGE = 1e6  # of the gate: beyond, its powers would ruin the weights


def search_groups(search: Search, consistency: Consistency, deadline: Deadline) -> list[Tree]:
    """Return laws ``gate * f(groups)`` found among the dimensionless groups of the columns.

    Parameters
    ----------
    search : Search
        The search of the columns themselves.
    consistency : Consistency
        Units of its columns and of its target.
    deadline : Deadline
        When to stop.
    """
    data = search.data
    positive = [bool(column.min() > 0) for column in data.columns]
    found = dimensionless(consistency.columns, consistency.target, positive)
    if found is None or not any(consistency.columns):
        return []
    inputs = [variable(k) for k in range(len(data.columns))]
    gate_tree = monomial(found.gate, inputs)
    group_trees = [monomial(group, inputs) for group in found.groups]
    gate = evaluate(gate_tree, data.columns)
    if not gate.max() < LARGEST_RANGE * gate.min():
        return []
    if not group_trees:
        return [product(constant(1.0), gate_tree)]
    target = data.y / gate
    size = float(np.sqrt(np.mean(target**2)))
    weight = data.weight * gate**2
    columns = np.array([evaluate(tree, data.columns) for tree in group_trees])
    reduced = Data(columns, target / size, weight / weight.mean(), size)
    archive = replace(search, data=reduced, deadline=deadline, penalty=None, report=None).run()
    return [
        product(gate_tree, scaled(substitute(candidate.tree, group_trees), size))
        for candidate in [*archive.near()[:MOST_SEEDS], *archive.front()]
    ]


def units_notes(formula: Formula, dimensions: Mapping[str, Dimensions], target: str) -> list[str]:
    """Say whether constants of a formula carry units, and which units are none of the SI."""
    symbols = [sp.Symbol(name) for name in formula.names]
    judge = Consistency(
        [dimensions.get(name, {}) for name in formula.names], dimensions.get(target, {})
    )
    notes = []
    if judge.penalty(from_sympy(formula.expr, symbols)) > 0:
        notes.append("the units agree only if constants carry units" + _carried(formula, judge))
    strangers = own_dimensions(dimensions)
    if strangers:
        notes.append(f"taken as dimensions of their own, for they are no units: {strangers}")
    return notes


def _carried(formula: Formula, judge: Consistency) -> str:
    """Return the unit of the leading constant where it carries all there is to carry."""
    number, rest = formula.expr.as_coeff_Mul()
    tree = from_sympy(rest, [sp.Symbol(name) for name in formula.names])
    own = judge.dimensions_of(tree)
    if not number.is_Float or own is None:
        return ""
    unit = combined([(judge.target, Fraction(1)), (own, Fraction(-1))])
    return f": {float(number):.4g} has the unit {unit_text(unit)}"
