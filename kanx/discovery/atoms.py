"""The dictionary: elementary shapes of simple arguments, and their products with monomials.

A feature is kept as values plus the recipe of its tree, so that tens of thousands can be screened
by matrix products and only the survivors are ever built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from itertools import product as cartesian

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.trees import (
    Tree,
    constant,
    evaluate,
    function,
    monomial,
    number,
    power,
    price_of,
    product,
    total,
    variable,
)

Array = NDArray[np.float64]
HALF = Fraction(1, 2)
ONE = number(1)


@dataclass(frozen=True)
class Atom:
    """Hold a tree in the coordinates, its values and its price (``trees.price_of``)."""

    tree: Tree
    values: Array
    price: int


def plus_one(w: Tree, sign: int = 1) -> Tree:
    """Return ``1 + w`` or ``1 - w``."""
    return total(ONE, w if sign > 0 else product(number(-1), w))


def _shapes() -> dict[str, list[Callable[[Tree], Tree]]]:
    """Return the shapes an argument can take, under the function each one needs."""
    shapes: dict[str, list[Callable[[Tree], Tree]]] = {"power": [], "exp": []}
    for sign, p, q in cartesian((1, -1), (1, 2), (HALF, -HALF, -1, -2, 2, Fraction(-3, 2))):
        shapes["power"].append(
            lambda w, s=sign, p=p, q=q: power(plus_one(power(w, p), s), q)  # type: ignore[misc]
        )
    for name in ("sin", "cos", "tan"):
        for exponent in (1, 2, -1):
            shapes.setdefault(name, []).append(
                lambda w, n=name, e=exponent: power(function(n, w), e)  # type: ignore[misc]
            )
    for sign in (1, -1):
        shapes["cos"].append(
            lambda w, s=sign: power(plus_one(function("cos", w), s), -1)  # type: ignore[misc]
        )
        for p in (1, 2):
            shapes["exp"].append(
                lambda w, s=sign, p=p: function(  # type: ignore[misc]
                    "exp", product(number(s), power(w, p))
                )
            )
    shapes["exp"].append(lambda w: power(total(function("exp", w), number(-1)), -1))
    shapes["exp"].append(lambda w: power(total(function("exp", w), ONE), -1))
    shapes["log"] = [lambda w: function("log", w), lambda w: function("log", plus_one(w))]
    shapes["log"].append(lambda w: function("log", plus_one(power(w, 2))))
    for name in ("tanh", "atan", "asin", "acos"):
        shapes[name] = [lambda w, n=name: function(n, w)]  # type: ignore[misc]
    return shapes


SHAPES = _shapes()
OUTER_POWERS = (-4, -3, -2, Fraction(-3, 2), -1, -HALF, HALF, 1, Fraction(3, 2), 2, 3, 4)


def make_atom(tree: Tree, columns: Array) -> Atom | None:
    """Evaluate a tree; None if it is not finite, nearly constant, or spans too many decades."""
    values = evaluate(tree, columns)
    if not np.isfinite(values).all():
        return None
    peak = np.abs(values).max()
    if peak > 1e8 or values.std() < 1e-7 * (peak + 1e-300):
        return None
    return Atom(tree, values, price_of(tree))


def arguments(columns: Array) -> list[Tree]:
    """Return the simple arguments: coordinates, their products, ratios, sums and differences."""
    d = len(columns)
    found = [variable(k) for k in range(d)]
    if d == 1:
        z = variable(0)
        return [*found, power(z, 2), power(z, 3), power(z, -1), total(z, power(z, 2))]
    found += [power(variable(k), 2) for k in range(d)]
    for i in range(d):
        for j in range(i + 1, d):
            a, b = variable(i), variable(j)
            found += [product(a, b), product(a, power(b, -1)), product(b, power(a, -1))]
            found += [total(a, b), total(a, product(number(-1), b))]
            found += [product(power(a, 2), b), product(a, power(b, 2))]
            found += [product(a, function("log", b)), product(b, function("log", a))]
    return found


def atoms_of(
    columns: Array, allowed: Collection[str] | None, scales: Collection[float] = (1.0,)
) -> list[Atom]:
    """Return every shape of every argument that is finite on the rows.

    Parameters
    ----------
    columns : array of shape (coordinates, rows)
        Coordinates.
    allowed : collection of str or None
        Names of allowed functions; None allows all.
    scales : collection of float
        Multipliers of the argument; other than 1 they become free constants.
    """
    found: dict[bytes, Atom] = {}
    for argument in arguments(columns):
        for scale in scales:
            w = argument if scale == 1.0 else product(constant(scale), argument)
            for name, shapes in SHAPES.items():
                if allowed is not None and name != "power" and name not in allowed:
                    continue
                for shape in shapes:
                    _keep(found, make_atom(shape(w), columns))
            if argument.kind == "sum" and scale == 1.0:
                for exponent in (1, -1, -2, HALF, -HALF, 2):
                    _keep(found, make_atom(power(w, exponent), columns))
    return list(found.values())


def _keep(found: dict[bytes, Atom], atom: Atom | None) -> None:
    if atom is None:
        return
    unit = atom.values - atom.values.mean()
    unit = unit / np.linalg.norm(unit)
    key = (np.round(unit * np.sign(unit[np.argmax(np.abs(unit))]), 7) + 0.0).tobytes()
    if key not in found or atom.price < found[key].price:
        found[key] = atom


def monomials_of(columns: Array, degree: Fraction = Fraction(4)) -> list[Atom]:
    """Return products of powers of the coordinates, up to a total absolute degree, 1 included."""
    d = len(columns)
    positive = np.asarray((columns > 0).all(axis=1))
    halves = [Fraction(k, 2) for k in range(-8, 9)]
    wholes = [Fraction(k) for k in range(-4, 5)]
    naturals = [Fraction(k) for k in range(0, 5)]
    crosses = (columns.min(axis=1) <= 0) & (columns.max(axis=1) >= 0)
    choices = [
        (halves if d <= 2 else [*wholes, HALF, -HALF]) if positive[k]
        else (naturals if crosses[k] else wholes)
        for k in range(d)
    ]  # fmt: skip
    limit = degree if d <= 3 else Fraction(3)
    found = [Atom(ONE, np.ones(columns.shape[1]), 0)]
    if d > 4:
        choices = [[e for e in c if e.denominator == 1 and abs(e) <= 2] for c in choices]
        limit = Fraction(2)
    for exponents in cartesian(*choices):
        size = sum(abs(e) for e in exponents)
        fractional = sum(e.denominator > 1 for e in exponents)
        if 0 < size <= limit and fractional <= 2:
            tree = monomial(exponents, [variable(k) for k in range(d)])
            atom = make_atom(tree, columns)
            if atom is not None:
                found.append(atom)
    return found


def has_whole_exponents(tree: Tree) -> bool:
    """Return whether every exact number in a tree is an integer."""
    return all(Fraction(n.value).denominator == 1 for n in tree.walk() if n.kind == "number")


@dataclass(frozen=True)
class Dictionary:
    """Hold features as values with the recipe (left factor, right factor) of each tree.

    Parameters
    ----------
    values : array of shape (features, rows)
        Values.
    factors : list of pairs of Atom
        Each feature is the product of its two factors.
    prices : array of shape (features,)
        Complexity of each feature.
    """

    values: Array
    factors: list[tuple[Atom, Atom]]
    prices: Array

    def tree(self, index: int) -> Tree:
        """Build the tree of one feature."""
        left, right = self.factors[index]
        return product(left.tree, right.tree)


def build_dictionary(
    monomials: list[Atom], atoms: list[Atom], size: int, longest: int = 8
) -> Dictionary:
    """Multiply monomials with atoms, and atoms with atoms up to a price; keep the cheapest."""
    one = monomials[0]
    pairs = [(one, m) for m in monomials[1:]] + [(m, a) for m in monomials for a in atoms]
    pairs += [
        (a, b)
        for i, a in enumerate(atoms)
        for b in atoms[i + 1 :]
        if a.price + b.price <= longest and len(atoms) < 2000
    ]
    pairs.sort(key=lambda p: p[0].price + p[1].price)
    pairs = pairs[:size]
    values = np.array([a.values * b.values for a, b in pairs])
    prices = np.array([a.price + b.price for a, b in pairs], float)
    finite = np.isfinite(values).all(axis=1) & (np.abs(values).max(axis=1) < 1e10)
    keep = np.flatnonzero(finite & (values.std(axis=1) > 1e-9 * np.abs(values).max(axis=1)))
    return Dictionary(values[keep], [pairs[k] for k in keep], prices[keep])
