"""Fits by Adam and L-BFGS: the size and the start from the evidence of a part, then all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kanx.network import KAN, Width
from kanx.training.calibration import calibrated
from kanx.training.checkpoint import fingerprint
from kanx.training.climb import BIAS_PRECISION
from kanx.training.coordinates import Coordinates
from kanx.training.evidence import Fit
from kanx.training.laplace import laplace
from kanx.training.losses import Gaussian, Loss, NoisyLoss
from kanx.training.minibatch import train
from kanx.training.missing import average_where_never_missing
from kanx.training.options import TrainingOptions
from kanx.training.rows import Chunk, Chunks, InMemory
from kanx.training.selection import LARGEST, Choice, choose, choose_length_scale
from kanx.training.sparsity import prune_sparse
from kanx.training.starts import random_start
from kanx.training.task import Task

# hidden nodes beyond those whose whole curvature is kept, and rows that each coordinate needs
WIDTHS, ROWS_PER_COORDINATE = (16, 32, 64), 4
FINER = 2 / 3  # of the length-scale that a part of the rows has chosen


@dataclass(frozen=True)
class Rows:
    """The rows of a fit by parts.

    Attributes
    ----------
    training : Chunks
    held_out : Chunk, optional
        For early stopping.
    sample : InMemory
        All training rows, or a random part of them that fits into memory.
    """

    training: Chunks
    held_out: Chunk | None
    sample: InMemory

    @classmethod
    def from_memory(cls, rows: InMemory, options: TrainingOptions, seed: int) -> Rows:
        """Hold out the share of the rows that the options ask for."""
        training, held = rows.split(options.validation_fraction, seed)
        held_out = None if held is None else (held.x, held.y, held.weight)
        return cls(training, held_out, training)


@dataclass(frozen=True)
class FirstOrder:
    """How to fit by a first-order optimiser.

    Attributes
    ----------
    optimizer : {"adam", "lbfgs"}
    options : TrainingOptions
    rows : Rows
    folder : Path, optional
        For checkpoints.
    stop : callable
        Asked before every mini-batch whether to stop at once.
    """

    optimizer: str
    options: TrainingOptions
    rows: Rows
    folder: Path | None = None
    stop: Callable[[], bool] = lambda: False

    def fit(
        self, task: Task, hidden: Sequence[Width] | None, *, skip: bool, n_estimators: int
    ) -> Fit:
        """Fit one network.

        Parameters
        ----------
        task : Task
            Of the sample of the rows.
        hidden : sequence of widths, optional
            Without it the evidence of a part of the sample chooses the size and, of networks that
            are not wide, the start.
        skip : bool
            Whether given widths have direct curves from inputs to outputs beside them.
        n_estimators : int
            Starts of the choice.
        """
        part = task.part()
        if hidden is None:
            choice = choose(part, n_estimators)
            width = wide_width(choice, self.rows.training.rows)
            if width is not None:
                task = replace(task, edges=wide_edges(choice))
                return self.fit_random(task, (width,), skip=True, seed=task.random_state)
            task = replace(task, edges=choice.task.edges)
            start = choice.finish(n_estimators)[0]
            precision = start.posterior.precision
            return self.finish(start.network, start.loss, precision, task.random_state, task)
        if task.coordinates(0) <= LARGEST:
            part, _ = choose_length_scale(part)
        task = replace(task, edges=part.edges)
        return self.fit_random(task, hidden, skip=skip, seed=task.random_state)

    def fit_random(self, task: Task, hidden: Sequence[Width], *, skip: bool, seed: int) -> Fit:
        """Fit a network of given hidden widths from a random start."""
        network = task.build(hidden, skip)
        random_start(network, torch.Generator().manual_seed(seed))
        precision = flat_precision(network, self.options.prior_precision)
        return self.finish(network, task.loss, precision, seed, task)

    def finish(self, network: KAN, loss: Loss, precision: Tensor, seed: int, task: Task) -> Fit:
        """Train a network from its present parameters, prune it and find its posterior."""
        sample = self.rows.sample
        guard = (sample.x[:2048], sample.y[:2048], sample.weight[:2048])
        outcome = train(
            network,
            self.rows.training,
            loss,
            self.options,
            precision,
            optimizer=self.optimizer,
            held_out=self.rows.held_out,
            # a penalty for sparsity is meant to cost some fit
            sample=None if self.options.is_sparse else guard,
            seed=seed,
            state_file=self._state_file(network, loss, precision, seed),
            on_epoch=task.on_round,
            stop=self.stop,
        )
        if self.options.is_sparse:
            prune_sparse(network, guard, outcome.loss, self.options)
        average_where_never_missing(network, sample.x, sample.weight)
        posterior, evidence, final = laplace(network, self.rows.training, outcome.loss, precision)
        if self.rows.held_out is not None and posterior.is_diagonal and type(final) is Gaussian:
            posterior, final = calibrated(posterior, final, self.rows.held_out)
        return Fit(network, posterior, evidence, final, outcome.trace, outcome.converged)

    def _state_file(self, network: KAN, loss: Loss, precision: Tensor, seed: int) -> Path | None:
        if self.folder is None:
            return None
        rows, sample = self.rows.training, self.rows.sample
        noise = [loss.precision] if isinstance(loss, NoisyLoss) else []
        described = [
            network.config(),
            self.options.to_dict(),
            [self.optimizer, seed, type(loss).__name__, rows.rows, rows.total_weight],
        ]
        tensors = [*network.state_dict().values(), precision, *noise]
        name = fingerprint([*described, *tensors, sample.x, sample.y, sample.weight])
        return self.folder / f"{self.optimizer}-{name}.safetensors"


def wide_width(choice: Choice, rows: int) -> int | None:
    """Return how many hidden nodes to train on so many rows; None where few are enough."""
    if not choice.widest:
        return None
    enough = [w for w in WIDTHS if choice.task.coordinates(w) * ROWS_PER_COORDINATE <= rows]
    return max(enough, default=None)


def wide_edges(choice: Choice) -> list[dict[str, Any]]:
    """Return the edges on the inputs of wide networks.

    All rows may show closer bends than the part of them that has chosen a length-scale.
    """
    return [
        {**own, "length_scale": FINER * own["length_scale"]}
        if "length_scale" in own and "length_scale" not in asked
        else own
        for asked, own in zip(choice.whole.edges, choice.task.edges, strict=True)
    ]


def flat_precision(network: KAN, value: float) -> Tensor:
    """Return one prior precision for all curves, ``(n_groups,)``; biases are hardly held."""
    precision = torch.full((Coordinates(network).n_groups,), value, dtype=torch.float64)
    precision[-1] = BIAS_PRECISION
    return precision
