"""Choose the size of a network by its evidence: additive first, then hidden nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanx.network import KAN, Width
from kanx.nodes import Nodes
from kanx.training.averaging import can_average
from kanx.training.evidence import Fit, Settings, Trial, fit_evidence, try_evidence
from kanx.training.losses import Loss
from kanx.training.placement import place_on_data
from kanx.training.restarts import fit_starts
from kanx.training.starts import random_start

# a denser curvature matrix than this many coordinates is not worth its time by default
LARGEST = 1500
HIDDEN_WIDTHS = (2, 4, 8)
# of GP edges on the inputs, in spacings of the control points
LENGTH_SCALES = (1.25, 2.0, 3.0)
# beyond so many rows sizes and starts are tried on a part, and the chosen ones finished on all
MANY_ROWS, PART_OF_ROWS = 5000, 2500
ROUNDS_ON_ALL, FINISHED_ON_ALL = 4, 2
# nor are more than this many times as many as there are rows
COORDINATES_PER_ROW = 1.5
# log evidence a row below the best: widths that count as equally good, and starts worth averaging;
# the evidence is a sum over rows of log predictive densities
SAME_WIDTH, SAME_START = 0.02, 0.1
# gain of log evidence, odds of about 150 to 1, that pays for a model that is harder to read
CLEAR = 5.0
# adding nodes up to which multiplication nodes are tried, and the log evidence a row that
# averaging is worth, which they do without
MOST_FOR_PRODUCTS, AVERAGED = 4, 0.05
# interactions are not looked for in fewer rows than this many per input
ROWS_PER_INPUT = 10


@dataclass(frozen=True)
class Task:
    """The data of a fit and the families of its edges.

    Attributes
    ----------
    x : Tensor, (rows, in), float64
    y : Tensor
        See `fit_evidence`.
    weight : Tensor, (rows,)
    loss : Loss
    outputs : int
    edges : list of dict
        Specification of every input's edges; see `KANLayer`.
    hidden_edge : dict
        Of the edges after hidden nodes.
    settings : Settings
    random_state : int
    on_round : callable, optional
        See `fit_evidence`.
    n_jobs : int, optional
        Processes for random starts; see `fit_starts`.
    prepare : callable, optional
        Called with every untrained network, such as to cut edges.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    loss: Loss
    outputs: int
    edges: list[dict[str, Any]]
    hidden_edge: dict[str, Any]
    settings: Settings = field(default_factory=Settings)
    random_state: int = 0
    on_round: Callable[[int, float], bool] | None = None
    n_jobs: int | None = None
    prepare: Callable[[KAN], None] | None = None

    def build(self, hidden: Sequence[Width], skip: bool) -> KAN:
        """Return an untrained network, placed on the data."""
        widths = [len(self.edges), *hidden, self.outputs]
        network = KAN(
            widths, self.edges, hidden_edge=self.hidden_edge, skip=skip, random_state=0
        ).double()
        place_on_data(network, self.x, self.weight)
        if self.prepare is not None:
            self.prepare(network)
        return network

    def fit(self, hidden: Sequence[Width], *, skip: bool = False, start: int = 0) -> Trial:
        """Fit a network of given hidden widths from one random start; `finish` prunes it."""
        network = self.build(hidden, skip)
        # independent of the order in which sizes and starts are tried
        sizes = [Nodes.of(width).sums_needed for width in hidden]
        seed = np.random.SeedSequence([self.random_state, start, *sizes]).generate_state(1)[0]
        random_start(network, torch.Generator().manual_seed(int(seed)))
        return try_evidence(
            network,
            self.x,
            self.y,
            self.loss,
            self.weight,
            settings=self.settings,
            on_round=self.on_round,
        )

    def fit_starts(self, hidden: Sequence[Width], skip: bool, starts: Iterable[int]) -> list[Trial]:
        """Fit from several random starts, side by side where `n_jobs` says so."""
        own = partial(_from_start, self, hidden, skip)
        alone = partial(_from_start, replace(self, on_round=None), hidden, skip)
        return fit_starts(own, alone, starts, self.n_jobs)

    def part(self) -> Task:
        """Return the task on a random part of the rows where there are very many."""
        if len(self.x) <= MANY_ROWS:
            return self
        seed = torch.Generator().manual_seed(self.random_state)
        chosen = torch.randperm(len(self.x), generator=seed)[:PART_OF_ROWS]
        return replace(self, x=self.x[chosen], y=self.y[chosen], weight=self.weight[chosen])

    def finish(self, trial: Trial) -> Fit:
        """Prune a fit; one to a part of the rows is then continued on all of them."""
        fit = trial.finish(self.settings.prune)
        if len(self.x) <= MANY_ROWS:
            return fit
        return fit_evidence(
            fit.network,
            self.x,
            self.y,
            fit.loss,
            self.weight,
            precision=fit.posterior.precision,
            settings=replace(
                self.settings,
                max_iter=min(ROUNDS_ON_ALL, self.settings.max_iter),
                prune=False,
                tied=trial.climb.tied,
            ),
            on_round=self.on_round,
        )

    def coordinates(self, hidden: int) -> int:
        """Estimate the number of coordinates with so many hidden nodes and a skip."""
        per_input = sum(_basis_size(spec) for spec in self.edges)
        outer = _basis_size(self.hidden_edge)
        return (hidden + self.outputs) * per_input + hidden * outer * self.outputs


def choose_length_scale(task: Task) -> tuple[Task, Trial]:
    """Choose the length-scale of GP edges on the inputs by the additive model's evidence.

    Returns the task with that length-scale and the additive fit. Where the edges are no GP, or
    the user has set their kernel, there is one candidate.
    """
    free = [
        spec["family"] == "gp" and not {"length_scale", "kernel"} & spec.keys()
        for spec in task.edges
    ]
    candidates = []
    for scale in LENGTH_SCALES if any(free) else (None,):
        edges = [
            {**spec, "length_scale": scale} if own else spec
            for spec, own in zip(task.edges, free, strict=True)
        ]
        own_task = replace(task, edges=edges)
        candidates.append((own_task, own_task.fit(())))
    return max(candidates, key=lambda candidate: candidate[1].evidence)


def finish_additive(whole: Task, task: Task, trial: Trial) -> Fit:
    r"""Finish an additive fit, or the one with common precisions where that explains as much.

    Were all curves alike, a precision for each would still gain about half a nat by chance: twice
    the log ratio of the likelihoods is then :math:`\chi^2_k` distributed (Wilks 1938). Where it
    gains no more than that, nothing says that some inputs matter and others do not; with few
    rows and correlated inputs, leaving most out would lose accuracy.

    Parameters
    ----------
    whole : Task
    task : Task
        With the part of the rows and the length-scale of the fit.
    trial : Trial
        Of `task`, with a precision for every line and every bend.
    """
    common = replace(task, settings=replace(task.settings, tied=True)).fit(())
    by_chance = (trial.climb.n_precisions - common.climb.n_precisions) / 2
    wanted = trial.evidence - by_chance >= common.evidence - CLEAR
    return whole.finish(trial if wanted else common)


def select(task: Task, n_estimators: int) -> list[Fit]:
    """Choose between the additive model and hidden layers by evidence.

    Every width gets two starts; the remaining ones go to the widest whose best start comes near
    the highest evidence of all. Those near the best are averaged, whatever their width. The
    additive model is kept unless hidden nodes raise the log evidence by more than `CLEAR`: what is
    easier to read needs no further argument. Where few hidden nodes do as well as many,
    multiplication nodes are tried, see `multiply`.

    Parameters
    ----------
    task : Task
    n_estimators : int
        Starts with hidden nodes in all; see `near_best` for those that are returned.
    """
    whole, (task, additive) = task, choose_length_scale(task.part())
    rows = task.weight.sum().item()
    if rows < ROWS_PER_INPUT * len(task.edges):
        return [finish_additive(whole, task, additive)]
    tried: dict[int, list[Trial]] = {}
    highest = additive.evidence + CLEAR
    started = 0
    for width in HIDDEN_WIDTHS:
        starts = range(min(2, n_estimators - started))
        if not starts or task.coordinates(width) > min(LARGEST, COORDINATES_PER_ROW * rows):
            break
        tried[width] = task.fit_starts((width,), True, starts)
        started += len(starts)
        top = _highest(tried[width])
        if top < highest - SAME_WIDTH * rows:
            break
        highest = max(highest, top)
    near = [w for w, trials in tried.items() if _highest(trials) >= highest - SAME_WIDTH * rows]
    if not near or highest == additive.evidence + CLEAR:
        return [finish_additive(whole, task, additive)]
    product = multiply(task, near[0], highest)
    if product is not None:
        return [whole.finish(product)]
    begun = len(tried[near[-1]])
    rest = range(begun, begun + n_estimators - started)
    trials = [trial for own in tried.values() for trial in own]
    trials += task.fit_starts((near[-1],), True, rest)
    kept = near_best(trials, rows)
    if len(whole.x) > MANY_ROWS:
        kept = kept[:FINISHED_ON_ALL]
    return [whole.finish(trial) for trial in kept]


def multiply(task: Task, width: int, highest: float) -> Trial | None:
    """Fit multiplication nodes in the place of hidden nodes that add; None where they do not pay.

    A product of two sums is a difference of two squares, so half as many multiplication nodes as
    adding ones do, each of which is read at once. They are tried where few hidden nodes are enough.

    Parameters
    ----------
    task : Task
    width : int
        Least number of adding nodes that comes near the highest evidence.
    highest : float
        That evidence; multiplication nodes have to be clearly above, as they cannot be averaged.
    """
    if width > MOST_FOR_PRODUCTS:
        return None
    counts = range(1, width // 2 + 1)
    best = max(
        (task.fit(({"products": [2] * count},), skip=True) for count in counts),
        key=lambda trial: trial.evidence,
    )
    gain = best.evidence - highest
    return best if gain > max(CLEAR, AVERAGED * task.weight.sum().item()) else None


def near_best(trials: list[Trial], rows: float) -> list[Trial]:
    """Keep the starts within `SAME_START` nats a row of the best; a stuck start is left out.

    Networks that cannot be averaged leave only the best.
    """
    floor = _highest(trials) - SAME_START * rows
    ranked = sorted(trials, key=lambda trial: -trial.evidence)
    if not can_average(ranked[0].climb.coordinates.network):
        return ranked[:1]
    return [trial for trial in ranked if trial.evidence >= floor]


def _highest(trials: list[Trial]) -> float:
    return max(trial.evidence for trial in trials)


def _from_start(task: Task, hidden: Sequence[Width], skip: bool, start: int) -> Trial:
    return task.fit(hidden, skip=skip, start=start)


def _basis_size(spec: dict[str, Any]) -> int:
    sizes = ("control_points", "categories", "intervals", "degree", "numerator_degree")
    return int(next((spec[key] for key in sizes if key in spec), 10))
