"""The distribution of every input by itself, as a short quadrature rule over the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.tables import Column

NODES = 64


@dataclass(frozen=True)
class Marginal:
    """A quadrature rule for the distribution of one input.

    Attributes
    ----------
    nodes : Tensor, (nodes,)
        Values, the last one NaN where values are missing.
    weights : Tensor, (nodes,)
        Share of the rows that every node stands for.
    is_categorical : bool
        Whether the nodes are codes, between which there is nothing.
    """

    nodes: Tensor
    weights: Tensor
    is_categorical: bool = False

    def thinned(self, count: int) -> Marginal:
        """Return a rule of at most ``count`` nodes beside NaN.

        Neighbouring numbers are merged; of categories the most frequent ones are kept.
        """
        absent = torch.isnan(self.nodes)
        nodes, weights = self.nodes[~absent], self.weights[~absent]
        if len(nodes) > count and self.is_categorical:
            kept = weights.argsort(descending=True)[:count].sort().values
            nodes, weights = nodes[kept], weights[kept] * (weights.sum() / weights[kept].sum())
        elif len(nodes) > count:
            nodes, weights = _merged(nodes, weights, count)
        return Marginal(
            torch.cat([nodes, self.nodes[absent]]),
            torch.cat([weights, self.weights[absent]]),
            self.is_categorical,
        )


def marginals_of(x: Tensor, columns: Sequence[Column]) -> list[Marginal]:
    """Return the marginal of every column of ``x (rows, in)``.

    Exact for categories and where a column has at most 64 distinct values; else the means of 64
    bins that hold equally many rows.
    """
    return [_marginal(x[:, j], column.is_categorical) for j, column in enumerate(columns)]


def _marginal(values: Tensor, is_categorical: bool) -> Marginal:
    absent = torch.isnan(values)
    present = values[~absent].sort().values
    nodes, counts = torch.unique(present, return_counts=True)
    weights = counts.double()
    if len(nodes) > NODES and not is_categorical:
        nodes, weights = _merged(present, torch.ones_like(present), NODES)
    if bool(absent.any()):
        nodes = torch.cat([nodes, torch.full((1,), float("nan")).to(nodes)])
        weights = torch.cat([weights, absent.sum().double().reshape(1)])
    return Marginal(nodes, weights / weights.sum(), is_categorical)


def _merged(nodes: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Merge sorted neighbours into their means, as many in every group."""
    groups = zip(nodes.tensor_split(count), weights.tensor_split(count), strict=True)
    merged = [(n @ w / w.sum(), w.sum()) for n, w in groups]
    return torch.stack([n for n, _ in merged]), torch.stack([w for _, w in merged])
