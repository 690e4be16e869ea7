"""How much of the predictions' variance each input is answerable for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kanx.explain.explanation import Explanation

Array = NDArray[np.float64]


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
