"""Write expressions as JSON and read them back without ever running text.

A number is a JSON number, a variable is ``["variable", name]`` and every other node is a list of
its operation and its arguments. Only the operations listed here and the functions of
``kanx.functions`` are read, without evaluation, within limits of depth and size.
"""

import json
from collections.abc import Callable
from typing import Any

import sympy as sp

from kanx.functions import FUNCTIONS, function_of

MAX_CHARACTERS = 4_000_000
MAX_NODES = 20_000
MAX_DEPTH = 150
MAX_DIGITS = 300  # of an integer: any longer overflows a float

_OPERATIONS: dict[str, Any] = {
    "+": sp.Add,
    "*": sp.Mul,
    "^": sp.Pow,
    "and": sp.And,
    "or": sp.Or,
    "<": sp.Lt,
    "<=": sp.Le,
    ">": sp.Gt,
    ">=": sp.Ge,
    "==": sp.Eq,
    "!=": sp.Ne,
}
_ATOMS: dict[str, sp.Basic] = {"pi": sp.pi, "e": sp.E, "true": sp.true, "false": sp.false}
_OPERATION_NAMES = {head: name for name, head in _OPERATIONS.items()}
_ATOM_NAMES = {atom: name for name, atom in _ATOMS.items()}


def to_tree(expr: sp.Basic) -> Any:
    """Return an expression as nested lists of names and numbers, ready for ``json.dumps``.

    Raises
    ------
    ValueError
        If the expression holds an operation that cannot be written.
    """
    if expr.is_Symbol:
        return ["variable", expr.name]
    if expr.is_Integer:
        return int(expr)
    if expr.is_Rational:
        return ["rational", int(expr.p), int(expr.q)]
    if expr.is_Float:
        return float(expr)
    if expr in _ATOM_NAMES:
        return [_ATOM_NAMES[expr]]
    if isinstance(expr, sp.Piecewise):
        return ["piecewise", *([to_tree(value), to_tree(when)] for value, when in expr.args)]
    function = function_of(expr)
    name = _OPERATION_NAMES.get(expr.func) or (function.name if function else None)
    if name is None:
        raise ValueError(f"cannot write {expr.func.__name__} as JSON: {expr}")
    return [name, *(to_tree(argument) for argument in expr.args)]


def from_tree(tree: Any) -> sp.Basic:
    """Return the expression that ``to_tree`` wrote, built node by node from the known operations.

    Raises
    ------
    ValueError
        If a node is unknown or malformed, or the tree is too deep or too large.
    """
    n_nodes = 0

    def build(node: Any, depth: int) -> sp.Basic:
        nonlocal n_nodes
        n_nodes += 1
        if n_nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError(
                f"formula too large: at most {MAX_NODES} nodes and depth {MAX_DEPTH} are read"
            )
        return _build(node, lambda child: build(child, depth + 1))

    try:
        return build(tree, 0)
    except (TypeError, AttributeError, ArithmeticError, RecursionError) as error:  # from sympy
        raise ValueError(f"malformed formula: {error}") from error


def _build(node: Any, build: Callable[[Any], sp.Basic]) -> sp.Basic:
    """Build one node, its arguments by ``build``."""
    if isinstance(node, float):
        return sp.Float(node)
    if isinstance(node, int) and not isinstance(node, bool):
        return _integer(node)
    if not isinstance(node, list) or not node or not isinstance(node[0], str):
        raise ValueError(f"expected a number or a list [operation, ...], got {_excerpt(node)}")
    name, *arguments = node
    if name == "variable":
        return _variable(arguments)
    if name == "rational":
        return _rational(arguments)
    if name in _ATOMS and not arguments:
        return _ATOMS[name]
    if name == "piecewise":
        if not arguments:
            raise ValueError("a piecewise formula needs at least one branch")
        return sp.Piecewise(*(_branch(pair, build) for pair in arguments), evaluate=False)
    if name in _OPERATIONS:
        return _apply(_OPERATIONS[name], name, [build(argument) for argument in arguments])
    if name in FUNCTIONS and isinstance(FUNCTIONS[name].sympy, sp.FunctionClass):
        return _apply(FUNCTIONS[name].sympy, name, [build(argument) for argument in arguments])
    raise ValueError(f"unknown operation {_excerpt(name)}; this version of kanx cannot read it")


def _integer(value: Any) -> sp.Integer:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected an integer, got {_excerpt(value)}")
    if abs(value) >= 10**MAX_DIGITS:
        raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
    return sp.Integer(value)


def _rational(arguments: list[Any]) -> sp.Rational:
    if len(arguments) != 2:
        raise ValueError(f"a rational needs 2 integers, got {_excerpt(arguments)}")
    numerator, denominator = (_integer(argument) for argument in arguments)
    if denominator <= 0:
        raise ValueError(f"a rational needs a positive denominator, got {denominator}")
    return sp.Rational(numerator, denominator)


def _variable(arguments: list[Any]) -> sp.Symbol:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise ValueError(f"a variable needs one name, got {_excerpt(arguments)}")
    return sp.Symbol(arguments[0])


def _branch(pair: Any, build: Callable[[Any], sp.Basic]) -> tuple[sp.Basic, sp.Basic]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"a branch is [value, condition], got {_excerpt(pair)}")
    value, condition = build(pair[0]), build(pair[1])
    _require(value, sp.Expr, "a piecewise value")
    _require(condition, sp.logic.boolalg.Boolean, "a piecewise condition")
    return value, condition


def _apply(head: Any, name: str, arguments: list[sp.Basic]) -> sp.Basic:
    """Apply an operation to built arguments, after checking their number and kind."""
    kind = sp.logic.boolalg.Boolean if head in (sp.And, sp.Or) else sp.Expr
    for argument in arguments:
        _require(argument, kind, f"an argument of {name!r}")
    least, most = _arity(head, name)
    if not least <= len(arguments) <= most:
        raise ValueError(f"{name!r} cannot take {len(arguments)} arguments")
    return head(*arguments, evaluate=False)


def _arity(head: Any, name: str) -> tuple[float, float]:
    if head in (sp.Add, sp.Mul, sp.And, sp.Or):
        return 2, MAX_NODES
    if name in _OPERATIONS:
        return 2, 2
    return (1, 1) if FUNCTIONS[name].arity == 1 else (2, MAX_NODES)


def _require(value: sp.Basic, kind: Any, role: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{role} must be a {kind.__name__}, got {_excerpt(value)}")


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def loads(text: str) -> Any:
    """Parse JSON text, refusing what is too long, too deep, or not a finite number.

    Raises
    ------
    ValueError
        If the text is not such JSON.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected JSON text, got {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the text has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply to be a formula") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number a formula can hold")
