"""What every edit returns: the new network, and how much its outputs changed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kanx.layers import Lookup
from kanx.network import KAN

ROWS = 512
BEYOND = 0.1  # how far the probe leaves the domain, as a share of its width


class Edited(NamedTuple):
    """An edited network.

    Attributes
    ----------
    network : KAN
        New; the one that was edited is untouched.
    error : float
        Largest change of any output, on the rows that the edit was given or else on `probe`.
    """

    network: KAN
    error: float


def edited(old: KAN, new: KAN, x: Tensor | None = None) -> Edited:
    """Compare an edited network with what it was."""
    rows = probe(old) if x is None else x.to(next(old.parameters()))
    return Edited(new, largest_change(old, new, rows))


def largest_change(old: KAN, new: KAN, x: Tensor) -> float:
    """Return the largest absolute difference of any output of two networks, over rows ``x``."""
    if not len(x):
        return 0.0
    with torch.no_grad():
        return (new(x) - old(x)).abs().max().item()


def probe(network: KAN, rows: int = ROWS) -> Tensor:
    """Return rows that fill the inputs' domains and a tenth more on each side, ``(rows, in)``.

    Quasi-random, the same every time; categories are drawn evenly, and where missing values are
    legal one in twenty is missing.
    """
    first = network.layers[0]
    engine = torch.quasirandom.SobolEngine(first.in_features, scramble=True, seed=0)
    share = engine.draw(rows, dtype=torch.float64)
    found = torch.empty_like(share)
    for i in range(first.in_features):
        bundle, place = first.edge(i)
        if isinstance(bundle, Lookup):
            found[:, i] = (share[:, i] * bundle.n_basis).floor().clamp_max(bundle.n_basis - 1)
        else:
            low, high = bundle.lower[place].double(), bundle.upper[place].double()
            reach = (1 + 2 * BEYOND) * (high - low)
            found[:, i] = low - BEYOND * (high - low) + share[:, i] * reach
        if getattr(bundle, "missing", False) or getattr(bundle, "padded", False):
            found[(torch.arange(rows) + 7 * i) % 20 == 0, i] = torch.nan
    return found.to(next(network.parameters()))
