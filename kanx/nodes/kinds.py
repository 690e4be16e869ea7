"""What a node that does more than add has to know: its value and its derivatives."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class NodeKind(ABC):
    """Combine several sums into the value of one node.

    The sums may be anything that has arithmetic and ``abs``: tensors, arrays, expressions.
    """

    @property
    @abstractmethod
    def sum_names(self) -> tuple[str, ...]:
        """What every sum is to the node, such as ``"numerator"``."""

    @abstractmethod
    def value(self, sums: Sequence[Any]) -> Any:
        """Return the node's value."""

    @abstractmethod
    def slopes(self, sums: Sequence[Any]) -> list[Any]:
        """Differentiate the value by every sum; of tensors."""

    @property
    def start(self) -> tuple[float, ...]:
        """Constants that the sums begin with before any training."""
        return (0.0,) * self.arity

    @property
    def arity(self) -> int:
        """Number of sums that the node takes."""
        return len(self.sum_names)


@dataclass(frozen=True)
class Product(NodeKind):
    """Multiply ``factors`` sums.

    References
    ----------
    Liu, Ma, Wang, Matusik, Tegmark: KAN 2.0, arXiv:2408.10205.
    """

    factors: int

    def __post_init__(self) -> None:
        if self.factors < 2:
            raise ValueError(
                f"a multiplication node needs at least two factors, got {self.factors}"
            )

    @property
    def sum_names(self) -> tuple[str, ...]:
        return tuple(f"factor {k + 1}" for k in range(self.factors))

    def value(self, sums: Sequence[Any]) -> Any:
        return math.prod(sums[1:], start=sums[0])

    def slopes(self, sums: Sequence[Any]) -> list[Any]:
        # the product of the other factors, without dividing by one that may be zero
        others = ([*sums[:j], *sums[j + 1 :]] for j in range(len(sums)))
        return [self.value(rest) for rest in others]
