"""How much every edge, node and input matters: shares of variance along the paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.explain.curves import node_names, sum_names
from kanx.explain.frames import frame_of
from kanx.explain.provenance import posterior_deviations
from kanx.explain.subject import Subject
from kanx.network import KAN

POSTERIOR_DRAWS = 24
ROWS_FOR_ERRORS = 500

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Importances:
    r"""Shares of the variance of every output, followed backwards through the network.

    An output's variance is divided among the curves that end there in proportion to
    :math:`\operatorname{var}_n f_e(x_n)`; what reaches a hidden node is divided among its own
    curves in the same way, and so on to the inputs. The shares of all inputs add up to 1 for
    every output that varies at all. The factors of a multiplication node share by how much each
    of them moves the product.

    Attributes
    ----------
    features : ndarray, (in, outputs)
        Share of every input.
    nodes : list of ndarray, (nodes, outputs) each
        Share of every node: inputs, hidden layers, outputs (which have 1, or 0 for the others).
    edges : list of ndarray, (in, out, outputs) each
        Share of every edge, by layer of ``network.all_layers``.
    names : list of str
        Of the inputs.
    target_names : list of str
    edge_names : list of (list of str, list of str)
        Names of the sources and of the targets of every layer's edges.
    spreads : callable
        Computes the errors of `features` and of `edges` when they are asked for.

    References
    ----------
    Liu, Ma, Wang, Matusik, Tegmark: KAN 2.0, arXiv:2408.10205, section 4.1 (attribution
    backwards).
    """

    features: Array
    nodes: list[Array]
    edges: list[Array]
    names: list[str]
    target_names: list[str]
    edge_names: list[tuple[list[str], list[str]]]
    spreads: Callable[[], list[Array]] = field(repr=False, compare=False)

    @cached_property
    def _spreads(self) -> list[Array]:
        return self.spreads()

    @property
    def features_std(self) -> Array:
        """Standard deviation of `features` over the posterior; NaN where the model has none."""
        return self._spreads[0]

    @property
    def edges_std(self) -> list[Array]:
        """Standard deviation of `edges` over the posterior; NaN where the model has none."""
        return self._spreads[1:]

    def ranking(self, output: int | None = None) -> list[int]:
        """Return the inputs, the most important first; over all outputs by default."""
        share = self.features.mean(1) if output is None else self.features[:, output]
        return [int(j) for j in np.argsort(-share, kind="stable")]

    def to_frame(self) -> Any:
        """Return the shares of the inputs: feature, target, share, std."""
        rows = [(j, k) for k in range(len(self.target_names)) for j in self.ranking(k)]
        return frame_of(
            {
                "feature": [self.names[j] for j, _ in rows],
                "target": [self.target_names[k] for _, k in rows],
                "share": [self.features[j, k] for j, k in rows],
                "std": [self.features_std[j, k] for j, k in rows],
            }
        )

    def edges_to_frame(self) -> Any:
        """Return the shares of the edges: layer, source, target, output, share, std."""
        columns: dict[str, list[Any]] = {
            key: [] for key in ("layer", "source", "target", "output", "share", "std")
        }
        for layer, (share, std) in enumerate(zip(self.edges, self.edges_std, strict=True)):
            sources, targets = self.edge_names[layer]
            for i, o, k in np.ndindex(*share.shape):
                columns["layer"].append(layer)
                columns["source"].append(sources[i])
                columns["target"].append(targets[o])
                columns["output"].append(self.target_names[k])
                columns["share"].append(share[i, o, k])
                columns["std"].append(std[i, o, k])
        return frame_of(columns)


def read_importances(subject: Subject, random_state: int = 0) -> Importances:
    """Compute the shares over the rows, with errors from draws of the posterior."""
    network = subject.network
    nodes, edges = shares(network, subject.x)
    depth = len(network.layers)
    names = [
        (node_names(subject, 0 if k == depth else k), sum_names(subject, k))
        for k in range(len(network.all_layers))
    ]
    return Importances(
        nodes[0].numpy(),
        [share.numpy() for share in nodes],
        [share.numpy() for share in edges],
        subject.names,
        subject.target_names,
        names,
        partial(_spreads, subject, random_state),
    )


def shares(network: KAN, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return the shares of nodes, ``(nodes, outputs)``, and edges, ``(in, out, outputs)``.

    Edges are listed by layer of ``network.all_layers``, nodes from the inputs to the outputs.
    """
    with torch.no_grad():
        entering = network.activations(x)
        depth = len(network.layers)
        spread = [
            _variances(layer.curves(x if k == depth else entering[k]))
            for k, layer in enumerate(network.all_layers)
        ]
        node_shares = [torch.eye(network.out_features, dtype=torch.float64)]
        edge_shares: list[Tensor] = []
        last = depth - 1
        direct = None
        for k in reversed(range(depth)):
            variances = spread[k]
            upstream = _to_sums(network, k, network.layers[k](entering[k]), node_shares[0])
            total = variances.sum(0)  # (sums,)
            if k == last and network.skip is not None:
                total = total + spread[depth].sum(0)
                direct = _divide(spread[depth], total, node_shares[0])
            own = _divide(variances, total, upstream)
            edge_shares.insert(0, own)
            node_shares.insert(0, own.sum(1))
        if direct is not None:
            edge_shares.append(direct)
            node_shares[0] = node_shares[0] + direct.sum(1)
    return node_shares, edge_shares


def _variances(curves: Tensor) -> Tensor:
    return curves.double().var(0, correction=0)


def _divide(variances: Tensor, total: Tensor, upstream: Tensor) -> Tensor:
    """Divide the shares of sums ``(sums, outputs)`` among edges: ``(in, sums, outputs)``."""
    part = torch.where(total > 0, variances / total.clamp_min(1e-300), 0)
    return part.unsqueeze(-1) * upstream


def _to_sums(network: KAN, layer: int, sums: Tensor, share: Tensor) -> Tensor:
    """Turn the shares of nodes ``(nodes, outputs)`` into those of the sums they are made of."""
    nodes = network.nodes[layer]
    if not nodes.kinds:
        return share
    pieces = [share[: nodes.sums]]
    pulled = nodes.pull_back(sums, torch.ones(len(sums), nodes.width).to(sums))
    moved = ((sums - sums.mean(0)) * pulled).square().mean(0)  # (sums,)
    start = nodes.sums
    for k, arity in enumerate(nodes.arities):
        own = moved[start : start + arity]
        level = own.sum()
        part = own / level if level > 0 else torch.full_like(own, 1 / arity)
        pieces.append(part[:, None] * share[nodes.sums + k])
        start += arity
    return torch.cat(pieces)


def _spreads(subject: Subject, random_state: int) -> list[Array]:
    """Return the posterior deviations of the shares of inputs and of edges, over a few rows."""
    few = subject.x[:: max(1, len(subject.x) // ROWS_FOR_ERRORS)]
    found = posterior_deviations(
        subject, lambda moved: _features_and_edges(moved, few), POSTERIOR_DRAWS, random_state
    )
    if found is None:
        shapes = _features_and_edges(subject.network, few)
        found = [torch.full_like(part, float("nan")) for part in shapes]
    return [part.numpy() for part in found]


def _features_and_edges(network: KAN, x: Tensor) -> list[Tensor]:
    nodes, edges = shares(network, x)
    return [nodes[0], *edges]
