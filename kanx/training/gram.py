"""Sums over rows of products of Jacobian columns, with the structure of a layer used."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.kernels.products import Pairs, add_products
from kanx.training.columns import Columns, Factor

# outputs of a layer from which on the products of pairs pay, and the most pairs of features
FEWEST_OUTPUTS = 4
MOST_PAIRS = 2**15
LARGEST_INDEX = 2**22  # numbers: of larger matrices the index is made anew, a chunk at a time
CHUNK = 256  # rows


class GramMatrix:
    r"""Add up :math:`\sum_{ns} J_{nsp} J_{nsq}` over blocks of rows.

    Columns of one layer are products of features and upstream derivatives, so their Gram matrix is
    one product of two matrices that hold the products of pairs,

    .. math:: \sum_n (\Phi_{nf} \Phi_{nf'}) \big(\sum_s U_{nso} U_{nso'}\big),

    of which both sides are symmetric: a quarter of the multiplications of :math:`J'J`. It is used
    where the pairs are few enough and most columns alive.

    Parameters
    ----------
    columns : Columns
        Of the Jacobian.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._sums: Tensor | None = None

    def add(self, factors: list[Factor]) -> None:
        """Add some rows; the factors are those of the earlier rows, in the same order."""
        if not factors:
            return
        if self._columns.arrangement is None:
            self._columns.arrangement = Arrangement(factors, self._columns.living)
        arrangement = self._columns.arrangement
        if self._sums is None:
            self._sums = factors[0].features.new_zeros(arrangement.numbers)
        parts, total = arrangement.parts, arrangement.total(self._sums)
        for part, factor in zip(parts, factors, strict=True):
            if part.by_pairs:
                part.add_pairs(factor, self._sums)
        if len(factors) == 1 and parts[0].by_pairs:
            return
        table = _table(factors)
        left, right = arrangement.left, arrangement.right
        for part in parts:
            own, later = slice(part.start, part.stop), slice(part.stop, len(left))
            columns = Pairs(table, left[own], right[own])
            if not part.by_pairs:
                add_products(total[own, own], columns, columns, upper=True)
            if part.stop < len(left):
                others = Pairs(table, left[later], right[later])
                add_products(total[later, own], others, columns)

    def matrix(self) -> Tensor:
        """Return the sum at the coordinates that are alive, ``(living, living)``."""
        count = int(self._columns.living.sum())
        arrangement = self._columns.arrangement
        if self._sums is None or arrangement is None:
            return torch.zeros(count, count, dtype=torch.float64)
        if arrangement.index is not None:
            return self._sums.take(arrangement.index)
        found = self._sums.new_empty(count, count)
        for start in range(0, count, CHUNK):
            rows = slice(start, start + CHUNK)
            torch.take(self._sums, arrangement.places(rows), out=found[rows])
        return found


class Arrangement:
    """Where the sums of all pairs of columns stand in one vector of numbers.

    First come all columns by all columns, of which one triangle is used, then the sums over pairs
    of the layers that use them.

    Parameters
    ----------
    factors : list of Factor
    living : Tensor, bool (size,)

    Attributes
    ----------
    parts : list of Part
    left, right : Tensor, int32 (columns,)
        Where feature and derivative of every column stand in the table of a block of rows.
    numbers : int
        Length of the vector.
    index : Tensor, (living, living), optional
        Places of the Gram matrix, unless it is very large.
    """

    def __init__(self, factors: list[Factor], living: Tensor) -> None:
        start, width, left, right = 0, 0, [], []
        self.parts: list[Part] = []
        for factor in factors:
            self.parts.append(Part(factor, start))
            start = self.parts[-1].stop
            feature, output = factor.alive.nonzero().int().unbind(1)
            left.append(feature + width)
            right.append(output + width + len(factor.alive))
            width += sum(factor.alive.shape)
        self.left, self.right = torch.cat(left), torch.cat(right)
        # the last row and column stay zero, for coordinates without a column
        self.side = start + 1
        self.numbers = self.side**2
        for part in self.parts:
            part.offset, self.numbers = self.numbers, self.numbers + part.n_sums
        order = torch.full((len(living),), start)
        order[torch.cat([part.places for part in self.parts])] = torch.arange(start)
        self._order = order[living]
        small = len(self._order) ** 2 <= LARGEST_INDEX
        self.index = self.places(slice(None)) if small else None

    def total(self, sums: Tensor) -> Tensor:
        """Return the part of the sums that stands for all columns by all columns."""
        return sums[: self.side**2].view(self.side, self.side)

    def places(self, rows: slice) -> Tensor:
        """Return where some rows of the Gram matrix stand, ``(rows, living)``."""
        own, others = self._order[rows].unsqueeze(1), self._order.unsqueeze(0)
        low, high = torch.minimum(own, others), torch.maximum(own, others)
        # later columns by earlier ones, but for those of one part, right of the diagonal
        found = high * self.side + low
        for part in self.parts:
            mine = ((own >= part.start) & (own < part.stop)).nonzero()[:, 0]
            theirs = ((others >= part.start) & (others < part.stop)).nonzero()[:, 1]
            if not len(mine) or not len(theirs):
                continue
            if part.by_pairs:
                first = self._order[rows][mine] - part.start
                inside = part.pair_places(first, self._order[theirs] - part.start)
            else:
                inside = (low * self.side + high)[mine.unsqueeze(1), theirs]
            found[mine.unsqueeze(1), theirs] = inside
        return found


class Part:
    """The place of one layer's living columns, and of the sums over pairs where they are used."""

    offset: int

    def __init__(self, factor: Factor, start: int) -> None:
        self.places = factor.places[factor.alive]
        self.start, self.stop = start, start + len(self.places)
        features, outputs = factor.alive.shape
        self.by_pairs = (
            outputs >= FEWEST_OUTPUTS
            and features * (features + 1) // 2 <= MOST_PAIRS
            and len(self.places) > 0.7 * features * outputs
        )
        self.n_sums = 0
        if self.by_pairs:
            self.feature_pairs = torch.triu_indices(features, features, dtype=torch.int32)
            self.output_pairs = torch.triu_indices(outputs, outputs, dtype=torch.int32)
            self.n_sums = self.feature_pairs.shape[1] * self.output_pairs.shape[1]
            self._alive = factor.alive.nonzero()  # (columns, 2)
            self._numbers = _pair_numbers(features), _pair_numbers(outputs)

    def add_pairs(self, factor: Factor, sums: Tensor) -> None:
        """Add the sums over rows of products of pairs."""
        upstream, (left, right) = factor.upstream, self.output_pairs
        products = Pairs(upstream[:, 0].contiguous(), left, right)
        if upstream.shape[1] > 1:  # summed first, and then not a product but times one
            table = (upstream[..., left] * upstream[..., right]).sum(1)
            table = torch.cat([table, table.new_ones(len(table), 1)], 1)
            places = torch.arange(len(left) + 1, dtype=torch.int32)
            products = Pairs(table, places[:-1], places[-1:].repeat(len(left)))
        features = Pairs(factor.features.contiguous(), *self.feature_pairs)
        own = sums[self.offset : self.offset + self.n_sums].view(-1, len(left))
        add_products(own, features, products)

    def pair_places(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return where the products of some columns with others stand, ``(rows, columns)``."""
        (feature, output), (others, other_outputs) = self._alive[rows].T, self._alive[columns].T
        by_feature, by_output = self._numbers
        place = by_feature[feature.unsqueeze(1), others] * self.output_pairs.shape[1]
        return self.offset + place + by_output[output.unsqueeze(1), other_outputs]


def _table(factors: list[Factor]) -> Tensor:
    """Write features and upstream derivatives side by side, ``(rows * seeds, ...)``."""
    rows, seeds, _ = factors[0].upstream.shape
    columns = []
    for factor in factors:
        columns += [factor.features.unsqueeze(1).expand(-1, seeds, -1), factor.upstream]
    return torch.cat(columns, 2).view(rows * seeds, -1)


def _pair_numbers(count: int) -> Tensor:
    """Where the pair ``(a, b)`` stands among those with ``a <= b``, ``(count, count)``."""
    left, right = torch.triu_indices(count, count)
    index = torch.zeros(count, count, dtype=torch.long)
    index[left, right] = index[right, left] = torch.arange(len(left))
    return index
