"""Prune the edges that the evidence does not want, checking every step."""

from __future__ import annotations

import torch

from kanx.training.climb import Climb


def prune_edges(climb: Climb, rounds: int = 3, margin: float = 0.1) -> None:
    """Remove edges as long as the log evidence does not fall.

    Candidates are the edges whose log Bayes factor against zero (Savage-Dickey) is negative. Each
    may be superfluous beside the others without all being so: many go at once, the fit is
    repeated, and if the evidence fell half as many are tried from the same place.

    Parameters
    ----------
    climb : Climb
        After its climb; changed in place.
    rounds : int, default=3
        Rounds of re-fitting after every removal.
    margin : float, default=0.1
        Loss of log evidence that counts as none.
    """
    while True:
        factors = climb.posterior.log_bayes_factors(climb.w)
        order = torch.argsort(factors)
        count = int((factors < 0).sum())
        while count > 0:
            before = climb.snapshot()
            doomed = torch.zeros(len(factors), dtype=torch.bool)
            doomed[order[:count]] = True
            climb.prune(doomed)
            climb.descend()
            for _ in range(rounds):
                climb.update()
                climb.descend()
            if climb.evidence >= before.evidence - margin:
                break
            climb.restore(before)
            count //= 2
        if count == 0:
            return
