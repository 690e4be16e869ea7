"""Every learned curve as arrays: where the data are, its value, its error band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.explain.frames import frame_of
from kanx.explain.provenance import curve_deviations
from kanx.explain.subject import Subject

GRID_POINTS = 121
HISTOGRAM_BINS = 30

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Support:
    """Where the data are along one input.

    Attributes
    ----------
    counts : ndarray, (bins,)
        Rows in every bin; in every category for a categorical input.
    edges : ndarray, (bins + 1,)
        Ends of the bins, in the input's units; half-integers around the codes of categories.
    rug : ndarray, (at most 200,)
        Quantiles of the values, for a rug under a plot; empty for a categorical input.
    missing : int
        Rows where the value is missing.
    """

    counts: NDArray[np.int64]
    edges: Array
    rug: Array
    missing: int


@dataclass(frozen=True)
class Curve:
    r"""One edge of the network as a function of its input.

    Curves are centred over the rows: ``value`` is :math:`f(x) - \frac1N\sum_n f(x_n)`, so the
    parts of an additive model are unique and add up to the prediction with one constant.

    Attributes
    ----------
    layer : int
        Index into ``network.all_layers``; the layer after the last is the one of the direct
        curves from inputs to outputs.
    edge : (int, int)
        Input and output of the layer.
    source, target : str
        Names of the two nodes.
    grid : ndarray, (points,)
        Input, in the user's units; 0, 1, ... for categories.
    value : ndarray, (points,)
        The centred curve; in the target's units (log-odds for a classifier) where the edge ends
        at an output.
    std : ndarray, (points,)
        Posterior standard deviation of ``value``; NaN where the model has no posterior.
    offset : float
        What centring took away: the curve itself is ``value + offset``.
    support : Support
    labels : tuple of str, optional
        Names of the categories.
    missing : (float, float), optional
        Centred value and standard deviation where the input is missing, if the model knows such
        rows.
    is_alive : bool
        False for a pruned edge.
    ends_at_output, starts_at_input : bool
    deviation : float
        Standard deviation of the curve over the rows: how much it moves its node.
    source_label, target_label : str
        Names with units, for axes.
    source_unit, target_unit : str or None
        Units of ``grid`` and of ``value``, where they are known.
    """

    layer: int
    edge: tuple[int, int]
    source: str
    target: str
    grid: Array
    value: Array
    std: Array
    offset: float
    support: Support
    labels: tuple[str, ...] | None
    missing: tuple[float, float] | None
    is_alive: bool
    starts_at_input: bool
    ends_at_output: bool
    deviation: float
    source_label: str = field(default="", compare=False)
    target_label: str = field(default="", compare=False)
    source_unit: str | None = field(default=None, compare=False)
    target_unit: str | None = field(default=None, compare=False)

    @property
    def lower(self) -> Array:
        """Lower end of the central 95 % band of the curve."""
        return self.value - 1.96 * self.std

    @property
    def upper(self) -> Array:
        """Upper end of the central 95 % band of the curve."""
        return self.value + 1.96 * self.std

    def to_frame(self) -> Any:
        """Return grid, value, band and units as a frame (a dict without pandas)."""
        return frame_of(self._columns())

    def _columns(self) -> dict[str, Any]:
        count = len(self.grid)
        return {
            "source": [self.source] * count,
            "target": [self.target] * count,
            "input": list(self.labels) if self.labels else self.grid.tolist(),
            "value": self.value.tolist(),
            "std": self.std.tolist(),
            "lower": self.lower.tolist(),
            "upper": self.upper.tolist(),
            "unit": [self.source_unit] * count,
            "value_unit": [self.target_unit] * count,
        }


class Curves(Sequence[Curve]):
    """The curves of a model, by position; `select` finds some of them by name.

    Parameters
    ----------
    curves : sequence of Curve
    """

    def __init__(self, curves: Sequence[Curve]) -> None:
        self._curves = tuple(curves)

    def __len__(self) -> int:
        return len(self._curves)

    @overload
    def __getitem__(self, index: int) -> Curve: ...

    @overload
    def __getitem__(self, index: slice) -> Curves: ...

    def __getitem__(self, index: int | slice) -> Curve | Curves:
        if isinstance(index, slice):
            return Curves(self._curves[index])
        return self._curves[index]

    def __iter__(self) -> Iterator[Curve]:
        return iter(self._curves)

    def __repr__(self) -> str:
        alive = sum(curve.is_alive for curve in self)
        return f"Curves({len(self)} edges, {alive} of them alive)"

    def select(
        self,
        source: str | None = None,
        target: str | None = None,
        layer: int | None = None,
        alive: bool = False,
    ) -> Curves:
        """Return the curves from a node, to a node, of a layer, or those that are not pruned."""
        return Curves(
            [
                curve
                for curve in self
                if (source is None or curve.source == source)
                and (target is None or curve.target == target)
                and (layer is None or curve.layer == layer)
                and (curve.is_alive or not alive)
            ]
        )

    def to_frame(self) -> Any:
        """Return all curves as one long frame (a dict of arrays without pandas)."""
        parts: dict[str, list[Any]] = {}
        for curve in self:
            columns = {"layer": [curve.layer] * len(curve.grid), **curve._columns()}
            for name, values in columns.items():
                parts.setdefault(name, []).extend(values)
        return frame_of(parts)


def node_names(subject: Subject, layer: int) -> list[str]:
    """Return the names of what enters a layer; those of the outputs for one past the last."""
    depth = len(subject.network.layers)
    if layer == 0:
        return subject.names
    if layer == depth:
        return subject.target_names
    prefix = "h" if depth == 2 else f"h{layer}."
    return [f"{prefix}{k + 1}" for k in range(subject.network.nodes[layer - 1].width)]


def sum_names(subject: Subject, layer: int) -> list[str]:
    """Return the names of the sums that a layer of ``network.all_layers`` computes."""
    depth = len(subject.network.layers)
    if layer == depth:
        return subject.target_names
    nodes = subject.network.nodes[layer]
    names = node_names(subject, layer + 1)
    found = names[: nodes.sums]
    for name, kind in zip(names[nodes.sums :], nodes.kinds, strict=True):
        found = found + [f"{name} ({part})" for part in kind.sum_names]
    return found


def read_curves(subject: Subject) -> Curves:
    """Read every curve of a model."""
    found: list[Curve] = []
    for layer in range(len(subject.network.all_layers)):
        found += _layer_curves(subject, layer)
    return Curves(found)


def _layer_curves(subject: Subject, layer: int) -> list[Curve]:
    network = subject.network
    own = network.all_layers[layer]
    at_input = layer in (0, len(network.layers))
    data = subject.entering(layer)
    grids = [grid_of(subject, data, j, at_input) for j in range(own.in_features)]
    points = max(len(grid) for grid in grids)
    columns = [torch.cat([g, g[-1:].expand(points - len(g))]) for g in grids]
    grid = torch.stack(columns, dim=1)  # (points, in), short grids padded by their ends
    absent = torch.full((1, own.in_features), float("nan"), dtype=torch.float64)
    with_absent = torch.cat([grid, absent]) if at_input else grid
    scale = torch.ones(own.out_features, dtype=torch.float64)
    if subject.reaches_output(layer) and not network.nodes[-1].kinds:
        scale = subject.target_scale
    with torch.no_grad():
        over_data = own.curves(data)
        offset = over_data.mean(0) * scale
        spread = over_data.std(0, correction=0) * scale
        value = own.curves(with_absent) * scale - offset
    std = curve_deviations(subject, layer, with_absent, data) * scale
    alive = own.mask > 0
    sources = node_names(subject, 0 if at_input else layer)
    targets = sum_names(subject, layer)
    supports = [support_of(subject, data, j, at_input) for j in range(own.in_features)]
    curves = []
    for i in range(own.in_features):
        count = len(grids[i])
        for o in range(own.out_features):
            column = subject.columns[i] if at_input else None
            labels = None
            if column is not None and column.categories is not None:
                labels = tuple(str(category) for category in column.categories)
            missing = None
            if column is not None and column.missing:
                missing = (value[-1, i, o].item(), std[-1, i, o].item())
            curves.append(
                Curve(
                    layer=layer,
                    edge=(i, o),
                    source=sources[i],
                    target=targets[o],
                    grid=grids[i].numpy(),
                    value=value[:count, i, o].numpy(),
                    std=std[:count, i, o].numpy(),
                    offset=offset[i, o].item(),
                    support=supports[i],
                    labels=labels,
                    missing=missing,
                    is_alive=bool(alive[i, o]),
                    starts_at_input=at_input,
                    ends_at_output=subject.reaches_output(layer),
                    deviation=spread[i, o].item(),
                    source_label=subject.input_label(i) if at_input else sources[i],
                    target_label=(
                        subject.output_label(o) if subject.reaches_output(layer) else targets[o]
                    ),
                    source_unit=subject.unit(sources[i]) if at_input else None,
                    target_unit=subject.output_unit(o) if subject.reaches_output(layer) else None,
                )
            )
    return curves


def grid_of(
    subject: Subject, data: Tensor, j: int, at_input: bool, points: int = GRID_POINTS
) -> Tensor:
    """Return where an input's curves are drawn: over the learned range and that of the rows."""
    values = data[:, j][~torch.isnan(data[:, j])]
    if at_input:
        column = subject.columns[j]
        if column.categories is not None:
            return torch.arange(len(column.categories), dtype=torch.float64)
        values = torch.cat([values, torch.tensor([column.lower, column.upper]).to(values)])
    low, high = values.min().item(), values.max().item()
    if not low < high:
        low, high = low - 0.5, high + 0.5
    return torch.linspace(low, high, points, dtype=torch.float64)


def support_of(subject: Subject, data: Tensor, j: int, at_input: bool) -> Support:
    """Say where the data of an input, or of what enters a layer, lie and how many are missing."""
    values = data[:, j].numpy()
    present = values[~np.isnan(values)]
    missing = int(len(values) - len(present))
    column = subject.columns[j] if at_input else None
    if column is not None and column.categories is not None:
        edges: Array = np.arange(len(column.categories) + 1, dtype=np.float64) - 0.5
        return Support(np.histogram(present, edges)[0], edges, np.empty(0), missing)
    if len(present) == 0:
        return Support(np.zeros(1, dtype=np.int64), np.array([-1.0, 1.0]), np.empty(0), missing)
    counts, ends = np.histogram(present, HISTOGRAM_BINS)
    rug = np.quantile(present, np.linspace(0, 1, min(200, len(present))))
    return Support(counts, ends.astype(np.float64), rug, missing)
