"""Read a formula that a user typed, without ever running it.

The text is parsed by :mod:`ast` and walked: numbers, column names, ``pi``, ``+ - * / **``,
parentheses and the functions of ``kanx.functions``. A call of any other name is an unknown
function, which the caller may allow.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Collection
from fractions import Fraction

import sympy as sp

from kanx.functions import FUNCTIONS

MAX_CHARACTERS = 5000
MAX_DEPTH = 100
MAX_EXPONENT = 100
MAX_DIGITS = 300

_OPERATIONS: dict[type[ast.operator], Callable[[sp.Expr, sp.Expr], sp.Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def parse_formula(
    text: str, names: Collection[str], unknown: bool = False, exact: bool = True
) -> sp.Expr:
    """Return the expression that a text says.

    Parameters
    ----------
    text : str
        Such as ``"m*c**2 + f(v, m)"``, at most 5000 characters.
    names : collection of str
        The names that may occur; they become plain ``sympy.Symbol(name)``.
    unknown : bool
        Whether functions that are not in ``kanx.functions`` may be called; they become undefined
        functions of sympy.
    exact : bool
        Whether decimal numbers become exact fractions; floats if not.

    Raises
    ------
    ValueError
        If the text is anything but such a formula.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the formula has {len(text)} characters; at most {MAX_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "2(x)" warns before it is refused here
            tree = ast.parse(text.strip(), mode="eval").body
        return _Reader(text, names, unknown, exact).read(tree, 0)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text[:200]!r} is no formula: {error}") from None


class _Reader:
    """Turn a syntax tree into an expression."""

    def __init__(self, text: str, names: Collection[str], unknown: bool, exact: bool) -> None:
        self.text, self.names, self.unknown, self.exact = text[:200], names, unknown, exact

    def read(self, node: ast.AST, depth: int) -> sp.Expr:
        if depth > MAX_DEPTH:
            raise ValueError(f"the formula is nested more than {MAX_DEPTH} deep")
        if isinstance(node, ast.Constant):
            return self._number(node.value)
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            value = self.read(node.operand, depth + 1)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            parts = self.read(node.left, depth + 1), self.read(node.right, depth + 1)
            if isinstance(node.op, ast.Pow) and parts[1].is_number:
                self._check_power(*parts)
            return _OPERATIONS[type(node.op)](*parts)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, [self.read(a, depth + 1) for a in node.args])
        hint = "; write powers as **" if isinstance(getattr(node, "op", None), ast.BitXor) else ""
        raise ValueError(f"{self.text!r} holds {type(node).__name__}, which is no arithmetic{hint}")

    def _number(self, value: object) -> sp.Expr:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{self.text!r} holds {value!r:.60}, which is no number")
        if abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"{self.text!r} holds a number that is too large")
        if isinstance(value, float) and not self.exact:
            return sp.Float(value, 17)
        exact = Fraction(str(value))
        return sp.Rational(exact.numerator, exact.denominator)

    def _name(self, name: str) -> sp.Expr:
        if name in self.names:
            return sp.Symbol(name)
        if name == "pi":
            return sp.pi
        raise ValueError(f"{self.text!r} holds the unknown name {name!r}; known are {self._known}")

    def _call(self, name: str, arguments: list[sp.Expr]) -> sp.Expr:
        entry = FUNCTIONS.get(name)
        if entry is None and not self.unknown:
            raise ValueError(
                f"{self.text!r} calls {name!r}, which is not in the table of kanx.functions"
            )
        if entry is None:
            if not arguments:
                raise ValueError(f"{self.text!r}: say what {name} depends on, such as {name}(x)")
            return sp.Function(name)(*arguments)
        if len(arguments) != entry.arity:
            raise ValueError(f"{self.text!r}: {name} takes {entry.arity} arguments")
        return entry.sympy(*arguments)

    def _check_power(self, base: sp.Expr, exponent: sp.Expr) -> None:
        if not exponent.is_real or abs(exponent) > MAX_EXPONENT:
            raise ValueError(f"{self.text!r}: an exponent is beyond +-{MAX_EXPONENT}")
        if base.is_Rational and base != 0:
            digits = max(len(str(abs(base.p))), len(str(base.q)))
            if digits * abs(exponent) > MAX_DIGITS:
                raise ValueError(f"{self.text!r} holds a power that is too large")

    @property
    def _known(self) -> str:
        return ", ".join(map(str, list(self.names)[:20])) + " and pi"
