"""Functions of the target: ``T(y)`` may be simpler than ``y``, as in ``y = asin(n sin x)``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.data import Data
from kanx.discovery.trees import Tree, constant, function, power, product, scaled

Array = NDArray[np.float64]


class LinkedTarget(NamedTuple):
    """A function of the target, its weights by the delta method, and the way back."""

    target: Array
    weight: Array
    undo: Callable[[Tree], Tree]


@dataclass(frozen=True)
class TargetLink:
    """Hold a function of the target, applied to the target in the user's scale.

    Parameters
    ----------
    forward, slope : callable
        The function and its derivative.
    inverse : str or Fraction or None
        Name of the function that undoes it, or exponent of the power; None for the identity.
    low, high : float
        Interval of the target on which ``inverse`` undoes it.
    """

    forward: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    inverse: str | Fraction | None
    low: float
    high: float

    def is_allowed(self, allowed: Collection[str] | None) -> bool:
        """Return whether the function that undoes it may be used."""
        return allowed is None or not isinstance(self.inverse, str) or self.inverse in allowed

    def apply(self, data: Data) -> LinkedTarget | None:
        """Return the new target, or None if the target leaves the interval of the inverse."""
        if self.inverse is None:
            return LinkedTarget(data.y, data.weight, lambda tree: tree)
        y = data.y * data.scale
        low, high = np.quantile(y, [0.005, 0.995])
        if low < self.low or high > self.high:
            return None
        with np.errstate(all="ignore"):
            target, slope = self.forward(y), np.abs(self.slope(y))
            slope = np.maximum(slope, 1e-3 * np.median(slope) + 1e-300)
            weight = data.weight / slope**2
        finite = np.isfinite(target).all() and np.isfinite(weight).all()
        if not (finite and np.ptp(target) > 0 and 0 < weight.mean() < np.inf):
            return None
        size = float(np.sqrt(np.mean(target**2)))
        inverse, outer = self.inverse, 1.0 / data.scale

        def undo(tree: Tree) -> Tree:
            inner = scaled(tree, size)
            if isinstance(inverse, Fraction):
                return product(constant(outer), power(inner, inverse))
            return product(constant(outer), function(inverse, inner))

        return LinkedTarget(target / size, weight / weight.mean(), undo)


HALF_TURN = float(np.pi / 2)
LINKS = (
    TargetLink(lambda y: y, np.ones_like, None, -np.inf, np.inf),
    TargetLink(np.sin, np.cos, "asin", -HALF_TURN, HALF_TURN),
    TargetLink(np.cos, np.sin, "acos", 0.0, 2 * HALF_TURN),
    TargetLink(np.log, lambda y: 1.0 / y, "exp", 1e-300, np.inf),
    TargetLink(np.exp, np.exp, "log", -50.0, 50.0),
    TargetLink(np.tan, lambda y: 1.0 / np.cos(y) ** 2, "atan", -HALF_TURN, HALF_TURN),
    TargetLink(np.arctanh, lambda y: 1.0 / (1.0 - y**2), "tanh", -1.0, 1.0),
)
POWER_LINKS = (
    TargetLink(np.square, lambda y: 2.0 * y, Fraction(1, 2), 0.0, np.inf),
    TargetLink(lambda y: 1.0 / y, lambda y: 1.0 / y**2, Fraction(-1), 1e-300, np.inf),
    TargetLink(lambda y: y**-2.0, lambda y: 2.0 / y**3, Fraction(-1, 2), 1e-300, np.inf),
    TargetLink(np.sqrt, lambda y: 0.5 / np.sqrt(y), Fraction(2), 0.0, np.inf),
)
