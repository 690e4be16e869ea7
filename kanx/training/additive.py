"""Finish an additive fit: a precision for every curve, or common ones."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from kanx.training.evidence import Fit, Trial
from kanx.training.folds import FOLDS, cross_validate, distinct_rows
from kanx.training.losses import Gaussian
from kanx.training.task import Task

# gain of log evidence, odds of about 150 to 1, that pays for a model that is harder to read
CLEAR = 5.0
# up to so many distinct rows for every input, precisions can follow the noise and the evidence does
# not see it; up to so many in all, it knows little of the noise
FEW_ROWS_PER_INPUT, FEW_ROWS = 6, 30
MOST_ROWS = 2000  # with as many inputs as that takes, ten more fits take too long


def finish_additive(whole: Task, task: Task, trial: Trial) -> Fit:
    r"""Finish an additive fit, or the one with common precisions where that explains as much.

    Were all curves alike, a precision for each would still gain about half a nat by chance: twice
    the log ratio of the likelihoods is then :math:`\chi^2_k` distributed (Wilks 1938). Where it
    gains no more than that, nothing says that some inputs matter and others do not; with few
    rows and correlated inputs, leaving most out would lose accuracy.

    Where the rows are few for so many precisions, the evidence says nothing of that: precisions
    that are most likely can leave just the curves that pass through the noise. There
    cross-validation chooses. There, and where there are few rows at all, it corrects the noise and
    the size of the posterior too.

    Parameters
    ----------
    whole : Task
    task : Task
        With the part of the rows and the length-scale of the fit.
    trial : Trial
        Of `task`, with a precision for every line and every bend.
    """
    tied = replace(task, settings=replace(task.settings, tied=True))
    common = tied.fit(())
    number, inputs = distinct_rows(task), len(task.edges)
    rows = int(number.max()) + 1
    possible = FOLDS <= rows <= MOST_ROWS
    if possible and rows <= FEW_ROWS_PER_INPUT * inputs:
        return _by_folds(whole, number, [(task, trial), (tied, common)])
    by_chance = (trial.climb.n_precisions - common.climb.n_precisions) / 2
    wanted = trial.evidence - by_chance >= common.evidence - CLEAR
    chosen = trial if wanted else common
    if possible and rows <= FEW_ROWS and isinstance(task.loss, Gaussian):
        return _by_folds(whole, number, [(task if wanted else tied, chosen)])
    return whole.finish(chosen)


def _by_folds(whole: Task, number: Tensor, trials: list[tuple[Task, Trial]]) -> Fit:
    """Finish the trial that predicts held-out rows best, as uncertain as they want it."""
    found = [(cross_validate(task, number, _fit), trial) for task, trial in trials]
    held_out, trial = max(found, key=lambda own: own[0].density)
    fit = whole.finish(trial)
    return fit if whole.stop() else held_out.widened(fit)  # once stopped, folds mean nothing


def _fit(task: Task) -> Fit:
    return task.finish(task.fit(()))
