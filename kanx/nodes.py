"""What happens at the nodes: most add, some multiply the sums of several bundles of edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Nodes(nn.Module):
    """Turn the sums a layer computes into the values of its nodes.

    The first ``sums`` nodes pass their sum on; every further node multiplies several sums.

    Parameters
    ----------
    sums : int
        Number of nodes that only add.
    products : sequence of int, default=()
        Arity (number of factors, at least 2) of every multiplication node.

    References
    ----------
    Liu, Ma, Wang, Matusik, Tegmark: KAN 2.0, arXiv:2408.10205 (multiplication nodes).
    """

    def __init__(self, sums: int, products: Sequence[int] = ()) -> None:
        super().__init__()
        if sums < 0 or any(arity < 2 for arity in products) or sums + len(products) < 1:
            raise ValueError(
                "a layer needs at least one node and products of at least two factors, got "
                f"{sums} sums and products of arity {list(products)}"
            )
        self.sums = sums
        self.products = tuple(products)

    @property
    def width(self) -> int:
        """Number of nodes."""
        return self.sums + len(self.products)

    @property
    def sums_needed(self) -> int:
        """Number of sums that the layer before must compute."""
        return self.sums + sum(self.products)

    def _factors(self, s: Tensor) -> list[Tensor]:
        return list(s[..., self.sums :].split(self.products, dim=-1))

    def forward(self, s: Tensor) -> Tensor:
        """Map sums ``(..., sums_needed)`` to node values ``(..., width)``."""
        if not self.products:
            return s
        values = [factors.prod(-1, keepdim=True) for factors in self._factors(s)]
        return torch.cat([s[..., : self.sums], *values], dim=-1)

    def pull_back(self, s: Tensor, upstream: Tensor) -> Tensor:
        """Pull a derivative ``(..., width)`` back to the sums, ``(..., sums_needed)``."""
        if not self.products:
            return upstream
        pieces = [upstream[..., : self.sums]]
        for k, factors in enumerate(self._factors(s)):
            own = upstream[..., self.sums + k : self.sums + k + 1]
            # the product of the other factors, without dividing by one that may be zero
            others = [
                torch.cat([factors[..., :j], factors[..., j + 1 :]], -1).prod(-1, keepdim=True)
                for j in range(factors.shape[-1])
            ]
            pieces.append(own * torch.cat(others, dim=-1))
        return torch.cat(pieces, dim=-1)

    def extra_repr(self) -> str:
        return f"sums={self.sums}, products={self.products}"
