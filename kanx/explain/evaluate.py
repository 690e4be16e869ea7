"""Evaluate an expression on arrays or tensors, one operation of the function table at a time.

Nothing is compiled from text, so a column may have any name, and a subexpression that occurs twice
is computed once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, or_
from typing import Any

import numpy as np
import sympy as sp
import torch
from sympy.logic.boolalg import BooleanAtom

from kanx.functions import function_of

RELATIONS: dict[Any, Callable[[Any, Any], Any]] = {
    sp.Lt: lt,
    sp.Le: le,
    sp.Gt: gt,
    sp.Ge: ge,
    sp.Eq: eq,
    sp.Ne: ne,
}
_FOLDS: dict[Any, Callable[[Any, Any], Any]] = {sp.Add: add, sp.Mul: mul, sp.And: and_, sp.Or: or_}


@dataclass(frozen=True)
class Arithmetic:
    """Say how numbers, choices and functions are computed.

    Parameters
    ----------
    form : {"numpy", "torch"}
        Which form of the table's functions is used.
    number : callable
        Turns a sympy number into a scalar array.
    where : callable
        ``where(condition, value, otherwise)``.
    """

    form: str
    number: Callable[[sp.Expr], Any]
    where: Callable[[Any, Any, Any], Any]


NUMPY = Arithmetic("numpy", lambda number: np.float64(number), np.where)
TORCH = Arithmetic(
    "torch", lambda number: torch.tensor(float(number), dtype=torch.float64), torch.where
)


def evaluate(expr: sp.Expr, columns: Mapping[str, Any], arithmetic: Arithmetic = NUMPY) -> Any:
    """Return the value of ``expr``, NaN or infinite where the formula is not defined.

    Parameters
    ----------
    expr : sympy.Expr
        Sums, products, powers, numbers, piecewise choices and functions of ``kanx.functions``.
    columns : mapping of str to array
        The value of each symbol, by name; all of one shape, ``(...)``.
    arithmetic : Arithmetic
        ``NUMPY`` or ``TORCH``.

    Returns
    -------
    array or tensor, ``(...)``
        A scalar where ``expr`` has no symbol.

    Raises
    ------
    ValueError
        If ``expr`` holds an operation or a symbol that has no value.
    """
    known: dict[Any, Any] = {}

    def value(node: Any) -> Any:
        if node not in known:
            known[node] = _compute(node, value, columns, arithmetic)
        return known[node]

    with np.errstate(all="ignore"):
        return value(expr)


def _compute(
    node: Any, value: Callable[[Any], Any], columns: Mapping[str, Any], arithmetic: Arithmetic
) -> Any:
    """Compute one node from the values of its arguments."""
    if node.is_Symbol:
        if node.name not in columns:
            raise ValueError(f"no value for {node.name!r}; the columns are {sorted(columns)}")
        return columns[node.name]
    if node.is_Number or node.is_NumberSymbol:
        return arithmetic.number(node)
    if isinstance(node, BooleanAtom):
        return arithmetic.number(sp.Integer(int(bool(node)))) != 0
    if node.func in _FOLDS:
        return reduce(_FOLDS[node.func], map(value, node.args))
    if node.is_Pow:
        return _power(value(node.base), node.exp, value)
    if node.func in RELATIONS:
        return RELATIONS[node.func](value(node.lhs), value(node.rhs))
    if isinstance(node, sp.Piecewise):
        result = arithmetic.number(sp.nan)
        for branch, condition in reversed(node.args):
            result = arithmetic.where(value(condition), value(branch), result)
        return result
    function = function_of(node)
    if function is None:
        raise ValueError(
            f"{node.func.__name__} has no numerical form; add it with kanx.functions.register"
        )
    form = getattr(function, arithmetic.form)
    arguments = [value(argument) for argument in node.args]
    return reduce(form, arguments) if function.arity == 2 else form(*arguments)


def _power(base: Any, exponent: sp.Expr, value: Callable[[Any], Any]) -> Any:
    """Raise to a power; a negative integer power is the reciprocal of a positive one."""
    if exponent.is_Number:
        if exponent.is_Integer and exponent.is_negative:
            return 1 / base ** -float(exponent)
        return base ** float(exponent)
    return base ** value(exponent)
