"""Evaluate an expression on arrays or tensors, one operation of the function table at a time.

An expression becomes a straight list of steps, in which a subexpression that occurs twice is
computed once. Nothing is compiled from text, so a column may have any name.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, or_
from typing import Any

import numpy as np
import sympy as sp
import torch
from sympy.logic.boolalg import BooleanAtom

from kanx.functions import function_of

_FOLDS = {sp.Add: add, sp.Mul: mul, sp.And: and_, sp.Or: or_}
_RELATIONS = {sp.Lt: lt, sp.Le: le, sp.Gt: gt, sp.Ge: ge, sp.Eq: eq, sp.Ne: ne}
_WHERE: dict[str, Callable[..., Any]] = {"numpy": np.where, "torch": torch.where}


def evaluate(expr: sp.Expr, columns: Mapping[str, Any]) -> Any:
    """Return the value of ``expr`` on arrays, NaN or infinite where it is not defined.

    Parameters
    ----------
    expr : sympy.Expr
        Sums, products, powers, numbers, piecewise choices and functions of ``kanx.functions``.
    columns : mapping of str to array
        The value of each symbol, by name; all of one shape, ``(...)``.

    Returns
    -------
    array, ``(...)``
        A scalar where ``expr`` has no symbol.

    Raises
    ------
    ValueError
        If ``expr`` holds an operation or a symbol that has no value.
    """
    program = Program(expr, "numpy")
    missing = sorted(set(program.names) - set(columns))
    if missing:
        raise ValueError(f"no values for {missing}; the columns are {sorted(columns)}")
    with np.errstate(all="ignore"):
        return program(
            [columns[name] for name in program.names],
            [np.float64(number) for number in program.numbers],
        )


class Program:
    """Hold an expression as a list of steps, each an operation on the results of earlier ones.

    Parameters
    ----------
    expr : sympy.Expr
    form : {"numpy", "torch"}
        Which form of the table's functions is used.

    Attributes
    ----------
    names : tuple of str
        Names of the symbols, in the order in which their values are expected.
    numbers : tuple of sympy.Expr
        The numbers in the expression, in the order in which their values are expected.
    """

    def __init__(self, expr: sp.Expr, form: str) -> None:
        self.names = tuple(sorted(symbol.name for symbol in expr.free_symbols))
        atoms = expr.atoms(sp.Number, sp.NumberSymbol) | {sp.S.One, sp.nan}
        self.numbers = tuple(sorted(atoms, key=sp.srepr))
        self._form = form
        self._steps: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
        leaves = [*map(sp.Symbol, self.names), *self.numbers]
        self._slots: dict[sp.Basic, int] = {leaf: slot for slot, leaf in enumerate(leaves)}
        self._result = self._slot(expr)

    def __call__(self, columns: Sequence[Any], numbers: Sequence[Any]) -> Any:
        """Return the value for the values of ``names`` and of ``numbers``."""
        values = [*columns, *numbers]
        for operation, arguments in self._steps:
            values.append(operation(*[values[slot] for slot in arguments]))
        return values[self._result]

    def _slot(self, node: sp.Basic) -> int:
        """Return where the value of a node will stand, adding steps where it is new."""
        if node not in self._slots:
            self._slots[node] = self._add(node)
        return self._slots[node]

    def _add(self, node: sp.Basic) -> int:
        if node.func in _FOLDS:
            return self._fold(_FOLDS[node.func], node.args)
        if node.is_Pow:
            return self._power(node.base, node.exp)
        if node.func in _RELATIONS:
            return self._step(_RELATIONS[node.func], self._slot(node.lhs), self._slot(node.rhs))
        if isinstance(node, BooleanAtom):
            one = self._slot(sp.S.One)
            return self._step(eq if node else ne, one, one)
        if isinstance(node, sp.Piecewise):
            return self._choice(node)
        function = function_of(node)
        if function is None:
            raise ValueError(
                f"{node.func.__name__} has no numerical form; add it with kanx.functions.register"
            )
        operation = getattr(function, self._form)
        if function.arity == 2:
            return self._fold(operation, node.args)
        return self._step(operation, *map(self._slot, node.args))

    def _step(self, operation: Callable[..., Any], *arguments: int) -> int:
        self._steps.append((operation, arguments))
        return len(self.names) + len(self.numbers) + len(self._steps) - 1

    def _fold(self, operation: Callable[..., Any], nodes: Sequence[sp.Basic]) -> int:
        """Combine any number of values two at a time."""
        result, *others = map(self._slot, nodes)
        for other in others:
            result = self._step(operation, result, other)
        return result

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> int:
        """Raise to a power; a negative integer power is the reciprocal of a positive one."""
        if not exponent.is_Rational:
            return self._step(pow, self._slot(base), self._slot(exponent))
        if exponent.is_Integer and exponent.is_negative:
            return self._step(partial(_inverse_power, exponent=-float(exponent)), self._slot(base))
        return self._step(partial(_power, exponent=float(exponent)), self._slot(base))

    def _choice(self, node: sp.Piecewise) -> int:
        result = self._slot(sp.nan)
        for value, condition in reversed(node.args):
            if condition == sp.true:
                result = self._slot(value)
            else:
                arguments = self._slot(condition), self._slot(value), result
                result = self._step(_WHERE[self._form], *arguments)
        return result


def _power(base: Any, exponent: float) -> Any:
    return base**exponent


def _inverse_power(base: Any, exponent: float) -> Any:
    return 1 / base**exponent
