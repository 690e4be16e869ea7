"""Search one set of coordinates: which groups matter, then which formula of the groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.archive import Archive
from kanx.discovery.atoms import (
    atoms_of,
    build_dictionary,
    has_whole_exponents,
    monomials_of,
)
from kanx.discovery.curves import named_curves, scan_of
from kanx.discovery.data import MISFIT_RATIO, Data, neighbour_ratio
from kanx.discovery.deadline import Deadline
from kanx.discovery.groups import Reduction, rationalise
from kanx.discovery.rationals import raised, sparse_quotient
from kanx.discovery.reduced import ReducedProblem, linked_target, plain_products, sparse_sums
from kanx.discovery.ridge import Projection, RidgeProblem, RidgeUnit, search_units
from kanx.discovery.trees import (
    Tree,
    evaluate,
    function,
    monomial,
    number,
    product,
    substitute,
    variable,
)

Array = NDArray[np.float64]
ORDERS = {0: 0, 1: 10, 2: 7, 3: 5}
HIGHER_ORDERS = {1: (16, 24), 2: (11, 15), 3: (7,)}  # tried once the exponents are known


@dataclass(frozen=True)
class Coordinates:
    """Hold the coordinates of a search as trees in the inputs, with their values.

    Parameters
    ----------
    positive : tuple of Tree
        Coordinates that are positive on the data: they may enter groups.
    axes : tuple of Tree
        Coordinates with both signs: they enter the formula as they are.
    positive_values, axis_values : arrays of shape (coordinates, rows)
        Their values.
    """

    positive: tuple[Tree, ...]
    axes: tuple[Tree, ...]
    positive_values: Array
    axis_values: Array


def coordinates_of(trees: Sequence[Tree], columns: Array) -> Coordinates:
    """Sort trees into positive coordinates (negative ones change sign) and axes."""
    positive, axes, positive_values, axis_values = [], [], [], []
    for tree in trees:
        values = evaluate(tree, columns)
        if values.max() < 0:
            tree, values = product(number(-1), tree), -values
        if values.min() > 1e-9 * values.max():
            positive.append(tree)
            positive_values.append(values)
        else:
            axes.append(tree)
            axis_values.append(values)
    shape = (0, columns.shape[1])
    return Coordinates(
        tuple(positive), tuple(axes),
        np.array(positive_values).reshape(len(positive), shape[1]),
        np.array(axis_values).reshape(len(axes), shape[1]),
    )  # fmt: skip


def with_magnitudes(coordinates: Coordinates) -> Coordinates:
    """Return the coordinates with the magnitude of each axis, so that it can enter groups."""
    return Coordinates(
        (*coordinates.positive, *(function("abs", tree) for tree in coordinates.axes)), (),
        np.vstack([coordinates.positive_values, np.abs(coordinates.axis_values) + 1e-300]),
        coordinates.axis_values[:0],
    )  # fmt: skip


def identity(tree: Tree) -> Tree:
    """Return the tree itself."""
    return tree


@dataclass
class ReducedSearch:
    """Look for ``T(y) = gate * G(groups, axes)`` and name ``G``, for one set of coordinates.

    Parameters
    ----------
    archive : Archive
        Where candidates are filed.
    coordinates : Coordinates
        Coordinates of the rows of the archive's data.
    target : array of shape (rows,)
        The target, or a function of it.
    undo : callable
        Turns the tree of that function into the tree of the target.
    weight : array of shape (rows,)
        Weights of ``target``.
    allowed : collection of str or None
        Functions that may be used.
    generator : numpy.random.Generator
        Source of starts and of subsamples.
    deadline : Deadline
        When to stop.
    """

    archive: Archive
    coordinates: Coordinates
    target: Array
    weight: Array
    generator: np.random.Generator
    deadline: Deadline
    allowed: Collection[str] | None = None
    undo: Callable[[Tree], Tree] = identity

    def problem(self, order: int) -> RidgeProblem:
        """State the unit's data at this order of the series."""
        values = self.coordinates.positive_values
        logs = np.log(values).T
        wide = bool(len(values)) and bool((values.max(axis=1) > 50 * values.min(axis=1)).any())
        return RidgeProblem(
            logs - logs.mean(axis=0), self.coordinates.axis_values.T, self.target, self.weight,
            order, wide,
        )  # fmt: skip

    def units(self, n_groups: int, starts: int | None = None) -> list[RidgeUnit]:
        """Return the fitted units with this many groups."""
        d = n_groups + len(self.coordinates.axes)
        problem = self.problem(ORDERS.get(d, 3))
        n = problem.logs.shape[1]
        if n_groups > n:
            return []
        if n == 0 or n_groups == n:
            unit = RidgeUnit(np.zeros(n), np.eye(n), 0.0)
            size = float(np.sum(problem.weight * problem.y**2)) + 1e-300
            loss = Projection(problem, unit.gate, unit.directions).loss / size
            return [RidgeUnit(unit.gate, unit.directions, loss)]
        count = starts or (1, min(3 * n + 4, 16), min(3 * n + 4, 16), 6)[n_groups]
        return search_units(problem, n_groups, self.generator, self.deadline, count)

    def n_exponents(self, n_groups: int) -> int:
        """Return how many exponents of a unit with this many groups the data decide."""
        n = len(self.coordinates.positive)
        if n_groups == n:
            return 0  # the gauge fixes one number per pair of groups and one per group
        return n * (n_groups + 1) - n_groups * (n_groups + 1)

    def reductions(self, units: list[RidgeUnit], n_groups: int) -> list[Reduction]:
        """Return rational groups of the best units."""
        d = n_groups + len(self.coordinates.axes)
        problem = self.problem(ORDERS.get(d, 3))
        n, n_rows = problem.logs.shape[1], len(self.target)
        if n == 0 or n_groups == n:
            identity = tuple(tuple(Fraction(int(i == j)) for j in range(n)) for i in range(n))
            return [Reduction((Fraction(0),) * n, identity, units[0].loss)]
        noisy = units[0].loss > 1e-5
        tolerance = 1.0 + (20.0 + 2.0 * n) / n_rows if noisy else 30.0
        found: list[Reduction] = []
        for unit in units[:2]:
            if unit.loss < 2.0 * units[0].loss + 1e-12:
                found += rationalise(problem, unit, tolerance)
        unique = {(r.gate, r.groups): r for r in found}
        best = min((r.loss for r in unique.values()), default=0.0)
        ceiling = best * (2.0 * tolerance - 1.0 if noisy else 1e3) + 1e-16
        kept = [r for r in unique.values() if r.loss <= ceiling]
        return sorted(kept, key=lambda r: (not r.is_exact, r.price))

    def reduced_problem(
        self, reduction: Reduction, n_rows: int = 320, smooth: bool = True
    ) -> ReducedProblem:
        """Return the data in the reduced coordinates; a noisy target may be smoothed."""
        c = self.coordinates
        n_all = len(self.target)
        rows = np.arange(n_all)
        if n_all > n_rows:
            rows = np.sort(self.generator.permutation(n_all)[:n_rows])
        trees = [monomial(g, c.positive) for g in reduction.groups]
        gate_tree = monomial(reduction.gate, c.positive)
        columns = self.archive.data.columns
        coordinates = np.array([evaluate(t, columns[:, rows]) for t in trees]).reshape(
            len(trees), len(rows)
        )
        coordinates = np.vstack([coordinates, c.axis_values[:, rows]])
        gate = evaluate(gate_tree, columns[:, rows])
        y, noise, is_smoothed = self._smoothed(reduction) if smooth else (self.target, 0.0, False)
        return ReducedProblem(
            coordinates, gate, y[rows], self.weight[rows], (*trees, *c.axes), gate_tree, noise,
            n_all if is_smoothed else len(rows),
            Data(columns, self.target, self.weight),
            self.deadline,
        )  # fmt: skip

    def best_projection(self, gate: Array, groups: Array) -> tuple[Projection, int]:
        """Return the surface of the order with the least BIC, and that order."""
        d, n_rows = len(groups) + len(self.coordinates.axes), len(self.target)
        order = ORDERS.get(d, 3)
        best = Projection(self.problem(order), gate, groups)
        for higher in HIGHER_ORDERS.get(d, ()):
            if comb(higher + d, d) > n_rows / 6:
                break
            trial = Projection(self.problem(higher), gate, groups)
            if trial.score < best.score:
                best, order = trial, higher
        return best, order

    def _smoothed(self, reduction: Reduction) -> tuple[Array, float, bool]:
        """Return the target, its noise, and whether it was projected on a smooth surface.

        A projection must only remove noise: where the residuals of neighbours agree, they are
        truncation, and the target is left as it is.
        """
        gate = np.array([float(e) for e in reduction.gate])
        groups = np.array([[float(e) for e in g] for g in reduction.groups])
        groups = groups.reshape(len(reduction.groups), len(gate))
        surface, _ = self.best_projection(gate, groups)
        size = float(np.sum(self.weight * self.target**2)) + 1e-300
        root, n = np.sqrt(self.weight), len(self.target)
        is_misfit = neighbour_ratio(surface.coordinates, surface.residual / root) < MISFIT_RATIO
        if surface.loss / size < 1e-7 or is_misfit:
            return self.target, 1e-16 * size / n, False
        return surface.fitted / root, surface.loss / n, True

    def name_quotients(self, reduction: Reduction) -> None:
        """Look for exact quotients of sparse polynomials of the coordinates; file them."""
        problem = self.reduced_problem(reduction, 600, smooth=False)
        for link in (Fraction(1), Fraction(2)):
            linked = linked_target(problem, link)
            if linked is None:
                continue
            tree = sparse_quotient(problem.coordinates, linked.target, linked.weight, self.allowed)
            if tree is not None:
                outer = product(
                    number(int(linked.sign)), raised(tree, 1 / link, problem.coordinates)
                )
                inner = substitute(outer, problem.coordinate_trees)
                self.file([product(problem.gate_tree, inner)])

    def name_curves(self, reduction: Reduction, keep: int = 15) -> None:
        """Scan all shapes of the reduced coordinates and file the best."""
        problem = self.reduced_problem(reduction)
        scan = scan_of(problem.coordinates, self.allowed)
        prefixes = monomials_of(problem.coordinates)
        if len(prefixes) > 40:
            prefixes = sorted(prefixes, key=lambda a: a.price)[:40]
        self.file(named_curves(problem, scan, prefixes, keep=keep))

    def name_sums(self, reduction: Reduction, size: int = 6000, terms: int = 3) -> None:
        """Search sparse sums and quotients of the reduced coordinates and file the best."""
        problem = self.reduced_problem(reduction)
        atoms = atoms_of(problem.coordinates, self.allowed)
        dictionary = build_dictionary(monomials_of(problem.coordinates), atoms, size)
        self.file(plain_products(problem, dictionary))
        self.file(sparse_sums(problem, dictionary, terms=terms)[:30])

    def name_deep(self, reduction: Reduction) -> None:
        """Search longer sums over a larger dictionary whose shapes have scales."""
        problem = self.reduced_problem(reduction, 240)
        scan = scan_of(problem.coordinates, self.allowed)
        monomials = monomials_of(problem.coordinates, Fraction(3))
        monomials = [m for m in monomials if has_whole_exponents(m.tree)]
        atoms = scan.thinned(40 if len(problem.coordinates) == 1 else 6)
        atoms += atoms_of(problem.coordinates, self.allowed)
        dictionary = build_dictionary(monomials, atoms, 36000, longest=9)
        trees = sparse_sums(problem, dictionary, pairs_among=2500, beam=80, terms=4, keep=8)
        self.file(trees[:48])

    def file(self, trees: list[Tree]) -> None:
        """Fit candidate trees and file them, until one is exact."""
        for tree in trees:
            if self.deadline.passed:
                return
            self.archive.consider(self.undo(tree))
            if self.archive.is_exact():
                return


def all_variables(n: int) -> list[Tree]:
    """Return the input columns as trees."""
    return [variable(k) for k in range(n)]
