"""Turn a formula into a record of plain JSON values, and check such a record when reading it."""

from collections.abc import Callable, Mapping
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, TypeVar

import sympy as sp

from kanx.explain.constants import Constant
from kanx.explain.formula_json import from_tree, to_tree

if TYPE_CHECKING:
    from kanx.explain.formula import Formula

FORMAT = "kanx.formula"
VERSION = 1
MAX_RELATED = 1000  # formulas on a front, or alternatives

_F = TypeVar("_F", bound="Formula")


def to_record(formula: "Formula", with_related: bool = True) -> dict[str, Any]:
    """Return a formula as a dictionary of JSON values; unknown numbers become null.

    Members of the front and the alternatives are written without their own.
    """
    record: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "expr": to_tree(formula.expr),
        "names": list(formula.names),
        "target": formula.target,
        "status": formula.status,
        "constants": [
            {
                "value": constant.value,
                "standard_error": _finite_or_none(constant.standard_error),
                "exact": None if constant.exact is None else to_tree(constant.exact),
            }
            for constant in formula.constants
        ],
        "units": dict(formula.units),
        "ranges": {name: list(ends) for name, ends in formula.ranges.items()},
        "scores": {name: _finite_or_none(v) for name, v in formula.scores.items()},
        "notes": list(formula.notes),
    }
    if with_related:
        for name in ("alternatives", "front"):
            related = getattr(formula, name)
            record[name] = [to_record(other, with_related=False) for other in related]
    return record


def from_record(record: Any, build: Callable[..., _F]) -> _F:
    """Return ``build(expr, names, ...)`` from a record, after checking every part of it.

    Raises
    ------
    ValueError
        If a part is missing or is not what ``to_record`` writes.
    """
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError("this JSON text is not a kanx formula")
    if record.get("version") != VERSION:
        raise ValueError(
            f"this formula has version {record.get('version')!r}; this kanx reads {VERSION}"
        )
    try:
        related = {
            name: [from_record(other, build) for other in _list(record.get(name, []), MAX_RELATED)]
            for name in ("alternatives", "front")
        }
        return build(
            _expression(record["expr"]),
            [_text(name) for name in _list(record["names"])],
            constants=[_constant(entry) for entry in _list(record["constants"])],
            units=_mapping(record["units"], _text),
            ranges=_mapping(record["ranges"], _interval),
            target=_text(record["target"]),
            scores=_mapping(record["scores"], _number),
            status=_text(record["status"]),
            notes=[_text(note) for note in _list(record["notes"])],
            **related,
        )
    except KeyError as error:
        raise ValueError(f"the formula's record has no {error}") from None


def _finite_or_none(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _expression(tree: Any) -> sp.Expr:
    expr = from_tree(tree)
    if not isinstance(expr, sp.Expr):
        raise ValueError(f"a formula must be a number, got the condition {expr}")
    return expr


def _constant(entry: Any) -> Constant:
    if not isinstance(entry, dict):
        raise ValueError(f"a constant must be an object, got {entry!r}")
    exact = entry["exact"]
    return Constant(
        _number(entry["value"]),
        _number(entry["standard_error"]),
        None if exact is None else _expression(exact),
    )


def _number(value: Any) -> float:
    if value is None:
        return nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}")
    return float(value)


def _interval(ends: Any) -> tuple[float, float]:
    if not isinstance(ends, list) or len(ends) != 2:
        raise ValueError(f"a range must be a list [low, high], got {str(ends)[:60]}")
    return _number(ends[0]), _number(ends[1])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {value!r}")
    return value


def _list(value: Any, most: int = 100_000) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"expected a list of at most {most} entries, got {str(value)[:60]}")
    return value


def _mapping(value: Any, read: Callable[[Any], Any]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {str(value)[:60]}")
    return {name: read(entry) for name, entry in value.items()}
