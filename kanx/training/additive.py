"""Finish an additive fit: a precision for every curve, or common ones."""

from __future__ import annotations

from dataclasses import replace

from kanx.training.evidence import Fit, Trial
from kanx.training.folds import FOLDS, cross_validate, distinct_rows
from kanx.training.task import Task

# gain of log evidence, odds of about 150 to 1, that pays for a model that is harder to read
CLEAR = 5.0
# up to so many distinct rows, or so many for every input, the precisions can follow the noise, and
# the evidence does not see that
FEW_ROWS, FEW_ROWS_PER_INPUT = 30, 6
MOST_ROWS = 2000  # for which cross-validation takes seconds


def finish_additive(whole: Task, task: Task, trial: Trial) -> Fit:
    r"""Finish an additive fit, or the one with common precisions where that explains as much.

    Were all curves alike, a precision for each would still gain about half a nat by chance: twice
    the log ratio of the likelihoods is then :math:`\chi^2_k` distributed (Wilks 1938). Where it
    gains no more than that, nothing says that some inputs matter and others do not; with few
    rows and correlated inputs, leaving most out would lose accuracy.

    Where the rows are few for so many precisions, the evidence says nothing of that: precisions
    that are most likely can leave just the curves that pass through the noise. There
    cross-validation chooses, and corrects the noise and the size of the posterior.

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
    rows = len(distinct_rows(task).unique())
    few = max(FEW_ROWS, FEW_ROWS_PER_INPUT * len(task.edges))
    if not (FOLDS <= rows <= min(few, MOST_ROWS)):
        by_chance = (trial.climb.n_precisions - common.climb.n_precisions) / 2
        wanted = trial.evidence - by_chance >= common.evidence - CLEAR
        return whole.finish(trial if wanted else common)
    own, other = (cross_validate(each, _fit) for each in (task, tied))
    if task.stop():  # and what the folds say means nothing
        return whole.finish(trial)
    if own.density >= other.density:
        return own.widened(whole.finish(trial))
    return other.widened(whole.finish(common))


def _fit(task: Task) -> Fit:
    return task.finish(task.fit(()))
