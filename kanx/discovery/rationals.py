"""Exact relations ``t q(z) = p(z)`` with sparse polynomials: quotients found by linear algebra.

The columns ``m_k(z)`` and ``t m_k(z)`` of a quotient of polynomials are linearly dependent, so the
singular vector of a vanishing singular value holds both polynomials. Monomials of functions of the
coordinates, such as ``cos z``, are as good as monomials of ``z``. It needs data without noise.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.polynomials import eliminate
from kanx.discovery.trees import (
    Tree,
    constant,
    evaluate,
    function,
    power,
    product,
    scaled,
    total,
    variable,
)

Array = NDArray[np.float64]
MOST_COLUMNS = 180
MOST_ROWS = 600
LARGEST_DEGREE = 5
MOST_TERMS = 12
VANISHING = 3e-13  # relative singular value of an exact relation
EXACT = 1e-24  # relative loss of an exact relation


class Letter(NamedTuple):
    """A factor of the monomials, its values, and the largest power it may have."""

    tree: Tree
    values: Array
    most: int


def sparse_quotient(
    columns: Array, target: Array, weight: Array, allowed: Collection[str] | None = None
) -> Tree | None:
    """Return a quotient of sparse polynomials that is equal to the target on the rows, or None.

    Parameters
    ----------
    columns : array of shape (coordinates, rows)
        Coordinates.
    target, weight : arrays of shape (rows,)
        Target without noise, and weights.
    allowed : collection of str or None
        Functions that may be used beside powers; None allows all.
    """
    step = max(1, len(target) // MOST_ROWS)
    columns, target, weight = columns[:, ::step], target[::step], weight[::step]
    for functions in _alphabets(len(columns), allowed):
        tree = _first_relation(_letters(columns, functions), target, weight)
        if tree is not None:
            return tree
    return None


def raised(quotient: Tree, exponent: Fraction, columns: Array) -> Tree:
    """Return a quotient to a power, with the power inside where both parts have one sign."""
    if exponent == 1 or quotient.kind != "product" or quotient.children[-1].kind != "power":
        return power(quotient, exponent)
    top, bottom = product(*quotient.children[:-1]), quotient.children[-1].children[0]
    signs = [np.unique(np.sign(evaluate(part, columns))) for part in (top, bottom)]
    if len(signs[0]) != 1 or len(signs[1]) != 1 or signs[0][0] != signs[1][0]:
        return power(quotient, exponent)
    if signs[0][0] < 0:
        top, bottom = scaled(top, -1.0), scaled(bottom, -1.0)
    return product(power(top, exponent), power(bottom, -exponent))


def _alphabets(d: int, allowed: Collection[str] | None) -> list[list[tuple[str, int]]]:
    """Return sets of (function, coordinate) that join the coordinates in the monomials.

    One coordinate at a time: functions of two narrow coordinates are nearly polynomials, and such
    a dependence would be taken for a relation.
    """

    def usable(name: str) -> bool:
        return allowed is None or name in allowed

    waves = usable("cos") and usable("sin")
    alphabets: list[list[tuple[str, int]]] = [[]]
    for k in range(d if d <= 3 else 0):
        alphabets += [[("cos", k), ("sin", k)]] * waves + [[("exp", k)]] * usable("exp")
    if d == 2 and waves:
        alphabets.append([(name, k) for k in range(2) for name in ("cos", "sin")])
    return alphabets


def _letters(columns: Array, functions: Sequence[tuple[str, int]]) -> list[Letter]:
    """Return the coordinates and the functions of them; ``sin^2`` is ``1 - cos^2``."""
    trees = [variable(k) for k in range(len(columns))]
    trees += [function(name, variable(k)) for name, k in functions]
    letters = [Letter(t, evaluate(t, columns), 1 if t.name == "sin" else 99) for t in trees]
    sizes = [np.abs(letter.values).max() for letter in letters]
    return [
        letter for letter, size in zip(letters, sizes, strict=True)
        if np.isfinite(size) and 0 < size < 1e6
    ]  # fmt: skip


def _first_relation(letters: list[Letter], target: Array, weight: Array) -> Tree | None:
    """Return the relation of the lowest degree."""
    monomials: list[tuple[int, ...]] = [()]
    for degree in range(1, LARGEST_DEGREE + 1):
        monomials += [
            m for m in combinations_with_replacement(range(len(letters)), degree)
            if all(m.count(k) <= letters[k].most for k in set(m))
        ]  # fmt: skip
        if 2 * len(monomials) > min(MOST_COLUMNS, 0.6 * len(target)):
            return None
        tree = _relation(letters, monomials, target, weight)
        if tree is not None:
            return tree
    return None


def _relation(
    letters: list[Letter], monomials: list[tuple[int, ...]], target: Array, weight: Array
) -> Tree | None:
    values = [np.prod([letters[k].values for k in m], axis=0) for m in monomials]
    plain = np.array([np.broadcast_to(v, target.shape) for v in values]).T
    design = np.hstack([plain, plain * target[:, None]])
    size = np.linalg.norm(design, axis=0)
    design = design / size
    root = np.sqrt(weight)
    _, singular, vectors = np.linalg.svd(
        np.linalg.qr(design * root[:, None])[1], full_matrices=False
    )
    null = vectors[singular < VANISHING * singular[0]].T
    count = len(monomials)
    if not null.size:
        return None
    presence = np.linalg.norm(null[count:], axis=1)
    if presence.max() < 1e-6:
        return None  # the monomials depend on each other, whatever the target is
    pivot = count + int(np.flatnonzero(presence > 1e-2 * presence.max())[0])
    others = [k for k in range(2 * count) if k != pivot]
    chosen, coefficients, _ = eliminate(design[:, others], design[:, pivot], weight)
    kept = [others[k] for k in chosen]
    misfit = design[:, pivot] - design[:, kept] @ coefficients
    is_exact = np.sum(weight * misfit**2) < EXACT * np.sum(weight * design[:, pivot] ** 2)
    if not is_exact or len(kept) > MOST_TERMS or min(kept) >= count:
        return None
    scale = coefficients * size[pivot] / size[kept]
    top = [(k, c) for k, c in zip(kept, scale, strict=True) if k < count]
    bottom = [(k - count, -c) for k, c in zip(kept, scale, strict=True) if k >= count]
    denominator = total(
        _monomial(letters, monomials[pivot - count]), *_terms(letters, monomials, bottom)
    )
    return product(total(*_terms(letters, monomials, top)), power(denominator, -1))


def _terms(
    letters: list[Letter], monomials: list[tuple[int, ...]], pairs: list[tuple[int, float]]
) -> list[Tree]:
    return [product(constant(c), _monomial(letters, monomials[k])) for k, c in pairs]


def _monomial(letters: list[Letter], indices: tuple[int, ...]) -> Tree:
    return product(*(power(letters[k].tree, indices.count(k)) for k in sorted(set(indices))))
