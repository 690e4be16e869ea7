r"""Evidence maximisation: smoothness, noise and relevance of every edge from the data alone.

Every edge ``e`` has a Gaussian prior :math:`N(0, (\alpha_e R_e)^{-1})` on its parameters. At the
minimum of the penalised loss, with :math:`A` its Gauss-Newton Hessian in whitened coordinates,

.. math:: \gamma_e = p_e - \alpha_e \operatorname{tr}(A^{-1})_{ee}, \quad
          \alpha_e \leftarrow \gamma_e / |w_e|^2, \quad
          \beta \leftarrow (N - \sum \gamma) / \mathrm{RSS},

and the log evidence is :math:`-E(w) + \tfrac12 \sum_j \log\alpha_j - \tfrac12 \log|A|`.

MacKay: Bayesian interpolation, Neural Computation 4, 1992. Foresee and Hagan: Gauss-Newton
approximation to Bayesian learning, 1997. Tipping: Sparse Bayesian learning, JMLR 2001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.climb import DENSE_LIMIT, Climb
from kanx.training.coordinates import Coordinates
from kanx.training.few_rows import rows_are_few
from kanx.training.journal import Journal
from kanx.training.losses import Loss
from kanx.training.matrix_free import MatrixFreeClimb
from kanx.training.missing import average_where_never_missing
from kanx.training.posterior import Posterior
from kanx.training.pruning import prune_edges
from kanx.training.stacked import StackedNetworks, can_stack
from kanx.training.together import minimise_together

PATIENCE = 4
LEAST_GAIN = 0.5  # of log evidence: less is not worth a mention (Jeffreys)
FALLS = 2  # rounds in turn that lower the evidence: the precisions have run past their optimum


@dataclass(frozen=True)
class Settings:
    """Limits of a fit.

    Parameters
    ----------
    max_iter : int, default=60
        Largest number of rounds; each is a few Levenberg-Marquardt steps and one update of the
        precisions.
    tol : float, default=1e-4
        The fit has converged when no round of the last four has raised the best log evidence by
        more than this per row, and at least 0.5, or each of the last two has lowered it by that.
    prune : bool, default=True
        Whether edges are pruned that the evidence does not want; see `prune_edges`.
    tied : bool, default=False
        Whether all edges of a layer share one precision of their lines and one of their bends;
        such a fit keeps all edges.
    checkpoint : Path, optional
        Folder of checkpoints; see `Journal`.
    """

    max_iter: int = 60
    tol: float = 1e-4
    prune: bool = True
    tied: bool = False
    checkpoint: Path | None = None


@dataclass
class Fit:
    """A fitted network and what the evidence says of it.

    Attributes
    ----------
    network : KAN
    posterior : Posterior
    evidence : float
        Log evidence by Laplace's method; comparable between fits of the same rows.
    loss : Loss
        With the estimated noise.
    trace : list of float
        Log evidence after every round.
    converged : bool
    """

    network: KAN
    posterior: Posterior
    evidence: float
    loss: Loss
    trace: list[float] = field(default_factory=list)
    converged: bool = False


@dataclass
class Trial:
    """A climb that has ended and has not been pruned yet.

    Attributes
    ----------
    climb : Climb
        At the round of the highest evidence.
    trace : list of float
        Log evidence after every round.
    converged : bool
    stopped : bool
        Whether the caller stopped it.
    """

    climb: Climb
    trace: list[float]
    converged: bool
    stopped: bool

    @property
    def evidence(self) -> float:
        """Log evidence before pruning."""
        return self.climb.evidence

    def finish(self, prune: bool = True) -> Fit:
        """Prune what the evidence does not want, and return the fit."""
        climb = self.climb
        kept = climb.tied or self.stopped or isinstance(climb, MatrixFreeClimb)
        if prune and not kept:
            prune_edges(climb)
        problem, network = climb.problem, climb.coordinates.network
        average_where_never_missing(network, problem.linearisation.x, problem.weight)
        return Fit(network, climb.settled(), climb.evidence, climb.loss, self.trace, self.converged)


class Ascent:
    """Climb round by round, with a journal and the round of the highest evidence.

    The updates of the precisions do not climb monotonically where the network is nonlinear; the
    round with the highest evidence is kept. Parameters as for `fit_evidence`.

    Attributes
    ----------
    climb : Climb
    finished : bool
        Whether it has converged, was stopped, or has had all its rounds.
    """

    def __init__(
        self,
        network: KAN,
        x: Tensor,
        y: Tensor,
        loss: Loss,
        weight: Tensor,
        *,
        precision: Tensor | None = None,
        settings: Settings = Settings(),
        on_round: Callable[[int, float], bool] | None = None,
    ) -> None:
        self.settings, self.on_round = settings, on_round
        coordinates = int(Coordinates(network).alive().sum())
        few = rows_are_few(len(x) * network.out_features, coordinates)
        self._journal = Journal(
            settings.checkpoint,
            network,
            x,
            y,
            weight,
            loss,
            precision,
            settings.tied,
            settings.max_iter,
        )
        kind = Climb if few or coordinates <= DENSE_LIMIT else MatrixFreeClimb
        self.climb = kind(network, x, y, loss, weight, tied=settings.tied)
        if precision is not None:
            self.climb.precision = precision.clone()
        self._progress = self._journal.resume(self.climb)
        self._enough = max(settings.tol * weight.sum().item(), LEAST_GAIN)
        self._converged = self._has_converged()
        self._stopped = False

    @property
    def finished(self) -> bool:
        full = len(self._progress.trace) >= self.settings.max_iter
        return full or self._converged or self._stopped

    def prepare(self) -> None:
        """Update the precisions, unless no round has been taken yet."""
        if self._progress.trace:
            self.climb.update()

    def record(self) -> None:
        """Take note of a round whose steps have been taken."""
        climb, progress = self.climb, self._progress
        progress.trace.append(climb.evidence)
        rounds = len(progress.trace)
        if self.on_round is not None:
            self._stopped = self.on_round(rounds - 1, climb.evidence)
        best = progress.best
        if best is None or climb.evidence > best.evidence + self._enough:
            progress.best, progress.best_round = climb.snapshot(), rounds
        self._converged = self._has_converged()
        if not self._stopped:
            last = self._converged or rounds == self.settings.max_iter
            self._journal.keep(climb, progress, last)

    def _has_converged(self) -> bool:
        trace, best_round = self._progress.trace, self._progress.best_round
        if len(trace) > 0 and len(trace) - best_round >= PATIENCE:
            return True
        last = trace[-1 - FALLS :]
        return len(last) > FALLS and all(b < a - self._enough for a, b in pairwise(last))

    def end(self) -> Trial:
        """Return to the round of the highest evidence."""
        best = self._progress.best
        if best is not None and best.evidence > self.climb.evidence:
            self.climb.restore(best)
        return Trial(self.climb, self._progress.trace, self._converged, self._stopped)


def climb_all(ascents: Sequence[Ascent]) -> list[Trial]:
    """Climb to the highest evidence from every start, without pruning.

    Small networks take their steps together; see `kanx.training.stacked.can_stack`.

    Parameters
    ----------
    ascents : sequence of Ascent
        To the same rows, of networks of the same shape.
    """
    first = ascents[0]
    # together, rounding depends on who else still moves, and a checkpoint promises the same bits
    if can_stack(first.climb) and first.settings.checkpoint is None:
        _climb_together(ascents, StackedNetworks(first.climb))
    else:
        for ascent in ascents:
            while not ascent.finished:
                ascent.prepare()
                ascent.climb.descend()
                ascent.record()
    return [ascent.end() for ascent in ascents]


def _climb_together(ascents: Sequence[Ascent], networks: StackedNetworks) -> None:
    while moving := [ascent for ascent in ascents if not ascent.finished]:
        for ascent in moving:
            ascent.prepare()
        climbs = [ascent.climb for ascent in moving]
        steps = minimise_together(climbs, networks)
        for ascent, step in zip(moving, steps, strict=True):
            ascent.climb.coordinates.write(step.w)
            ascent.climb.conclude(step)
            ascent.record()


def try_evidence(
    network: KAN,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    weight: Tensor | None = None,
    *,
    precision: Tensor | None = None,
    settings: Settings = Settings(),
    on_round: Callable[[int, float], bool] | None = None,
) -> Trial:
    """Climb to the highest evidence from the network's present parameters, without pruning.

    Parameters as for `fit_evidence`.
    """
    weight = torch.ones(len(x), dtype=torch.float64) if weight is None else weight
    ascent = Ascent(
        network, x, y, loss, weight, precision=precision, settings=settings, on_round=on_round
    )
    return climb_all([ascent])[0]


def fit_evidence(
    network: KAN,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    weight: Tensor | None = None,
    *,
    precision: Tensor | None = None,
    settings: Settings = Settings(),
    on_round: Callable[[int, float], bool] | None = None,
) -> Fit:
    """Fit a network by Levenberg-Marquardt with evidence maximisation, in place.

    Parameters
    ----------
    network : KAN
        In float64; its present parameters are the start.
    x : Tensor, (rows, in), float64
    y : Tensor, (rows, outputs), or class codes (rows,) for `Softmax`
    loss : Loss
        The noise of a `NoisyLoss` is estimated.
    weight : Tensor, (rows,), optional
        Sample weights; an integer weight means that many copies of the row.
    precision : Tensor, (n_groups,), optional
        Prior precisions to start from, such as those of a fit to a part of the rows.
    settings : Settings
    on_round : callable, optional
        Called with the round and the log evidence after every round; stops the fit by True.
    """
    trial = try_evidence(
        network, x, y, loss, weight, precision=precision, settings=settings, on_round=on_round
    )
    return trial.finish(settings.prune)
