"""Cross-validation of a fit to few rows: its density of new rows, and how wide it has to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from kanx.training.calibration import (
    Predicted,
    log_density,
    most_likely_factors,
    predicted,
    rescaled,
)
from kanx.training.evidence import Fit
from kanx.training.losses import Gaussian
from kanx.training.rows import Chunk, seeded
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
        posterior, loss = rescaled(fit.posterior, fit.loss, self.factors)
        return replace(fit, posterior=posterior, loss=loss)


def distinct_rows(task: Task) -> Tensor:
    """Number the rows so that copies have the same number, ``(rows,)``."""
    targets = task.y.reshape(len(task.y), -1)
    table = torch.cat([task.x.nan_to_num(nan=torch.finfo(torch.float64).max), targets], 1)
    return torch.unique(table, dim=0, return_inverse=True)[1]


def cross_validate(task: Task, number: Tensor, fit: Callable[[Task], Fit]) -> HeldOut:
    """Fit to all folds but one in turn, and predict that one.

    Copies of a row are in one fold, so a weight of 2 is the same as a row that appears twice.
    Every fold has its share of low and high targets, or of every class.

    Parameters
    ----------
    task : Task
    number : Tensor, (rows,)
        From `distinct_rows`.
    fit : callable
        Fits a task.
    """
    fold = _fold_of_rows(task, number)
    fits = task.side_by_side(partial(_fit_others, fit, fold), range(FOLDS))
    parts = [_rows(task, fold == k) for k in range(FOLDS)]
    if isinstance(task.loss, Gaussian):
        unseen = [
            predicted(own.posterior, cast(Gaussian, own.loss), part)
            for own, part in zip(fits, parts, strict=True)
        ]
        factors, density = most_likely_factors(
            Predicted(*map(torch.cat, zip(*unseen, strict=True)))
        )
        return HeldOut(density, factors)
    density = sum(
        log_density(own.posterior, own.loss, part) * part[2].sum().item()
        for own, part in zip(fits, parts, strict=True)
    )
    return HeldOut(density / task.weight.sum().item(), None)


def _fold_of_rows(task: Task, number: Tensor) -> Tensor:
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


def _rows(task: Task, chosen: Tensor) -> Chunk:
    return task.x[chosen], task.y[chosen], task.weight[chosen]


def _fit_others(fit: Callable[[Task], Fit], fold: Tensor, task: Task, held_out: int) -> Fit:
    x, y, weight = _rows(task, fold != held_out)
    # its rounds are none of the fit to all rows
    return fit(replace(task, x=x, y=y, weight=weight, on_round=lambda *round_: task.stop()))
