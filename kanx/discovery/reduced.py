"""A law in reduced coordinates: ``y = gate * F(z)^(1/r)`` with ``F`` a sparse sum or a quotient."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.atoms import Dictionary
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.sums import select
from kanx.discovery.trees import Tree, constant, evaluate, number, power, product, substitute, total

Array = NDArray[np.float64]
LINK_POWERS: tuple[Fraction, ...] = (
    Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2)
)  # fmt: skip
EXACT = 1e-24  # relative loss


@dataclass(frozen=True)
class ReducedProblem:
    """State the data in reduced coordinates.

    Parameters
    ----------
    coordinates : array of shape (coordinates, rows)
        Values of the groups and axes.
    gate : array of shape (rows,)
        Common factor.
    y, weight : arrays of shape (rows,)
        Target (smoothed if noisy) and weights.
    coordinate_trees, gate_tree : trees of the groups and of the gate in the inputs
    noise : float
        Variance of the target's noise at weight 1, or of its rounding if there is none.
    n_effective : int
        Number of rows behind the (smoothed) target.
    full : Data
        All rows of the inputs with the target as it is.
    deadline : Deadline
        When to stop.
    """

    coordinates: Array
    gate: Array
    y: Array
    weight: Array
    coordinate_trees: tuple[Tree, ...]
    gate_tree: Tree
    noise: float
    n_effective: int
    full: Data
    deadline: Deadline


class Linked(NamedTuple):
    """A linked target: values, weights, sign, and the relative loss that noise explains."""

    target: Array
    weight: Array
    sign: float
    floor: float


def linked_target(
    problem: ReducedProblem, link: Fraction, prefix: Array | float = 1.0
) -> Linked | None:
    """Return ``(s y / (gate * prefix))^r``, its weights by the delta method, and the sign ``s``.

    None where the link has no inverse: both signs under an even power, or a pole.
    """
    with np.errstate(all="ignore"):
        gate = problem.gate * prefix
        t = problem.y / gate
        sign = 1.0
        if link.denominator > 1 or link.numerator % 2 == 0:
            sign = -1.0 if t[np.argmax(np.abs(t))] < 0 else 1.0
            t = sign * t
            if (t <= 0).any():
                return None
        if link < 0 and np.abs(t).min() < 1e-4 * np.abs(t).max():
            return None
        r = float(link)
        target = t**r
        slope = np.abs(r * t ** (r - 1.0) / gate)
        weight = problem.weight / np.maximum(slope, 1e-3 * np.median(slope)) ** 2
    if not (np.isfinite(target).all() and np.isfinite(weight).all() and weight.sum() > 0):
        return None
    mean = np.average(target, weights=weight)
    spread = float(np.sum(weight * (target - mean) ** 2))
    floor = problem.noise * len(target) / (spread + 1e-300)
    return Linked(target, weight / weight.mean(), sign, max(floor, 1e-18))


def sparse_sums(
    problem: ReducedProblem,
    dictionary: Dictionary,
    links: tuple[Fraction, ...] = LINK_POWERS,
    pairs_among: int = 1500,
    beam: int = 40,
    terms: int = 3,
    keep: int = 6,
) -> list[Tree]:
    """Return candidate laws in the inputs, the most promising first.

    Each is ``gate * (c0 + sum c_k f_k)^(1/r)`` or, for ``r = 1``, also a quotient of two sums. The
    search ends at the first law that leaves only rounding error.
    """
    ranked: dict[int, list[tuple[float, Tree]]] = {}
    order = np.argsort(dictionary.prices, kind="stable")
    simple = np.array([a.price == 0 for a, _ in dictionary.factors], bool)[order]
    cheap = np.concatenate([order[simple][:250], order[~simple][:200]])
    for link, is_quotient in [*((r, False) for r in links), (links[0], True)]:
        linked = linked_target(problem, link)
        if linked is None or problem.deadline.passed:
            continue
        features, prices = dictionary.values, dictionary.prices
        if is_quotient:
            features = np.vstack([features, features[cheap] * linked.target])
            prices = np.concatenate([prices, prices[cheap]])
        chosen = select(
            features, prices, linked.target, linked.weight, linked.floor, problem.n_effective,
            pairs_among, beam, terms, keep,
        )  # fmt: skip
        for selection in chosen:
            if is_quotient and max(selection.features) < len(dictionary.prices):
                continue  # a plain sum, found already
            tree = _build(problem, dictionary, features, linked, selection.features, cheap, link)
            price = float(prices[list(selection.features)].sum()) + len(selection.features)
            if loss_of(problem, tree) < EXACT:
                return [tree]
            entry = (rank_of(problem, tree, price + (link != 1)), tree)
            ranked.setdefault(len(selection.features), []).append(entry)
    return _in_turn([sorted(r, key=lambda item: item[0]) for r in ranked.values()])


def plain_products(problem: ReducedProblem, dictionary: Dictionary, keep: int = 12) -> list[Tree]:
    """Return the laws ``c * gate * f`` of one constant and one feature, the best first.

    Noisy data leave many forms equally good; those without an offset and with scales of exactly
    one are the ones most often met, and must be among the candidates.
    """
    ranked: list[tuple[float, Tree]] = []
    linked = linked_target(problem, Fraction(1))
    if linked is None:
        return []
    weighted = dictionary.values * linked.weight
    squares = np.einsum("ij,ij->i", weighted, dictionary.values)
    coefficients = (weighted @ linked.target) / squares
    centre = np.average(linked.target, weights=linked.weight)
    spread = float(np.sum(linked.weight * (linked.target - centre) ** 2)) + 1e-300
    size = float(np.sum(linked.weight * linked.target**2))
    losses = np.maximum(size - coefficients**2 * squares, 0.0) / spread
    rank = problem.n_effective * np.log1p(losses / linked.floor) + 3.5 * dictionary.prices
    for k in np.argsort(rank, kind="stable")[: 4 * keep]:
        inner = substitute(dictionary.tree(int(k)), problem.coordinate_trees)
        tree = product(constant(float(coefficients[k])), problem.gate_tree, inner)
        ranked.append((rank_of(problem, tree, float(dictionary.prices[k])), tree))
    return [tree for _, tree in sorted(ranked, key=lambda item: item[0])[:keep]]


def _in_turn(lists: list[list[tuple[float, Tree]]]) -> list[Tree]:
    """Return the trees of several ranked lists: the first of each, then the second, and so on."""
    longest = max(map(len, lists), default=0)
    return [items[k][1] for k in range(longest) for items in lists if k < len(items)]


def rank_of(problem: ReducedProblem, tree: Tree, price: float) -> float:
    """Return the rank of a law on all rows of the unsmoothed target: log-likelihood and price.

    The screening fits linked and smoothed targets with linearised weights, which forgives large
    misfits and inherits the smoother's; this does neither.
    """
    loss = loss_of(problem, tree)
    if not np.isfinite(loss):
        return np.inf
    return problem.full.n_rows * np.log(loss + 1e-16) + 3.5 * price


def loss_of(problem: ReducedProblem, tree: Tree) -> float:
    """Return the relative loss of a law on all rows of the unsmoothed target."""
    full = problem.full
    with np.errstate(over="ignore"):
        squares = (full.y - evaluate(tree, full.columns)) ** 2
    return float(np.sum(full.weight * squares)) / full.size


def _build(
    problem: ReducedProblem,
    dictionary: Dictionary,
    features: Array,
    linked: Linked,
    chosen: tuple[int, ...],
    cheap: Array,
    link: Fraction,
) -> Tree:
    """Return the law of the selected features."""
    root = np.sqrt(linked.weight)
    design = np.vstack([np.ones_like(linked.target), features[list(chosen)]]).T
    coefficients, *_ = np.linalg.lstsq(design * root[:, None], linked.target * root, rcond=None)
    importance = np.abs(coefficients) * np.sqrt(np.mean(design**2, axis=0))
    top = [constant(coefficients[0])] if importance[0] > 1e-8 * importance.max() else []
    bottom: list[Tree] = []
    for c, k in zip(coefficients[1:], chosen, strict=True):
        if k < len(dictionary.prices):
            top.append(product(constant(c), dictionary.tree(k)))
        else:
            bottom.append(
                product(constant(-c), dictionary.tree(int(cheap[k - len(dictionary.prices)])))
            )
    inner = total(*top)
    if bottom:
        inner = product(inner, power(total(number(1), *bottom), -1))
    outer = product(number(int(linked.sign)), power(inner, 1 / link))
    return product(problem.gate_tree, substitute(outer, problem.coordinate_trees))
