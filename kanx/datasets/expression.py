"""Arithmetic formulas as text, checked against a whitelist and evaluated with numpy.

The text is parsed by :mod:`ast` and walked; nothing is ever compiled or run as code, so a formula
from a file or a web page can do nothing but arithmetic.
"""

import ast
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import j0

MAX_LENGTH = 5000
MAX_DEPTH = 150
MAX_EXPONENT = 100.0

# name -> (numpy function, number of arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1),
    "acos": (np.arccos, 1),
    "asin": (np.arcsin, 1),
    "atan": (np.arctan, 1),
    "ceil": (np.ceil, 1),
    "cos": (np.cos, 1),
    "cosh": (np.cosh, 1),
    "cot": (lambda x: np.cos(x) / np.sin(x), 1),
    "exp": (np.exp, 1),
    "floor": (np.floor, 1),
    "heaviside": (lambda x: np.heaviside(x, 1.0), 1),
    "j0": (j0, 1),
    "log": (np.log, 1),
    "max": (np.maximum, 2),
    "min": (np.minimum, 2),
    "sign": (np.sign, 1),
    "sin": (np.sin, 1),
    "sinh": (np.sinh, 1),
    "sqrt": (np.sqrt, 1),
    "tan": (np.tan, 1),
    "tanh": (np.tanh, 1),
}
CONSTANTS: dict[str, float] = {"pi": math.pi}

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.float_power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: np.positive,
    ast.USub: np.negative,
}


class FormulaError(ValueError):
    """Raise when a formula's text is not plain arithmetic over the variables it declares."""


@dataclass(frozen=True)
class Expression:
    """Evaluate a formula given as text, row by row, in float64.

    Allowed are numbers, the variables, ``pi``, ``+ - * / **``, parentheses and the functions in
    ``FUNCTIONS``, each with its own number of arguments.

    Parameters
    ----------
    text : str
        The formula in Python and sympy notation, at most 5000 characters and 150 levels deep.
        A constant exponent lies in [-100, 100].
    variables : tuple of str
        Names of the variables, in the order in which ``__call__`` takes their columns.

    Raises
    ------
    FormulaError
        If the text is anything but such a formula.

    Examples
    --------
    >>> Expression("m*c**2/sqrt(1 - v**2/c**2)", ("m", "v", "c"))(1.0, 0.0, 3.0)
    array(9.)
    """

    text: str
    variables: tuple[str, ...]
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in self.variables:
            if not name.isidentifier() or name in CONSTANTS:
                raise FormulaError(f"{name!r} cannot be a variable of a formula; rename it.")
        tree = _parse(self.text)
        _check(tree, frozenset(self.variables), depth=0)
        object.__setattr__(self, "_tree", tree)

    def __call__(self, *columns: ArrayLike) -> NDArray[np.float64]:
        """Return the formula's value; rows outside its domain are NaN or infinite.

        Parameters
        ----------
        *columns : array_like
            One array per variable, of shapes that broadcast together.
        """
        if len(columns) != len(self.variables):
            raise ValueError(
                f"{self.text!r} takes {len(self.variables)} columns {self.variables}, "
                f"but got {len(columns)}."
            )
        arrays = np.broadcast_arrays(*(np.asarray(column, dtype=float) for column in columns))
        with np.errstate(all="ignore"):
            value = _evaluate(self._tree, dict(zip(self.variables, arrays, strict=True)))
        shape = arrays[0].shape if arrays else ()
        return np.array(np.broadcast_to(value, shape), dtype=float)

    def names_used(self) -> frozenset[str]:
        """Return the variables that occur in the formula."""
        names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        return frozenset(names & set(self.variables))


def _parse(text: str) -> ast.expr:
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, but got {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula has {len(text)} characters; at most {MAX_LENGTH} allowed.")
    try:
        with warnings.catch_warnings():
            # Python only warns of oddities such as `1if x else 2`; here they are errors.
            warnings.simplefilter("error")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning) as error:
        raise FormulaError(f"cannot read the formula {_short(text)}: {error}") from error


def _check(node: ast.AST, variables: frozenset[str], depth: int) -> None:
    """Walk the tree and refuse every node that is not on the whitelist."""
    if depth > MAX_DEPTH:
        raise FormulaError(f"the formula is nested deeper than {MAX_DEPTH} levels.")
    match node:
        case ast.Constant(value=value):
            _check_number(value)
            return
        case ast.Name(id=name):
            if name not in variables and name not in CONSTANTS:
                raise FormulaError(f"unknown name {name!r}; the variables are {sorted(variables)}.")
            return
        case ast.UnaryOp(op=unary, operand=operand) if type(unary) in _UNARY:
            children = [operand]
        case ast.BinOp(left=left, op=binary, right=right) if type(binary) in _BINARY:
            children = [left, right]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            arity = FUNCTIONS[name][1]
            if len(args) != arity:
                raise FormulaError(f"{name} takes {arity} argument(s), but got {len(args)}.")
            children = args
        case ast.Call():
            raise FormulaError(
                f"cannot call {_short(ast.unparse(node.func))}; the functions are "
                f"{', '.join(FUNCTIONS)}, without keywords."
            )
        case _:
            raise FormulaError(f"{type(node).__name__} is not allowed in a formula.")
    for child in children:
        _check(child, variables, depth + 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        _check_exponent(node.right)


def _check_number(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormulaError(f"{_short(repr(value))} is not a number.")
    if (isinstance(value, int) and value.bit_length() > 1000) or not math.isfinite(value):
        raise FormulaError("a number in the formula is too large for float64.")


def _check_exponent(node: ast.expr) -> None:
    if any(isinstance(inner, ast.Name) and inner.id not in FUNCTIONS for inner in ast.walk(node)):
        return  # depends on the data; float64 overflow to infinity is then the answer
    with np.errstate(all="ignore"):
        value = float(_evaluate(node, {}))
    if not abs(value) <= MAX_EXPONENT:
        raise FormulaError(f"the exponent {value:g} lies outside [-{MAX_EXPONENT:g}, 100].")


def _evaluate(node: ast.AST, columns: Mapping[str, NDArray[np.float64]]) -> Any:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float):
            return np.float64(value)
        case ast.Name(id=name):
            return columns[name] if name in columns else np.float64(CONSTANTS[name])
        case ast.UnaryOp(op=unary, operand=operand):
            return _UNARY[type(unary)](_evaluate(operand, columns))
        case ast.BinOp(left=left, op=binary, right=right):
            operator = _BINARY[type(binary)]
            return operator(_evaluate(left, columns), _evaluate(right, columns))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name][0](*(_evaluate(argument, columns) for argument in args))
    raise FormulaError(f"{type(node).__name__} is not allowed in a formula.")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
