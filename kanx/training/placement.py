"""Fit domains and grids of the edges that see the inputs to the data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kanx.layers import SLAF, BSpline, EdgeFamily, GaussianProcess, KANLayer, Lookup
from kanx.network import KAN


def place_on_data(
    network: KAN, x: Tensor, weight: Tensor | None = None, quantile_share: float = 0.5
) -> None:
    """Set domains to the range of the data, and adaptive grids between even and quantiles.

    Parameters
    ----------
    network : KAN
        Changed in place; only the layers that see the inputs.
    x : Tensor, (rows, in)
        NaN marks missing values.
    weight : Tensor, (rows,), optional
        Sample weights; rows of weight zero do not count.
    quantile_share : float, default=0.5
        0 spaces adaptive control points and knots evenly, 1 puts them at quantiles.
    """
    values = x.double().numpy()
    w = np.ones(len(values)) if weight is None else weight.double().numpy()
    for layer in [network.layers[0], *([] if network.skip is None else [network.skip])]:
        _place_layer(layer, values, w, quantile_share)


def _place_layer(layer: KANLayer, values: np.ndarray, w: np.ndarray, share: float) -> None:
    for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
        if isinstance(bundle, Lookup):
            continue
        bounds = np.array([_bounds(values[:, j], w) for j in columns])
        bundle.set_domain(torch.tensor(bounds[:, 0]), torch.tensor(bounds[:, 1]))
        _place_grid(bundle, [values[:, j] for j in columns], w, share)


def _place_grid(bundle: EdgeFamily, columns: list[np.ndarray], w: np.ndarray, share: float) -> None:
    if isinstance(bundle, GaussianProcess) and bundle.adaptive:
        rows = [_grid(bundle, i, v, w, bundle.n_basis, share) for i, v in enumerate(columns)]
        bundle.set_control_positions(torch.tensor(np.array(rows)))
    elif isinstance(bundle, BSpline):
        count = bundle.intervals + 1
        rows = [_grid(bundle, i, v, w, count, share) for i, v in enumerate(columns)]
        bundle.set_grid(torch.tensor(np.array(rows)).T)
    elif isinstance(bundle, SLAF) and bundle.basis_name == "powers":
        filled = [np.where(np.isnan(v), np.nanmean(v), v) for v in columns]
        bundle.set_moments(torch.tensor(np.array(filled)).T, torch.tensor(w))


def _bounds(values: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    present = values[(w > 0) & ~np.isnan(values)]
    if len(present) == 0:
        return -1.0, 1.0
    lower, upper = float(present.min()), float(present.max())
    # a constant column, or one so narrow that its width is rounding, gets a symmetric domain
    if upper - lower <= 1e-12 * max(abs(lower), abs(upper), 1e-300):
        half = max(abs(lower), 1.0)
        return lower - half, lower + half
    return lower, upper


def _grid(
    bundle: EdgeFamily, index: int, values: np.ndarray, w: np.ndarray, count: int, share: float
) -> np.ndarray:
    """Mix even and quantile positions, in normalised units from -1 to 1."""
    even = np.linspace(-1, 1, count)
    present = ~np.isnan(values) & (w > 0)
    if not present.any():
        return even
    lower, upper = bundle.lower[index].item(), bundle.upper[index].item()
    levels = np.linspace(0, 1, count)
    # the inverted distribution function treats a weight like that many copies of the row
    quantiles = np.quantile(values[present], levels, weights=w[present], method="inverted_cdf")
    mixed = share * (2 * (quantiles - lower) / (upper - lower) - 1) + (1 - share) * even
    mixed[0], mixed[-1] = -1.0, 1.0
    return mixed
