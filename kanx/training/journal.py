"""Checkpoints of a climb: a fit that was killed goes on from its last round, bit for bit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from kanx.network import KAN
from kanx.training.checkpoint import fingerprint, load_tree, save_tree
from kanx.training.climb import Climb, Snapshot
from kanx.training.losses import Loss, NoisyLoss, Poisson

SECONDS = 1.0  # between two writes: a round may take less than writing it


@dataclass
class Progress:
    """How far a climb has come.

    Attributes
    ----------
    trace : list of float
        Log evidence after every round.
    best : Snapshot, optional
        The round of the highest evidence.
    best_round : int
    """

    trace: list[float] = field(default_factory=list)
    best: Snapshot | None = None
    best_round: int = 0


class Journal:
    """The file of one climb in a folder of checkpoints, named by all that the climb depends on.

    Parameters
    ----------
    folder : path, optional
        Without it nothing is kept.
    network : KAN
        At the start of the climb.
    x, y, weight, loss, precision, tied
        See `fit_evidence` and `Settings`.
    max_iter : int, optional
        Largest number of rounds. A climb may go on from fewer; one that has had more is left as it
        is, for whoever asks for as many again, and this one is kept in a file of its own.
    """

    def __init__(
        self,
        folder: Path | None,
        network: KAN,
        x: Tensor,
        y: Tensor,
        weight: Tensor,
        loss: Loss,
        precision: Tensor | None,
        tied: bool = False,
        max_iter: int | None = None,
    ) -> None:
        self._file: Path | None = None
        self._written = time.monotonic()
        if folder is not None:
            tensors = [*network.state_dict().values(), x, y, weight, *_loss_tensors(loss)]
            started = [] if precision is None else [precision]
            said = [network.config(), type(loss).__name__, "tied" if tied else "free"]
            name = fingerprint([*said, *tensors, *started])
            self._file = folder / f"climb-{name}.safetensors"
        self._max_iter = max_iter

    def resume(self, climb: Climb) -> Progress:
        """Set a climb to where it was left, and return how far it had come."""
        progress = Progress()
        tree = None if self._file is None else load_tree(self._file)
        limit = self._max_iter
        if self._file is not None and tree and limit is not None and len(tree["trace"]) > limit:
            self._file = self._file.with_stem(f"{self._file.stem}-{limit}")
            tree = load_tree(self._file)
        if tree is None:
            return progress
        progress.trace, progress.best_round = tree["trace"], tree["best_round"]
        if tree["best"] is not None:
            _restore(climb, tree["best"])
            progress.best = climb.snapshot()
        _restore(climb, tree["now"])
        return progress

    def keep(self, climb: Climb, progress: Progress, finished: bool) -> None:
        """Write down a round, unless the last one was written just before."""
        if self._file is None or (not finished and time.monotonic() - self._written < SECONDS):
            return
        best = progress.best
        tree = {
            "trace": progress.trace,
            "best_round": progress.best_round,
            "best": None if best is None else _tree(best),
            "now": _tree(climb.snapshot()),
        }
        save_tree(tree, self._file)
        self._written = time.monotonic()


def _loss_tensors(loss: Loss) -> list[Tensor]:
    if isinstance(loss, NoisyLoss):
        return [loss.noise]
    return [loss.offset] if isinstance(loss, Poisson) else []


def _tree(snapshot: Snapshot) -> dict[str, Any]:
    loss = snapshot.loss
    return {
        "w": snapshot.w,
        "precision": snapshot.precision,
        "noise": loss.noise if isinstance(loss, NoisyLoss) else None,
        "damping": snapshot.damping,
        "living_groups": snapshot.living_groups,
    }


def _restore(climb: Climb, tree: dict[str, Any]) -> None:
    """Set the climb to a round; its posterior follows from that and is not stored."""
    climb.w, climb.precision, climb.damping = tree["w"], tree["precision"], tree["damping"]
    if isinstance(climb.loss, NoisyLoss):
        climb.loss = climb.loss.with_noise(tree["noise"])
    climb.coordinates.revive(tree["living_groups"])
    climb.coordinates.write(climb.w)
    climb.descend(iterations=0)
