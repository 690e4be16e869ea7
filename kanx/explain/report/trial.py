"""How the model did on rows it was not fitted on, beside a rival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """Scores on held-out rows.

    Attributes
    ----------
    scores : mapping from model to (mapping from score to value)
        The explained model first, then its rivals; NaN where a score is undefined.
    n_train, n_held_out : int
        Rows that the scored models were fitted on, and rows they were scored on.
    refitted : bool
        Whether the explained model was fitted again, on all rows, after the scores.
    """

    scores: Mapping[str, Mapping[str, float]]
    n_train: int
    n_held_out: int
    refitted: bool = False

    @property
    def model(self) -> str:
        """Name of the explained model."""
        return next(iter(self.scores))

    @property
    def rivals(self) -> list[str]:
        """Names of the others."""
        return list(self.scores)[1:]
