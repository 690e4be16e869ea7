"""Cross-validation of a fit to few rows: its density of new rows, and how wide it has to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from kanx.training.calibration import Predicted, most_likely_factors
from kanx.training.evidence import Fit
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian
from kanx.training.moments import moments
from kanx.training.posterior import Posterior
from kanx.training.rows import seeded
from kanx.training.task import Task

FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """What fits that had not seen them say of all rows.

    Attributes
    ----------
    density : float
        Mean log density of a row; with the `factors`, where the noise is normal.
    factors : Tensor, (1 + outputs,), optional
        Of the posterior covariance and of the noise variances.
    """

    density: float
    factors: Tensor | None

    def widened(self, fit: Fit) -> Fit:
        """Return the fit to all rows with the posterior and the noise that held-out rows want."""
        if self.factors is None or not isinstance(fit.loss, Gaussian):
            return fit
        loss = fit.loss.with_precision(fit.loss.precision / self.factors[1:])
        posterior = fit.posterior.rescaled(self.factors[0].item(), loss.precision)
        return replace(fit, posterior=posterior, loss=loss)


def distinct_rows(task: Task) -> Tensor:
    """Number the rows so that copies have the same number, ``(rows,)``."""
    targets = task.y.reshape(len(task.y), -1)
    table = torch.cat([task.x.nan_to_num(nan=torch.finfo(torch.float64).max), targets], 1)
    return torch.unique(table, dim=0, return_inverse=True)[1]


def cross_validate(task: Task, fit: Callable[[Task], Fit]) -> HeldOut:
    """Fit to all folds but one in turn, and predict that one.

    Copies of a row are in one fold, so a weight of 2 is the same as a row that appears twice.
    Every fold has its share of low and high targets, or of every class.

    Parameters
    ----------
    task : Task
    fit : callable
        Fits a task.
    """
    fold = _fold_of_rows(task)
    parts = task.side_by_side(partial(_predict, fit, fold), range(FOLDS))
    if isinstance(task.loss, Gaussian):
        both = Predicted(*(torch.cat(own) for own in zip(*parts, strict=True)))
        factors, value = most_likely_factors(both)
        return HeldOut(value, factors)
    values = [-(task.loss.value(own.f, own.y) @ own.weight).item() for own in parts]
    return HeldOut(sum(values) / task.weight.sum().item(), None)


def _fold_of_rows(task: Task) -> Tensor:
    number = distinct_rows(task)
    count = int(number.max()) + 1
    target = torch.zeros(count, dtype=torch.float64)
    target[number] = task.y.reshape(len(task.y), -1)[:, 0].double()
    generator = seeded(task.random_state)
    mixed = torch.randperm(count, generator=generator)
    order = mixed[torch.argsort(target[mixed], stable=True)]
    blocks = -(-count // FOLDS)
    dealt = torch.rand(blocks, FOLDS, generator=generator).argsort(1).flatten()[:count]
    fold = torch.empty(count, dtype=torch.long)
    fold[order] = dealt
    return fold[number]


def _predict(fit: Callable[[Task], Fit], fold: Tensor, task: Task, held_out: int) -> Predicted:
    out = fold == held_out
    own = replace(task, x=task.x[~out], y=task.y[~out], weight=task.weight[~out])
    own = replace(own, on_round=lambda *round_: task.stop())  # not a round of the fit
    found = fit(own)
    x, y, weight = task.x[out], task.y[out], task.weight[out]
    if not isinstance(found.loss, Gaussian):
        coordinates = found.posterior.coordinates
        f = Linearisation(coordinates, x).outputs(coordinates.read())
        return Predicted(f, y, weight, torch.zeros_like(f), torch.zeros_like(f))
    spread, f = moments(found.posterior, x, Posterior.output_variance)
    return Predicted(f, y, weight, spread, (1 / found.loss.precision).expand_as(f))
