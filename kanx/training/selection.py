"""Choose the size of a network by evidence and by rows left out: additive first, then wider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from kanx.training.additive import CLEAR, finish_additive
from kanx.training.averaging import can_average
from kanx.training.distributed import total
from kanx.training.evidence import Fit, Trial
from kanx.training.leave_one_out import leave_out, log_density
from kanx.training.losses import NoisyLoss
from kanx.training.task import Task

# a denser curvature matrix than this many coordinates is not worth its time by default
LARGEST = 1500
HIDDEN_WIDTHS = (2, 4, 8)
PILOTS = 2  # starts of every width that is tried
# of GP edges on the inputs, in spacings of the control points
LENGTH_SCALES = (1.25, 2.0, 3.0)
# nor are more than this many times as many as there are rows
COORDINATES_PER_ROW = 1.5
# log evidence a row below the best: widths that count as equally good, and starts worth averaging;
# the evidence is a sum over rows of log predictive densities
SAME_WIDTH, SAME_START = 0.02, 0.1
# where the noise is estimated, that of the start counts too: e times as much of it is one nat
SAME_NOISY_START = 1.0
# gain of the log density of left-out rows that pays for it too, which is optimistic by some nats
# for hidden nodes, and how many standard errors it has to be
CLEAR_LEFT_OUT, STANDARD_ERRORS = 10.0, 2.0
# adding nodes up to which multiplication nodes are tried
MOST_FOR_PRODUCTS = 4
# interactions are not looked for in fewer rows than this many per input
ROWS_PER_INPUT = 10


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


@dataclass(frozen=True)
class Candidate:
    """Fits of one shape from several starts, to be averaged.

    Attributes
    ----------
    trials : list of Trial
        The best first; stuck starts are left out already.
    """

    trials: list[Trial]

    @property
    def evidence(self) -> float:
        """Log evidence of the best start."""
        return self.trials[0].evidence

    @cached_property
    def densities(self) -> Tensor:
        """Log density of every row under the average of fits without it, ``(rows,)``."""
        return log_density([leave_out(trial.climb) for trial in self.trials])

    @cached_property
    def best(self) -> Candidate:
        """The best start alone."""
        return self if len(self.trials) == 1 else Candidate(self.trials[:1])

    @property
    def left_out(self) -> float:
        """Weighted sum of the `densities`."""
        return total(self.trials[0].climb.problem.weight @ self.densities).item()

    def clearly_better(self, reference: Candidate) -> bool:
        """Say whether it is worth a model that is harder to read than the reference.

        By its evidence; or by the log density of left-out rows under its best start, whose gain
        has to be `STANDARD_ERRORS` of the standard error of a sum over rows (Vehtari, Gelman and
        Gabry: Practical Bayesian model evaluation using leave-one-out cross-validation, Statistics
        and Computing 27, 2017), and `CLEAR_LEFT_OUT` beyond. The evidence of hidden nodes counts
        one of their many minima and is too low by the others.
        """
        if self.evidence > reference.evidence + CLEAR:
            return True
        weight = self.trials[0].climb.problem.weight
        gain = self.best.densities - reference.densities
        rows, mean = total(weight.sum()), total(weight @ gain)
        spread = total(weight @ (gain - mean / rows) ** 2).sqrt()
        return bool(mean > STANDARD_ERRORS * spread + CLEAR_LEFT_OUT)


@dataclass(frozen=True)
class Choice:
    """The size that a task asks for, and what has been fitted of it.

    Attributes
    ----------
    whole : Task
    task : Task
        With the part of the rows and the length-scale of the fits.
    trials : list of Trial
        Of the size, from several starts.
    additive : bool
        Whether there are no hidden nodes.
    more : tuple of int, optional
        Hidden widths of which further starts may be averaged.
    log_density : float
        Of a left-out row.
    widest : bool
        Whether no more hidden nodes were tried only because the curvature would be too large.
    """

    whole: Task
    task: Task
    trials: list[Trial]
    additive: bool = False
    more: tuple[int, ...] | None = None
    log_density: float = -float("inf")
    widest: bool = False

    def finish(self, n_estimators: int) -> list[Fit]:
        """Fit further starts of a chosen width, and finish all.

        All starts are averaged, `n_estimators` of them; where a part of the rows chose, those
        that chose alone: what others cost is better spent on all rows.
        """
        if self.additive:
            return [finish_additive(self.whole, self.task, self.trials[0])]
        if self.more is None or len(self.task.x) < len(self.whole.x):
            return self.whole.finish_all(self.trials)
        more = self.task.fit_starts(self.more, True, range(PILOTS, n_estimators))
        rows = self.task.weight.sum().item()
        return self.whole.finish_all(near_best([*self.trials, *more], rows))


def choose(task: Task, n_estimators: int) -> Choice:
    """Choose between the additive model and hidden layers.

    The additive model is kept unless hidden nodes are clearly better: what is easier to read needs
    no further argument; see `Candidate.clearly_better`. Every width gets two starts, while the
    average of the wider ones predicts left-out rows better; see `leave_out`. Where few hidden
    nodes do as well as many, multiplication nodes are tried, see `multiply`.

    Parameters
    ----------
    task : Task
    n_estimators : int
        Most starts of a width that is tried; see `Choice.finish` for further ones.
    """
    whole, (task, additive) = task, choose_length_scale(task.part())
    choice = Choice(whole, task, [additive], additive=True)
    rows = task.weight.sum().item()
    if rows < ROWS_PER_INPUT * len(task.edges):
        return choice
    simplest, tried = Candidate([additive]), _widths(task, Candidate([additive]), n_estimators)
    best = max(tried, key=lambda width: tried[width].left_out, default=None)
    if best is None or not any(own.clearly_better(simplest) for own in tried.values()):
        return choice
    chosen = tried[best]
    highest = max(own.evidence for own in tried.values())
    fewest = min(w for w, own in tried.items() if own.evidence >= highest - SAME_WIDTH * rows)
    product = multiply(task, fewest, highest)
    # what is read at once may predict slightly worse than an average of many curves
    if product is not None and Candidate([product]).left_out > chosen.left_out - CLEAR:
        return Choice(whole, task, [product])
    widest = best == max(tried)
    density = chosen.left_out / rows
    return Choice(whole, task, chosen.trials, more=(best,), log_density=density, widest=widest)


def _widths(task: Task, simplest: Candidate, n_estimators: int) -> dict[int, Candidate]:
    """Fit hidden nodes of rising number while that helps; the best starts of every width."""
    tried: dict[int, Candidate] = {}
    rows = task.weight.sum().item()
    before = -float("inf")
    for width in HIDDEN_WIDTHS:
        if task.coordinates(width) > min(LARGEST, COORDINATES_PER_ROW * rows):
            break
        trials = task.fit_starts((width,), True, range(min(PILOTS, n_estimators)))
        own = tried[width] = Candidate(near_best(trials, rows))
        promising = own.evidence > simplest.evidence + CLEAR - SAME_WIDTH * rows
        if own.left_out < before or not (promising or own.clearly_better(simplest)):
            break
        before = own.left_out
    return tried


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
        That evidence; multiplication nodes have to be above.
    """
    if width > MOST_FOR_PRODUCTS:
        return None
    counts = range(1, width // 2 + 1)
    best = max(
        (task.fit(({"products": [2] * count},), skip=True) for count in counts),
        key=lambda trial: trial.evidence,
    )
    return best if best.evidence > highest else None


def near_best(trials: list[Trial], rows: float) -> list[Trial]:
    """Keep the starts near the best, that one first; a stuck start is left out.

    Networks that cannot be averaged leave only the best.

    Parameters
    ----------
    trials : list of Trial
    rows : float
        Weight of all rows: a start may be `SAME_START` nats a row behind, or `SAME_NOISY_START`
        where the noise is estimated.
    """
    ranked = sorted(trials, key=lambda trial: -trial.evidence)
    climb = ranked[0].climb
    if not can_average(climb.coordinates.network):
        return ranked[:1]
    noisy = isinstance(climb.loss, NoisyLoss)
    floor = ranked[0].evidence - (SAME_NOISY_START if noisy else SAME_START) * rows
    return [trial for trial in ranked if trial.evidence >= floor]
