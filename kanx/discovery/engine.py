"""The search, from the simplest hypotheses to the richest, until one is exact or time is up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.archive import Archive
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.reduction import ReducedSearch, all_variables, coordinates_of
from kanx.discovery.ridge import RidgeUnit
from kanx.discovery.trees import Tree, constant, monomial, product, total, variable

Array = NDArray[np.float64]
Report = Callable[[Archive], None]


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
    """

    data: Data
    deadline: Deadline
    generator: np.random.Generator
    allowed: Collection[str] | None = None
    max_complexity: int = 80
    report: Report | None = None
    archive: Archive = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.archive = Archive(self.data, self.max_complexity)

    def run(self) -> Archive:
        """Run the stages until the law is found or time is up; return the archive."""
        try:
            for stage in self._stages():
                stage()
                if self.report is not None:
                    self.report(self.archive)
                if self.deadline.passed or self.archive.is_solved():
                    break
        except KeyboardInterrupt:
            self.notes.append("the search was interrupted; this is the best formula so far")
        return self.archive

    def _stages(self) -> Iterator[Callable[[], None]]:
        """Yield the stages, cheapest first."""
        yield self._baselines
        plain = self._reduced(all_variables(len(self.data.columns)))
        yield from self._group_stages(plain)

    def _group_stages(self, search: ReducedSearch) -> Iterator[Callable[[], None]]:
        """Yield one stage per number of groups: first the numbers that the data support."""
        units = {}
        for n_groups in range(4):
            if n_groups + len(search.coordinates.axes) <= 3:
                found = search.units(n_groups)
                if found:
                    units[n_groups] = found
        later = []
        for n_groups, found in units.items():
            richer = [u[0].loss for k, u in units.items() if k > n_groups]
            if richer and min(richer) < 0.5 * found[0].loss:
                later.append((n_groups, found))
                continue
            yield lambda k=n_groups, u=found: self._by_groups(search, k, u)  # type: ignore[misc]
        for n_groups, found in later[::-1]:
            yield lambda k=n_groups, u=found: self._by_groups(search, k, u)  # type: ignore[misc]

    def _baselines(self) -> None:
        """File the constant and the linear model."""
        n = len(self.data.columns)
        self.archive.consider(constant(float(np.mean(self.data.y))))
        terms = [product(constant(1.0), variable(k)) for k in range(n)]
        for term in terms:
            self.archive.consider(total(constant(0.0), term))
        self.archive.consider(total(constant(0.0), *terms))

    def _reduced(self, trees: list[Tree]) -> ReducedSearch:
        data = self.data
        coordinates = coordinates_of(trees, data.columns)
        return ReducedSearch(
            self.archive, coordinates, data.y, data.weight, self.generator, self.deadline,
            self.allowed,
        )  # fmt: skip

    def _by_groups(self, search: ReducedSearch, n_groups: int, units: list[RidgeUnit]) -> None:
        """Round the groups, then name the function of them."""
        for reduction in search.reductions(units, n_groups)[:3]:
            if n_groups == 0:
                tree = monomial(reduction.gate, search.coordinates.positive)
                self.archive.consider(product(constant(1.0), tree))
                if not search.coordinates.axes:
                    continue
            namers = [search.name_curves, search.name_sums]
            dimension = n_groups + len(search.coordinates.axes)
            for name in namers if dimension == 1 else namers[::-1]:
                name(reduction)
                if self._finished():
                    return

    def _finished(self) -> bool:
        return self.deadline.passed or self.archive.is_solved()

