"""Units as vectors of dimensions, and the dimensionless groups of a set of columns.

A unit is a product of powers of base dimensions; prefixes and other factors do not matter here,
because the constants of a law absorb them. Buckingham's theorem then is linear algebra over the
rationals: any law is ``gate * f(groups)`` with a monomial ``gate`` of the target's unit and
dimensionless monomials as groups.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

Dimensions = dict[str, Fraction]  # base dimension -> exponent, without zeros

PREFIXES = ("da", *"QRYZEPTGMkhdcmunpfazyrqµ")
_BASE = {name: {name: 1} for name in ("m", "kg", "s", "A", "K", "mol", "cd")}
_DERIVED: dict[str, dict[str, int]] = {
    "g": {"kg": 1},
    "Hz": {"s": -1},
    "N": {"kg": 1, "m": 1, "s": -2},
    "Pa": {"kg": 1, "m": -1, "s": -2},
    "bar": {"kg": 1, "m": -1, "s": -2},
    "J": {"kg": 1, "m": 2, "s": -2},
    "eV": {"kg": 1, "m": 2, "s": -2},
    "cal": {"kg": 1, "m": 2, "s": -2},
    "W": {"kg": 1, "m": 2, "s": -3},
    "C": {"A": 1, "s": 1},
    "V": {"kg": 1, "m": 2, "s": -3, "A": -1},
    "F": {"kg": -1, "m": -2, "s": 4, "A": 2},
    "ohm": {"kg": 1, "m": 2, "s": -3, "A": -2},
    "Ω": {"kg": 1, "m": 2, "s": -3, "A": -2},
    "S": {"kg": -1, "m": -2, "s": 3, "A": 2},
    "Wb": {"kg": 1, "m": 2, "s": -2, "A": -1},
    "T": {"kg": 1, "s": -2, "A": -1},
    "H": {"kg": 1, "m": 2, "s": -2, "A": -2},
    "L": {"m": 3},
    "l": {"m": 3},
}
_ALONE: dict[str, dict[str, int]] = {  # units that take no prefix
    "rad": {},
    "sr": {},
    "deg": {},
    "percent": {},
    "min": {"s": 1},
    "h": {"s": 1},
    "day": {"s": 1},
    "yr": {"s": 1},
    "atm": {"kg": 1, "m": -1, "s": -2},
    "ft": {"m": 1},
    "inch": {"m": 1},
    "mile": {"m": 1},
    "lb": {"kg": 1},
}
_LARGEST_EXPONENT = 12


def parse_unit(text: str) -> Dimensions:
    """Return the dimensions of a unit such as ``"m/s^2"``, ``"kg*m**2"``, ``"mPa"`` or ``"1"``.

    A name that is no unit of the SI (``"usd"``) is a dimension of its own.

    Raises
    ------
    ValueError
        If the text is no product of powers of names.
    """
    cleaned = text.replace("^", "**").replace("·", "*").strip() or "1"
    try:
        return _dimensions(ast.parse(cleaned, mode="eval").body, text)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(_refusal(text)) from None


def _refusal(text: str) -> str:
    return f"{text[:100]!r} is no unit; write products and powers such as 'kg*m/s^2', or '1'"


def _dimensions(node: ast.AST, text: str) -> Dimensions:
    if isinstance(node, ast.Name):
        return _of_name(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return {}
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Mult | ast.Div):
            sign = 1 if isinstance(node.op, ast.Mult) else -1
            left, right = _dimensions(node.left, text), _dimensions(node.right, text)
            return combined([(left, Fraction(1)), (right, Fraction(sign))])
        if isinstance(node.op, ast.Pow):
            return combined([(_dimensions(node.left, text), _exponent(node.right, text))])
    raise ValueError(_refusal(text))


def _exponent(node: ast.AST, text: str) -> Fraction:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_exponent(node.operand, text)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        bottom = _exponent(node.right, text)
        if bottom:
            return _exponent(node.left, text) / bottom
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        value = Fraction(str(node.value))
        if abs(value) <= _LARGEST_EXPONENT:
            return value
    raise ValueError(_refusal(text))


def _of_name(name: str) -> Dimensions:
    for table in (_BASE, _DERIVED, _ALONE):
        if name in table:
            return {base: Fraction(e) for base, e in table[name].items()}
    for prefix in PREFIXES:
        rest = name.removeprefix(prefix)
        if rest != name and (rest in _BASE or rest in _DERIVED):
            return _of_name(rest)
    return {name: Fraction(1)}


def combined(parts: Sequence[tuple[Dimensions, Fraction]]) -> Dimensions:
    """Return the dimensions of a product of powers, given as (dimensions, exponent)."""
    total: Dimensions = {}
    for dimensions, exponent in parts:
        for base, e in dimensions.items():
            total[base] = total.get(base, Fraction(0)) + e * exponent
    return {base: e for base, e in total.items() if e}


def unit_text(dimensions: Dimensions) -> str:
    """Return dimensions as text, such as ``kg*m/s^2``; ``1`` without any."""
    top = [_power_text(base, e) for base, e in sorted(dimensions.items()) if e > 0]
    bottom = [_power_text(base, -e) for base, e in sorted(dimensions.items()) if e < 0]
    return "/".join(["*".join(top) or "1", *bottom])


def _power_text(base: str, exponent: Fraction) -> str:
    if exponent == 1:
        return base
    return f"{base}^{exponent}" if exponent.denominator == 1 else f"{base}^({exponent})"


def own_dimensions(units: Mapping[str, Dimensions]) -> list[str]:
    """Return the names used as units that are none of the SI."""
    found = {base for dimensions in units.values() for base in dimensions}
    return sorted(found - _BASE.keys())


class Groups(NamedTuple):
    """The monomial of the target's unit and the dimensionless monomials, by exponents."""

    gate: tuple[Fraction, ...]
    groups: tuple[tuple[Fraction, ...], ...]


def dimensionless(
    columns: Sequence[Dimensions], target: Dimensions, positive: Sequence[bool]
) -> Groups | None:
    """Return Buckingham's form of any law between quantities of these units.

    Parameters
    ----------
    columns : sequence of dict
        Dimensions of each column.
    target : dict
        Dimensions of the target.
    positive : sequence of bool
        Which columns are positive on the data; only they carry the units of the others.

    Returns
    -------
    Groups or None
        None if no product of the positive columns has the units that are needed.
    """
    bases = sorted({base for d in (*columns, target) for base in d})
    carriers = [k for k, ok in enumerate(positive) if ok and columns[k]]
    rows = [[columns[k].get(base, Fraction(0)) for k in carriers] for base in bases]
    pivots = _pivots(rows)
    chosen = [carriers[k] for k in pivots]
    gate = _as_product(target, columns, chosen, bases)
    if gate is None:
        return None
    groups = []
    for k, dimensions in enumerate(columns):
        if k in chosen:
            continue
        exponents = _as_product(dimensions, columns, chosen, bases)
        if exponents is None:
            return None
        group = [-e for e in exponents]
        group[k] += 1
        groups.append(tuple(group))
    return Groups(tuple(gate), tuple(groups))


def _pivots(rows: list[list[Fraction]]) -> list[int]:
    """Return the first columns of a matrix that are linearly independent."""
    found: list[int] = []
    rows = [list(row) for row in rows]
    for column in range(len(rows[0]) if rows else 0):
        k = next((r for r in range(len(found), len(rows)) if rows[r][column]), None)
        if k is None:
            continue
        top = len(found)
        rows[top], rows[k] = rows[k], rows[top]
        for r in range(top + 1, len(rows)):
            factor = rows[r][column] / rows[top][column]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[top], strict=True)]
        found.append(column)
    return found


def _as_product(
    wanted: Dimensions, columns: Sequence[Dimensions], chosen: Sequence[int], bases: Sequence[str]
) -> list[Fraction] | None:
    """Return the exponents of the chosen columns whose product has the wanted dimensions."""
    table = [
        [*(columns[k].get(base, Fraction(0)) for k in chosen), wanted.get(base, Fraction(0))]
        for base in bases
    ]
    n = len(chosen)
    for column in range(n):  # the chosen columns are independent: every one has a pivot
        k = next(r for r in range(column, len(table)) if table[r][column])
        table[column], table[k] = table[k], table[column]
        table[column] = [a / table[column][column] for a in table[column]]
        for r in range(len(table)):
            if r != column and table[r][column]:
                factor = table[r][column]
                table[r] = [a - factor * b for a, b in zip(table[r], table[column], strict=True)]
    if any(row[n] for row in table[n:]):
        return None
    exponents = [Fraction(0)] * len(columns)
    for column, k in enumerate(chosen):
        exponents[k] = table[column][n]
    return exponents
