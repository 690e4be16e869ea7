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

from kanx.discovery.atoms import HALF, ONE, Atom, plus_one
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
    """Hold the scanned shapes: their values and how to build each."""

    values: Array  # (shapes, rows)
    trees: list[Tree]
    prices: Array
    skeletons: NDArray[np.int64]  # equal where only the scale differs

    def thinned(self, keep: int) -> list[Atom]:
        """Return about ``keep`` scales of every shape, as atoms."""
        chosen: list[Atom] = []
        for skeleton in range(int(self.skeletons.max(initial=-1)) + 1):
            members = np.flatnonzero(self.skeletons == skeleton)
            step = max(1, len(members) // keep)
            chosen += [
                Atom(self.trees[k], self.values[k], int(self.prices[k])) for k in members[::step]
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


def _scaled_shapes(w: Tree, peak: float, allowed: Collection[str] | None) -> list[Tree]:
    def usable(name: str) -> bool:
        return allowed is None or name in allowed

    trees: list[Tree] = []
    for g in SMOOTH_STEPS:
        for sign in (1.0, -1.0):
            u = product(constant(sign * g / peak), w)
            if sign > 0 or g < 1:
                trees += [power(plus_one(u), q) for q in (-1, HALF, -HALF, -2, Fraction(-3, 2))]
            if usable("exp"):
                trees.append(function("exp", u))
            if usable("log") and (sign > 0 or g < 1):
                trees.append(function("log", plus_one(u)))
        u = product(constant(g / peak), w)
        if usable("exp"):
            trees.append(power(total(function("exp", u), number(-1)), -1))
            trees.append(power(total(function("exp", u), ONE), -1))
        trees += [function(n, u) for n in ("tanh", "atan", "cosh", "sinh") if usable(n)]
        if usable("cosh"):
            trees.append(power(function("cosh", u), -1))
        trees += [function(n, u) for n in ("asin", "acos") if g <= 1 and usable(n)]
    for g in ANGLE_STEPS:
        u = product(constant(g / peak), w)
        trees += [function(n, u) for n in ("sin", "cos") if usable(n)]
        trees += [power(function(n, u), 2) for n in ("sin",) if usable(n)]
        if g < 1.5 and usable("tan"):
            trees.append(function("tan", u))
    return trees


def scan_of(columns: Array, allowed: Collection[str] | None) -> Scan:
    """Evaluate every scaled shape of every argument."""
    values, trees, prices, skeletons = [], [], [], []
    numbering: dict[Tree, int] = {}
    for w in curve_arguments(columns):
        peak = float(np.abs(evaluate(w, columns)).max())
        for tree in _scaled_shapes(w, peak, allowed):
            v = evaluate(tree, columns)
            size = np.abs(v).max()
            if np.isfinite(size) and size < 1e9 and v.std() > 1e-6 * size:
                values.append(v)
                trees.append(tree)
                prices.append(price_of(tree))
                skeleton = tree.with_constants(np.zeros(len(tree.constants)))
                skeletons.append(numbering.setdefault(skeleton, len(numbering)))
        if allowed is None or "log" in allowed:
            v = evaluate(function("log", w), columns)
            if np.isfinite(v).all():
                values.append(v)
                trees.append(function("log", w))
                prices.append(2)
                skeletons.append(numbering.setdefault(trees[-1], len(numbering)))
    return Scan(np.array(values), trees, np.array(prices, float), np.array(skeletons))


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
        skeleton = int(scan.skeletons[k])
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
    inner = total(constant(c0), product(constant(c1), scan.trees[index]))
    outer = product(number(int(linked.sign)), prefix.tree, power(inner, 1 / link))
    return product(problem.gate_tree, substitute(outer, problem.coordinate_trees))
