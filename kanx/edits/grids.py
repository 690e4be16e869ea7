"""Finer and coarser grids, higher and lower degrees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from kanx.edits.columns import Column, new_bundle
from kanx.edits.positions import grid_positions, place_grid, resampled, subdivided
from kanx.edits.rebuild import change_columns
from kanx.edits.result import Edited, edited
from kanx.edits.scaling import VALUE_GROUPS
from kanx.edits.transfer import Pair, set_missing, transfer
from kanx.layers import SLAF, BSpline, Composite, EdgeFamily, NonlinearFamily, SharedPade
from kanx.network import KAN

# options that say how fine a family is, in the family's own terms
SIZES = (
    "intervals",
    "control_points",
    "centres",
    "degree",
    "harmonics",
    "terms",
    "numerator_degree",
)
POINTS = ("control_points", "centres")  # of these, the size is one more than the pieces


def refine(
    network: KAN,
    size: int | None = None,
    *,
    layers: int | Iterable[int] | None = None,
    inputs: Iterable[int] | None = None,
    x: Tensor | None = None,
) -> Edited:
    """Give curves a finer grid or a higher degree, and keep them as they are.

    Exact to rounding for splines of any degree and piecewise linear curves (every old knot stays a
    knot: the widest pieces are divided evenly), SLAF polynomials, Fourier series, Padé numerators,
    and the terms of Cauchy and wavelet edges (new ones start at zero). For Gaussian-process and
    radial-basis edges, whose finer space does not hold the coarser one, it is the least-squares
    approximation on the domain. Splines with ``extrapolate="family"`` fall to zero over a shorter
    way outside the domain. Categories, activations and formulas have no grid and stay.

    Parameters
    ----------
    network : KAN
    size : int, optional
        New number of intervals, control points, bumps, terms or harmonics, or the new degree, in
        the terms of each family; twice as many pieces or terms (a degree twice as high) if left
        out. Edges that are finer already stay.
    layers, inputs
        See `kanx.edits.rebuild.change_columns`.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    ValueError
        If the size is below 1.
    """
    return _resize(network, size, layers, inputs, x, finer=True)


def coarsen(
    network: KAN,
    size: int | None = None,
    *,
    layers: int | Iterable[int] | None = None,
    inputs: Iterable[int] | None = None,
    x: Tensor | None = None,
) -> Edited:
    """Give curves a coarser grid or a lower degree, as near to what they are as it allows.

    The least-squares approximation on the domain; exact where the curve lies in the coarser
    space, as after `refine` of splines, polynomials or Fourier series to a multiple of the size.

    Parameters
    ----------
    network, size, layers, inputs, x
        See `refine`; the size is halved if left out, and edges that are coarser already stay.

    Returns
    -------
    Edited

    Raises
    ------
    ValueError
        If the size is below what a family needs.
    """
    return _resize(network, size, layers, inputs, x, finer=False)


def _resize(
    network: KAN,
    size: int | None,
    layers: int | Iterable[int] | None,
    inputs: Iterable[int] | None,
    x: Tensor | None,
    *,
    finer: bool,
) -> Edited:
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")

    def change(bundles: list[EdgeFamily], inputs: list[list[int]]) -> list[EdgeFamily]:
        pairs: list[Pair] = []
        found = [_resized(bundle, size, finer, pairs) for bundle in bundles]
        transfer(pairs)
        return found

    return edited(network, change_columns(network, change, layers, inputs), x)


def _resized(bundle: EdgeFamily, size: int | None, finer: bool, pairs: list[Pair]) -> EdgeFamily:
    """Return a bundle of one input in another size, or the bundle itself.

    Where its curves still have to be fitted, the two are added to `pairs`.
    """
    if isinstance(bundle, Composite):
        return _resized_composite(bundle, size, finer)
    spec = Column(bundle, 0).spec()
    option = next((name for name in SIZES if name in spec), None)
    if option is None or (isinstance(bundle, SharedPade) and bundle.shared_numerator is not None):
        return bundle
    present = spec[option]
    wanted = _default(option, present, finer) if size is None else size
    if wanted == present or (wanted > present) != finer:
        return bundle
    new = new_bundle({**spec, option: wanted}, 1, bundle.out_features, bundle)
    copy_alike(bundle, new)
    if (
        finer
        and isinstance(bundle, NonlinearFamily)
        and isinstance(new, NonlinearFamily)
        and type(bundle) in VALUE_GROUPS
    ):
        _pad(bundle, new)
        return new
    old_grid, new_grid = grid_positions(bundle), grid_positions(new)
    if old_grid is not None and new_grid is not None:
        place: Callable[[Tensor, int], Tensor] = resampled
        if finer and isinstance(bundle, BSpline):
            place = subdivided
        place_grid(new, place(old_grid, new_grid.shape[1]))
    pairs.append((bundle, new))
    return new


def _default(option: str, present: int, finer: bool) -> int:
    points = int(option in POINTS)
    pieces = present - points
    return points + (2 * pieces if finer else max(1, pieces // 2))


def _resized_composite(bundle: Composite, size: int | None, finer: bool) -> EdgeFamily:
    own: list[Pair] = []
    parts = [_resized(part, size, finer, own) for part in bundle.parts]
    transfer(own)
    if all(new is old for new, old in zip(parts, bundle.parts, strict=True)):
        return bundle
    spec: dict[str, Any] = Column(bundle, 0).spec()
    spec["parts"] = [Column(part, 0).spec() for part in parts]
    new = new_bundle(spec, 1, bundle.out_features, bundle)
    assert isinstance(new, Composite)
    for target, part in zip(new.parts, parts, strict=True):
        target.load_state_dict(part.state_dict())
    new.set_domain(bundle.lower, bundle.upper)
    with torch.no_grad():
        new.mask.copy_(bundle.mask)
    return new


def copy_alike(old: EdgeFamily, new: EdgeFamily) -> None:
    """Copy domain, mask and whatever else has the same shape in a bundle of the same family."""
    own = new.state_dict()
    with torch.no_grad():
        for name, tensor in old.state_dict().items():
            if name in own and own[name].shape == tensor.shape:
                own[name].copy_(tensor)
        if isinstance(old, SLAF) and isinstance(new, SLAF):  # moments of the powers both have
            count = min(old.degree, new.degree)
            new.means[:count] = old.means[:count]
            new.deviations[:count] = old.deviations[:count]


def _pad(old: NonlinearFamily, new: NonlinearFamily) -> None:
    """Copy parameter groups; further terms that scale the value are zero."""
    with torch.no_grad():
        for group in new.groups:
            source, target = getattr(old, group), getattr(new, group)
            if group in VALUE_GROUPS[type(new)]:
                target.zero_()
            target[: len(source)] = source
        if old.missing:
            set_missing(new, old.missing_value[0])
