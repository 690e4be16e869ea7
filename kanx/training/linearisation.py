"""Outputs of a network and their Jacobian by the whitened coordinates, in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kanx.layers import LinearFamily
from kanx.training.columns import Columns, Factor, Piece
from kanx.training.coordinates import Block, Coordinates, own_columns, whitened_features
from kanx.training.distributed import everywhere

BLOCK_NUMBERS = 2**20  # numbers in one block of the Jacobian: 8 MiB of float64
MOST_KEPT = 2**22  # numbers of a pass through the network that are kept for the next question


class LayerState(NamedTuple):
    """What a layer sees.

    Attributes
    ----------
    entering : Tensor, (rows, in)
    sums : Tensor, (rows, out)
    features : list of Tensor, (rows, p, in, 1)
        Of its blocks whose curves are linear in their parameters, None for the others.
    """

    entering: Tensor
    sums: Tensor
    features: list[Tensor | None]


# of every block of rows: which they are, what its layers saw, and the outputs
_Pass = list[tuple[slice, list[LayerState], Tensor]]


class Linearisation:
    """Evaluate a network on fixed rows as a function of its whitened coordinates.

    The basis expansions of the inputs do not depend on the coordinates and are computed once. A
    step asks first for the outputs and then, at the same place, for derivatives: the last pass
    through the network is kept for that where it is small.

    Parameters
    ----------
    coordinates : Coordinates
    x : Tensor, (rows, in), float64
    """

    def __init__(self, coordinates: Coordinates, x: Tensor) -> None:
        self.coordinates = coordinates
        self.network = coordinates.network
        self.x = x
        network = self.network
        self.skip_index = len(network.layers) if network.skip is not None else None
        self._known: tuple[Tensor, int, _Pass] | None = None  # at which w, and its version
        self._columns: Columns | None = None
        self._input_features: dict[int, Tensor] = {}
        seen: list[Block] = []
        for block in coordinates.blocks:
            if self._sees_inputs(block) and isinstance(block.bundle, LinearFamily):
                alike = next((known for known in seen if _expand_alike(known, block)), None)
                if alike is None:
                    own = own_columns(network.all_layers[block.layer], block.columns, x)
                    features = whitened_features(block, own)
                    seen.append(block)
                else:
                    features = self._input_features[alike.start]
                self._input_features[block.start] = features

    def __getstate__(self) -> dict[str, Any]:
        # another process computes the expansions anew: they are larger than all else
        return {"coordinates": self.coordinates, "x": self.x}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Linearisation.__init__(self, state["coordinates"], state["x"])

    def outputs(self, w: Tensor) -> Tensor:
        """Set the network to ``w`` and return its outputs, ``(rows, outputs)``."""
        self.coordinates.write(w)
        return torch.cat([f for _, _, f in self._passes(w)])

    def forward(self, w: Tensor, rows: slice = slice(None)) -> tuple[list[LayerState], Tensor]:
        """Return what the layers see of some rows, and the outputs, ``(rows, outputs)``.

        The network must be set to ``w``.
        """
        network = self.network
        x = self.x[rows]
        states = []
        h = x
        with torch.no_grad():
            for index, nodes in enumerate(network.nodes):
                sums, kept = self._layer(index, h, w, rows)
                states.append(LayerState(h, sums, kept))
                h = nodes(sums)
            if self.skip_index is not None:
                direct, kept = self._layer(self.skip_index, x, w, rows)
                states.append(LayerState(x, direct, kept))
                h = h + direct
        return states, h

    def blocks(self) -> list[slice]:
        """Divide the rows into blocks whose Jacobian would fit into a cache."""
        step = max(64, BLOCK_NUMBERS // (self.coordinates.size * self.network.out_features))
        return [slice(n, n + step) for n in range(0, max(1, len(self.x)), step)]

    def features(self, block: Block) -> Tensor:
        """Return the expansion of the inputs for a block that sees them, ``(rows, p, in, 1)``."""
        return self._input_features[block.start]

    def uninformed(self) -> Tensor:
        """Say which coordinates no row depends on, such as those of values never missing."""
        flags = torch.zeros(self.coordinates.size, dtype=torch.bool)
        for block in self.coordinates.blocks:
            features = self._input_features.get(block.start)
            if features is not None:
                silent = (features == 0).all(0).expand(block.shape)  # (p, in, out)
                flags[block.start : block.stop] = silent.flatten()
        return everywhere(flags)

    def jacobian(self, w: Tensor, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return outputs and Jacobian on some rows; the network must be set to ``w``.

        Returns
        -------
        outputs : Tensor, (rows, outputs)
        jacobian : Tensor, (rows, outputs, size)
        """
        states, f = self.forward(w, rows)
        return f, self.jacobian_of(states, f)

    def jacobian_of(self, states: list[LayerState], f: Tensor) -> Tensor:
        """Return the Jacobian where `forward` has been; the network must be set to that place."""
        count, outputs = f.shape
        jacobian = f.new_zeros(count, outputs, self.coordinates.size)
        seeds = torch.eye(outputs).to(f).expand(count, -1, -1)
        with torch.no_grad():
            for owner, features, upstream in self._pulled_back(seeds, states):
                if isinstance(owner, Block) and features is not None:
                    own = jacobian[:, :, owner.start : owner.stop]
                    own = own.view(count, outputs, *owner.shape)
                    masked = (features * owner.bundle.mask).unsqueeze(1)
                    torch.mul(masked, upstream[:, :, None, None, :], out=own)
                else:
                    jacobian[:, :, self._bias_place(owner)] = upstream
        return jacobian

    def columns(self, living: Tensor) -> Columns:
        """Return where the living columns of the Jacobian are, ``bool (size,)``."""
        if self._columns is None or not torch.equal(self._columns.living, living):
            self._columns = Columns(living)
        return self._columns

    def factors(
        self, w: Tensor, columns: Columns, seed: Callable[[Tensor, slice], Tensor]
    ) -> Iterator[list[Factor]]:
        """Yield the living columns of the Jacobian as products, for every block of rows.

        Parameters
        ----------
        w : Tensor, (size,)
            The network must be set to it.
        columns : Columns
        seed : callable
            From the outputs and their rows, ``(rows, outputs)``, to what the Jacobian is
            multiplied with from the left, ``(rows, seeds, outputs)``.
        """
        for rows, states, f in self._passes(w):
            pieces: dict[int, list[Piece]] = {}
            with torch.no_grad():
                for owner, features, upstream in self._pulled_back(seed(f, rows), states):
                    index = owner.layer if isinstance(owner, Block) else owner
                    place = owner if isinstance(owner, Block) else self._bias_place(owner)
                    pieces.setdefault(index, []).append(Piece(place, features, upstream))
            yield [
                factor
                for layer, own in pieces.items()
                for factor in columns.factors(layer, own, self._fixed_at(layer, rows))
            ]

    def gradient(self, w: Tensor, slope: Tensor) -> Tensor:
        """Pull the derivative of a sum over rows, ``(rows, outputs)``, back to ``w``, ``(size,)``.

        The network must be set to ``w``.
        """
        total = torch.zeros(self.coordinates.size, dtype=torch.float64)
        with torch.no_grad():
            for rows, states, _ in self._passes(w):
                for owner, features, upstream in self._pulled_back(slope[rows, None], states):
                    if isinstance(owner, Block) and features is not None:
                        own = _contract(owner, features, upstream[:, 0])
                        total[owner.start : owner.stop] += (own * owner.bundle.mask).flatten()
                    else:
                        total[self._bias_place(owner)] += upstream.sum((0, 1))
        return total

    def squared(self, w: Tensor, seeds: Tensor) -> Tensor:
        r"""Return :math:`\sum_{ns} (\sum_c s_{nsc} J_{ncp})^2`, ``(size,)``.

        Parameters
        ----------
        w : Tensor, (size,)
            The network must be set to it.
        seeds : Tensor, (rows, seeds, outputs)
        """
        total = torch.zeros(self.coordinates.size, dtype=torch.float64)
        with torch.no_grad():
            for rows, states, _ in self._passes(w):
                for owner, features, upstream in self._pulled_back(seeds[rows], states):
                    square = (upstream**2).sum(1)
                    if isinstance(owner, Block) and features is not None:
                        own = _contract(owner, features**2, square)
                        total[owner.start : owner.stop] += (own * owner.bundle.mask).flatten()
                    else:
                        total[self._bias_place(owner)] += square.sum(0)
        return total

    # -- details -----------------------------------------------------------------------------

    def _passes(self, w: Tensor) -> Iterator[tuple[slice, list[LayerState], Tensor]]:
        """Yield every block of rows, what the layers saw, and the outputs, ``(rows, outputs)``."""
        known = self._known
        if known is not None and known[0] is w and known[1] == w._version:
            yield from known[2]
            return
        self._known = None
        kept: _Pass | None = [] if self._is_small() else None
        for rows in self.blocks():
            states, f = self.forward(w, rows)
            if kept is not None:
                kept.append((rows, states, f))
            yield rows, states, f
        if kept is not None:
            self._known = w, w._version, kept

    def _fixed_at(self, layer: int, rows: slice) -> int | None:
        """Number rows whose features in a layer never change, where they are worth keeping."""
        blocks = self.coordinates.layer_blocks(layer)
        fixed = all(block.start in self._input_features for block in blocks)
        numbers = len(self.x) * sum(block.shape[0] * block.shape[1] for block in blocks)
        return int(rows.start) if fixed and numbers <= MOST_KEPT else None

    def _is_small(self) -> bool:
        """Say whether a pass over all rows is worth keeping."""
        hidden = [block.shape for block in self.coordinates.blocks if not self._sees_inputs(block)]
        return len(self.x) * sum(p * n for p, n, _ in hidden) <= MOST_KEPT

    def _bias_place(self, layer: Block | int) -> slice:
        assert isinstance(layer, int)
        start = self.coordinates.bias_starts[layer]
        return slice(start, start + self.network.all_layers[layer].out_features)

    def _sees_inputs(self, block: Block) -> bool:
        return block.layer == 0 or block.layer == self.skip_index

    def _features(self, block: Block, h: Tensor, rows: slice) -> Tensor:
        cached = self._input_features.get(block.start)
        if cached is not None:
            return cached[rows]
        layer = self.network.all_layers[block.layer]
        return whitened_features(block, own_columns(layer, block.columns, h))

    def _layer(
        self, index: int, h: Tensor, w: Tensor, rows: slice
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Return the sums of a layer and the features of its linear blocks."""
        layer = self.network.all_layers[index]
        total = h.new_zeros(len(h), layer.out_features)
        kept: list[Tensor | None] = []
        for block in self.coordinates.layer_blocks(index):
            if isinstance(block.bundle, LinearFamily):
                features = self._features(block, h, rows)
                p, n, o = block.shape
                own = w[block.start : block.stop].view(p, n, o) * block.bundle.mask
                total += features.reshape(len(h), p * n) @ own.reshape(p * n, o)
                kept.append(features)
            else:
                total += block.bundle(own_columns(layer, block.columns, h))
                kept.append(None)
        if layer.bias is not None:
            total += layer.bias
        return total, kept

    def _pulled_back(
        self, seeds: Tensor, states: list[LayerState]
    ) -> Iterator[tuple[Block | int, Tensor | None, Tensor]]:
        """Yield what every block and bias sees of derivatives by the outputs.

        Parameters
        ----------
        seeds : Tensor, (rows, seeds, outputs)
        states : list
            Of `_forward`.

        Yields
        ------
        Block, features (rows, p, in, out or 1), upstream (rows, seeds, out)
        layer index, None, upstream
            For the bias of a layer.
        """
        network = self.network
        if self.skip_index is not None:
            yield from self._layer_pulled_back(self.skip_index, states[-1], seeds)
        upstream = seeds
        for index in reversed(range(len(network.layers))):
            h, sums, _ = states[index]
            upstream = network.nodes[index].pull_back(sums.unsqueeze(1), upstream)
            yield from self._layer_pulled_back(index, states[index], upstream)
            if index:
                slopes = network.layers[index].slopes(h)  # (rows, in, out)
                upstream = torch.einsum("nio,nco->nci", slopes, upstream)

    def _layer_pulled_back(
        self, index: int, state: LayerState, upstream: Tensor
    ) -> Iterator[tuple[Block | int, Tensor | None, Tensor]]:
        h, _, kept = state
        layer = self.network.all_layers[index]
        for block, known in zip(self.coordinates.layer_blocks(index), kept, strict=True):
            features = known
            if features is None:
                features = whitened_features(block, own_columns(layer, block.columns, h))
            yield block, features, upstream
        if layer.bias is not None:
            yield index, None, upstream


def _expand_alike(one: Block, other: Block) -> bool:
    """Say whether two blocks expand the same columns in the same way."""
    own, others = one.bundle, other.bundle
    assert isinstance(own, LinearFamily) and isinstance(others, LinearFamily)
    return (
        one.columns == other.columns
        and own.expands_like(others)
        and torch.equal(one.factor, other.factor)
    )


def _contract(block: Block, features: Tensor, upstream: Tensor) -> Tensor:
    """Sum features times upstream ``(rows, out)`` over the rows, ``(p, in, out)``."""
    if features.shape[-1] == 1:
        return (features.flatten(1).mT @ upstream).view(block.shape)
    return torch.einsum("npio,no->pio", features, upstream)
