"""Curves of one bundle redrawn by another: exact where the new space holds the old one."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kanx.edits.columns import Column, compose
from kanx.edits.positions import grid_positions
from kanx.layers import Composite, EdgeFamily, LinearFamily, Lookup, NonlinearFamily

POINTS_PER_PIECE = 8  # of Gauss-Legendre: a piece may be a polynomial of degree 7 on both sides
LEAST_PIECES = 32
EVEN_POINTS = 129  # of a fit that is not linear

Pair = tuple[EdgeFamily, EdgeFamily]


def transfer(pairs: Sequence[Pair]) -> None:
    """Set the curves of bundles of one input to those of others, by least squares.

    The mean square over the domain of the new bundle is what is made small, in double precision.
    Where the new family is linear in its coefficients this is done by Gauss-Legendre quadrature
    between the control points or knots of both, so that curves which the new family contains are
    reproduced to rounding; other families are fitted by Levenberg-Marquardt at even points, all
    inputs together. Values of missing inputs are taken over exactly. Pruned edges stay pruned, but
    keep a curve.

    Parameters
    ----------
    pairs : sequence of (EdgeFamily, EdgeFamily)
        Old and new bundle, of one input and as many outputs; the new ones are overwritten.

    Raises
    ------
    ValueError
        If one of a pair takes categories, whose codes are no measurements, and the other does not.
    """
    together: dict[str, list[Pair]] = {}
    for old, new in pairs:
        if isinstance(old, Lookup) != isinstance(new, Lookup):
            raise ValueError(
                f"edges of categories stay edges of categories: {old.name!r} cannot become "
                f"{new.name!r}; leave that input out with inputs=[...]"
            )
        if isinstance(new, LinearFamily):
            _transfer_linear(old, new)
        else:
            together.setdefault(str(Column(new, 0).spec()), []).append((old, new))
    for members in together.values():
        _transfer_nonlinear(members)
    for old, new in pairs:
        if getattr(old, "missing", False):
            absent = torch.full((1, 1), torch.nan, dtype=torch.float64)
            with torch.no_grad():
                set_missing(new, _unmasked(old).curves(absent)[0])
        with torch.no_grad():
            new.mask.copy_(old.mask)


def _transfer_linear(old: EdgeFamily, new: LinearFamily) -> None:
    source, target = _unmasked(old), copy.deepcopy(new).double().cpu()
    x, weight = quadrature(source, target)
    root = weight.sqrt()[:, None]
    with torch.no_grad():
        wanted = source.curves(x)[:, 0] * root  # (points, out)
        features = target.expand(x)[:, : target.n_basis, 0] * root
        found = torch.linalg.lstsq(features, wanted, driver="gelsd", rcond=1e-14).solution
        new.coefficients[: new.n_basis, 0] = found.to(new.coefficients)


def _transfer_nonlinear(pairs: Sequence[Pair]) -> None:
    columns = [Column(new, 0) for _, new in pairs]
    joint = compose(columns, pairs[0][1].out_features, None).bundles[0].double().cpu()
    share = torch.linspace(0, 1, EVEN_POINTS, dtype=torch.float64)[:, None].to(joint.lower)
    x = joint.lower + share * (joint.upper - joint.lower)  # (points, in)
    with torch.no_grad():
        wanted = torch.cat(
            [_unmasked(old).curves(x[:, k : k + 1]) for k, (old, _) in enumerate(pairs)], dim=1
        )
    joint.refit(x, wanted)
    for k, (_, new) in enumerate(pairs):
        new.load_stacked(joint.stacked_parameters()[:, k : k + 1].detach().to(new.lower))


def _unmasked(bundle: EdgeFamily) -> EdgeFamily:
    twin = copy.deepcopy(bundle).double().cpu()
    twin.mask = torch.ones_like(twin.mask)
    return twin


def quadrature(*bundles: EdgeFamily) -> tuple[Tensor, Tensor]:
    """Return points on the domain of the last bundle, ``(points, 1)``, and weights of mean one.

    The rule is exact on every piece between the control points or knots of all bundles.
    """
    low, high = (bound.double().item() for bound in (bundles[-1].lower, bundles[-1].upper))
    size = max(LEAST_PIECES, *(2 * bundle.parameters_per_edge for bundle in bundles))
    if isinstance(bundles[-1], Lookup):
        codes = torch.arange(bundles[-1].n_basis, dtype=torch.float64)[:, None]
        return codes, torch.ones(len(codes), dtype=torch.float64)
    ends = [torch.linspace(low, high, size + 1, dtype=torch.float64)]
    for bundle in bundles:
        own = grid_positions(bundle)
        if own is not None:
            centre, half = (bundle.upper + bundle.lower) / 2, (bundle.upper - bundle.lower) / 2
            ends.append((centre.double() + half.double() * own[0].to(centre.device)).cpu())
    cuts = torch.cat(ends).clamp(low, high).unique()
    cuts = cuts[torch.cat([torch.tensor([True]), cuts.diff() > 1e-9 * (high - low)])]
    nodes, weights = (
        torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(POINTS_PER_PIECE)
    )
    half = cuts.diff()[:, None] / 2
    x = (cuts[:-1, None] + half * (1 + nodes)).flatten()
    w = (half * weights).flatten()
    return x[:, None], w * (len(w) / w.sum())


def set_missing(bundle: EdgeFamily, values: Tensor) -> None:
    """Set what the edges of a bundle give where their input is missing, ``(in, out)``."""
    with torch.no_grad():
        if isinstance(bundle, Composite):
            for k, part in enumerate(bundle.parts):
                set_missing(part, values if k == 0 else torch.zeros_like(values))
        elif getattr(bundle, "missing", False):
            if isinstance(bundle, LinearFamily):
                bundle.coefficients[bundle.n_basis] = values.to(bundle.coefficients)
            elif isinstance(bundle, NonlinearFamily):
                bundle.missing_value[0] = values.to(bundle.missing_value)
