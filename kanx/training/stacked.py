"""Several networks of one shape with one hidden layer: outputs and Jacobians in one program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanx.layers import LinearFamily
from kanx.training.climb import Climb
from kanx.training.coordinates import Block, Coordinates, whitened_features
from kanx.training.distributed import processes
from kanx.training.losses import Loss
from kanx.training.normal_equations import weighted_root

# with more coordinates, or numbers in a Jacobian, the products take longer than calling them
MOST_COORDINATES, MOST_NUMBERS = 450, 2**20


def can_stack(climb: Climb) -> bool:
    """Say whether climbs of this form are worth taking their steps together.

    The networks have one hidden layer of adding nodes and curves that are linear in their
    parameters, and are so small that most of the time of a step goes to calling its parts.
    """
    coordinates, rows = climb.coordinates, len(climb.problem.y)
    network = coordinates.network
    if processes() > 1 or len(network.layers) != 2 or any(nodes.kinds for nodes in network.nodes):
        return False
    numbers = rows * network.out_features * coordinates.size
    small = coordinates.size <= MOST_COORDINATES and numbers <= MOST_NUMBERS
    bundles = [block.bundle for block in coordinates.blocks]
    linear = all(isinstance(own, LinearFamily) and own.basis_is_fixed for own in bundles)
    return rows > 0 and small and linear and len(coordinates.layer_blocks(1)) == 1


class StackedNetworks:
    """The networks of climbs that fit the same rows from different starts.

    Their edges on the inputs share grids, so that one expansion of the inputs serves them all.

    Parameters
    ----------
    climb : Climb
        Any of them; see `can_stack`.
    """

    def __init__(self, climb: Climb) -> None:
        self.coordinates: Coordinates = climb.coordinates
        self.y, self.weight = climb.problem.y, climb.problem.weight
        linearisation = climb.problem.linearisation
        self.outputs_count = linearisation.network.out_features
        direct = linearisation.skip_index
        self._inner = [(b, linearisation.features(b)) for b in self.coordinates.layer_blocks(0)]
        (self._outer,) = self.coordinates.layer_blocks(1)
        skip = [] if direct is None else self.coordinates.layer_blocks(direct)
        self._skip = [(block, linearisation.features(block)) for block in skip]

    def outputs(self, w: Tensor) -> Tensor:
        """Evaluate networks at coordinates ``(k, size)``: ``(k, rows, outputs)``."""
        return self._forward(w)[0]

    def _forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return outputs, hidden values ``(k, rows, hidden)`` and the features of these."""
        h = self._sums(self._inner, w) + self._bias(0, w)
        flat = whitened_features(self._outer, h.flatten(0, 1))  # (k * rows, p, hidden, 1)
        features = flat.view(len(w), len(self.y), *self._outer.shape[:2])
        own = w[:, self._outer.start : self._outer.stop].view(len(w), -1, self.outputs_count)
        f = torch.bmm(features.flatten(2), own)
        for layer in self.coordinates.bias_starts.keys() - {0}:
            f = f + self._bias(layer, w)
        return (f + self._sums(self._skip, w) if self._skip else f), h, features

    def jacobian(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and their derivatives, ``(k, rows, outputs, size)``."""
        f, h, features = self._forward(w)
        k, rows, outputs = f.shape
        p, hidden, _ = self._outer.shape
        own = w[:, self._outer.start : self._outer.stop].view(k, p, hidden, outputs)
        # parameters = factor @ coordinates, of every edge
        curves = torch.einsum("iqp,kpio->kiqo", self._outer.factor, own)
        bundle = self._outer.bundle
        assert isinstance(bundle, LinearFamily)
        with torch.no_grad():
            steep = bundle.expand_derivative(h.flatten(0, 1)).view(k, rows, p, hidden)
        slopes = torch.matmul(steep.permute(0, 3, 1, 2), curves)  # (k, hidden, rows, outputs)
        upstream = slopes.permute(0, 2, 3, 1)  # (k, rows, outputs, hidden)
        jacobian = f.new_zeros(k, rows, outputs, self.coordinates.size)
        for block, inner in self._inner:
            place = self._place(jacobian, block)
            torch.mul(
                inner.view(rows, 1, *block.shape[:2], 1), upstream[:, :, :, None, None], out=place
            )
        direct = [(block, own.view(rows, *block.shape[:2])) for block, own in self._skip]
        for block, own in (*direct, (self._outer, features)):
            place = self._place(jacobian, block)
            for c in range(outputs):
                place[:, :, c, ..., c] = own
        for layer, start in self.coordinates.bias_starts.items():
            if layer == 0:
                jacobian[..., start : start + hidden] = upstream
            else:
                jacobian[..., start : start + outputs] = torch.eye(outputs, dtype=f.dtype)
        return f, jacobian

    def values(self, losses: Sequence[Loss], w: Tensor, precision: Tensor) -> Tensor:
        """Return the penalised losses, ``(k,)``; NaN counts as infinite."""
        f = self.outputs(w)
        own = [self.weight @ loss.value(one, self.y) for loss, one in zip(losses, f, strict=True)]
        values = torch.stack(own) + 0.5 * (precision * w * w).sum(1)
        return torch.where(torch.isfinite(values), values, torch.inf)

    def equations(
        self, losses: Sequence[Loss], w: Tensor, living: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        r"""Return :math:`J' W J`, ``(k, columns, columns)``, and :math:`J' g`, ``(k, columns)``.

        Parameters
        ----------
        losses : sequence of Loss
        w : Tensor, (k, size)
        living : Tensor, bool (k, columns)
            Other coordinates have rows, columns and slopes of zero.
        columns : Tensor, (columns,)
            Coordinates that live in any of the networks.
        """
        f, jacobian = self.jacobian(w)
        jacobian = jacobian[..., columns] * living[:, None, None]
        scale = self.weight.unsqueeze(-1)
        roots, slopes = [], []
        for loss, one in zip(losses, f, strict=True):
            roots.append(weighted_root(loss, one, self.y, scale))
            slopes.append(loss.gradient(one, self.y) * scale)
        slope = torch.stack(slopes).flatten(1).unsqueeze(1)  # (k, 1, rows * outputs)
        gradient = torch.bmm(slope, jacobian.flatten(1, 2)).squeeze(1)
        if self.outputs_count > 1:
            seeded = torch.stack(roots).mT @ jacobian
        else:
            seeded = jacobian.mul_(torch.stack(roots))
        flat = seeded.flatten(1, 2)
        return torch.bmm(flat.mT, flat), gradient

    def _place(self, jacobian: Tensor, block: Block) -> Tensor:
        own = jacobian[..., block.start : block.stop]
        return own.view(*jacobian.shape[:3], *block.shape)

    def _sums(self, parts: list[tuple[Block, Tensor]], w: Tensor) -> Tensor:
        total = []
        for block, features in parts:
            p, n, o = block.shape
            own = w[:, block.start : block.stop].view(len(w), p * n, o)
            total.append(torch.bmm(features.view(1, -1, p * n).expand(len(w), -1, -1), own))
        return torch.stack(total).sum(0) if len(total) > 1 else total[0]

    def _bias(self, layer: int, w: Tensor) -> Tensor:
        start = self.coordinates.bias_starts.get(layer)
        if start is None:
            return w.new_zeros(len(w), 1, 1)
        width = self.coordinates.network.all_layers[layer].out_features
        return w[:, None, start : start + width]
