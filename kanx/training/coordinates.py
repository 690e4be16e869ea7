"""Whitened coordinates of a network: every edge's prior becomes a unit ball."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.layers import EdgeFamily, KANLayer, LinearFamily
from kanx.network import KAN


@dataclass(frozen=True)
class Block:
    """The place of one bundle of edges in the coordinate vector.

    Attributes
    ----------
    layer : int
        Index into ``network.all_layers``.
    bundle : EdgeFamily
    columns : list of int
        Inputs of the layer that the bundle acts on.
    start : int
        First coordinate; they run over ``(parameters_per_edge, in, out)``.
    first_group : int
        First group; groups run over ``(in, out)``.
    factor : Tensor, (in, p, p)
        ``parameters = factor @ coordinates`` of every edge.
    shape : tuple of int
        ``(parameters_per_edge, in, out)``.
    """

    layer: int
    bundle: EdgeFamily
    columns: list[int]
    start: int
    first_group: int
    factor: Tensor
    shape: tuple[int, int, int]

    @property
    def stop(self) -> int:
        """One past the last coordinate."""
        p, n, o = self.shape
        return self.start + p * n * o


class Coordinates:
    r"""Map between a network's parameters ``c`` and whitened coordinates ``w``.

    For an edge with prior precision :math:`R` the coordinates are :math:`w = L^{-1} c` with
    :math:`L L' = R^{-1}`, so the prior :math:`N(0, (\alpha R)^{-1})` of the edge becomes
    :math:`N(0, \alpha^{-1} I)`. Every edge is a group with its own :math:`\alpha`; the biases
    form the last group, whose precision is not learned.

    Parameters
    ----------
    network : KAN
        Must be in float64; its parameters are written in place by `write`.
    """

    def __init__(self, network: KAN) -> None:
        self.network = network
        self.blocks: list[Block] = []
        self.bias_starts: dict[int, int] = {}
        position, group = 0, 0
        groups: list[Tensor] = []
        for index, layer in enumerate(network.all_layers):
            for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
                p, (n, o) = bundle.parameters_per_edge, bundle.mask.shape
                block = Block(index, bundle, columns, position, group, _factor(bundle), (p, n, o))
                own = torch.arange(group, group + n * o)
                groups.append(own.repeat(p))
                self.blocks.append(block)
                position, group = block.stop, group + n * o
        for index, layer in enumerate(network.all_layers):
            if layer.bias is not None:
                self.bias_starts[index] = position
                groups.append(torch.full((layer.out_features,), group))
                position += layer.out_features
        self._by_layer = [
            [block for block in self.blocks if block.layer == index]
            for index in range(len(network.all_layers))
        ]
        self.size = position
        self.n_groups = group + 1
        self.group = torch.cat(groups)

    def layer_blocks(self, layer: int) -> list[Block]:
        """Return the blocks of one layer."""
        return self._by_layer[layer]

    def living_groups(self) -> Tensor:
        """Say which groups are not pruned, ``bool (n_groups,)``."""
        flags = torch.ones(self.n_groups, dtype=torch.bool)
        for block in self.blocks:
            stop = block.first_group + block.bundle.mask.numel()
            flags[block.first_group : stop] = block.bundle.mask.flatten() > 0
        return flags

    def alive(self) -> Tensor:
        """Say which coordinates belong to edges that are not pruned, ``bool (size,)``."""
        return self.living_groups()[self.group]

    def read(self) -> Tensor:
        """Return the coordinates of the network's present parameters, ``(size,)``."""
        w = torch.zeros(self.size, dtype=torch.float64)
        for block in self.blocks:
            c = block.bundle.stacked_parameters().detach().double()
            own = torch.linalg.solve_triangular(block.factor, c.movedim(1, 0), upper=False)
            w[block.start : block.stop] = own.movedim(0, 1).flatten()
        for index, start in self.bias_starts.items():
            bias = self.network.all_layers[index].bias
            assert bias is not None
            w[start : start + len(bias)] = bias.detach().double()
        return w

    def parameters_of(self, block: Block, w: Tensor) -> Tensor:
        """Return the parameters of a block, ``(p, in, out)``, at coordinates ``w``."""
        own = w[block.start : block.stop].view(block.shape)
        return (block.factor @ own.movedim(1, 0)).movedim(0, 1)

    def write(self, w: Tensor) -> None:
        """Set the network's parameters from coordinates."""
        for block in self.blocks:
            block.bundle.load_stacked(self.parameters_of(block, w))
        with torch.no_grad():
            for index, start in self.bias_starts.items():
                bias = self.network.all_layers[index].bias
                assert bias is not None
                bias.copy_(w[start : start + len(bias)])

    def prune(self, groups: Tensor) -> None:
        """Mask the edges of the given groups, ``bool (n_groups,)``."""
        self.revive(self.living_groups() & ~groups)

    def revive(self, groups: Tensor) -> None:
        """Set which groups are alive, ``bool (n_groups,)``; all others are masked."""
        with torch.no_grad():
            for block in self.blocks:
                mask = block.bundle.mask
                own = groups[block.first_group : block.first_group + mask.numel()]
                mask.copy_(own.view(mask.shape))


def _factor(bundle: EdgeFamily) -> Tensor:
    """Return the lower Cholesky factor of the prior covariance, ``(in, p, p)``."""
    precision = bundle.prior().detach().double()
    return torch.linalg.cholesky(torch.linalg.inv(precision))


def own_columns(layer: KANLayer, columns: list[int], h: Tensor) -> Tensor:
    """Select the columns a bundle acts on."""
    return h if len(columns) == layer.in_features else h[..., columns]


def whitened_features(block: Block, own: Tensor) -> Tensor:
    """Differentiate a block's edges by their coordinates: ``(rows, p, in, out or 1)``."""
    with torch.no_grad():
        if isinstance(block.bundle, LinearFamily):
            rows = block.bundle.expand(own).movedim(-1, 0)  # (in, rows, p)
            return (rows @ block.factor).permute(1, 2, 0).unsqueeze(-1).contiguous()
        rows = block.bundle.gradients(own)
        return torch.einsum("npio,ipq->nqio", rows, block.factor)
