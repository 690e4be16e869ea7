"""Expression trees with free constants: values, exact derivatives by the constants, sympy forms.

A tree is immutable. Its exact numbers are ``Fraction`` s, its free constants are floats, and the
free constants are numbered by a walk from left to right, so that a least-squares step is a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.functions import FUNCTIONS, function_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """Hold one node of an expression.

    Parameters
    ----------
    kind : {"number", "constant", "variable", "sum", "product", "power", "function"}
        Meaning of the node; ``number`` is exact, ``constant`` is free to be fitted.
    children : tuple of Tree
        Operands; a power has base and exponent, and the exponent is a number or a constant.
    value : Fraction or float
        Of a number or of a constant.
    index : int
        Column of a variable.
    name : str
        Entry of ``kanx.functions.FUNCTIONS``.
    """

    kind: str
    children: tuple[Tree, ...] = ()
    value: Fraction | float = 0
    index: int = 0
    name: str = ""

    def walk(self) -> Iterator[Tree]:
        """Yield every node, parents first, children from left to right."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def constants(self) -> Array:
        """Values of the free constants, in the order of the walk."""
        return np.array([float(n.value) for n in self.walk() if n.kind == "constant"])

    @property
    def variables(self) -> frozenset[int]:
        """Columns that occur."""
        return frozenset(n.index for n in self.walk() if n.kind == "variable")

    def with_constants(self, values: Sequence[float] | Array) -> Tree:
        """Return the same tree with other values of the free constants."""
        remaining = iter(values)

        def rebuild(node: Tree) -> Tree:
            if node.kind == "constant":
                return replace(node, value=float(next(remaining)))
            if not node.children:
                return node
            return replace(node, children=tuple(rebuild(c) for c in node.children))

        return rebuild(self)

    def with_exact(self, position: int, value: Fraction) -> Tree:
        """Return the tree with the free constant of this position replaced by an exact number."""
        counter = iter(range(10**9))

        def rebuild(node: Tree) -> Tree:
            if node.kind == "constant":
                return number(value) if next(counter) == position else node
            if not node.children:
                return node
            return replace(node, children=tuple(rebuild(c) for c in node.children))

        return rebuild(self)

    @property
    def exponent_positions(self) -> frozenset[int]:
        """Positions of the free constants that are exponents."""
        found: set[int] = set()
        position = 0
        for node in self.walk():
            if node.kind == "constant":
                position += 1
            elif node.kind == "power" and node.children[1].kind == "constant":
                base = node.children[0]
                found.add(position + sum(n.kind == "constant" for n in base.walk()))
        return frozenset(found)


def price_of(tree: Tree) -> int:
    """Return the number of variables, free constants, functions, powers and sums of a tree."""
    return sum(node.kind not in ("number", "product") for node in tree.walk())


def number(value: Fraction | int) -> Tree:
    """Return an exact number."""
    return Tree("number", value=Fraction(value))


def constant(value: float) -> Tree:
    """Return a free constant with this starting value."""
    return Tree("constant", value=float(value))


def variable(index: int) -> Tree:
    """Return the variable of a column."""
    return Tree("variable", index=index)


def total(*terms: Tree) -> Tree:
    """Return a sum, without exact zeros and without nesting."""
    flat = [t for term in terms for t in (term.children if term.kind == "sum" else (term,))]
    flat = [t for t in flat if not (t.kind == "number" and t.value == 0)]
    if not flat:
        return number(0)
    return flat[0] if len(flat) == 1 else Tree("sum", tuple(flat))


def product(*factors: Tree) -> Tree:
    """Return a product, without exact ones and without nesting."""
    flat = [t for f in factors for t in (f.children if f.kind == "product" else (f,))]
    flat = [t for t in flat if not (t.kind == "number" and t.value == 1)]
    if not flat:
        return number(1)
    return flat[0] if len(flat) == 1 else Tree("product", tuple(flat))


def scaled(tree: Tree, factor: float) -> Tree:
    """Return the tree times a number, put into its free constants where it has leading ones."""
    if tree.kind == "sum":
        return total(*(scaled(term, factor) for term in tree.children))
    if tree.kind == "constant":
        return constant(float(tree.value) * factor)
    if tree.kind == "product":
        for k, child in enumerate(tree.children):
            if child.kind == "constant" or (child.kind == "sum" and _has_leading_constants(child)):
                parts = (*tree.children[:k], scaled(child, factor), *tree.children[k + 1 :])
                return product(*parts)
    return product(constant(factor), tree)


def _has_leading_constants(tree: Tree) -> bool:
    return all(
        t.kind == "constant" or (t.kind == "product" and t.children[0].kind == "constant")
        for t in tree.children
    )


def power(base: Tree, exponent: Tree | Fraction | int | float) -> Tree:
    """Return ``base`` to an exact (Fraction, int) or free (float) exponent."""
    if not isinstance(exponent, Tree):
        is_free = isinstance(exponent, float)
        exponent = constant(float(exponent)) if is_free else number(Fraction(exponent))
    if exponent.kind == "number":
        if exponent.value == 0:
            return number(1)
        if exponent.value == 1:
            return base
        if base.kind == "power" and base.children[1].kind == "number":
            inner = base.children[1].value
            if Fraction(exponent.value).denominator == 1 and Fraction(inner).denominator == 1:
                return power(base.children[0], Fraction(inner) * Fraction(exponent.value))
    return Tree("power", (base, exponent))


def function(name: str, argument: Tree) -> Tree:
    """Return an elementary function of the table applied to a tree."""
    return Tree("function", (argument,), name=name)


def monomial(exponents: Sequence[Fraction | float], coordinates: Sequence[Tree]) -> Tree:
    """Return the product of powers of the coordinates; float exponents are free constants."""
    pairs = zip(exponents, coordinates, strict=True)
    return product(*(power(tree, e) for e, tree in pairs if e != 0))


def substitute(tree: Tree, coordinates: Sequence[Tree]) -> Tree:
    """Replace every variable by the tree that belongs to its column."""
    if tree.kind == "variable":
        return coordinates[tree.index]
    if not tree.children:
        return tree
    children = tuple(substitute(c, coordinates) for c in tree.children)
    if tree.kind == "sum":
        return total(*children)
    if tree.kind == "product":
        return product(*children)
    if tree.kind == "power":
        return power(*children)
    return replace(tree, children=children)


def evaluate(tree: Tree, columns: Array) -> Array:
    """Return the values on the rows; outside a domain they are NaN or infinite.

    Parameters
    ----------
    tree : Tree
        The expression.
    columns : array of shape (variables, rows)
        One row of this array per variable.
    """
    with np.errstate(all="ignore"):
        return np.broadcast_to(_value(tree, columns), columns.shape[1:]).astype(float)


def _value(tree: Tree, columns: Array) -> Array | float:
    if tree.kind in ("number", "constant"):
        return float(tree.value)
    if tree.kind == "variable":
        return columns[tree.index]
    parts = [_value(c, columns) for c in tree.children]
    if tree.kind == "sum":
        return sum(parts[1:], parts[0])
    if tree.kind == "product":
        out = parts[0]
        for part in parts[1:]:
            out = out * part
        return out
    if tree.kind == "power":
        return _raise(parts[0], float(parts[1]))
    return FUNCTIONS[tree.name].numpy(parts[0])


def _raise(base: Array | float, exponent: float) -> Array:
    if exponent == 0.5:
        return np.sqrt(base)
    if exponent == round(exponent) and abs(exponent) <= 64:
        whole = np.power(np.asarray(base, float), int(abs(exponent)))
        return whole if exponent >= 0 else 1.0 / whole
    return np.power(np.asarray(base, float), exponent)


def evaluate_with_jacobian(tree: Tree, columns: Array) -> tuple[Array, Array]:
    """Return the values (rows,) and their derivatives by the free constants (rows, constants)."""
    n_rows = columns.shape[1]
    counter = iter(range(10**9))
    with np.errstate(all="ignore"):
        value, slopes = _value_and_slopes(tree, columns, lambda: next(counter))
        count = next(counter)
        jacobian = np.zeros((n_rows, count))
        for position, slope in slopes.items():
            jacobian[:, position] = slope
        return np.broadcast_to(value, (n_rows,)).astype(float), jacobian


Slopes = dict[int, Array | float]


def _value_and_slopes(
    tree: Tree, columns: Array, number_next: Callable[[], int]
) -> tuple[Array | float, Slopes]:
    if tree.kind == "number":
        return float(tree.value), {}
    if tree.kind == "constant":
        return float(tree.value), {number_next(): 1.0}
    if tree.kind == "variable":
        return columns[tree.index], {}
    parts = [_value_and_slopes(c, columns, number_next) for c in tree.children]
    if tree.kind == "sum":
        value = sum((v for v, _ in parts[1:]), parts[0][0])
        return value, {k: s for _, slopes in parts for k, s in slopes.items()}
    if tree.kind == "product":
        return _product_rule(parts)
    if tree.kind == "power":
        return _power_rule(tree, parts)
    inner, slopes = parts[0]
    entry = FUNCTIONS[tree.name]
    if not slopes:
        return entry.numpy(inner), {}
    outer = entry.derivative(inner)
    return entry.numpy(inner), {k: outer * s for k, s in slopes.items()}


def _product_rule(parts: list[tuple[Array | float, Slopes]]) -> tuple[Array | float, Slopes]:
    value, slopes = parts[0]
    for factor, factor_slopes in parts[1:]:
        merged: Slopes = {k: s * factor for k, s in slopes.items()}
        merged.update({k: value * s for k, s in factor_slopes.items()})
        value, slopes = value * factor, merged
    return value, slopes


def _power_rule(tree: Tree, parts: list) -> tuple[Array | float, Slopes]:
    (base, base_slopes), (exponent, exponent_slopes) = parts
    value = _raise(base, exponent)
    slopes: Slopes = {}
    if base_slopes:
        outer = exponent * _raise(base, exponent - 1.0)
        slopes.update({k: outer * s for k, s in base_slopes.items()})
    if exponent_slopes:
        by_exponent = value * np.log(np.abs(base))
        slopes.update({k: by_exponent * s for k, s in exponent_slopes.items()})
    return value, slopes


def to_sympy(tree: Tree, symbols: Sequence[sp.Symbol]) -> sp.Expr:
    """Return the sympy expression; free constants become ``Float``, exact numbers ``Rational``."""
    if tree.kind == "number":
        exact = Fraction(tree.value)
        return sp.Rational(exact.numerator, exact.denominator)
    if tree.kind == "constant":
        return sp.Float(float(tree.value), 17)
    if tree.kind == "variable":
        return symbols[tree.index]
    parts = [to_sympy(c, symbols) for c in tree.children]
    if tree.kind == "sum":
        return sp.Add(*parts)
    if tree.kind == "product":
        return sp.Mul(*parts)
    if tree.kind == "power":
        return sp.Pow(*parts)
    return FUNCTIONS[tree.name].sympy(parts[0])


def from_sympy(expr: sp.Expr, symbols: Sequence[sp.Symbol]) -> Tree:
    """Return the tree of an expression of the known columns.

    Raises
    ------
    ValueError
        If the expression holds an unknown symbol or a function that is not in the table.
    """
    if isinstance(expr, sp.Rational):
        return number(Fraction(int(expr.p), int(expr.q)))
    if isinstance(expr, sp.Float) or expr.is_number:
        return constant(float(expr))
    if isinstance(expr, sp.Symbol):
        if expr not in symbols:
            raise ValueError(f"unknown symbol {expr}; the columns are {list(symbols)}")
        return variable(list(symbols).index(expr))
    if isinstance(expr, sp.Pow) and not expr.exp.is_number:
        rewritten = sp.Mul(expr.exp, sp.log(expr.base), evaluate=False)
        return function("exp", from_sympy(rewritten, symbols))
    if isinstance(expr, sp.Add | sp.Mul | sp.Pow):
        parts = [from_sympy(a, symbols) for a in expr.args]
        if isinstance(expr, sp.Pow):
            return power(*parts)
        return total(*parts) if isinstance(expr, sp.Add) else product(*parts)
    entry = function_of(expr)
    if entry is None or entry.arity != 1:
        raise ValueError(f"the table of functions has no entry for {expr.func}; register it")
    return function(entry.name, from_sympy(expr.args[-1], symbols))
