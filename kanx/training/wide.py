"""Wide networks for tables whose rows ask for more nodes than a dense curvature allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from kanx.training.averaging import can_average
from kanx.training.calibration import log_density
from kanx.training.evidence import Fit
from kanx.training.first_order import FirstOrder, Rows, wide_edges, wide_width
from kanx.training.losses import NoisyLoss, Poisson
from kanx.training.options import TrainingOptions
from kanx.training.rows import Chunk, InMemory
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
        better = _better(choice, fits, split)
        return sorted(better, key=lambda fit: -fit.evidence)

    def _options(self, rows: int) -> TrainingOptions:
        given = self.options
        batch = given.batch_size or int(np.clip(rows // BATCHES, *BATCH_SIZES))
        epochs = min(given.epochs, EPOCHS, max(FEWEST_EPOCHS, STEPS * batch // rows))
        precision = "float32" if given.precision == "float64" else given.precision
        return replace(given, precision=precision, batch_size=batch, epochs=epochs)


def _fit(first_order: FirstOrder, width: int, task: Task, seed: int) -> Fit:
    return first_order.fit_random(task, (width,), skip=True, seed=seed)


def _better(choice: Choice, fits: list[Fit], rows: Rows) -> list[Fit]:
    """Keep the fits that predict held-out rows better than the chosen networks do."""
    if rows.held_out is None:
        return fits
    by_class = not isinstance(choice.task.loss, NoisyLoss | Poisson)
    least = _with_constants(choice, rows.held_out) if by_class else choice.log_density
    densities = [log_density(fit.posterior, fit.loss, rows.held_out) for fit in fits]
    return [fit for fit, own in zip(fits, densities, strict=True) if own > least]


def _with_constants(choice: Choice, rows: Chunk) -> float:
    """Return the log density of a row under the chosen networks, their constants set right.

    Classes do not occur among the rows that chose the networks as often as among all.
    """
    x, y, weight = rows
    networks = [trial.climb.coordinates.network for trial in choice.trials]
    with torch.no_grad():
        f = torch.stack([network(x) for network in networks]).mean(0)
    loss = choice.task.loss

    def objective(constants: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = f + torch.from_numpy(constants)
        slope = weight @ loss.gradient(moved, y)
        return (weight @ loss.value(moved, y)).item(), slope.numpy()

    found = minimize(objective, np.zeros(f.shape[1]), jac=True, method="L-BFGS-B")
    return float(-found.fun / weight.sum().item())
