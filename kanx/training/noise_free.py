"""Data without noise: networks fitted down to rounding, from low degrees to high ones."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.degrees import at_degree, largest_degree, polynomials
from kanx.training.domains import place_hidden, widen_inputs
from kanx.training.least_squares import descend
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
ROWS_PER_PARAMETER = 3
HELD_OUT, FEWEST_ROWS = 5, 10  # one row in so many is held out
MOST_PARAMETERS = 500
HELPS = 0.9  # share of the error that a higher degree has to come down to
ROUNDING = 1e-13  # error that is not worth another step
NEGLIGIBLE = 1e-12  # deviation of a curve that is rounding, relative to the largest at its node
SAME = 1e-3  # relative difference of errors below which two starts found the same minimum


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


def fit_noise_free(
    network: KAN,
    x: Tensor,
    y: Tensor,
    weight: Tensor | None = None,
    *,
    random_state: int = 0,
    starts: int = 8,
    branches: int = 2,
) -> NoiseFree:
    r"""Fit a network of fixed shape to data without noise, as closely as rounding allows.

    Least squares without a penalty have local minima and singular valleys at high degrees, hardly
    any at low ones. So several random starts are fitted at the lowest degrees; the best goes on
    to higher ones, each from where the one before ended, and where it does not come down to
    rounding, so does the next best minimum. Of all that was met, the network that is nearest to
    rows held out is fitted to all rows in the end.

    Parameters
    ----------
    network : KAN
        Shape and families; the degrees of its polynomial edges are the highest that are tried,
        other edges keep their size. Its parameters do not matter, and it stays as it is.
    x : Tensor, (rows, in), float64
    y : Tensor, (rows, outputs), float64
    weight : Tensor, (rows,), optional
    random_state : int, default=0
    starts : int, default=8
        Random starts at a low degree at most; fewer once the lowest minimum is found twice.
    branches : int, default=2
        Minima that are followed to higher degrees at most.

    Raises
    ------
    ValueError
        If fewer rows than `FEWEST_ROWS` have a weight.
    """
    weight = torch.ones(len(x), dtype=torch.float64) if weight is None else weight
    rows = Rows(x, y, weight)[weight > 0]
    if len(rows.x) < FEWEST_ROWS:
        raise ValueError(
            f"a noise-free fit holds rows out and needs at least {FEWEST_ROWS} with a weight above "
            f"zero, got {len(rows.x)}"
        )
    search = _Search(network, rows, random_state)
    for candidate in search.start(starts)[:branches]:
        search.follow(candidate)
        if search.best.error < ROUNDING:
            break
    best = search.finished()
    place_hidden(best.network, x)
    cut_negligible(best.network, x)
    for bundle, asked in zip(polynomials(best.network), polynomials(network), strict=True):
        bundle.extrapolate = asked.extrapolate
    return best


def cut_negligible(network: KAN, x: Tensor, share: float = NEGLIGIBLE) -> None:
    """Prune the curves that hardly vary beside the largest one into the same node, in place.

    Their means go to the biases.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
    share : float
        Of the largest curve's deviation over the rows.
    """
    with torch.no_grad():
        h = x
        for layer, nodes in zip(network.layers, network.nodes, strict=True):
            curves = layer.curves(h)  # (rows, in, out)
            spread = curves.std(0)
            kept = spread > share * spread.amax(0)
            if layer.bias is not None:
                layer.bias.add_((curves.mean(0) * ~kept).sum(0))
                layer.set_mask(layer.mask * kept)
            h = nodes(layer(h))


class _Search:
    """The best network so far, and the ways to a better one."""

    def __init__(self, network: KAN, rows: Rows, random_state: int) -> None:
        self.rows, self.random_state = rows, random_state
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

    @property
    def best(self) -> NoiseFree:
        """What has the smallest error."""
        return min(self.met, key=lambda found: found.error)

    def start(self, starts: int) -> list[NoiseFree]:
        """Fit random starts at low degrees; return different minima of the highest of these."""
        if len(self.template.layers) == 1:  # one minimum, at every degree
            return [self.fit(self._random(DEGREES[0], 0))]
        found: list[NoiseFree] = []
        for degree, count in ((LOWEST, min(starts, STARTS_AT_LOWEST)), (LOW, starts)):
            if degree > self.highest and found:
                break
            fits = []
            if found:
                grown = at_degree(found[0].network, self.template, degree)
                fits = [self.fit(grown, found[0].penalty)]
            for start in range(count):
                fits.append(self.fit(self._random(degree, start)))
                lowest = min(fit.error for fit in fits)
                again = sum(fit.error < (1 + SAME) * lowest for fit in fits)
                if lowest < ROUNDING or again > 1:
                    break
            found = _different(fits)
            if found[0].error < ROUNDING:
                break
        return found

    def follow(self, candidate: NoiseFree) -> None:
        """Raise the degree step by step while there are rows enough and it helps."""
        in_vain = 0
        for degree in [*(d for d in DEGREES if d < self.highest), self.highest]:
            if candidate.error < ROUNDING or degree <= candidate.degree:
                continue
            grown = at_degree(candidate.network, self.template, degree)
            size = grown.n_parameters
            if size > min(self.seen.y.numel() / ROWS_PER_PARAMETER, MOST_PARAMETERS):
                break
            fit = self.fit(grown, candidate.penalty, STEPS)
            in_vain = in_vain + 1 if fit.error > HELPS * candidate.error else 0
            candidate = fit
            # one layer costs little, and an oscillation shows only when the degree is high enough
            if in_vain == 2 and len(self.template.layers) > 1:
                break

    def fit(
        self, network: KAN, penalty: float | None = None, iterations: int = STEPS_OF_A_START
    ) -> NoiseFree:
        """Descend from where a network is, in place."""
        if penalty is None:  # one layer has no way to run wild that a lower degree would not show
            penalty = FIRST_PENALTY * self.scale**2 if len(network.layers) > 1 else 0.0
        penalty = self._descend(network, self.seen, penalty, iterations)
        with torch.no_grad():
            error = self.held_out.error(network(self.held_out.x)) / self.scale
        fit = NoiseFree(network, largest_degree(network), error, penalty)
        self.met.append(fit)
        return fit

    def finished(self) -> NoiseFree:
        """Fit the best network to all rows, unless it is exact already."""
        if self.best.error < ROUNDING:
            return self.best
        network = copy.deepcopy(self.best.network)
        self._descend(network, self.rows, self.best.penalty, STEPS_OF_A_START)
        return replace(self.best, network=network)

    def _descend(self, network: KAN, rows: Rows, penalty: float, iterations: int) -> float:
        problem = SeparableProblem(network, rows.x, rows.y, rows.weight)
        return descend(problem, penalty, iterations=iterations).penalty

    def _random(self, degree: int, start: int) -> KAN:
        network = at_degree(self.template, self.template, degree)
        random_start(network, seeded(self.random_state, degree, start))
        return network


def _different(fits: list[NoiseFree]) -> list[NoiseFree]:
    """Keep one of every minimum, the best first."""
    kept: list[NoiseFree] = []
    for fit in sorted(fits, key=lambda own: own.error):
        if not kept or fit.error > (1 + SAME) * kept[-1].error:
            kept.append(fit)
    return kept
