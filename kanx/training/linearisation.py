"""Outputs of a network and their Jacobian by the whitened coordinates, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.layers import LinearFamily
from kanx.training.coordinates import Block, Coordinates, own_columns, whitened_features


class Linearisation:
    """Evaluate a network on fixed rows as a function of its whitened coordinates.

    The basis expansions of the inputs do not depend on the coordinates and are computed once.

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
        self._input_features: dict[int, Tensor] = {}
        for block in coordinates.blocks:
            if self._sees_inputs(block) and isinstance(block.bundle, LinearFamily):
                own = own_columns(network.all_layers[block.layer], block.columns, x)
                self._input_features[block.start] = whitened_features(block, own)

    def outputs(self, w: Tensor) -> Tensor:
        """Set the network to ``w`` and return its outputs, ``(rows, outputs)``."""
        self.coordinates.write(w)
        with torch.no_grad():
            return self._forward(w, slice(None))[1]

    def uninformed(self) -> Tensor:
        """Say which coordinates no row depends on, such as those of values never missing."""
        flags = torch.zeros(self.coordinates.size, dtype=torch.bool)
        for block in self.coordinates.blocks:
            features = self._input_features.get(block.start)
            if features is not None:
                silent = (features == 0).all(0).expand(block.shape)  # (p, in, out)
                flags[block.start : block.stop] = silent.flatten()
        return flags

    def jacobian(self, w: Tensor, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return outputs and Jacobian on some rows; the network must be set to ``w``.

        Returns
        -------
        outputs : Tensor, (rows, outputs)
        jacobian : Tensor, (rows, outputs, size)
        """
        with torch.no_grad():
            return self._jacobian(w, rows)

    # -- details -----------------------------------------------------------------------------

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

    def _forward(
        self, w: Tensor, rows: slice
    ) -> tuple[list[tuple[Tensor, Tensor, list[Tensor | None]]], Tensor]:
        network = self.network
        x = self.x[rows]
        states = []
        h = x
        for index, nodes in enumerate(network.nodes):
            sums, kept = self._layer(index, h, w, rows)
            states.append((h, sums, kept))
            h = nodes(sums)
        if self.skip_index is not None:
            direct, kept = self._layer(self.skip_index, x, w, rows)
            states.append((x, direct, kept))
            h = h + direct
        return states, h

    def _jacobian(self, w: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
        network, coordinates = self.network, self.coordinates
        states, f = self._forward(w, rows)
        count, outputs = f.shape
        jacobian = f.new_zeros(count, outputs, coordinates.size)
        eye = torch.eye(outputs).to(f).expand(count, -1, -1)  # d output / d last nodes
        if self.skip_index is not None:
            self._fill(jacobian, self.skip_index, states[-1], eye)
        upstream = eye
        for index in reversed(range(len(network.layers))):
            h, sums, _ = states[index]
            upstream = network.nodes[index].pull_back(sums.unsqueeze(1), upstream)
            self._fill(jacobian, index, states[index], upstream)
            if index:
                slopes = network.layers[index].slopes(h)  # (rows, in, out)
                upstream = torch.einsum("nio,nco->nci", slopes, upstream)
        return f, jacobian

    def _fill(
        self,
        jacobian: Tensor,
        index: int,
        state: tuple[Tensor, Tensor, list[Tensor | None]],
        upstream: Tensor,
    ) -> None:
        h, _, kept = state
        count, outputs, _ = upstream.shape
        layer = self.network.all_layers[index]
        for block, known in zip(self.coordinates.layer_blocks(index), kept, strict=True):
            features = known
            if features is None:
                features = whitened_features(block, own_columns(layer, block.columns, h))
            own = jacobian[:, :, block.start : block.stop].view(count, outputs, *block.shape)
            masked = features * block.bundle.mask
            torch.mul(masked.unsqueeze(1), upstream[:, :, None, None, :], out=own)
        if layer.bias is not None:
            start = self.coordinates.bias_starts[index]
            jacobian[:, :, start : start + layer.out_features] = upstream
