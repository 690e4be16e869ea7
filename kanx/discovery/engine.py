"""The search, from the simplest hypotheses to the richest, until one is exact or time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.archive import Archive
from kanx.discovery.data import Data
from kanx.discovery.reduction import ReducedSearch, all_variables, coordinates_of
from kanx.discovery.trees import Tree, constant, function, monomial, product, total, variable

Array = NDArray[np.float64]
Report = Callable[[Archive], None]


@dataclass
class Search:
    """Run the stages of a search on one target.

    Parameters
    ----------
    data : Data
        Prepared rows.
    max_time : float
        Seconds of wall clock for all stages.
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
    max_time: float
    generator: np.random.Generator
    allowed: Collection[str] | None = None
    max_complexity: int = 80
    report: Report | None = None
    archive: Archive = field(init=False)
    interrupted: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.archive = Archive(self.data, self.max_complexity)
        self.deadline = time.monotonic() + self.max_time

    def run(self) -> Archive:
        """Run the stages until the law is found or time is up; return the archive."""
        try:
            for stage in self._stages():
                stage()
                if self.report is not None:
                    self.report(self.archive)
                if time.monotonic() > self.deadline or self.archive.is_solved():
                    break
        except KeyboardInterrupt:
            self.interrupted = True
        return self.archive

    def _stages(self) -> Iterator[Callable[[], None]]:
        """Yield the stages, cheapest first."""
        yield self._baselines
        plain = self._reduced(all_variables(len(self.data.columns)))
        yield lambda: self._by_groups(plain, 0)
        yield lambda: self._by_groups(plain, 1)
        if len(self.data.columns) <= 3:
            yield lambda: self._raw(plain)
        yield lambda: self._by_groups(plain, 2)
        yield lambda: self._by_groups(plain, 3)

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

    def _by_groups(self, search: ReducedSearch, n_groups: int) -> None:
        """Find the groups, then name the function of them."""
        if n_groups + len(search.coordinates.axes) > 3:
            return
        units = search.units(n_groups)
        if not units:
            return
        for reduction in search.reductions(units, n_groups)[:3]:
            if n_groups == 0:
                exponents = [float(e) if isinstance(e, float) else e for e in reduction.gate]
                tree = monomial(exponents, search.coordinates.positive)
                self.archive.consider(product(constant(1.0), tree))
                if not search.coordinates.axes:
                    continue
            search.name_curves(reduction)
            if self._finished():
                return
            search.name_sums(reduction)
            if self._finished():
                return

    def _raw(self, search: ReducedSearch) -> None:
        """Search sums of the inputs as they are."""
        n = len(search.coordinates.positive)
        units = search.units(n)
        reduction = search.reductions(units, n)[0]
        search.name_curves(reduction)
        if not self._finished():
            search.name_sums(reduction)

    def _finished(self) -> bool:
        return time.monotonic() > self.deadline or self.archive.is_solved()


def function_of_target(name: str, inverse: str) -> Callable[[Tree], Tree]:
    """Return the wrapper that undoes ``name`` on the target."""
    return lambda tree: function(inverse, tree)


HALF = Fraction(1, 2)
