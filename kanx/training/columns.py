"""Living columns of the Jacobian as products of features and upstream derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kanx.training.coordinates import Block

if TYPE_CHECKING:
    from kanx.training.gram import Arrangement


@dataclass(frozen=True)
class Factor:
    r"""Columns of the Jacobian that belong to one layer, :math:`J_{ns,fo} = \Phi_{nf} U_{nso}`.

    Attributes
    ----------
    features : Tensor, (rows, features)
    upstream : Tensor, (rows, seeds, outputs)
    places : Tensor, (features, outputs)
        Coordinate of every column.
    alive : Tensor, bool (features, outputs)
        Columns that are not zero.
    """

    features: Tensor
    upstream: Tensor
    places: Tensor
    alive: Tensor


@dataclass(frozen=True)
class Piece:
    """What a bundle of edges, or the biases of a layer, sees of some rows.

    Attributes
    ----------
    owner : Block or slice
        The latter are the coordinates of biases.
    features : Tensor, (rows, p, in, out or 1), optional
        None for biases.
    upstream : Tensor, (rows, seeds, out)
        The same for all pieces of a layer.
    """

    owner: Block | slice
    features: Tensor | None
    upstream: Tensor

    def table(self, output: int | None) -> Tensor:
        """Return the features as ``(rows, features)``, those of one output where they differ."""
        if self.features is None:
            return self.upstream.new_ones(len(self.upstream), 1)
        own = self.features if output is None else self.features[..., output]
        return own.flatten(1)

    def columns(self, living: Tensor, output: int | None) -> tuple[Tensor, Tensor]:
        """Return places and which are alive, ``(features, outputs)`` each."""
        if isinstance(self.owner, slice):
            places = torch.arange(self.owner.start, self.owner.stop).unsqueeze(0)
            return places, living[places]
        p, n, o = self.owner.shape
        places = torch.arange(self.owner.start, self.owner.stop).view(p * n, o)
        alive = living[places] & (self.owner.bundle.mask > 0).repeat(p, 1)
        chosen = slice(None) if output is None else slice(output, output + 1)
        return places[:, chosen], alive[:, chosen]


@dataclass(frozen=True)
class _Group:
    """Pieces of a layer side by side: features and outputs of which any column is alive.

    Attributes
    ----------
    members : list of (int, int or None)
        Number of the piece, and the output whose features are meant.
    features, outputs : Tensor, optional
        Indices of those that are kept; None where all are.
    """

    members: list[tuple[int, int | None]]
    features: Tensor | None
    outputs: Tensor | None
    places: Tensor
    alive: Tensor


class Columns:
    """Where the living columns are: worked out once for all steps in which the same ones live.

    Parameters
    ----------
    living : Tensor, bool (size,)

    Attributes
    ----------
    arrangement : Arrangement, optional
        Of the Gram matrix, once it is known.
    """

    def __init__(self, living: Tensor) -> None:
        self.living = living.clone()
        self.arrangement: Arrangement | None = None
        self._groups: dict[int, list[_Group]] = {}
        self._kept: dict[tuple[int, int, int], Tensor] = {}

    def factors(self, layer: int, pieces: list[Piece], fixed_at: int | None) -> list[Factor]:
        """Return the factors of a layer.

        Parameters
        ----------
        layer : int
        pieces : list of Piece
            Always in the same order.
        fixed_at : int, optional
            Where the features of these rows never change: a number of the rows, under which they
            are kept.
        """
        if layer not in self._groups:
            self._groups[layer] = _groups(pieces, self.living)
        found = []
        for k, group in enumerate(self._groups[layer]):
            key = None if fixed_at is None else (layer, k, fixed_at)
            features = self._kept.get(key) if key is not None else None
            if features is None:
                features = _features(group, pieces)
                if key is not None:
                    self._kept[key] = features
            upstream = pieces[0].upstream
            if group.outputs is not None:
                upstream = upstream[..., group.outputs]
            found.append(Factor(features, upstream, group.places, group.alive))
        return found


def _features(group: _Group, pieces: list[Piece]) -> Tensor:
    tables = [pieces[k].table(output) for k, output in group.members]
    table = torch.cat(tables, dim=1) if len(tables) > 1 else tables[0]
    return table if group.features is None else table.index_select(1, group.features)


def _groups(pieces: list[Piece], living: Tensor) -> list[_Group]:
    """Join what is a product with all outputs; other edges go output by output."""
    shared: list[tuple[int, int | None]] = []
    single: list[list[tuple[int, int | None]]] = []
    for k, piece in enumerate(pieces):
        if piece.features is None or piece.features.shape[-1] == 1:
            shared.append((k, None))
        else:
            single += [[(k, output)] for output in range(piece.features.shape[-1])]
    groups = []
    for members in ([shared] if shared else []) + single:
        own = [pieces[k].columns(living, output) for k, output in members]
        places, alive = (torch.cat(part) for part in zip(*own, strict=True))
        output = members[0][1]  # None for all that are joined
        rows, columns = alive.any(1).nonzero()[:, 0], alive.any(0).nonzero()[:, 0]
        if not len(rows):
            continue
        all_outputs = output is None and len(columns) == alive.shape[1]
        groups.append(
            _Group(
                members,
                None if len(rows) == len(alive) else rows,
                None if all_outputs else columns + (output or 0),
                places[rows][:, columns],
                alive[rows][:, columns],
            )
        )
    return groups
