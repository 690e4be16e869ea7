"""The whole model as tables, with the arithmetic that the page's script does with them.

The page's own error is measured here, since `Playable` computes as the script does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanx.explain.report.tables import Table, tabulate
from kanx.explain.subject import Subject
from kanx.layers import KANLayer
from kanx.nodes import Ratio

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlayableLayer:
    """A layer: its living curves, constants, and how its sums become nodes.

    Attributes
    ----------
    tables : list of Table
    bias : ndarray, (sums,)
    sums : int
        Nodes that add.
    products : tuple of int
        Number of factors of every node that multiplies.
    ratios : tuple of Ratio
        Nodes that divide.
    """

    tables: list[Table]
    bias: Array
    sums: int
    products: tuple[int, ...] = ()
    ratios: tuple[Ratio, ...] = ()

    def __call__(self, x: Array) -> Array:
        """Map ``(rows, in)`` to ``(rows, nodes)``."""
        total = np.tile(self.bias, (len(x), 1))
        for table in self.tables:
            total[:, table.edge[1]] += table(x[:, table.edge[0]])
        nodes = [total[:, : self.sums]]
        start = self.sums
        for arity in self.products:
            nodes.append(total[:, start : start + arity].prod(1, keepdims=True))
            start += arity
        for ratio in self.ratios:
            own = np.split(total[:, start : start + ratio.arity], ratio.arity, axis=1)
            nodes.append(ratio.value(own))
            start += ratio.arity
        return np.concatenate(nodes, axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as JSON."""
        return {
            "tables": [table.to_dict() for table in self.tables],
            "bias": self.bias.tolist(),
            "sums": self.sums,
            "products": list(self.products),
            "ratios": [[ratio.variant, ratio.order] for ratio in self.ratios],
        }


@dataclass(frozen=True)
class Playable:
    """The whole model as tables.

    Attributes
    ----------
    layers : list of PlayableLayer
    skip : PlayableLayer or None
        Direct curves from inputs to outputs.
    mean, scale : ndarray, (outputs,)
        ``output = mean + scale * network``.
    link : {"identity", "logistic", "softmax"}
    """

    layers: list[PlayableLayer]
    skip: PlayableLayer | None
    mean: Array
    scale: Array
    link: str

    def outputs(self, x: Array) -> Array:
        """Return outputs in the target's units, or logits: ``(rows, in) -> (rows, outputs)``."""
        h = x
        for layer in self.layers:
            h = layer(h)
        if self.skip is not None:
            h = h + self.skip(x)
        return self.mean + self.scale * h

    def predictions(self, x: Array) -> Array:
        """Return what the page shows: outputs, or probabilities of the classes."""
        return predictions_of(self.outputs(x), self.link)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON."""
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "skip": None if self.skip is None else self.skip.to_dict(),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "link": self.link,
        }


def predictions_of(outputs: Array, link: str) -> Array:
    """Turn outputs into what a reader wants: numbers, or probabilities of all classes."""
    if link == "identity":
        return outputs
    logits = outputs if link == "softmax" else np.concatenate([0 * outputs, outputs], axis=1)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def playable(subject: Subject) -> Playable:
    """Tabulate a model."""
    network = subject.network
    found = []
    for k, nodes in enumerate(network.nodes):
        layer = network.layers[k]
        tables, bias = tabulate(layer, subject.entering(k)), _bias(layer)
        found.append(PlayableLayer(tables, bias, nodes.sums, nodes.products, nodes.ratios))
    skip = None
    if network.skip is not None:
        tables = tabulate(network.skip, subject.x)
        skip = PlayableLayer(tables, _bias(network.skip), network.out_features)
    mean, scale = subject.target_mean.numpy(), subject.target_scale.numpy()
    return Playable(found, skip, mean, scale, subject.link)


def largest_error(model: Playable, subject: Subject, random_state: int = 0) -> float:
    """Return how far the tables' predictions are from the model's, at worst.

    Over the explained rows, and over as many rows whose entries are shuffled column by column:
    where sliders can lead.
    """
    x = subject.x
    rng = np.random.default_rng(random_state)
    shuffled = torch.stack([column[rng.permutation(len(x))] for column in x.T], dim=1)
    worst = 0.0
    for rows in (x, shuffled):
        truth = predictions_of(subject.outputs(rows).numpy(), subject.link)
        worst = max(worst, float(np.abs(model.predictions(rows.numpy()) - truth).max()))
    return worst


def _bias(layer: KANLayer) -> Array:
    if layer.bias is None:
        return np.zeros(layer.out_features)
    return layer.bias.detach().double().numpy()
