"""How much of the predictions' variance each input is answerable for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kanx.explain.explanation import Explanation

Array = NDArray[np.float64]

SMALL = 0.005  # of the variance: inputs of less are folded away
LEAST_SHOWN, MOST_SHOWN = 6, 30


@dataclass(frozen=True)
class Shares:
    """Shares of the inputs, averaged over the outputs.

    Attributes
    ----------
    values : ndarray, (in,)
    std : ndarray, (in,)
        Posterior standard deviations; NaN where unknown.
    note : str
        What the shares are, in a sentence.
    """

    values: Array
    std: Array
    note: str

    @cached_property
    def ranking(self) -> list[int]:
        """Inputs, the most important first."""
        return [int(j) for j in np.argsort(-self.values, kind="stable")]

    def split(self, gone: Collection[int] = ()) -> tuple[list[int], list[int]]:
        """Return the inputs to show and those to fold away, each the most important first.

        Inputs in `gone` are in neither.
        """
        order = [j for j in self.ranking if j not in gone]
        shown = [j for k, j in enumerate(order) if k < LEAST_SHOWN or self.values[j] >= SMALL]
        if len(shown) > MOST_SHOWN:
            shown = shown[: MOST_SHOWN - 1]
        if len(order) <= len(shown) + 1:  # to fold one away gains nothing
            shown = order
        return shown, order[len(shown) :]

    def text(self, j: int, digits: int = 1) -> str:
        """Return a share with its 95 % error, an interval where the error reaches over an end."""
        share, half = 100 * self.values[j], 196 * self.std[j]
        shown = f"{share:.{digits}f} %"
        if not half > 0:
            return shown
        if share - half < 0 or share + half > 100:
            low, high = max(0.0, share - half), min(100.0, share + half)
            return f"{shown}, {low:.{digits}f} to {high:.{digits}f}"
        return f"{shown} ± {half:.{max(digits, int(half < 1))}f}"


def input_shares(view: Explanation) -> Shares:
    """Return the shares of the inputs.

    For additive models the variances of the curves. With hidden nodes large curves may cancel
    each other on their way, so that the variance along the paths says little; then the shares of
    the functional analysis of variance, with interactions divided equally between their inputs.
    """
    if view.subject.is_additive:
        std = view.importances.features_std.mean(1)
        errors = ", with 95 % errors" if np.isfinite(std).all() else ""
        note = f"comes in through each input{errors}"
        return Shares(view.importances.features.mean(1), std, note)
    values = view.interactions.features.mean(1)
    return Shares(
        values,
        np.full_like(values, np.nan),
        "is due to each input by itself, with half of what it does together with another",
    )
