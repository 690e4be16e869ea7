"""Grids moved to where the data are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from kanx.edits.columns import Column, new_bundle
from kanx.edits.grids import copy_alike
from kanx.edits.positions import grid_positions, place_grid
from kanx.edits.rebuild import change_columns, chosen_layers
from kanx.edits.result import Edited, edited
from kanx.edits.transfer import transfer
from kanx.layers import Composite, EdgeFamily, Lookup
from kanx.network import KAN


def move_grids(
    network: KAN,
    x: Tensor,
    *,
    uniform: float = 0.5,
    domains: bool = True,
    layers: int | Iterable[int] | None = None,
    inputs: Iterable[int] | None = None,
) -> Edited:
    r"""Move domains to the range of the data, and grids part of the way to their quantiles.

    .. math:: z = u\, z_\text{uniform} + (1 - u)\, z_\text{quantile}

    Splines, Gaussian processes (which become adaptive) and radial bases have a grid; of other
    families only the domain moves. The curves are redrawn by least squares on the new domain,
    which is exact only where the new grid holds the curve, as for polynomials on a domain inside
    the old one. Inputs that do not vary and categories stay. Values that enter a hidden layer are
    those of the old network.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
        Rows that say where the data are; missing values are left out.
    uniform : float, default=0.5
        Share ``u`` of the even grid, above 0 (so that no two points meet) and at most 1.
    domains : bool, default=True
        Whether the domains move too.
    layers, inputs
        See `kanx.edits.rebuild.change_columns`.

    Returns
    -------
    Edited

    Raises
    ------
    ValueError
        If the share is not in (0, 1] or `x` has no rows.

    References
    ----------
    Liu et al.: KAN, arXiv:2404.19756, section 2.4 (grid_eps).
    """
    if not 0 < uniform <= 1:
        raise ValueError(f"uniform must lie above 0 and at most at 1, got {uniform}")
    if not len(x):
        raise ValueError("x has no rows; the grids need rows that say where the data are")
    chosen = None if inputs is None else sorted(set(inputs))
    x = x.to(next(network.parameters()))
    with torch.no_grad():
        activations = network.activations(x)
    result = network
    for index in chosen_layers(network, layers):
        entering = x if index == len(network.layers) else activations[index]

        def change(
            bundles: list[EdgeFamily], inputs: list[list[int]], values: Tensor = entering
        ) -> list[EdgeFamily]:
            found = [
                _moved(bundle, values[:, own].flatten(), uniform, domains)
                for bundle, own in zip(bundles, inputs, strict=True)
            ]
            transfer(
                [(old, new) for old, new in zip(bundles, found, strict=True) if new is not old]
            )
            return found

        result = change_columns(result, change, index, chosen)
    return edited(network, result, x)


def _moved(bundle: EdgeFamily, values: Tensor, uniform: float, domains: bool) -> EdgeFamily:
    """Return a copy of a bundle of one input with its grid moved, or the bundle itself."""
    values = values[torch.isfinite(values)].double()
    if isinstance(bundle, Lookup | Composite) or not len(values) or values.min() == values.max():
        return bundle
    spec: dict[str, Any] = Column(bundle, 0).spec()
    if spec["family"] == "gp" and uniform < 1:
        spec["adaptive"] = True
    new = new_bundle(spec, 1, bundle.out_features, bundle)
    copy_alike(bundle, new)
    if domains:
        new.set_domain(values.min()[None], values.max()[None])
    positions = grid_positions(new)
    if positions is not None:
        t = new.normalise(values[:, None].to(new.lower))[:, 0].double().cpu().clamp(-1, 1)
        even = torch.linspace(-1, 1, positions.shape[1], dtype=torch.float64).to(t)
        quantiles = torch.quantile(t, (even + 1) / 2)
        quantiles[[0, -1]] = even[[0, -1]]
        place_grid(new, (uniform * even + (1 - uniform) * quantiles)[None])
    return new
