"""Wide networks for tables whose rows ask for more nodes than a dense curvature allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from kanx.training.averaging import can_average
from kanx.training.calibration import log_density
from kanx.training.evidence import Fit
from kanx.training.first_order import FirstOrder, Rows, wide_edges, wide_width
from kanx.training.losses import Gaussian
from kanx.training.options import TrainingOptions
from kanx.training.rows import InMemory
from kanx.training.selection import PILOTS, Choice
from kanx.training.task import Task

EPOCHS, FEWEST_EPOCHS, STEPS = 20, 3, 10_000  # the last: at most so many, but for the second
BATCHES, BATCH_SIZES = 80, (128, 512)  # of an epoch


@dataclass(frozen=True)
class Wide:
    """How to fit wide networks to all rows by Adam, in float32 where no other type is asked for.

    Attributes
    ----------
    options : TrainingOptions
    folder : Path, optional
        For checkpoints.
    stop : callable
        Asked before every mini-batch whether to stop at once.
    """

    options: TrainingOptions
    folder: Path | None
    stop: Callable[[], bool]

    def fit(self, choice: Choice, n_estimators: int) -> list[Fit]:
        """Fit two starts; none where the choice does not ask for it, or they would be worse.

        Parameters
        ----------
        choice : Choice
        n_estimators : int
            One start, if it is one.
        """
        task = choice.whole
        width = wide_width(choice, len(task.x))
        if width is None or len(choice.task.x) == len(task.x):
            return []
        if self.stop() or any(trial.stopped for trial in choice.trials):
            return []  # what there is already is better than networks that have just begun
        task = replace(task, edges=wide_edges(choice))
        rows = InMemory(task.x, task.y, task.weight)
        split = Rows.from_memory(rows, self.options, task.random_state)
        first_order = FirstOrder("adam", self._options(len(rows.x)), split, self.folder, self.stop)
        starts = PILOTS if can_average(choice.trials[0].climb.coordinates.network) else 1
        sequence = np.random.SeedSequence([task.random_state, width])
        seeds = sequence.generate_state(min(starts, n_estimators)).tolist()
        fits = task.side_by_side(partial(_fit, first_order, width), seeds)
        densities = [_log_density(fit, split) for fit in fits]
        better = [fit for fit, own in zip(fits, densities, strict=True) if own > choice.log_density]
        return sorted(better, key=lambda fit: -fit.evidence)

    def _options(self, rows: int) -> TrainingOptions:
        given = self.options
        batch = given.batch_size or int(np.clip(rows // BATCHES, *BATCH_SIZES))
        epochs = min(given.epochs, EPOCHS, max(FEWEST_EPOCHS, STEPS * batch // rows))
        precision = "float32" if given.precision == "float64" else given.precision
        return replace(given, precision=precision, batch_size=batch, epochs=epochs)


def _fit(first_order: FirstOrder, width: int, task: Task, seed: int) -> Fit:
    return first_order.fit_random(task, (width,), skip=True, seed=seed)


def _log_density(fit: Fit, rows: Rows) -> float:
    """Return the log density of a held-out row; infinite where none says anything of it.

    That of classes depends on how often they occur among the rows that chose the size.
    """
    if rows.held_out is None or type(fit.loss) is not Gaussian:
        return float("inf")
    return log_density(fit.posterior, fit.loss, rows.held_out)
