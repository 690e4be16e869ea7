"""Sums over rows of products of Jacobian columns, with the structure of a layer used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
            self._total = factors[0].features.new_zeros(start, start)
        if len(factors) == 1 and self._parts[0].by_pairs:
            self._parts[0].add_pairs(factors[0])
            return
        rows, seeds, _ = factors[0].upstream.shape
        columns = self._total.new_empty(rows, seeds, len(self._total))
        for part, factor in zip(self._parts, factors, strict=True):
            factor.write_columns(columns[..., part.start : part.stop])
        flat = columns.flatten(0, 1)
        for part, factor in zip(self._parts, factors, strict=True):
            if part.by_pairs:
                part.add_pairs(factor)
                # few rows and many columns: the fast shape
                later, own = flat[:, part.stop :], flat[:, part.start : part.stop]
                self._total[part.stop :, part.start : part.stop].addmm_(later.mT, own)
                continue
            for start in range(part.start, part.stop, CHUNK):
                own = flat[:, start : min(start + CHUNK, part.stop)]
                place = self._total[start : start + own.shape[1], start:]
                place.addmm_(own.mT, flat[:, start:])

    def matrix(self) -> Tensor:
        """Return the sum, ``(size, size)``."""
        if self._total is None:
            return torch.zeros(self.size, self.size, dtype=torch.float64)
        total = self._total.clone()
        for part in self._parts:
            own, later = slice(part.start, part.stop), slice(part.stop, None)
            if part.by_pairs:
                total[own, own] = part.unpacked()
                total[own, later] = total[later, own].mT
        total.triu_()
        total += total.triu(1).mT
        places = torch.cat([part.places for part in self._parts])
        found = total.new_zeros(self.size, self.size)
        found[places[:, None], places] = total
        return found


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

    @cached_property
    def output_pairs(self) -> Tensor:
        """Both members of every pair of outputs, ``(2, pairs)``."""
        return torch.triu_indices(self.alive.shape[1], self.alive.shape[1])

    def add_pairs(self, factor: Factor) -> None:
        left, right = self.output_pairs
        outer = torch.einsum("nso,nst->not", factor.upstream, factor.upstream)
        products = outer[:, left, right]  # (rows, pairs of outputs)
        if self.sum is None:
            self.sum = products.new_zeros(products.shape[1], self.pairs)
        count = factor.features.shape[1]
        step = max(32, PAIR_NUMBERS // self.pairs)
        held = products.new_empty(min(step, len(products)), self.pairs)
        for start in range(0, len(products), step):
            own = factor.features[start : start + step]
            pairs = held[: len(own)]
            place = 0
            for f in range(count):
                torch.mul(own[:, f : f + 1], own[:, f:], out=pairs[:, place : place + count - f])
                place += count - f
            self.sum.addmm_(products[start : start + step].mT, pairs)

    def unpacked(self) -> Tensor:
        """Return the Gram matrix of the living columns."""
        assert self.sum is not None
        features, outputs = self.alive.shape
        rows, columns = _pair_index(features), _pair_index(outputs)
        spread = self.sum[columns][..., rows]  # (outputs, outputs, features, features)
        whole = spread.permute(2, 0, 3, 1).reshape(features * outputs, -1)
        if bool(self.alive.all()):
            return whole
        alive = self.alive.flatten()
        return whole[alive][:, alive]


def _pair_index(count: int) -> Tensor:
    """Where the pair ``(a, b)`` stands among those with ``a <= b``, ``(count, count)``."""
    left, right = torch.triu_indices(count, count)
    index = torch.zeros(count, count, dtype=torch.long)
    index[left, right] = index[right, left] = torch.arange(len(left))
    return index
