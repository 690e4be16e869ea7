"""Rows of a fit as chunks of tensors: all at once from memory, or a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

# inputs (rows, in) in float64, targets (rows, ...) and weights (rows,)
Chunk = tuple[Tensor, Tensor, Tensor]
ROWS_AT_ONCE = 2048
LARGEST_VALIDATION = 10_000


class Chunks(Protocol):
    """Rows that can be gone through any number of times, always in the same order."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the rows in chunks that fit into memory."""


@dataclass
class InMemory:
    """Rows in memory, as one chunk.

    Parameters
    ----------
    x : Tensor, (rows, in)
    y : Tensor, (rows, ...)
    weight : Tensor, (rows,)
    """

    x: Tensor
    y: Tensor
    weight: Tensor

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.x)

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return self.weight.sum().item()

    def __iter__(self) -> Iterator[Chunk]:
        yield self.x, self.y, self.weight

    def split(self, fraction: float, seed: int) -> tuple[InMemory, InMemory | None]:
        """Return training rows and held-out rows, None where there are none of either."""
        held = min(round(fraction * self.rows), LARGEST_VALIDATION)
        if held < 1 or held >= self.rows:
            return self, None
        order = torch.randperm(self.rows, generator=seeded(seed))
        return self.take(order[held:].sort().values), self.take(order[:held].sort().values)

    def take(self, index: Tensor) -> InMemory:
        """Return some of the rows."""
        return InMemory(self.x[index], self.y[index], self.weight[index])


def blocks(chunks: Chunks, rows: int = ROWS_AT_ONCE) -> Iterator[Chunk]:
    """Yield the rows in blocks of `rows`, for sums that expand every row."""
    for x, y, weight in chunks:
        yield from zip(x.split(rows), y.split(rows), weight.split(rows), strict=True)


def seeded(*keys: int) -> torch.Generator:
    """Return a generator that depends on nothing but the keys, so that it needs no storing."""
    seed = np.random.SeedSequence(keys).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))
