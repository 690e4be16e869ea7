"""How the first-order optimisers train: one object instead of twenty arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

SCHEDULES = ("constant", "cosine", "exponential", "linear")
PRECISIONS = ("float64", "float32", "bfloat16", "float16")
FIRST_ORDER = ("lbfgs", "adam")
OPTIMIZERS = ("auto", "lm", *FIRST_ORDER)

# what a parameter must be: a test and its description
_POSITIVE = (lambda v: v > 0, "a positive number")
_NOT_NEGATIVE = (lambda v: v >= 0, "zero or a positive number")
_COUNT = (lambda v: v >= 1 and v == int(v), "a positive integer")
_SHARE = (lambda v: 0 <= v < 1, "a share of at least 0 and less than 1")
_RULES = {
    "learning_rate": _POSITIVE,
    "warmup": _SHARE,
    "epochs": _COUNT,
    "validation_fraction": _SHARE,
    "patience": _COUNT,
    "prior_precision": _POSITIVE,
    "l1": _NOT_NEGATIVE,
    "entropy": _NOT_NEGATIVE,
    "group": _NOT_NEGATIVE,
    "prune_below": _NOT_NEGATIVE,
}
_OPTIONAL_RULES = {
    "batch_size": (_COUNT[0], "a positive integer or None"),
    "clip_norm": (_POSITIVE[0], "a positive number or None"),
}


@dataclass(repr=False)
class TrainingOptions(BaseEstimator):
    """Say how Adam and L-BFGS train; an estimator takes it as its parameter `training`.

    It has ``get_params`` and ``set_params``, so that a search over an estimator reaches it under
    names such as ``training__learning_rate``.

    Parameters
    ----------
    learning_rate : float, default=0.02
        Of Adam, in whitened coordinates (a curve drawn from the prior has coordinates of size
        one). L-BFGS finds its own step lengths.
    schedule : {"cosine", "linear", "exponential", "constant"}, default="cosine"
        How Adam's learning rate falls over the epochs: to zero along half a cosine or a line, to
        one hundredth, or not at all.
    warmup : float, default=0.02
        Share of the run over which the rate rises from zero first.
    epochs : int, default=100
        Largest number of passes over the rows; for L-BFGS, rounds of ten iterations.
    batch_size : int, optional
        Rows of a mini-batch; by default 256, fewer where an epoch would have less than twenty of
        them. L-BFGS uses all rows at once.
    clip_norm : float, optional
        Largest norm of a mini-batch's gradient.
    validation_fraction : float, default=0.1
        Share of the rows, at most ten thousand of them, that is held out to stop early; 0 trains
        on all rows for all epochs.
    patience : int, default=15
        Epochs without progress on the held-out rows before training stops. The best weights stay.
    precision : {"float64", "float32", "bfloat16", "float16"}, default="float64"
        Number type of training; the two half types are mixed precision (autocast) with float32
        weights. The fitted model is float64.
    device : str, default="cpu"
        Where training runs, such as ``"cuda"``; `torch` must have that device.
    prior_precision : float, default=1
        Precision of every curve's prior, which is what keeps curves smooth; a larger one gives
        flatter curves. A start from the evidence (``hidden="auto"``) brings its own.
    l1, entropy, group : float, default=0
        Weights of the sparsity penalties; see `kanx.training.sparsity`.
    prune_below : float, default=0.01
        With a sparsity penalty: edges whose size is below this share of the largest of their
        layer are removed at the end, as are those whose penalty is more than they lower the loss.
    distributed : bool, default=False
        Whether the processes of an initialised `torch.distributed` group share the rows; every
        process must be given the same rows. Holds for Levenberg-Marquardt too.

    Raises
    ------
    ValueError
        By `check`, if a value is out of range.
    """

    learning_rate: float = 0.02
    schedule: str = "cosine"
    warmup: float = 0.02
    epochs: int = 100
    batch_size: int | None = None
    clip_norm: float | None = None
    validation_fraction: float = 0.1
    patience: int = 15
    precision: str = "float64"
    device: str = "cpu"
    prior_precision: float = 1.0
    l1: float = 0.0
    entropy: float = 0.0
    group: float = 0.0
    prune_below: float = 0.01
    distributed: bool = False

    @property
    def is_sparse(self) -> bool:
        """Whether a sparsity penalty is asked for."""
        return self.l1 > 0 or self.entropy > 0 or self.group > 0

    def check(self) -> None:
        """Refuse values that make no sense."""
        for name, (accepts, expected) in {**_RULES, **_OPTIONAL_RULES}.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL_RULES:
                continue
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not accepts(value):
                raise ValueError(f"training option {name} must be {expected}, got {value!r}")
        for name, known in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"training option {name}={getattr(self, name)!r} is unknown; choose one of "
                    f"{known}"
                )

    def rows_of_batch(self, rows: int) -> int:
        """Return the size of a mini-batch for so many rows in all."""
        return int(self.batch_size or min(256, max(16, rows // 20)))

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a mapping."""
        return asdict(self)

    def rate(self, progress: float) -> float:
        """Return the learning rate after a share of the run, from 0 to 1."""
        if progress < self.warmup:
            return self.learning_rate * max(progress / self.warmup, 1e-3)
        rest = (progress - self.warmup) / (1 - self.warmup)
        factor = {
            "constant": 1.0,
            "cosine": 0.5 + 0.5 * math.cos(math.pi * rest),
            "linear": 1 - rest,
            "exponential": 0.01**rest,
        }[self.schedule]
        return self.learning_rate * factor


def as_options(training: TrainingOptions | Mapping[str, Any] | None) -> TrainingOptions:
    """Return checked options from what a user passes.

    Raises
    ------
    ValueError
        If a name or a value is unknown.
    TypeError
        If it is neither options nor a mapping.
    """
    if isinstance(training, Mapping):
        known = [field.name for field in fields(TrainingOptions)]
        unknown = sorted(set(training) - set(known))
        if unknown:
            raise ValueError(f"training options {unknown} are unknown; choose from {known}")
        training = TrainingOptions(**training)
    elif training is None:
        training = TrainingOptions()
    elif not isinstance(training, TrainingOptions):
        raise TypeError(
            f"training must be TrainingOptions, a mapping of them or None, got "
            f"{type(training).__name__}"
        )
    training.check()
    return training


def check_device(device: str) -> None:
    """Refuse a device that is not there, before any work is done.

    A model that was trained on a GPU is read elsewhere too: this is for fits alone.

    Raises
    ------
    ValueError
    """
    try:
        torch.empty(0, device=torch.device(device))
    # torch says that a device is absent by AssertionError, RuntimeError or NotImplementedError
    except (AssertionError, RuntimeError, NotImplementedError, TypeError) as error:
        devices = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
        raise ValueError(
            f"training option device={device!r} cannot be used here; choose one that torch has, "
            f"such as {devices} ({str(error).splitlines()[0][:80]})"
        ) from error
