"""The search, from the simplest hypotheses to the richest, until one is exact or time is up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.archive import Archive
from kanx.discovery.data import MISFIT_RATIO, Data, neighbour_ratio
from kanx.discovery.deadline import Deadline
from kanx.discovery.groups import Reduction
from kanx.discovery.links import LINKS, TargetLink
from kanx.discovery.module_search import MOST_DEPTH, Split, find_splits, search_split
from kanx.discovery.polynomials import sparse_polynomials
from kanx.discovery.rationals import sparse_quotient
from kanx.discovery.reduction import (
    Coordinates,
    ReducedSearch,
    all_variables,
    coordinates_of,
    with_magnitudes,
)
from kanx.discovery.ridge import Projection, RidgeUnit
from kanx.discovery.translations import Merge, find_merges
from kanx.discovery.trees import Tree, constant, monomial, number, product, total, variable

Array = NDArray[np.float64]
Report = Callable[[Archive], None]
MOST_DIMENSIONS = 3
MOST_AXES = 6
MOST_POLYNOMIAL_TERMS = 16
EXPONENT_BIC = 3.0  # of a simple rational
MOST_GROUPED = 2  # hypotheses whose groups a genetic search is given
MOST_QUOTIENTS = 8  # hypotheses whose coordinates are tried for exact quotients
RIVAL_BIC = 12.0  # hypotheses this close to the best are all tried before the search may stop


@dataclass(frozen=True)
class Hypothesis:
    """Say that the target is a gate times a function of some groups, and how well that fits.

    Parameters
    ----------
    search : ReducedSearch
        Coordinates and target.
    n_groups : int
        Number of groups.
    units : list of RidgeUnit
        Fitted units, best first.
    score : float
        BIC of the best unit, or what a formula may reach if it is noisy; lower is better.
    is_noisy : bool
        Whether the best unit leaves noise rather than misfit or rounding error.
    """

    search: ReducedSearch
    n_groups: int
    units: list[RidgeUnit]
    score: float
    is_noisy: bool

    @cached_property
    def reductions(self) -> list[Reduction]:
        """The groups with rational exponents, at most three."""
        return self.search.reductions(self.units, self.n_groups)[:3]


@dataclass
class Search:
    """Run the stages of a search on one target.

    Parameters
    ----------
    data : Data
        Prepared rows.
    deadline : Deadline
        When to stop.
    generator : numpy.random.Generator
        Source of all randomness.
    allowed : collection of str or None
        Functions that formulas may use.
    max_complexity : int
        Largest number of nodes of a candidate.
    report : callable, optional
        Called with the archive after every stage.
    penalty : callable, optional
        As in `Archive`.
    depth : int
        Number of searches that this one is a block of.
    """

    data: Data
    deadline: Deadline
    generator: np.random.Generator
    allowed: Collection[str] | None = None
    max_complexity: int = 80
    report: Report | None = None
    penalty: Callable[[Tree], float] | None = None
    depth: int = 0
    archive: Archive = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)
    best_score: float | None = field(init=False, default=None)
    hypotheses: list[Hypothesis] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.archive = Archive(self.data, self.max_complexity, penalty=self.penalty)

    def run(self) -> Archive:
        """Run the stages until the law is found or time is up; return the archive."""
        try:
            for stage in self._stages():
                stage()
                if self.report is not None:
                    self.report(self.archive)
                if self.deadline.passed or self._is_solved():
                    break
        except KeyboardInterrupt:
            self.notes.append("the search was interrupted; this is the best formula so far")
        except np.linalg.LinAlgError as error:
            self.notes.append(f"the search ended early: {error}; this is the best formula so far")
        return self.archive

    def group_trees(self) -> list[Tree]:
        """Return the groups and gates of the best hypotheses, those of one input left out."""
        found: dict[Tree, None] = {}
        for hypothesis in self.hypotheses[:MOST_GROUPED]:
            coordinates = hypothesis.search.coordinates.positive
            for reduction in hypothesis.reductions[:1]:
                for exponents in (reduction.gate, *reduction.groups):
                    if sum(e != 0 for e in exponents) > 1:
                        found[monomial(exponents, coordinates)] = None
        return list(found)

    def _is_solved(self) -> bool:
        """Return whether nothing but rounding or noise is left, and no hypothesis promises more."""
        if self.archive.is_exact():
            return True
        champion = self.archive.champion()
        if champion is None or self.best_score is None or not self.archive.is_solved():
            return False
        if champion.tree.exponent_positions:
            return False  # exponents that are no rationals may imitate another function
        n_rows = self.data.n_rows
        count = len(champion.tree.constants)
        score = n_rows * np.log(champion.loss) + count * np.log(n_rows)
        return bool(score < self.best_score + RIVAL_BIC)

    def _stages(self) -> Iterator[Callable[[], None]]:
        """Yield the stages, cheapest first."""
        yield self._baselines
        plain = self._plain_coordinates()
        hypotheses = self._hypotheses(plain, LINKS[0])
        if hypotheses and hypotheses[0].n_groups == 0:
            yield lambda: self._name(hypotheses[0])
        for coordinates in self._merged_coordinates():
            hypotheses += self._hypotheses(coordinates, LINKS[0])
        hypotheses.sort(key=lambda h: h.score)
        self.hypotheses = hypotheses
        self.best_score = min((h.score for h in hypotheses), default=np.inf)
        if hypotheses and not hypotheses[0].is_noisy:
            yield from self._quotients(hypotheses[:MOST_QUOTIENTS])
        near = [h for h in hypotheses if h.score < self.best_score + RIVAL_BIC][:3]
        if near and near[0].is_noisy:
            near.sort(key=lambda h: h.n_groups + len(h.search.coordinates.axes))
        splits = find_splits(self.data, self.allowed) if self.depth < MOST_DEPTH else []
        yield from self._blocks([split for split in splits if split.is_exact])
        yield lambda: self._name_all(near)
        yield from self._blocks([split for split in splits if not split.is_exact])
        yield from self._naming(hypotheses[len(near) : 2])
        yield from self._naming(hypotheses[:1], deep=True)
        for link in [link for link in LINKS[1:] if link.is_allowed(self.allowed)]:
            yield from self._naming(self._hypotheses(plain, link)[:2])
        yield from self._naming(hypotheses[max(2, len(near)) : 5])
        yield from self._naming(hypotheses[1:4], deep=True)

    def _blocks(self, splits: list[Split]) -> Iterator[Callable[[], None]]:
        """Yield a stage per sum over blocks behind a link: each block is searched for itself."""

        def recurse(data: Data, deadline: Deadline) -> Archive:
            inner = Search(
                data, deadline, self.generator, self.allowed, self.max_complexity,
                depth=self.depth + 1,
            )  # fmt: skip
            return inner.run()

        def search(split: Split) -> None:
            for tree in search_split(split, self.data, self.deadline, recurse):
                self.archive.consider(tree)
                if self.deadline.passed or self.archive.is_exact():
                    return

        for split in splits:
            yield lambda s=split: search(s)  # type: ignore[misc]

    def _quotients(self, hypotheses: list[Hypothesis]) -> Iterator[Callable[[], None]]:
        """Yield one cheap stage per hypothesis: exact quotients in its coordinates."""

        def search(hypothesis: Hypothesis) -> None:
            for reduction in hypothesis.reductions:
                if not (self.deadline.passed or self.archive.is_exact()):
                    hypothesis.search.name_quotients(reduction)

        for hypothesis in hypotheses:
            if hypothesis.n_groups + len(hypothesis.search.coordinates.axes) > 0:
                yield lambda h=hypothesis: search(h)  # type: ignore[misc]

    def _naming(
        self, hypotheses: list[Hypothesis], deep: bool = False
    ) -> Iterator[Callable[[], None]]:
        for hypothesis in hypotheses:
            yield lambda h=hypothesis: self._name(h, deep)  # type: ignore[misc]

    def _name_all(self, rivals: list[Hypothesis]) -> None:
        """Name the hypotheses that the data hardly tell apart, until a law is found.

        The first is always named: a polynomial of the baselines may fit as well.
        """
        for position, hypothesis in enumerate(rivals):
            if not (self.deadline.passed or (position > 0 and self._is_solved())):
                self._name(hypothesis)

    def _baselines(self) -> None:
        """File the constant, the linear model, sparse polynomials and their quotients."""
        n = len(self.data.columns)
        self.archive.consider(constant(float(np.mean(self.data.y))))
        terms = [product(constant(1.0), variable(k)) for k in range(n)]
        for term in terms:
            self.archive.consider(total(constant(0.0), term))
        self.archive.consider(total(constant(0.0), *terms))
        for tree in sparse_polynomials(self.data):
            if len(tree.children) <= MOST_POLYNOMIAL_TERMS:
                self.archive.consider(tree)
        if not self.archive.is_exact():
            data = self.data
            quotient = sparse_quotient(data.columns, data.y, data.weight, self.allowed)
            if quotient is not None:
                self.archive.consider(quotient)

    def _plain_coordinates(self) -> Coordinates:
        return coordinates_of(all_variables(len(self.data.columns)), self.data.columns)

    def _merged_coordinates(self) -> Iterator[Coordinates]:
        """Yield coordinates in which inputs that act only through a sum are merged."""
        data = self.data
        for merges in find_merges(data.columns, data.y, data.weight)[:3]:
            coordinates = coordinates_of(_merged_trees(merges, len(data.columns)), data.columns)
            yield coordinates
            if coordinates.axes:
                yield with_magnitudes(coordinates)

    def _hypotheses(self, coordinates: Coordinates, link: TargetLink) -> list[Hypothesis]:
        """Fit units with every number of groups and return them with their BIC, best first."""
        linked = link.apply(self.data)
        if linked is None:
            return []
        search = ReducedSearch(
            self.archive, coordinates, linked.target, linked.weight, self.generator, self.deadline,
            self.allowed, linked.undo,
        )  # fmt: skip
        found = []
        n_rows = self.data.n_rows
        ratios = sum(len(t.constants) for t in (*coordinates.positive, *coordinates.axes))
        most_groups = max(MOST_DIMENSIONS - len(coordinates.axes), 0)
        if len(coordinates.axes) > MOST_AXES:
            return []
        for n_groups in range(most_groups + 1):
            units = search.units(n_groups)
            if units:
                surface, _ = search.best_projection(units[0].gate, units[0].directions)
                is_noisy, exponents = _leaves_noise(surface), search.n_exponents(n_groups)
                if is_noisy:
                    score = _promise(surface, n_groups) + EXPONENT_BIC * exponents
                else:
                    score = surface.score + exponents * np.log(n_rows)
                score += ratios * np.log(n_rows)  # of merged inputs, fitted like any constant
                found.append(Hypothesis(search, n_groups, units, score, is_noisy))
            if units and units[0].loss < 1e-14:
                break
        return sorted(found, key=lambda h: h.score)

    def _name(self, hypothesis: Hypothesis, deep: bool = False) -> None:
        """Round the groups of a hypothesis, then name the function of them."""
        search, n_groups = hypothesis.search, hypothesis.n_groups
        dimension = n_groups + len(search.coordinates.axes)
        for reduction in hypothesis.reductions:
            if dimension == 0:
                tree = monomial(reduction.gate, search.coordinates.positive)
                search.file([product(constant(1.0), tree)])
                continue
            if deep:
                namers: list[Callable] = [search.name_deep]
            else:
                namers = [search.name_curves, search.name_sums]
                namers = namers if dimension == 1 else namers[::-1]
            for name in namers:
                name(reduction)
                if self.deadline.passed or self.archive.is_exact():
                    return
            if self._is_solved():
                return


def _leaves_noise(surface: Projection) -> bool:
    problem = surface.problem
    if surface.loss < 1e-10 * float(np.sum(problem.weight * problem.y**2)):
        return False
    residual = surface.residual / np.sqrt(problem.weight)
    return neighbour_ratio(surface.coordinates, residual) > MISFIT_RATIO


def _promise(surface: Projection, n_groups: int) -> float:
    """Return the BIC that a formula may reach which fits as well as a surface on noisy data.

    A surface explains one unit of noise per coefficient; a formula needs few constants instead,
    taken to be one more than it has groups.
    """
    problem, (n_rows, size) = surface.problem, surface.q.shape
    loss = surface.loss / float(np.sum(problem.weight * problem.y**2))
    return n_rows * float(np.log(loss)) + size + (n_groups + 1) * float(np.log(n_rows))


def _merged_trees(merges: list[Merge], n: int) -> list[Tree]:
    """Return the coordinates after the merges: the other inputs, then the sums."""
    used = {k for m in merges for k in (m.first, m.second)}
    trees = [variable(k) for k in range(n) if k not in used]
    for merge in merges:
        second = variable(merge.second)
        if merge.ratio != 1.0:
            exact = merge.ratio == -1.0
            factor = number(-1) if exact else constant(merge.ratio)
            second = product(factor, second)
        trees.append(total(variable(merge.first), second))
    return trees
