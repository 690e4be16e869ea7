"""Sparse sums over the dictionary: exhaustive pairs of the cheap features, then a beam.

For a target ``t`` the best few of ``t = c0 + sum c_k f_k`` are found; columns ``t h`` may be among
the features, which makes the answer the quotient ``(c0 + sum c_k f_k) / (1 - sum d_j h_j)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PAIR_BLOCK = 128


class Selection(NamedTuple):
    """A set of features, its relative loss and the rank it earns (lower is better)."""

    features: tuple[int, ...]
    loss: float
    rank: float


@dataclass(frozen=True)
class _Standardised:
    """Features with the intercept and their length removed, and the target likewise."""

    features: Array  # (features, rows)
    target: Array  # (rows,)
    prices: Array
    rows: int
    floor: float

    def rank(self, loss: Any, price: Any) -> Any:
        return self.rows * np.log1p(np.maximum(loss, 0.0) / self.floor) + 3.5 * price


def select(
    features: Array,
    prices: Array,
    target: Array,
    weight: Array,
    floor: float,
    n_effective: int,
    pairs_among: int = 2000,
    beam: int = 60,
    terms: int = 3,
    keep: int = 8,
) -> list[Selection]:
    """Return the best small sets of features of every size.

    Parameters
    ----------
    features : array of shape (features, rows)
        Candidate terms; a constant is always added.
    prices : array of shape (features,)
        Complexity of each.
    target, weight : arrays of shape (rows,)
        Target and weights.
    floor : float
        Relative loss that the noise explains.
    n_effective : int
        Number of rows behind the target: how much a given loss weighs against the price.
    pairs_among : int
        How many of the cheapest features enter the exhaustive search of pairs.
    beam, terms, keep : int
        Width and depth of the beam, and number of answers of each size.
    """
    data = _standardise(features, prices, target, weight, floor, n_effective)
    if data is None:
        return []
    correlation = data.features @ data.target
    losses = 1.0 - correlation**2
    order = np.argsort(data.rank(losses, prices), kind="stable")[: 4 * beam]
    found = [Selection((int(k),), float(losses[k]), float(data.rank(losses[k], prices[k])))
             for k in order]  # fmt: skip
    frontier = found[:beam]
    pairs = _exhaustive_pairs(data, correlation, pairs_among, 4 * beam)
    found += pairs
    for depth in range(2, terms + 1):
        grown = _grow(data, frontier, beam)
        if depth == 2:
            grown += pairs
        found += grown
        unique = {s.features: s for s in grown}
        frontier = sorted(unique.values(), key=lambda s: s.rank)[:beam]
        found += _exchange(data, frontier, beam)
    unique = {s.features: s for s in found}
    return _best_of_each_size(list(unique.values()), keep)


def _exchange(data: _Standardised, frontier: list[Selection], beam: int) -> list[Selection]:
    """Replace each feature of the best sets by the best other one: repairs greedy choices."""
    smaller = {
        s.features[:k] + s.features[k + 1 :]: None
        for s in frontier[: beam // 2]
        for k in range(len(s.features))
    }
    states = _selections(data, [features for features in smaller if features])
    return _grow(data, sorted(states, key=lambda s: s.rank)[:beam], beam)


def _best_of_each_size(found: list[Selection], keep: int) -> list[Selection]:
    """Return the best sets of every size: shapes on a grid of scales fit better after a re-fit."""
    best: list[Selection] = []
    for size in sorted({len(s.features) for s in found}):
        members = [s for s in found if len(s.features) == size]
        best += sorted(members, key=lambda s: s.rank)[:keep]
    return best


def _standardise(
    features: Array, prices: Array, target: Array, weight: Array, floor: float, rows: int
) -> _Standardised | None:
    root = np.sqrt(weight)
    intercept = root / np.linalg.norm(root)
    scaled = features * root
    scaled -= np.outer(scaled @ intercept, intercept)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled /= np.maximum(length, 1e-12 * np.linalg.norm(features * root, axis=1, keepdims=True))
    aim = target * root
    aim = aim - (aim @ intercept) * intercept
    size = np.linalg.norm(aim)
    if not (np.isfinite(size) and size > 1e-12 * np.linalg.norm(target * root)):
        return None
    return _Standardised(scaled, aim / size, prices, rows, floor)


def _exhaustive_pairs(
    data: _Standardised, correlation: Array, among: int, keep: int
) -> list[Selection]:
    cheap = np.argsort(data.prices, kind="stable")[:among]
    features, c, prices = data.features[cheap], correlation[cheap], data.prices[cheap]
    ranks, pairs = [], []
    for start in range(0, len(cheap), PAIR_BLOCK):  # blocks of the upper triangle fit the cache
        rows = slice(start, start + PAIR_BLOCK)
        rank = _pair_ranks(data, features, c, prices, rows)
        chosen = np.argpartition(rank, min(keep, rank.size - 1), axis=None)[:keep]
        i, j = np.unravel_index(chosen, rank.shape)
        ranks.append(rank[i, j])
        pairs.append(np.stack([i + start, j + start], axis=1))
    merged, where = np.concatenate(ranks), np.concatenate(pairs)
    best = np.argsort(merged, kind="stable")[:keep]
    chosen = np.sort(cheap[where[best[np.isfinite(merged[best])]]], axis=1)
    return _selections(data, [(int(i), int(j)) for i, j in chosen])


def _pair_ranks(
    data: _Standardised, features: Array, correlation: Array, prices: Array, rows: slice
) -> Array:
    """Return the rank of each pair of a block of features with all that follow its first."""
    gram = features[rows] @ features[rows.start :].T
    first, second = correlation[rows, None], correlation[None, rows.start :]
    remaining = 1.0 - gram**2
    gram *= -2.0 * first * second
    gram += first**2
    gram += second**2
    with np.errstate(all="ignore"):
        gram /= remaining  # the loss that a pair explains
    useless = ~(gram > 0) | (remaining < 1e-7)
    useless[np.tril_indices(len(useless), m=useless.shape[1])] = True
    rank = data.rank(1.0 - np.minimum(gram, 1.0), prices[rows, None] + prices[rows.start :] + 1.0)
    rank[useless] = np.inf
    return np.asarray(rank)


def _bases_and_residuals(data: _Standardised, sets: list[tuple[int, ...]]) -> tuple[Array, Array]:
    """Project the target on the features of every set, all sets of one size.

    Returns orthonormal bases, ``(sets, rows, size)``, and residuals, ``(sets, rows)``.
    """
    bases = np.linalg.qr(np.swapaxes(data.features[np.array(sets)], 1, 2))[0]
    fitted = bases @ (np.swapaxes(bases, 1, 2) @ data.target)[..., None]
    return bases, data.target - fitted[..., 0]


def _selections(data: _Standardised, sets: list[tuple[int, ...]]) -> list[Selection]:
    """Fit sets of features, all of one size, without the rounding of the search."""
    if not sets:
        return []
    _, residuals = _bases_and_residuals(data, sets)
    losses = np.sum(residuals**2, axis=1)
    prices = data.prices[np.array(sets)].sum(1) + len(sets[0]) - 1.0
    ranks = data.rank(losses, prices)
    return [
        Selection(chosen, float(loss), float(rank))
        for chosen, loss, rank in zip(sets, losses, ranks, strict=True)
    ]


def _grow(data: _Standardised, frontier: list[Selection], beam: int) -> list[Selection]:
    """Add to each set the features that lower its loss most; all sets in one matrix product."""
    states = [s for s in frontier if s.loss >= data.floor * min(1.0, 4.0 / data.rows)]
    if not states:
        return []
    bases, residuals = _bases_and_residuals(data, [s.features for s in states])
    columns = bases.transpose(1, 0, 2)  # (rows, states, size)
    projections = data.features @ columns.reshape(len(columns), -1)
    remaining = 1.0 - np.sum(projections.reshape(-1, *columns.shape[1:]) ** 2, axis=2)
    gains = (data.features @ residuals.T) ** 2 / np.maximum(remaining, 1e-9)
    gains[remaining < 1e-7] = 0.0
    grown: dict[tuple[int, ...], Selection] = {}
    for column, state in enumerate(states):
        price = data.prices[list(state.features)].sum() + len(state.features)
        rank = data.rank(np.maximum(state.loss - gains[:, column], 0.0), data.prices + price)
        for k in np.argpartition(rank, min(8, len(rank) - 1))[:8]:
            chosen = tuple(sorted((*state.features, int(k))))
            if k not in state.features and chosen not in grown:
                loss = float(max(state.loss - gains[k, column], 0.0))
                grown[chosen] = Selection(chosen, loss, float(rank[k]))
    best = sorted(grown.values(), key=lambda s: s.rank)[: 2 * beam]
    return _selections(data, [s.features for s in best])
