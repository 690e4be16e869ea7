"""A re-fit by evidence that holds some edges as they are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from kanx.edits.rebuild import Edge, checked_edge
from kanx.network import KAN
from kanx.training.climb import Climb, Snapshot
from kanx.training.coordinates import Coordinates
from kanx.training.evidence import Fit
from kanx.training.losses import Loss
from kanx.training.missing import average_where_never_missing
from kanx.training.posterior import Posterior

LARGEST = 6000  # coordinates; the curvature is a dense matrix
ROUNDS = 25
PATIENCE = 3
NEGLIGIBLE = 1e-8


class HoldingClimb(Climb):
    """As `Climb`, with edges that neither move nor are pruned.

    Parameters
    ----------
    network, x, y, loss, weight
        See `kanx.training.evidence.fit_evidence`.
    held : iterable of (int, int, int)
        Layer (an index into ``network.all_layers``), input and output; pruned ones stay pruned.
    still : bool, default=False
        Whether nothing moves at all: only precisions, noise and error bars are estimated.
    """

    def __init__(
        self,
        network: KAN,
        x: Tensor,
        y: Tensor,
        loss: Loss,
        weight: Tensor,
        held: Iterable[Edge],
        still: bool = False,
    ) -> None:
        edges = [checked_edge(network, edge) for edge in held]
        self.edges = [e for e in edges if network.all_layers[e[0]].mask[e[1], e[2]] > 0]
        before = Coordinates(network).read()
        super().__init__(network, x, y, loss, weight)
        held_flags = _coordinates_of(self.coordinates, self.edges)
        self.coordinates.freeze(held_flags)
        # what is held is no part of the model that the evidence compares
        self.precision[self.coordinates.group[held_flags]] = NEGLIGIBLE
        self.still = still
        self.kept = torch.ones_like(held_flags) if still else held_flags
        self.values = before[self.kept]
        self._hold()

    def descend(self, iterations: int | None = None) -> float:
        return super().descend(0 if self.still else iterations)

    def prune(self, groups: Tensor) -> None:
        if not self.still:
            super().prune(groups)
            self._hold()

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        self._hold()

    def _hold(self) -> None:
        for index, layer in enumerate(self.coordinates.network.all_layers):
            mask = layer.mask.clone()
            for _, i, o in (edge for edge in self.edges if edge[0] == index):
                mask[i, o] = 1
            layer.set_mask(mask)
        self.w = self.w.clone()
        self.w[self.kept] = self.values
        self.coordinates.write(self.w)


def fit_holding(
    network: KAN,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    weight: Tensor,
    held: Iterable[Edge],
    *,
    rounds: int = ROUNDS,
    still: bool = False,
) -> Fit:
    """Fit all edges but those held by Levenberg-Marquardt with evidence maximisation, in place.

    The error bars of the result are those given the held curves.

    Parameters
    ----------
    network : KAN
        In float64; its present parameters are the start.
    x, y, loss, weight
        See `kanx.training.evidence.fit_evidence`.
    held : iterable of (int, int, int)
        Layer (an index into ``network.all_layers``), input and output.
    rounds : int, default=25
        Largest number of rounds.
    still : bool, default=False
        Whether nothing moves: only precisions, noise and error bars are estimated.

    Raises
    ------
    ValueError
        If the network is too large for a dense curvature.
    """
    size = int(Coordinates(network).alive().sum())
    if size > LARGEST:
        raise ValueError(
            f"the network has {size} coordinates in use, and a re-fit takes at most {LARGEST}; "
            "prune it first"
        )
    climb = HoldingClimb(network, x, y, loss, weight, held, still)
    trace: list[float] = []
    best, best_round = None, 0
    enough = max(1e-4 * weight.sum().item(), 0.05)
    while len(trace) < rounds and len(trace) - best_round < PATIENCE:
        if trace:
            climb.update()
        trace.append(climb.descend())
        if best is None or trace[-1] > best.evidence + enough:
            best, best_round = climb.snapshot(), len(trace)
    settled = len(trace) - best_round >= PATIENCE
    if best is not None and best.evidence > climb.evidence and not still:
        climb.restore(best)
    if not still:
        average_where_never_missing(network, x, weight)
    old = climb.posterior
    posterior = Posterior(
        Coordinates(network), old.living, old.covariance, old.precision, old.noise_precision
    )
    return Fit(network, posterior, climb.evidence, climb.loss, trace, settled)


def _coordinates_of(coordinates: Coordinates, edges: Iterable[Edge]) -> Tensor:
    """Say which coordinates belong to some edges, ``bool (size,)``."""
    flags = torch.zeros(coordinates.size, dtype=torch.bool)
    for index, i, o in edges:
        for block in coordinates.layer_blocks(index):
            if i in block.columns:
                own = flags[block.start : block.stop].view(block.shape)
                own[:, block.columns.index(i) % block.shape[1], o] = True
    return flags
