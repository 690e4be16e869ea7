"""From an estimator's `constraints` to what every column's curve has to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kanx.layers import Constraint, LinearFamily
from kanx.layers.registry import FAMILIES
from kanx.tables import Column

# one requirement: a name, a mapping with the key "kind", or a Constraint
Wanted = str | Mapping[str, Any] | Constraint


def parse_constraints(
    columns: Sequence[Column], constraints: Mapping[Any, Any] | None
) -> dict[int, list[Constraint]]:
    """Return the constraints of every column that has some.

    Parameters
    ----------
    columns : sequence of Column
    constraints : mapping from name or position to Wanted or a sequence of these

    Raises
    ------
    ValueError
        If a column or a constraint is unknown, or a column holds categories.
    """
    if constraints is None:
        return {}
    if not isinstance(constraints, Mapping):
        raise ValueError(
            "constraints must be a mapping from column to constraint, such as "
            f"{{'age': 'increasing'}}, got {constraints!r}"
        )
    names = [column.name for column in columns]
    found: dict[int, list[Constraint]] = {}
    for key, wanted in constraints.items():
        index = _position(names, key)
        if columns[index].is_categorical:
            raise ValueError(
                f"column {names[index]!r} holds categories, which have no order; constraints are "
                "for numeric columns"
            )
        if isinstance(wanted, str | Mapping | Constraint):
            wanted = [wanted]
        found.setdefault(index, []).extend(_constraint(names[index], one) for one in wanted)
    return found


def constrained_spec(
    spec: Mapping[str, Any], name: str, constraints: Sequence[Constraint], asked: Any
) -> dict[str, Any]:
    """Return the edge specification of a constrained column.

    A fixed function becomes a symbolic edge; a periodic curve is continued by its repetition; a
    Gaussian process of short length-scale has hardly any convex curve, so convex and concave ones
    get length-scale 3 where none was asked for.

    Parameters
    ----------
    spec : mapping
        From `edge_specs`.
    name : str
        Of the column.
    constraints : sequence of Constraint
    asked : collection of str
        Options that the user gave.

    Raises
    ------
    ValueError
        If curves of the family cannot be constrained.
    """
    kinds = {c.kind for c in constraints}
    if "fixed" in kinds:
        return _fixed_spec(name, constraints)
    family = FAMILIES[spec["family"]]
    linear = issubclass(family, LinearFamily) and family.is_metric
    if not linear or spec.get("residual") not in (None, "zero"):
        raise ValueError(
            f"column {name!r} has edges of the family {spec['family']!r}"
            + ("" if linear is False else " with a residual branch")
            + ", which cannot be constrained; choose one that is linear in its coefficients for "
            f"it, such as edge={{{name!r}: 'spline'}}"
        )
    changed = dict(spec)
    if "periodic" in kinds and "extrapolate" not in asked:
        changed["extrapolate"] = "periodic"
    if kinds & {"convex", "concave"} and spec["family"] == "gp":
        if not {"length_scale", "kernel"} & set(asked):
            changed.update(length_scale=3.0, adaptive=False)
    return changed


def _fixed_spec(name: str, constraints: Sequence[Constraint]) -> dict[str, Any]:
    (function,) = (c.function for c in constraints if c.kind == "fixed")
    if len(constraints) > 1 or not isinstance(function, str):
        raise ValueError(
            f"the fixed curve of column {name!r} needs the name of a function in kanx.functions "
            "and no other constraint; use KANLayer.project for functions of your own"
        )
    return {
        "family": "symbolic",
        "function": function,
        "extrapolate": "family",
        "missing": True,
    }


def _position(names: Sequence[str], key: Any) -> int:
    if isinstance(key, str) and key in names:
        return list(names).index(key)
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(names):
        return key
    raise ValueError(f"constraints names the column {key!r}, which X lacks; it has {list(names)}")


def _constraint(name: str, wanted: Any) -> Constraint:
    try:
        if isinstance(wanted, Constraint):
            return replace(wanted)
        return Constraint(wanted) if isinstance(wanted, str) else Constraint(**wanted)
    except (TypeError, ValueError) as error:
        raise ValueError(f"constraint {wanted!r} of column {name!r}: {error}") from error
