"""The nodes of one layer: some add, others multiply or divide the sums of several bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanx.nodes.kinds import NodeKind, Product
from kanx.nodes.ratio import Ratio

# a ratio node by its variant, by variant and order, or itself
RatioSpec = str | Sequence[Any] | Ratio
KEYS = ("sums", "products", "ratios")


class Nodes(nn.Module):
    """Turn the sums a layer computes into the values of its nodes.

    The first ``sums`` nodes pass their sum on; then come the nodes that multiply several sums and
    those that divide them.

    Parameters
    ----------
    sums : int
        Number of nodes that only add.
    products : sequence of int, default=()
        Arity (number of factors, at least 2) of every multiplication node.
    ratios : sequence of str, (str, int) or Ratio, default=()
        Variant of every ratio node, ``"S"`` or ``"A"``, with its order where that is not 1.

    Raises
    ------
    ValueError
        If there is no node or one is impossible.
    """

    def __init__(
        self, sums: int, products: Sequence[int] = (), ratios: Sequence[RatioSpec] = ()
    ) -> None:
        super().__init__()
        self.sums = int(sums)
        self.products = tuple(int(arity) for arity in products)
        self.ratios = tuple(_ratio(spec) for spec in ratios)
        self.kinds: tuple[NodeKind, ...] = (*map(Product, self.products), *self.ratios)
        if sums < 0 or sums + len(self.kinds) < 1:
            raise ValueError(
                f"a layer needs at least one node, got {sums} sums, products {list(products)} and "
                f"ratios {list(ratios)}"
            )

    @classmethod
    def of(cls, width: Any) -> Nodes:
        """Build the nodes of a layer from its width in ``KAN(widths=...)``.

        Parameters
        ----------
        width : int, (int, sequence of int), mapping or Nodes
            Number of adding nodes; with the arities of multiplication nodes; or a mapping with
            keys among ``"sums"``, ``"products"`` and ``"ratios"``.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        if isinstance(width, Nodes):
            return cls(width.sums, width.products, width.ratios)
        if isinstance(width, Mapping):
            unknown = sorted(set(width) - set(KEYS))
            if unknown:
                raise ValueError(f"a layer's nodes are given by {KEYS}, got {unknown}")
            return cls(width.get("sums", 0), width.get("products", ()), width.get("ratios", ()))
        if isinstance(width, Sequence) and not isinstance(width, str):
            return cls(width[0], width[1])
        return cls(width)

    @property
    def spec(self) -> Any:
        """The width that `of` rebuilds the nodes from (JSON-compatible)."""
        if not self.ratios:
            return [self.sums, list(self.products)] if self.products else self.sums
        return {
            "sums": self.sums,
            "products": list(self.products),
            "ratios": [[ratio.variant, ratio.order] for ratio in self.ratios],
        }

    @property
    def width(self) -> int:
        """Number of nodes."""
        return self.sums + len(self.kinds)

    @property
    def arities(self) -> tuple[int, ...]:
        """Number of sums that every multiplying or dividing node takes."""
        return tuple(kind.arity for kind in self.kinds)

    @property
    def sums_needed(self) -> int:
        """Number of sums that the layer before must compute."""
        return self.sums + sum(self.arities)

    @property
    def start(self) -> list[float]:
        """Constants that the sums begin with before any training."""
        return [0.0] * self.sums + [value for kind in self.kinds for value in kind.start]

    def combine(self, sums: Sequence[Any]) -> list[Any]:
        """Return the values of all nodes from a list of sums: tensors, or expressions."""
        values, start = list(sums[: self.sums]), self.sums
        for kind in self.kinds:
            values.append(kind.value(sums[start : start + kind.arity]))
            start += kind.arity
        return values

    def forward(self, s: Tensor) -> Tensor:
        """Map sums ``(..., sums_needed)`` to node values ``(..., width)``."""
        if not self.kinds:
            return s
        values = [kind.value(own) for kind, own in zip(self.kinds, self._members(s), strict=True)]
        return torch.cat([s[..., : self.sums], *values], dim=-1)

    def pull_back(self, s: Tensor, upstream: Tensor) -> Tensor:
        """Pull a derivative ``(..., width)`` back to the sums, ``(..., sums_needed)``."""
        if not self.kinds:
            return upstream
        pieces = [upstream[..., : self.sums]]
        for k, (kind, own) in enumerate(zip(self.kinds, self._members(s), strict=True)):
            above = upstream[..., self.sums + k : self.sums + k + 1]
            pieces += [above * slope for slope in kind.slopes(own)]
        return torch.cat(pieces, dim=-1)

    def extra_repr(self) -> str:
        return f"sums={self.sums}, products={self.products}, ratios={self.ratios}"

    def _members(self, s: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the sums of every combining node, ``(..., 1)`` each."""
        pieces = s[..., self.sums :].split(self.arities, dim=-1)
        return [piece.split(1, dim=-1) for piece in pieces]


def _ratio(spec: RatioSpec) -> Ratio:
    if isinstance(spec, Ratio):
        return spec
    return Ratio(spec) if isinstance(spec, str) else Ratio(spec[0], int(spec[1]))
