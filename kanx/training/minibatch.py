"""The loop of the first-order optimisers: epochs, early stopping, checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.checkpoint import load_tree, save_tree
from kanx.training.losses import Loss
from kanx.training.options import TrainingOptions
from kanx.training.rows import Chunk, Chunks
from kanx.training.trainer import DTYPES, Trainer
from kanx.training.whitened import Prior, whitened


@dataclass
class Outcome:
    """What training leaves beside the network.

    Attributes
    ----------
    loss : Loss
        With the estimated noise.
    trace : list of float
        Log posterior of the training rows met in every epoch, up to a constant.
    converged : bool
        Whether the schedule came to its end or progress to a stop.
    """

    loss: Loss
    trace: list[float] = field(default_factory=list)
    converged: bool = False


@dataclass
class Best:
    """The best weights so far by the loss of the held-out rows.

    Attributes
    ----------
    value : float
    weights : list of Tensor
    stale : int
        Epochs since then.
    """

    value: float = float("inf")
    weights: list[Tensor] | None = None
    stale: int = 0

    def see(self, value: float, trainer: Trainer) -> None:
        """Take note of an epoch's result."""
        if value < self.value:
            self.value, self.weights, self.stale = value, trainer.weights(), 0
        else:
            self.stale += 1


def train(
    network: KAN,
    chunks: Chunks,
    loss: Loss,
    options: TrainingOptions,
    precision: Tensor,
    *,
    optimizer: str = "adam",
    held_out: Chunk | None = None,
    sample: Chunk | None = None,
    seed: int = 0,
    state_file: Path | None = None,
    on_epoch: Callable[[int, float], bool] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a network by a first-order optimiser, in place.

    Parameters
    ----------
    network : KAN
        In float64 on the CPU, as it will be afterwards; its present parameters are the start.
    chunks : Chunks
    loss : Loss
    options : TrainingOptions
    precision : Tensor, (n_groups,)
        Prior precisions; see `Prior`.
    optimizer : {"adam", "lbfgs"}
    held_out : Chunk, optional
        Rows to stop early by; the weights that suit them best are kept.
    sample : Chunk, optional
        Training rows that must not be explained worse than at the start, or the start is kept: a
        rate that suits a random start can be too large for one that is nearly exact.
    seed : int
        Of the order of rows.
    state_file : Path, optional
        Written after every epoch. Where it exists training goes on from it, and ends with the
        same bits as if it had never been interrupted.
    on_epoch : callable, optional
        Called with the epoch and the log posterior; stops training by True.
    stop : callable, optional
        Asked before every mini-batch whether to stop at once.

    Warns
    -----
    RuntimeWarning
        If steps gave NaN or infinity; they were rejected.
    """
    half = options.precision in ("bfloat16", "float16")
    dtype = torch.float32 if half else DTYPES[options.precision]
    prior = Prior(network, precision)
    outcome = Outcome(loss)
    with whitened(network):
        network.to(options.device, dtype)
        prior.to(options.device, dtype)
        trainer = Trainer(
            network, prior, loss, options, optimizer=optimizer, rows=chunks, seed=seed
        )
        best = Best()
        begun = Best()
        if sample is not None:
            begun.see(trainer.score(sample), trainer)
        stopped = _resume(state_file, trainer, best, outcome)
        while not stopped and len(outcome.trace) < options.epochs:
            number = len(outcome.trace)
            met = trainer.epoch(chunks, number, stop)
            outcome.trace.append(-met * trainer.total_weight)
            if held_out is not None:
                best.see(trainer.score(held_out), trainer)
            asked = on_epoch is not None and on_epoch(number, outcome.trace[-1])
            stopped = asked or stop() or trainer.stuck
            outcome.converged = not stopped and best.stale >= options.patience
            if state_file is not None and not asked and not stop():
                _save(state_file, trainer, best, outcome)
            stopped = stopped or outcome.converged
        outcome.converged = outcome.converged or not stopped
        if best.weights is not None:
            trainer.load_weights(best.weights)
        if begun.weights is not None and sample is not None and trainer.score(sample) > begun.value:
            trainer.load_weights(begun.weights)
        network.to("cpu")
    outcome.loss = trainer.loss
    _say_rejected(trainer)
    return outcome


def _save(state_file: Path, trainer: Trainer, best: Best, outcome: Outcome) -> None:
    state = {
        "trainer": trainer.state(),
        "best": [best.value, best.weights, best.stale],
        "trace": outcome.trace,
        "converged": outcome.converged,
    }
    save_tree(state, state_file)


def _resume(state_file: Path | None, trainer: Trainer, best: Best, outcome: Outcome) -> bool:
    """Continue from a file where there is one, and say whether training was over."""
    state: dict[str, Any] | None = None if state_file is None else load_tree(state_file)
    if state is None:
        return False
    trainer.load_state(state["trainer"])
    best.value, best.weights, best.stale = state["best"]
    outcome.trace, outcome.converged = state["trace"], state["converged"]
    return outcome.converged or trainer.stuck


def _say_rejected(trainer: Trainer) -> None:
    if not trainer.rejected:
        return
    advice = "training could not go on" if trainer.stuck else "training went on with smaller steps"
    warnings.warn(
        f"{trainer.rejected} steps gave NaN or infinity and were rejected; {advice}. Lower "
        "learning_rate, set clip_norm, or train in float64",
        RuntimeWarning,
        stacklevel=2,
    )
