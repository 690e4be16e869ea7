"""One-dimensional functions as tables that a page can compute with.

Between two nodes of a table a curve is the cubic with the values and slopes of both (Hermite's);
nodes are added where that cubic strays. Outside the table the curve is a straight line, as the
model's own extrapolation is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.explain.report.markup import packed
from kanx.layers import KANLayer, Lookup

Array = NDArray[np.float64]

FIRST_NODES = 17
MOST_NODES = 300
ROUNDS = 14
TOLERANCE = 1e-6  # of a table, relative to the largest spread of its layer's curves


@dataclass(frozen=True)
class Table:
    """One curve.

    Attributes
    ----------
    edge : (int, int)
        Input and output of the layer.
    nodes : ndarray, (nodes,)
        Strictly increasing; 0, 1, ... for a categorical input.
    values : ndarray, (nodes,)
    slopes : ndarray, (nodes,) or None
        None for a categorical input.
    tails : (float, float)
        Slopes below and above the table.
    missing : float or None
        Value where the input is missing, if the curve has one.
    """

    edge: tuple[int, int]
    nodes: Array
    values: Array
    slopes: Array | None
    tails: tuple[float, float] = (0.0, 0.0)
    missing: float | None = None

    def __call__(self, x: Array) -> Array:
        """Evaluate the curve, ``(rows,)``; as `evaluateTable` in the page's script does."""
        absent = np.isnan(x)
        filled = np.where(absent, self.nodes[0], x)
        if self.slopes is None:
            known = (filled >= 0) & (filled < len(self.values))
            found = np.where(known, self.values[np.where(known, filled, 0).astype(int)], 0.0)
        else:
            below = np.minimum(filled - self.nodes[0], 0)
            above = np.maximum(filled - self.nodes[-1], 0)
            found = hermite(self.nodes, self.values, self.slopes, filled - below - above)
            found = found + self.tails[0] * below + self.tails[1] * above
        return np.where(absent, self.missing or 0.0, found)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON, values and slopes in single precision."""
        return {
            "edge": list(self.edge),
            "nodes": packed(self.nodes, "<f8"),
            "values": packed(self.values),
            "slopes": None if self.slopes is None else packed(self.slopes),
            "tails": list(self.tails),
            "missing": self.missing,
        }


def hermite(nodes: Array, values: Array, slopes: Array, x: Array) -> Array:
    """Interpolate by cubics with given values and slopes at the nodes.

    Parameters
    ----------
    nodes : ndarray, (n,)
    values, slopes : ndarray, (n,) or (n, curves)
    x : ndarray, (rows,)
        Within the nodes.

    Returns
    -------
    ndarray, (rows,) or (rows, curves)
    """
    k = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    step = nodes[k + 1] - nodes[k]
    t = (x - nodes[k]) / step
    if values.ndim == 2:
        step, t = step[:, None], t[:, None]
    rise = values[k + 1] - values[k]
    a, b = slopes[k] * step, slopes[k + 1] * step
    return values[k] + t * (a + t * (3 * rise - 2 * a - b + t * (a + b - 2 * rise)))


def tabulate(layer: KANLayer, data: Tensor) -> list[Table]:
    """Tabulate the living curves of a layer.

    Parameters
    ----------
    layer : KANLayer
    data : Tensor, (rows, in)
        What enters it.
    """
    spread = float(layer.curves(data).detach().nan_to_num().std(0, correction=0).max())
    allowed = TOLERANCE * max(spread, 1e-12)
    found = []
    for i in range(layer.in_features):
        alive = torch.nonzero(layer.mask[i])[:, 0].tolist()
        if not alive:
            continue
        bundle, place = layer.edge(i)
        absent = _at(layer, i, np.array([np.nan]))[0][0]
        takes_missing = bool(getattr(bundle, "missing", False))
        if isinstance(bundle, Lookup):
            nodes = np.arange(bundle.n_basis, dtype=float)
            values, slopes, tails = _at(layer, i, nodes)[0], None, np.zeros((2, layer.out_features))
        else:
            low, high = float(bundle.lower[place]), float(bundle.upper[place])
            if bundle.extrapolate == "family":  # no straight line outside: cover the data
                low, high = _covering(low, high, data[:, i])
            nodes, values, slopes = _refined(layer, i, low, high, alive, allowed)
            reach = (high - low) / 4
            beyond = _at(layer, i, np.array([low - reach, high + reach]))[0]
            tails = np.stack([values[0] - beyond[0], beyond[1] - values[-1]]) / reach
        for o in alive:
            found.append(
                Table(
                    (i, o),
                    nodes,
                    _single(values[:, o]),
                    None if slopes is None else _single(slopes[:, o]),
                    (float(tails[0, o]), float(tails[1, o])),
                    float(absent[o]) if takes_missing else None,
                )
            )
    return found


def _refined(
    layer: KANLayer, i: int, low: float, high: float, alive: list[int], allowed: float
) -> tuple[Array, Array, Array]:
    """Return nodes, values and slopes, with more nodes where a cubic would stray."""
    nodes = np.linspace(low, high, FIRST_NODES)
    values, slopes = _at(layer, i, nodes)
    for _ in range(ROUNDS):
        middle = (nodes[1:] + nodes[:-1]) / 2
        true_values, true_slopes = _at(layer, i, middle)
        strayed = np.abs(hermite(nodes, values, slopes, middle) - true_values)
        split = strayed[:, alive].max(1) > allowed
        if not split.any() or len(nodes) + split.sum() > MOST_NODES:
            break
        order = np.argsort(np.concatenate([nodes, middle[split]]), kind="stable")
        nodes = np.concatenate([nodes, middle[split]])[order]
        values = np.concatenate([values, true_values[split]])[order]
        slopes = np.concatenate([slopes, true_slopes[split]])[order]
    return nodes, values, slopes


def _at(layer: KANLayer, i: int, x: Array) -> tuple[Array, Array]:
    """Evaluate the curves of one input and their slopes, ``(points, out)`` each."""
    bundle, place = layer.edge(i)
    # a bundle takes all its inputs; the others stay at a harmless point
    centre = ((bundle.lower + bundle.upper) / 2).double()
    points = centre.expand(len(x), -1).clone()
    points[:, place] = torch.from_numpy(x)
    with torch.no_grad():
        return bundle.curves(points)[:, place].numpy(), bundle.slopes(points)[:, place].numpy()


def _covering(low: float, high: float, data: Tensor) -> tuple[float, float]:
    own = data[~torch.isnan(data)]
    if not len(own):
        return low, high
    margin = 0.25 * (high - low)
    return min(low, float(own.min()) - margin), max(high, float(own.max()) + margin)


def _single(values: Array) -> Array:
    """Round to single precision, as the page gets them, so that errors are those of the page."""
    return values.astype(np.float32).astype(np.float64)
