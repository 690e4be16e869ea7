"""Sums over rows of products of Jacobian columns, with the structure of a layer used."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# outputs of a layer from which on the products of pairs pay, and numbers of pairs held at a time
FEWEST_OUTPUTS = 4
MOST_PAIRS = 2**15
PAIR_NUMBERS = 2**20
CHUNK = 256  # columns of a triangle that are multiplied together


@dataclass(frozen=True)
class Factor:
    r"""Columns of the Jacobian that belong to one layer, :math:`J_{ns,fo} = \Phi_{nf} U_{nso}`.

    Attributes
    ----------
    features : Tensor, (rows, features)
    upstream : Tensor, (rows, seeds, outputs)
    places : Tensor, (features, outputs)
        Coordinate of every column.
    alive : Tensor, bool (features, outputs)
        Columns that are not zero.
    """

    features: Tensor
    upstream: Tensor
    places: Tensor
    alive: Tensor

    def write_columns(self, out: Tensor) -> None:
        """Write the living columns to ``(rows, seeds, living)``."""
        left, right = self.features[:, None, :, None], self.upstream[:, :, None, :]
        if bool(self.alive.all()):
            torch.mul(left, right, out=out.view(*out.shape[:2], *self.alive.shape))
        else:
            out.copy_((left * right).flatten(2)[..., self.alive.flatten()])


class GramMatrix:
    r"""Add up :math:`\sum_{ns} J_{nsp} J_{nsq}` over blocks of rows.

    Columns of one layer are products of features and upstream derivatives, so their Gram matrix is
    one product of two matrices that hold the products of pairs,

    .. math:: \sum_n (\Phi_{nf} \Phi_{nf'}) \big(\sum_s U_{nso} U_{nso'}\big),

    of which both sides are symmetric: a quarter of the multiplications of :math:`J'J`. It is used
    where the pairs are few enough and most columns alive.

    Parameters
    ----------
    size : int
        Number of coordinates.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._parts: list[_Part] = []
        self._total: Tensor | None = None

    def add(self, factors: list[Factor]) -> None:
        """Add some rows; the factors are those of the earlier rows, in the same order."""
        if not factors:
            return
        if self._total is None:
            start = 0
            for factor in factors:
                self._parts.append(_Part(factor, start))
                start = self._parts[-1].stop
            # the last row and column stay zero, for coordinates without a column
            self._total = factors[0].features.new_zeros(start + 1, start + 1)
        if len(factors) == 1 and self._parts[0].by_pairs:
            self._parts[0].add_pairs(factors[0])
            return
        rows, seeds, _ = factors[0].upstream.shape
        columns = self._total.new_empty(rows, seeds, len(self._total) - 1)
        for part, factor in zip(self._parts, factors, strict=True):
            factor.write_columns(columns[..., part.start : part.stop])
        flat = columns.flatten(0, 1)
        for part, factor in zip(self._parts, factors, strict=True):
            if part.by_pairs:
                part.add_pairs(factor)
                # few rows and many columns: the fast shape
                later, own = flat[:, part.stop :], flat[:, part.start : part.stop]
                self._total[part.stop : -1, part.start : part.stop].addmm_(later.mT, own)
                continue
            for start, stop in part.chunks():
                place = self._total[start:stop, start:-1]
                place.addmm_(flat[:, start:stop].mT, flat[:, start:])

    def matrix(self, living: Tensor) -> Tensor:
        """Return the sum at the coordinates that are ``living``, ``(living, living)``."""
        count = int(living.sum())
        if self._total is None:
            return torch.zeros(count, count, dtype=torch.float64)
        total = self._total
        for part in self._parts:
            own = slice(part.start, part.stop)
            if part.by_pairs:
                total[own, own] = part.unpacked()
                total[own, part.stop :] = total[part.stop :, own].mT
                continue
            for start, stop in part.chunks():  # only what is right of the diagonal was summed
                square = total[start:stop, start:stop].triu_()
                square += square.triu(1).mT
                total[stop:, start:stop] = total[start:stop, stop:].mT
        position = torch.full((self.size,), len(total) - 1)
        position[torch.cat([part.places for part in self._parts])] = torch.arange(len(total) - 1)
        order = position[living]
        return total.flatten()[(order * len(total))[:, None] + order]


class _Part:
    """The place of one layer's living columns, and the sum over pairs where it is used."""

    def __init__(self, factor: Factor, start: int) -> None:
        self.alive = factor.alive
        self.places = factor.places[factor.alive]
        self.start, self.stop = start, start + len(self.places)
        features, outputs = factor.alive.shape
        self.pairs = features * (features + 1) // 2
        self.by_pairs = (
            outputs >= FEWEST_OUTPUTS
            and self.pairs <= MOST_PAIRS
            and len(self.places) > 0.7 * features * outputs
        )
        self.sum: Tensor | None = None

    def chunks(self) -> list[tuple[int, int]]:
        """First and last columns that are multiplied together."""
        return [
            (start, min(start + CHUNK, self.stop)) for start in range(self.start, self.stop, CHUNK)
        ]

    def add_pairs(self, factor: Factor) -> None:
        outputs = factor.upstream.shape[-1]
        products = factor.upstream.new_zeros(len(factor.upstream), outputs * (outputs + 1) // 2)
        for seed in factor.upstream.unbind(1):
            _add_pairs(seed, products)
        if self.sum is None:
            self.sum = products.new_zeros(products.shape[1], self.pairs)
        step = max(32, PAIR_NUMBERS // self.pairs)
        held = products.new_empty(min(step, len(products)), self.pairs)
        for start in range(0, len(products), step):
            own = factor.features[start : start + step]
            pairs = held[: len(own)].zero_()
            _add_pairs(own, pairs)
            self.sum.addmm_(products[start : start + step].mT, pairs)

    def unpacked(self) -> Tensor:
        """Return the Gram matrix of the living columns."""
        assert self.sum is not None
        features, outputs = self.alive.shape
        rows, columns = _pair_index(features), _pair_index(outputs) * self.pairs
        place = rows[:, None, :, None] + columns[:, None, :]  # (features, outputs, ...) twice
        whole = self.sum.flatten()[place].view(features * outputs, -1)
        if bool(self.alive.all()):
            return whole
        alive = self.alive.flatten()
        return whole[alive][:, alive]


def _add_pairs(values: Tensor, out: Tensor) -> None:
    """Add the products of columns ``a <= b``, in the order of `torch.triu_indices`."""
    count = values.shape[1]
    place = 0
    for a in range(count):
        own = out[:, place : place + count - a]
        torch.addcmul(own, values[:, a : a + 1], values[:, a:], out=own)
        place += count - a


def _pair_index(count: int) -> Tensor:
    """Where the pair ``(a, b)`` stands among those with ``a <= b``, ``(count, count)``."""
    left, right = torch.triu_indices(count, count)
    index = torch.zeros(count, count, dtype=torch.long)
    index[left, right] = index[right, left] = torch.arange(len(left))
    return index
