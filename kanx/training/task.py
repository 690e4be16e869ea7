"""The data of a fit, the families of its edges, and fits of any shape to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from torch import Tensor

from kanx.network import KAN, Width
from kanx.nodes import Nodes
from kanx.training.evidence import Ascent, Fit, Settings, Trial, climb_all, fit_evidence
from kanx.training.interrupt import never
from kanx.training.losses import Loss
from kanx.training.placement import place_on_data
from kanx.training.starts import random_start
from kanx.training.subset import choose_rows

# beyond so many rows sizes and starts are tried on a part, and the chosen ones finished on all
MANY_ROWS, PART_OF_ROWS = 5000, 2500
ROUNDS_ON_ALL = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        Processes for random starts, through any joblib back end.
    prepare : callable, optional
        Called with every untrained network, such as to cut edges.
    stop : callable
        Asked whether to end at once, where no rounds are reported.
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
    stop: Callable[[], bool] = never

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
        return climb_all([self._ascent(hidden, skip, start)])[0]

    def fit_starts(self, hidden: Sequence[Width], skip: bool, starts: Sequence[int]) -> list[Trial]:
        """Fit from several random starts, in as many processes as `n_jobs` says.

        In one process, small networks take their steps together, which changes only rounding.
        """
        if effective_n_jobs(self.n_jobs) == 1 and len(starts):
            return climb_all([self._ascent(hidden, skip, start) for start in starts])
        return self.side_by_side(partial(_fit, hidden, skip), starts)

    def _ascent(self, hidden: Sequence[Width], skip: bool, start: int) -> Ascent:
        network = self.build(hidden, skip)
        # independent of the order in which sizes and starts are tried
        sizes = [Nodes.of(width).sums_needed for width in hidden]
        seed = np.random.SeedSequence([self.random_state, start, *sizes]).generate_state(1)[0]
        random_start(network, torch.Generator().manual_seed(int(seed)))
        return Ascent(
            network,
            self.x,
            self.y,
            self.loss,
            self.weight,
            settings=self.settings,
            on_round=self.on_round,
        )

    def part(self) -> Task:
        """Return the task on a part of the rows where there are very many; see `choose_rows`."""
        if len(self.x) <= MANY_ROWS:
            return self
        chosen = choose_rows(self.loss, self.y, self.weight, PART_OF_ROWS, self.random_state)
        return replace(self, x=self.x[chosen], y=self.y[chosen], weight=self.weight[chosen])

    def finish(self, trial: Trial) -> Fit:
        """Prune a fit; one to a part of the rows is first continued on all of them.

        What a part of the rows is too few to show may be clear in all of them.
        """
        if len(self.x) <= MANY_ROWS:
            return trial.finish(self.settings.prune)
        climb = trial.climb
        rounds = min(ROUNDS_ON_ALL, self.settings.max_iter)
        return fit_evidence(
            climb.coordinates.network,
            self.x,
            self.y,
            climb.loss,
            self.weight,
            precision=climb.precision,
            settings=replace(self.settings, max_iter=rounds, tied=climb.tied),
            on_round=self.on_round,
        )

    def finish_all(self, trials: Sequence[Trial]) -> list[Fit]:
        """Finish several fits, in as many processes as `n_jobs` says."""
        return self.side_by_side(Task.finish, trials)

    def side_by_side(
        self, work: Callable[[Task, Item], Result], items: Sequence[Item]
    ) -> list[Result]:
        """Do some work for every item, in as many processes as `n_jobs` says.

        Parameters
        ----------
        work : callable
            Given the task, which reports from this process alone, and an item.
        items : sequence
        """
        if effective_n_jobs(self.n_jobs) == 1 or len(items) == 1:
            return [work(self, item) for item in items]
        elsewhere = replace(self, on_round=None, stop=never)
        return list(Parallel(n_jobs=self.n_jobs)(delayed(work)(elsewhere, item) for item in items))

    def coordinates(self, hidden: int) -> int:
        """Estimate the number of coordinates with so many hidden nodes and a skip."""
        per_input = sum(_basis_size(spec) for spec in self.edges)
        outer = _basis_size(self.hidden_edge)
        return (hidden + self.outputs) * per_input + hidden * outer * self.outputs


def _fit(hidden: Sequence[Width], skip: bool, task: Task, start: int) -> Trial:
    return task.fit(hidden, skip=skip, start=start)


def _basis_size(spec: dict[str, Any]) -> int:
    sizes = ("control_points", "categories", "intervals", "degree", "numerator_degree")
    return int(next((spec[key] for key in sizes if key in spec), 10))
