"""Sums over rows of products of Jacobian columns, with the structure of a layer used."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.kernels.products import Pairs, add_products

# outputs of a layer from which on the products of pairs pay, and the most pairs of features
FEWEST_OUTPUTS = 4
MOST_PAIRS = 2**15
CHUNK = 256  # rows of a matrix that are moved together, in the cache


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
        self._left = self._right = torch.empty(0, dtype=torch.int32)

    def add(self, factors: list[Factor]) -> None:
        """Add some rows; the factors are those of the earlier rows, in the same order."""
        if not factors:
            return
        if self._total is None:
            self._arrange(factors)
        assert self._total is not None
        for part, factor in zip(self._parts, factors, strict=True):
            if part.by_pairs:
                part.add_pairs(factor)
        if len(factors) == 1 and self._parts[0].by_pairs:
            return
        table = _table(factors)
        for part in self._parts:
            own, later = slice(part.start, part.stop), slice(part.stop, len(self._left))
            columns = Pairs(table, self._left[own], self._right[own])
            if not part.by_pairs:
                add_products(self._total[own, own], columns, columns, upper=True)
            if part.stop < len(self._left):
                others = Pairs(table, self._left[later], self._right[later])
                add_products(self._total[later, own], others, columns)

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
            else:  # only what is right of the diagonal was summed
                square = total[own, own].triu_()
                square += square.triu(1).mT
            total[own, part.stop :] = total[part.stop :, own].mT
        position = torch.full((self.size,), len(total) - 1)
        position[torch.cat([part.places for part in self._parts])] = torch.arange(len(total) - 1)
        order = position[living]
        found = total.new_empty(count, count)
        for start in range(0, count, CHUNK):
            rows = total.index_select(0, order[start : start + CHUNK])
            torch.index_select(rows, 1, order, out=found[start : start + CHUNK])
        return found

    def _arrange(self, factors: list[Factor]) -> None:
        """Give every factor its place, in the sums and in the table of a block of rows."""
        start, width, left, right = 0, 0, [], []
        for factor in factors:
            self._parts.append(_Part(factor, start))
            start = self._parts[-1].stop
            feature, output = factor.alive.nonzero().int().unbind(1)
            left.append(feature + width)
            right.append(output + width + len(factor.alive))
            width += sum(factor.alive.shape)
        self._left, self._right = torch.cat(left), torch.cat(right)
        # the last row and column stay zero, for coordinates without a column
        self._total = factors[0].features.new_zeros(start + 1, start + 1)


class _Part:
    """The place of one layer's living columns, and the sum over pairs where it is used."""

    def __init__(self, factor: Factor, start: int) -> None:
        self.alive = factor.alive
        self.places = factor.places[factor.alive]
        self.start, self.stop = start, start + len(self.places)
        features, outputs = factor.alive.shape
        self.by_pairs = (
            outputs >= FEWEST_OUTPUTS
            and features * (features + 1) // 2 <= MOST_PAIRS
            and len(self.places) > 0.7 * features * outputs
        )
        if self.by_pairs:
            self.feature_pairs = torch.triu_indices(features, features, dtype=torch.int32)
            self.output_pairs = torch.triu_indices(outputs, outputs, dtype=torch.int32)
        self.sum: Tensor | None = None

    def add_pairs(self, factor: Factor) -> None:
        """Add the sums over rows of products of pairs."""
        upstream, (left, right) = factor.upstream, self.output_pairs
        products = Pairs(upstream[:, 0].contiguous(), left, right)
        if upstream.shape[1] > 1:  # summed first, and then not a product but times one
            table = (upstream[..., left] * upstream[..., right]).sum(1)
            table = torch.cat([table, table.new_ones(len(table), 1)], 1)
            places = torch.arange(len(left) + 1, dtype=torch.int32)
            products = Pairs(table, places[:-1], places[-1:].repeat(len(left)))
        features = Pairs(factor.features.contiguous(), *self.feature_pairs)
        if self.sum is None:
            self.sum = upstream.new_zeros(len(features.first), len(left))
        add_products(self.sum, features, products)

    def unpacked(self) -> Tensor:
        """Return the Gram matrix of the living columns."""
        assert self.sum is not None
        features, outputs = self.alive.shape
        whole = self.sum.index_select(1, _pair_index(outputs).flatten())
        whole = whole.index_select(0, _pair_index(features).flatten())
        whole = whole.view(features, features, outputs, outputs).transpose(1, 2)
        whole = whole.reshape(features * outputs, -1)
        if len(self.places) == len(whole):
            return whole
        alive = self.alive.flatten()
        return whole[alive][:, alive]


def _table(factors: list[Factor]) -> Tensor:
    """Write features and upstream derivatives side by side, ``(rows * seeds, ...)``."""
    rows, seeds, _ = factors[0].upstream.shape
    columns = []
    for factor in factors:
        columns += [factor.features.unsqueeze(1).expand(-1, seeds, -1), factor.upstream]
    return torch.cat(columns, 2).view(rows * seeds, -1)


def _pair_index(count: int) -> Tensor:
    """Where the pair ``(a, b)`` stands among those with ``a <= b``, ``(count, count)``."""
    left, right = torch.triu_indices(count, count)
    index = torch.zeros(count, count, dtype=torch.long)
    index[left, right] = index[right, left] = torch.arange(len(left))
    return index
