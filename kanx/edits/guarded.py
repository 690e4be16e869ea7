"""Pruning that stops before it costs accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from kanx.edits.connections import fed_nodes, live_edges
from kanx.edits.pruning import prune_edges
from kanx.edits.rebuild import Edge
from kanx.network import KAN

LossFunction = Callable[[Tensor, Tensor], Tensor]


class GuardedPruning(NamedTuple):
    """What a guarded pruning did.

    Attributes
    ----------
    network : KAN
        Its pruned edges are masked; `kanx.edits.compact` removes them.
    before, after : float
        Loss on the rows given.
    removed : list of (int, int, int)
        Edges of the old network, in the order in which they went.
    """

    network: KAN
    before: float
    after: float
    removed: list[Edge]


def prune_guarded(
    network: KAN,
    X: Tensor,
    y: Tensor,
    *,
    tolerance: float = 0.01,
    loss: LossFunction | None = None,
    refit: Callable[[KAN], KAN] | None = None,
) -> GuardedPruning:
    r"""Prune the least important edges while the loss on validation rows stays where it is.

    Edges go in the order of the share that they have in the variance of the outputs to first
    order, :math:`\sum_n (f(x_n) - \bar f)^2 (\partial y / \partial s)_n^2`. Many are tried at once,
    and half as many where the loss would rise above ``(1 + tolerance)`` times what it was at the
    start, or an output would no longer depend on any input; an edge that cannot go alone stays.
    Curves are replaced by their means over the rows.

    Parameters
    ----------
    network : KAN
    X : Tensor, (rows, in)
        Rows that were not trained on: on training rows every edge seems worth keeping.
    y : Tensor, (rows, outputs)
        Or whatever `loss` takes.
    tolerance : float, default=0.01
        Largest relative rise of the loss.
    loss : callable, optional
        ``loss(outputs, y)``, one number, smaller is better; the mean squared error by default.
    refit : callable, optional
        Trains a pruned network and returns it, after every batch of edges that goes. It must leave
        the network's shape and its masks alone. The loss is looked at after it.

    Returns
    -------
    GuardedPruning

    Raises
    ------
    ValueError
        If the tolerance is negative, there are no rows, the loss is no finite number or the
        target's shape differs from the outputs'.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    if not len(X):
        raise ValueError("X has no rows; pruning is guarded by rows that were not trained on")
    X = X.to(next(network.parameters()))
    if loss is None:
        loss = _mean_squared_error
    before = _loss(network, X, y, loss)
    if not math.isfinite(before):
        raise ValueError(f"the loss of the network is {before} before anything is pruned")
    limit = before + tolerance * abs(before)
    present, after = network, before
    removed: list[Edge] = []
    queue, count = edge_order(network, X), network.n_edges
    while queue:
        count = min(count, len(queue))
        trial = prune_edges(present, queue[:count], x=X).network
        accepted = bool((fed_nodes(trial)[-1] == fed_nodes(present)[-1]).all())
        if accepted:
            trial = trial if refit is None else refit(trial)
            found = _loss(trial, X, y, loss)
            accepted = found <= limit
        if accepted:
            removed += queue[:count]
            # what is left may matter more or less than before
            tried = set(queue)
            present, after = trial, found
            queue = [edge for edge in edge_order(present, X) if edge in tried]
            count *= 2
        elif count > 1:
            count //= 2
        else:
            queue = queue[1:]
    return GuardedPruning(present, before, after, removed)


def edge_order(network: KAN, x: Tensor) -> list[Edge]:
    """Return the living edges, those of the smallest effect on the outputs first.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
    """
    effects: list[Tensor] = []
    with torch.no_grad():
        entering = network.activations(x)[:-1]
        slopes = [network.sensitivities(x, o) for o in range(network.out_features)]
        for index, layer in enumerate(network.layers):
            curves = layer.curves(entering[index])
            square = torch.stack([own[index] for own in slopes]).square().sum(0)  # (rows, sums)
            effects.append(((curves - curves.mean(0)).square() * square[:, None]).mean(0))
        if network.skip is not None:
            effects.append(network.skip.curves(x).var(0, correction=0))
    found = []
    for index, (effect, live) in enumerate(zip(effects, live_edges(network), strict=True)):
        for i, o in torch.nonzero(live).tolist():
            found.append((effect[i, o].item(), (index, i, o)))
    return [edge for _, edge in sorted(found)]


def _mean_squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    if outputs.shape != y.shape:
        raise ValueError(
            f"y has shape {tuple(y.shape)}, the outputs {tuple(outputs.shape)}; for one output "
            "pass y[:, None]"
        )
    return (outputs - y.to(outputs)).square().mean()


def _loss(network: KAN, X: Tensor, y: Tensor, loss: LossFunction) -> float:
    with torch.no_grad():
        return float(loss(network(X), y))
