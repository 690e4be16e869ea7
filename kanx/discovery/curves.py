"""Name a curve in one coordinate: ``y = gate * m(z) * (c0 + c1 h(c w))^(1/r)``, all shapes scanned.

The scale ``c`` has a grid in units of the data, ``w`` is a power of one coordinate or a product of
coordinates, and ``m`` a monomial; each combination costs three dot products.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.atoms import HALF, Atom, plus_one
from kanx.discovery.reduced import LINK_POWERS, Linked, ReducedProblem, linked_target, rank_of
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
    substitute,
    total,
    variable,
)

Array = NDArray[np.float64]
SMOOTH_STEPS = np.geomspace(0.04, 40.0, 26)
ANGLE_STEPS = np.concatenate([np.geomspace(0.3, 3.0, 8), np.arange(4.0, 64.0, 0.9)])


@dataclass(frozen=True)
class Scan:
    """Hold the scanned shapes: their values and how to build each.

    Parameters
    ----------
    values : array of shape (shapes, rows)
        Values of every shape at every scale.
    skeletons : list of Tree
        Shapes whose scale is one more variable, after the coordinates.
    members : array of shape (shapes,)
        Index of each entry's skeleton.
    scales : array of shape (shapes,)
        Scale of each entry; 1 where the shape has none.
    prices : array of shape (shapes,)
        Complexity of each entry.
    n_coordinates : int
        Number of coordinates.
    """

    values: Array
    skeletons: list[Tree]
    members: NDArray[np.int64]
    scales: Array
    prices: Array
    n_coordinates: int

    def tree(self, index: int) -> Tree:
        """Build one entry; its scale is a free constant."""
        coordinates = [variable(k) for k in range(self.n_coordinates)]
        scale = constant(float(self.scales[index]))
        return substitute(self.skeletons[self.members[index]], (*coordinates, scale))

    def thinned(self, keep: int) -> list[Atom]:
        """Return about ``keep`` scales of every shape, as atoms."""
        chosen: list[Atom] = []
        for skeleton in range(len(self.skeletons)):
            entries = np.flatnonzero(self.members == skeleton)
            step = max(1, len(entries) // keep)
            chosen += [
                Atom(self.tree(k), self.values[k], int(self.prices[k])) for k in entries[::step]
            ]
        return chosen


def curve_arguments(columns: Array) -> list[Tree]:
    """Return powers of the coordinates and of their products, legal on the data."""
    d = len(columns)
    exponents: list[tuple] = [(1,), (2,), (HALF,), (-1,), (-2,), (-HALF,), (3,)]
    if d == 2:
        exponents = [(1, 0), (0, 1), (2, 0), (0, 2), (1, 1), (1, -1), (-1, 1), (-1, 0), (0, -1)]
    if d >= 3:
        units = np.eye(d, dtype=int)
        exponents = [tuple(u) for u in units] + [tuple(-u) for u in units]
        exponents += [
            tuple(units[i] + s * units[j]) for i in range(d) for j in range(i) for s in (1, -1)
        ]
    found = []
    for e in exponents:
        tree = monomial([Fraction(int(2 * x), 2) for x in e], [variable(k) for k in range(d)])
        values = evaluate(tree, columns)
        if np.isfinite(values).all() and np.abs(values).max() < 1e6 * np.abs(values).mean():
            found.append(tree)
    return found


def _shapes_of(u: Tree, allowed: Collection[str] | None) -> list[tuple[Tree, Array]]:
    """Return the shapes of a scaled argument with the scales, in units of its largest value."""

    def usable(name: str) -> bool:
        return allowed is None or name in allowed

    def add(name: str, scales: Array, *trees: Tree) -> None:
        if name == "power" or usable(name):
            found.extend((tree, scales) for tree in trees)

    found: list[tuple[Tree, Array]] = []
    both = np.concatenate([SMOOTH_STEPS, -SMOOTH_STEPS])
    above_pole = np.concatenate([SMOOTH_STEPS, -SMOOTH_STEPS[SMOOTH_STEPS < 1]])
    exponential = function("exp", u)
    roots = (-1, HALF, -HALF, -2, Fraction(-3, 2))
    add("power", above_pole, *(power(plus_one(u), q) for q in roots))
    add("exp", both, exponential)
    add("log", above_pole, function("log", plus_one(u)))
    planck = (power(total(exponential, number(sign)), -1) for sign in (-1, 1))
    add("exp", SMOOTH_STEPS, *planck)
    for name in ("tanh", "atan", "cosh", "sinh"):
        add(name, SMOOTH_STEPS, function(name, u))
    add("cosh", SMOOTH_STEPS, power(function("cosh", u), -1))
    for name in ("asin", "acos"):
        add(name, SMOOTH_STEPS[SMOOTH_STEPS <= 1], function(name, u))
    for name in ("sin", "cos"):
        add(name, ANGLE_STEPS, function(name, u))
    add("sin", ANGLE_STEPS, power(function("sin", u), 2))
    add("tan", ANGLE_STEPS[ANGLE_STEPS < 1.5], function("tan", u))
    return found


def scan_of(columns: Array, allowed: Collection[str] | None) -> Scan:
    """Evaluate every scaled shape of every argument."""
    d, n_rows = columns.shape
    values: list[Array] = [np.empty((0, n_rows))]
    skeletons: list[Tree] = []
    members, kept_scales, prices = [], [], []
    for w in curve_arguments(columns):
        peak = float(np.abs(evaluate(w, columns)).max())
        shapes = _shapes_of(product(variable(d), w), allowed)
        if allowed is None or "log" in allowed:
            shapes.append((function("log", w), np.array([peak])))
        for skeleton, scales in shapes:
            scales = scales / peak
            table = np.vstack([np.tile(columns, len(scales)), np.repeat(scales, n_rows)])
            block = evaluate(skeleton, table).reshape(len(scales), n_rows)
            with np.errstate(all="ignore"):
                size, spread = np.abs(block).max(axis=1), block.std(axis=1)
                fine = np.isfinite(size) & (size < 1e9) & (spread > 1e-6 * size)
            values.append(block[fine])
            kept_scales.append(scales[fine])
            members.append(np.full(fine.sum(), len(skeletons)))
            prices.append(np.full(fine.sum(), float(price_of(skeleton))))
            skeletons.append(skeleton)
    return Scan(
        np.vstack(values), skeletons, np.concatenate(members), np.concatenate(kept_scales),
        np.concatenate(prices), d,
    )  # fmt: skip


def named_curves(
    problem: ReducedProblem,
    scan: Scan,
    prefixes: list[Atom],
    links: tuple[Fraction, ...] = LINK_POWERS,
    keep: int = 20,
) -> list[Tree]:
    """Return the best candidate laws in the inputs, the most promising first."""
    shortlist: list[tuple[float, int, Fraction, Atom, Linked]] = []
    candidates = [(p, r, linked_target(problem, r, p.values)) for p in prefixes for r in links]
    jobs = [(p, r, item) for p, r, item in candidates if item is not None]
    if not (jobs and len(scan.values)):
        return []
    losses = _two_parameter_losses(scan.values, [job[2] for job in jobs])
    for (prefix, link, linked), loss in zip(jobs, losses, strict=True):
        price = scan.prices + prefix.price + (link != 1)
        rank = problem.n_effective * np.log1p(loss / linked.floor) + 3.5 * price
        for k in _best_of_each_shape(rank, scan, 6):
            shortlist.append((float(rank[k]), k, link, prefix, linked))
    shortlist.sort(key=lambda item: item[0])
    ranked = []
    for _, k, link, prefix, linked in shortlist[: 8 * keep]:
        tree = _build(problem, scan, k, link, prefix, linked)
        total_price = float(scan.prices[k]) + prefix.price + (link != 1)
        ranked.append((rank_of(problem, tree, total_price), tree))
    ranked.sort(key=lambda item: item[0])
    return [tree for _, tree in ranked[:keep]]


def _best_of_each_shape(rank: Array, scan: Scan, keep: int) -> list[int]:
    """Return the best entries, at most one per (shape, argument): neighbours on the grid agree."""
    chosen: list[int] = []
    seen: set[int] = set()
    best = np.argpartition(rank, min(8 * keep, len(rank) - 1))[: 8 * keep]
    for k in best[np.argsort(rank[best], kind="stable")]:
        skeleton = int(scan.members[k])
        if skeleton not in seen:
            seen.add(skeleton)
            chosen.append(int(k))
        if len(chosen) == keep:
            break
    return chosen


def _two_parameter_losses(values: Array, linked: list[Linked]) -> Array:
    """Return the relative loss of ``c0 + c1 h`` for every target (rows) and shape (columns)."""
    weights = np.array([item.weight for item in linked])  # (targets, rows)
    mass = weights.sum(axis=1)
    targets = np.array([item.target for item in linked])
    targets -= (np.sum(weights * targets, axis=1) / mass)[:, None]
    sums = weights @ values.T  # (targets, shapes)
    squares = weights @ (values**2).T
    covariances = (weights * targets) @ values.T
    sizes = np.sum(weights * targets**2, axis=1)[:, None] + 1e-300
    variances = squares - sums**2 / mass[:, None]
    with np.errstate(all="ignore"):
        explained = covariances**2 / (variances * sizes)
    explained[~(variances > 1e-12 * squares)] = 0.0
    return np.maximum(1.0 - explained, 0.0)


def _build(
    problem: ReducedProblem, scan: Scan, index: int, link: Fraction, prefix: Atom, linked: Linked
) -> Tree:
    """Return the law of one shape."""
    root = np.sqrt(linked.weight)
    design = np.c_[np.ones_like(linked.target), scan.values[index]]
    c0, c1 = np.linalg.lstsq(design * root[:, None], linked.target * root, rcond=None)[0]
    inner = total(constant(c0), product(constant(c1), scan.tree(index)))
    outer = product(number(int(linked.sign)), prefix.tree, power(inner, 1 / link))
    return product(problem.gate_tree, substitute(outer, problem.coordinate_trees))
