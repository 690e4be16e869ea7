"""The search behind fits without noise: the best network so far, and the ways to a better one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.degrees import at_degree, largest_degree, polynomials
from kanx.training.domains import narrowed, widen_inputs
from kanx.training.interrupt import never
from kanx.training.least_squares import EXACT, FIRST_DAMPING, descend
from kanx.training.placement import place_on_data
from kanx.training.rows import seeded
from kanx.training.separable import SeparableProblem
from kanx.training.starts import random_start

# degrees at which there are random starts, and those gone on to
LOWEST, LOW = 2, 5
STARTS_AT_LOWEST = 2
DEGREES = (LOW, 9, 15, 24, 36, 54)
STEPS_OF_A_START, STEPS = 16, 60
FIRST_PENALTY = 1e-3  # of a random start, for a target of unit variance
GROWN_DAMPING = 1e-8  # of a fit that starts from one of a lower degree that is nearly exact
ROWS_PER_PARAMETER = 2
HELD_OUT, FEWEST_ROWS = 5, 10  # one row in so many is held out
MOST_PARAMETERS = 500
HELPS = 0.9  # share of the error that a higher degree has to come down to
ROUNDING = 1e-13  # error that is not worth another step
# error that is not worth other starts than the first ones, and below which polynomials are known
# a little beyond the rows too
NEAR = 1e-4
SAME = 1e-3  # relative difference of errors below which two starts found the same minimum
ALONE = 0.1  # times the error of all other minima of a few starts: no others are looked for
RACE = 1.5  # times the best error at a degree, beyond which a later branch is left


@dataclass(frozen=True)
class NoiseFree:
    """A network fitted as if the data had no noise.

    Attributes
    ----------
    network : KAN
    degree : int
        Largest degree of its polynomials.
    error : float
        Root mean square error of rows held out, in deviations of the target.
    penalty : float
        That it was fitted with; see `descend`.
    """

    network: KAN
    degree: int
    error: float
    penalty: float


@dataclass(frozen=True)
class Rows:
    """Rows with their weights; see `fit_noise_free`."""

    x: Tensor
    y: Tensor
    weight: Tensor

    def __getitem__(self, index: Tensor) -> Rows:
        return Rows(self.x[index], self.y[index], self.weight[index])

    def error(self, f: Tensor) -> float:
        """Return the root mean square error of outputs, infinite where it is not a number."""
        squares = self.weight @ (self.y - f) ** 2
        error = (squares.sum() / self.weight.sum()).sqrt().item()
        return error if math.isfinite(error) else math.inf


class Search:
    """The best network so far, and the ways to a better one."""

    def __init__(
        self, network: KAN, rows: Rows, random_state: int, stop: Callable[[], bool] = never
    ) -> None:
        self.rows, self.random_state, self.stop = rows, random_state, stop
        self.template = copy.deepcopy(network).double()
        place_on_data(self.template, rows.x, rows.weight)
        widen_inputs(self.template)
        for bundle in polynomials(self.template):
            bundle.extrapolate = "family"
        self.highest = largest_degree(self.template)
        order = torch.randperm(len(rows.x), generator=seeded(random_state))
        count = max(1, len(order) // HELD_OUT)
        self.held_out, self.seen = rows[order[:count]], rows[order[count:]]
        mean = (rows.weight @ rows.y) / rows.weight.sum()
        self.scale = max(1e-300, rows.error(mean))
        self.met: list[NoiseFree] = []
        self.best_at: dict[int, float] = {}  # smallest error on the way, by degree

    @property
    def best(self) -> NoiseFree:
        """What has the smallest error."""
        return min(self.met, key=lambda found: found.error)

    def start(self, starts: int) -> list[NoiseFree]:
        """Fit random starts at low degrees; return different minima of the highest of these."""
        if len(self.template.layers) == 1:  # one minimum, at every degree
            return [self.fit(self.random(DEGREES[0], 0))]
        found: list[NoiseFree] = []
        for degree, count in ((LOWEST, min(starts, STARTS_AT_LOWEST)), (LOW, starts)):
            if degree > self.highest and found:
                break
            fits = []
            if found:
                grown = at_degree(found[0].network, self.template, degree)
                fits = [self.fit(grown, found[0].penalty)]
            for start in range(count):
                fits.append(self.fit(self.random(degree, start)))
                lowest = min(fit.error for fit in fits)
                near = sum(fit.error < (1 + SAME) * lowest for fit in fits)
                alone = len(fits) > 2 and sum(ALONE * fit.error < lowest for fit in fits) == 1
                if lowest < ROUNDING or near > 1 or alone or self.stop():
                    break
            found = different(fits)
            if found[0].error < ROUNDING or self.stop():
                break
        return found

    def follow(
        self, candidate: NoiseFree, highest: int | None = None, *, race: bool = False
    ) -> NoiseFree:
        """Raise the degree step by step while there are rows enough and it helps.

        Parameters
        ----------
        candidate : NoiseFree
        highest : int, optional
            Degree to stop at; that of the template by default.
        race : bool
            Whether to stop where an earlier branch was clearly nearer at the same degree.

        Returns
        -------
        NoiseFree
            Where it ended, which need not be the best on the way.
        """
        in_vain, deep = 0, len(self.template.layers) > 1
        highest = self.highest if highest is None else min(highest, self.highest)
        # what one layer has cannot depend on the way
        degrees = DEGREES if deep else DEGREES[::2]
        for degree in [*(d for d in degrees if d < highest), highest]:
            if candidate.error < ROUNDING or degree <= candidate.degree:
                continue
            grown = at_degree(candidate.network, self.template, degree)
            size = grown.n_parameters
            if size > min(self.seen.y.numel() / ROWS_PER_PARAMETER, MOST_PARAMETERS):
                break
            damping = GROWN_DAMPING if candidate.error < EXACT else FIRST_DAMPING
            fit = self.fit(grown, candidate.penalty, STEPS, damping=damping)
            in_vain = in_vain + 1 if fit.error > HELPS * candidate.error else 0
            candidate = fit
            earlier = self.best_at.get(degree, math.inf)
            self.best_at[degree] = min(earlier, fit.error)
            # one layer costs little, and an oscillation shows only when the degree is high enough
            behind = race and fit.error > RACE * earlier
            if self.stop() or (deep and (in_vain == 2 or behind)):
                break
        return candidate

    def fit(
        self,
        network: KAN,
        penalty: float | None = None,
        iterations: int = STEPS_OF_A_START,
        *,
        keep: bool = True,
        damping: float = FIRST_DAMPING,
    ) -> NoiseFree:
        """Descend from where a network is, in place; `keep` says whether it may be the result."""
        if penalty is None:  # one layer has no way to run wild that a lower degree would not show
            penalty = FIRST_PENALTY * self.scale**2 if len(network.layers) > 1 else 0.0
        penalty = self._descend(network, self.seen, penalty, iterations, damping)
        error = self._error(network)
        degree = largest_degree(network)
        if degree > LOW and NEAR < error < math.inf:
            error = self._error(narrowed(network, self.seen.x))
        fit = NoiseFree(network, degree, error, penalty)
        if keep:
            self.met.append(fit)
        return fit

    def finished(self) -> NoiseFree:
        """Fit the best network to all rows, unless it is exact already."""
        if self.best.error < ROUNDING:
            return self.best
        network = copy.deepcopy(self.best.network)
        self._descend(network, self.rows, self.best.penalty, STEPS_OF_A_START, FIRST_DAMPING)
        return replace(self.best, network=network)

    def _error(self, network: KAN) -> float:
        with torch.no_grad():
            return self.held_out.error(network(self.held_out.x)) / self.scale

    def _descend(
        self, network: KAN, rows: Rows, penalty: float, iterations: int, damping: float
    ) -> float:
        problem = SeparableProblem(network, rows.x, rows.y, rows.weight)
        return descend(problem, penalty, iterations=iterations, damping=damping).penalty

    def random(self, degree: int, start: int) -> KAN:
        """Return a network of a degree with the parameters of one of the random starts."""
        network = at_degree(self.template, self.template, degree)
        random_start(network, seeded(self.random_state, degree, start))
        return network


def different(fits: Iterable[NoiseFree]) -> list[NoiseFree]:
    """Keep one of every minimum, the best first."""
    kept: list[NoiseFree] = []
    for fit in sorted(fits, key=lambda own: own.error):
        if not kept or fit.error > (1 + SAME) * kept[-1].error:
            kept.append(fit)
    return kept
