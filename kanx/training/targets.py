"""From a target to the units of a network's outputs, for every loss of the regressor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.training.losses import Gaussian, Huber, Loss, Poisson
from kanx.training.student_t import StudentT

LOSSES = ("squared", "huber", "student_t", "poisson")
_ROBUST: dict[str, Callable[[Tensor], Loss]] = {"huber": Huber, "student_t": StudentT}
LARGEST = 1e150  # spread of a target whose variance is a number
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """How a numeric target enters and leaves the network.

    Attributes
    ----------
    centre, scale : Tensor, (targets,)
        ``centre + scale * output`` is the prediction; its logarithm for counts.
    loss : Loss
        To start with.
    constant : Tensor, bool (targets,)
        Targets that do not vary, which are fitted as zero. Counts that are all zero, which are
        fitted as the expected one: no rate is small enough for them.
    is_count : bool
    """

    centre: Tensor
    scale: Tensor
    loss: Loss
    constant: Tensor
    is_count: bool = False

    def encode(self, values: Array) -> Tensor:
        """Return what the loss takes for targets ``(rows, targets)``."""
        if self.is_count:
            return torch.where(self.constant, self.centre.exp(), torch.tensor(values))
        scaled = (torch.tensor(values) - self.centre) / self.scale
        return torch.where(self.constant, 0.0, scaled)


def check_target(loss: str, values: Array) -> None:
    """Refuse an unknown loss, and targets that it cannot take.

    Raises
    ------
    ValueError
    """
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is unknown; choose one of {LOSSES}")
    if loss == "poisson" and bool((values < 0).any()):
        row = int(np.argwhere(values < 0)[0][0])
        raise ValueError(
            f"loss='poisson' needs targets that are not negative; row {row} holds "
            f"{values[row].min()}"
        )


def check_spread(values: Array) -> None:
    """Refuse targets whose variance no float64 holds.

    Raises
    ------
    ValueError
    """
    with np.errstate(over="ignore"):
        spread = np.ptp(values, axis=0)
    wrong = (spread > LARGEST) | ((spread > 0) & (spread < 1 / LARGEST))
    if wrong.any():
        raise ValueError(
            f"the target spreads over {spread[wrong][0]:.3g}, whose square is too large or too "
            f"small for float64; fit it in units in which that is near one"
        )


def regression_target(loss: str, mean: Array, variance: Array, values: Array) -> Target:
    """Return the units in which a target is fitted.

    Squared errors use mean and standard deviation, Huber's and Student's the median and the median
    absolute deviation, which outliers do not move, and counts the logarithm of their mean.

    Parameters
    ----------
    loss : {"squared", "huber", "student_t", "poisson"}
    mean, variance : ndarray, (targets,)
        Weighted.
    values : ndarray, (rows, targets)
        All targets or a sample of them, for the median.
    """
    count = len(mean)
    if loss == "poisson":
        # of counts that are all zero, half a one is what Jeffreys' prior expects
        offset = torch.from_numpy(np.log(np.maximum(mean, 0.5 / len(values))))
        unit, none = torch.ones(count, dtype=torch.float64), torch.from_numpy(mean <= 0)
        return Target(offset, unit, Poisson(offset), none, True)
    centre, scale = mean, np.sqrt(variance)
    start: Loss = Gaussian(torch.full((count,), 10.0, dtype=torch.float64))
    if loss in _ROBUST:
        centre = np.median(values, axis=0)
        spread = 1.4826 * np.median(np.abs(values - centre), axis=0)
        scale = np.where(spread > 0, spread, scale)
        start = _ROBUST[loss](torch.ones(count, dtype=torch.float64))
    constant = scale <= 1e-14 * np.maximum(np.abs(centre), 1e-300)
    scale = np.where(constant, 1.0, scale)
    return Target(
        torch.from_numpy(centre), torch.from_numpy(scale), start, torch.from_numpy(constant)
    )
