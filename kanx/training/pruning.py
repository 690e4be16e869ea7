"""Prune the edges that the evidence does not want, checking every step."""

from __future__ import annotations

import torch

from kanx.training.climb import Climb

PRICE = 0.5
HOPELESS = 30.0  # nats of log evidence lost, which no new precisions make up for


def prune_edges(climb: Climb, price: float = PRICE, rounds: int = 1) -> None:
    """Remove the lines and bends that do not earn their price in log evidence.

    Candidates are the groups whose log Bayes factor against zero (Savage-Dickey) is below the
    price. Each may be superfluous beside the others without all being so: many go at once, the
    fit is repeated, and if the evidence fell by more than the price of one, a quarter as many are
    tried from the same place.

    Parameters
    ----------
    climb : Climb
        After its climb; changed in place.
    price : float, default=0.5
        Log evidence that a line or the bends of an edge must bring.
    rounds : int, default=1
        Most rounds of re-fitting after every removal.
    """
    while True:
        factors = climb.posterior.log_bayes_factors(climb.w)
        order = torch.argsort(factors)
        count = int((factors < price).sum())
        while count > 0:
            before = climb.snapshot()
            doomed = torch.zeros(len(factors), dtype=torch.bool)
            doomed[order[:count]] = True
            climb.prune(doomed)
            climb.descend()
            for _ in range(rounds):
                lost = before.evidence - climb.evidence
                if lost <= price or lost > HOPELESS:
                    break
                climb.update()
                climb.descend()
            if climb.evidence >= before.evidence - price:
                break
            climb.restore(before)
            count //= 4
        if count == 0:
            return
