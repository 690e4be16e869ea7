"""Whitened coordinates of a network: every edge's prior becomes a unit ball."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.layers import EdgeFamily, KANLayer, LinearFamily
from kanx.network import KAN

# roles of coordinates
CONSTANT, TREND, BEND = 0, 1, 2


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
        First group; groups run over ``(in, out, 2)``: the trend and the bend of every edge.
    factor : Tensor, (in, p, p)
        ``parameters = factor @ coordinates`` of every edge.
    roles : Tensor, (p,)
        What every coordinate is: `CONSTANT`, `TREND` or `BEND`.
    shape : tuple of int
        ``(parameters_per_edge, in, out)``.
    """

    layer: int
    bundle: EdgeFamily
    columns: list[int]
    start: int
    first_group: int
    factor: Tensor
    roles: Tensor
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
    :math:`N(0, \alpha^{-1} I)`. The coordinates are rotated so that one is the constant, one the
    straight line and the others are the bends. The line and the bends of every edge are two groups
    with an :math:`\alpha` each, so an edge can be found to be straight; the constants are left to
    the biases, which form the last group, whose precision is not learned.

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
        constants: list[Tensor] = []
        for index, layer in enumerate(network.all_layers):
            for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
                p, (n, o) = bundle.parameters_per_edge, bundle.mask.shape
                factor, roles = whitening(bundle)
                shape = (p, n, o)
                block = Block(index, bundle, columns, position, group, factor, roles, shape)
                edge_groups = group + 2 * torch.arange(n * o)
                groups.append((edge_groups + (roles == BEND).unsqueeze(-1)).flatten())
                constants.append((roles == CONSTANT).unsqueeze(-1).expand(p, n * o).flatten())
                self.blocks.append(block)
                position, group = block.stop, group + 2 * n * o
        for index, layer in enumerate(network.all_layers):
            if layer.bias is not None:
                self.bias_starts[index] = position
                groups.append(torch.full((layer.out_features,), group))
                constants.append(torch.zeros(layer.out_features, dtype=torch.bool))
                position += layer.out_features
        self._by_layer = [
            [block for block in self.blocks if block.layer == index]
            for index in range(len(network.all_layers))
        ]
        self.size = position
        self.n_groups = group + 1
        self.group = torch.cat(groups)
        self._free = ~torch.cat(constants)
        self._living = torch.zeros(self.n_groups, dtype=torch.bool)
        self._living[self.group[self._free]] = True

    def freeze(self, coordinates: Tensor) -> None:
        """Leave coordinates out of every fit, ``bool (size,)``."""
        self._free &= ~coordinates
        occupied = torch.zeros(self.n_groups, dtype=torch.bool)
        occupied[self.group[self._free]] = True
        self._living &= occupied

    def layer_blocks(self, layer: int) -> list[Block]:
        """Return the blocks of one layer."""
        return self._by_layer[layer]

    def living_groups(self) -> Tensor:
        """Say which groups are not pruned, ``bool (n_groups,)``."""
        flags = self._living.clone()
        for block in self.blocks:
            mask = block.bundle.mask.flatten() > 0
            stop = block.first_group + 2 * mask.numel()
            flags[block.first_group : stop] &= mask.repeat_interleave(2)
        return flags

    def pools(self) -> Tensor:
        """Number the groups by layer and by line or bend, ``(n_groups,)``; the biases come last."""
        pools = torch.full((self.n_groups,), 2 * len(self.network.all_layers))
        for block in self.blocks:
            edges = block.shape[1] * block.shape[2]
            own = 2 * block.layer + torch.arange(2).repeat(edges)
            pools[block.first_group : block.first_group + 2 * edges] = own
        return pools

    def alive(self) -> Tensor:
        """Say which coordinates take part in a fit, ``bool (size,)``."""
        return self.living_groups()[self.group] & self._free

    def read(self) -> Tensor:
        """Return the coordinates of the network's present parameters, ``(size,)``."""
        w = torch.zeros(self.size, dtype=torch.float64)
        for block in self.blocks:
            c = block.bundle.stacked_parameters().detach().double()
            own = torch.linalg.solve(block.factor, c.movedim(1, 0))
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
        """Drop groups, ``bool (n_groups,)``; an edge with neither trend nor bend is masked."""
        self.revive(self.living_groups() & ~groups)

    def revive(self, groups: Tensor) -> None:
        """Set which groups are alive, ``bool (n_groups,)``."""
        self._living = groups.clone()
        with torch.no_grad():
            for block in self.blocks:
                mask = block.bundle.mask
                own = groups[block.first_group : block.first_group + 2 * mask.numel()]
                mask.copy_(own.view(*mask.shape, 2).any(-1))


def whitening(bundle: EdgeFamily) -> tuple[Tensor, Tensor]:
    """Return the factor of the prior covariance, ``(in, p, p)``, and the coordinates' roles.

    Families that hold the straight lines have the constant and the line as their first two
    coordinates, a missing value beside the line as the last; the others have one group.
    """
    covariance = torch.linalg.inv(bundle.prior().detach().double())
    factor = torch.linalg.cholesky(covariance)
    roles = torch.full((bundle.parameters_per_edge,), TREND)
    lines = _straight_lines(bundle) if isinstance(bundle, LinearFamily) else None
    if lines is None:
        return factor, roles
    basis = lines.shape[1]
    roles[2:basis] = BEND
    roles[0] = CONSTANT
    inner = torch.linalg.solve(factor[:, :basis, :basis], lines)  # (in, basis, 2)
    rotation, _ = torch.linalg.qr(inner, mode="complete")
    rotated = factor.clone()
    rotated[:, :basis, :basis] = factor[:, :basis, :basis] @ rotation
    return rotated, roles


def _straight_lines(bundle: LinearFamily) -> Tensor | None:
    """Return the coefficients of 1 and of the normalised input, ``(in, n_basis, 2)``, or None."""
    whole = bundle.parameters_per_edge == bundle.n_basis + bundle.missing
    if bundle.n_basis < 3 or not bundle.is_metric or not whole:
        return None
    count = 4 * bundle.n_basis
    t = torch.linspace(-1, 1, count, dtype=torch.float64).unsqueeze(-1)
    x = ((bundle.upper + bundle.lower) + t * (bundle.upper - bundle.lower)).double() / 2
    with torch.no_grad():
        features = bundle.expand(x.to(bundle.lower)).double()[:, : bundle.n_basis].movedim(-1, 0)
    wanted = torch.cat([torch.ones_like(t), t], dim=-1).expand(len(features), -1, -1)
    lines = torch.linalg.pinv(features, rtol=1e-12) @ wanted
    exact = bool(((features @ lines - wanted).abs() < 1e-6).all())
    return lines if exact else None


def own_columns(layer: KANLayer, columns: list[int], h: Tensor) -> Tensor:
    """Select the columns a bundle acts on."""
    return h if len(columns) == layer.in_features else h[..., columns]


def whitened_features(block: Block, own: Tensor) -> Tensor:
    """Differentiate a block's edges by their coordinates: ``(rows, p, in, out or 1)``."""
    with torch.no_grad():
        if isinstance(block.bundle, LinearFamily):
            rows = block.bundle.expand_block(own).movedim(-1, 0)  # (in, rows, p)
            return (rows @ block.factor).permute(1, 2, 0).unsqueeze(-1).contiguous()
        rows = block.bundle.gradients(own)
        return torch.einsum("npio,ipq->nqio", rows, block.factor)
