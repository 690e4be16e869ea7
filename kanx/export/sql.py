"""The model as one SQL query of common table expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kanx.export.exported import Exported, exported
from kanx.export.sql_query import Query, add_layer, number, total
from kanx.tables import Column

FARTHEST = 700.0  # logits farther apart make probabilities of zero; EXP must not overflow


def to_sql(
    model: Any, table: str = "data", keep: Sequence[str] = (), materialized: bool = True
) -> str:
    """Write a fitted estimator as a query over a table.

    One row of predictions per row of the table: ``prediction`` or ``prediction of NAME`` for
    targets, ``probability of CLASS`` for classes. NULL is a missing value. The query is standard
    SQL with common table expressions, tested in SQLite; classes need the function EXP.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted
    table : str, default="data"
        Name of the table; its columns have the names of the model's.
    keep : sequence of str
        Columns of the table that the result has as well, such as a key.
    materialized : bool, default=True
        Whether the steps are marked ``MATERIALIZED``, so that the planner computes each once;
        databases that do not know the word need False.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If the model is no fitted estimator.
    ValueError
        If a name cannot be an SQL identifier.
    """
    found = exported(model)
    query = Query(_name(table), [_name(k) for k in keep], materialized, _prefix(found, keep))
    inputs = {f"x{j}": _encoded(column) for j, column in enumerate(found.columns)}
    query.step(inputs, carried=[])
    names = list(inputs)
    for depth, layer in enumerate(found.layers):
        names = add_layer(query, layer, names, f"h{depth}_", list(inputs))
    values = [query.own(name) for name in names]
    if found.skip is not None:
        direct = add_layer(query, found.skip, list(inputs), "d", names)
        pairs = zip(values, map(query.own, direct), strict=True)
        values = [f"({deep} + {shallow})" for deep, shallow in pairs]
    outputs = {
        f"o{o}": f"{number(m)} + {number(s)} * {value}"
        for o, (m, s, value) in enumerate(zip(found.mean, found.scale, values, strict=True))
    }
    query.step(outputs, carried=[])
    predictions = _predictions(found, [query.own(name) for name in outputs])
    shown = [*query.keep, *(f"{value} AS {name}" for name, value in predictions.items())]
    steps, columns = ",\n".join(query.steps), ",\n  ".join(shown)
    return (
        f"-- A model written by kanx. {found.note}\n"
        f"WITH {steps}\nSELECT\n  {columns}\n  FROM {query.source}\n"
    )


def _predictions(found: Exported, outputs: list[str]) -> dict[str, str]:
    """Return what the query ends with: an expression by name."""
    if found.classes is None:
        names = [f"prediction of {target}" for target in found.targets]
        if len(names) == 1:
            names = ["prediction"]
        values = [f"EXP({output})" for output in outputs] if found.link == "log" else outputs
        return {_name(name): value for name, value in zip(names, values, strict=True)}
    logits = ["0.0", *outputs] if found.link == "logistic" else outputs
    values = []
    for k, own in enumerate(logits):
        others = [_exp(f"({other} - {own})") for j, other in enumerate(logits) if j != k]
        values.append(f"1.0 / (1.0 + {total(others)})")
    names = [f"probability of {target}" for target in found.targets]
    return {_name(name): value for name, value in zip(names, values, strict=True)}


def _exp(value: str) -> str:
    most = number(FARTHEST)
    low = f"CASE WHEN {value} < -{most} THEN -{most} ELSE {value} END"
    return f"EXP(CASE WHEN {value} > {most} THEN {most} ELSE {low} END)"


def _encoded(column: Column) -> str:
    """Write a column as a number or a category's code."""
    name = _name(column.name)
    if column.categories is None:
        return f"CAST({name} AS DOUBLE PRECISION)"
    branches = [f"WHEN {name} = {_literal(c)} THEN {k}" for k, c in enumerate(column.categories)]
    return f"CASE WHEN {name} IS NULL THEN NULL {' '.join(branches)} ELSE -1 END"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + _without_nul(str(value)).replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + _without_nul(name).replace('"', '""') + '"'


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"SQL cannot hold the character NUL, as in {text!r}; rename it")
    return text


def _prefix(found: Exported, keep: Sequence[str]) -> str:
    """Return a prefix for the steps' columns that no column of the table starts with."""
    taken = [name.lower() for name in (*(c.name for c in found.columns), *keep)]
    prefix = "kanx_"
    while any(name.startswith(prefix) for name in taken):
        prefix = "kanx_" + prefix
    return prefix
