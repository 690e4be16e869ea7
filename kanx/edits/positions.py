"""Where the knots, control points or bumps of a family lie, and how to move them."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.layers import (
    BSpline,
    Composite,
    EdgeFamily,
    GaussianProcess,
    RadialBasis,
    TrainableGaussianProcess,
)


def grid_positions(bundle: EdgeFamily) -> Tensor | None:
    """Return the grid of every input in normalised units, ``(in, points)``, float64 on the CPU.

    None where the family has no grid; the joint grid of all parts for a composite of one input.
    """
    if isinstance(bundle, BSpline):
        inner = bundle.knots[bundle.degree : len(bundle.knots) - bundle.degree]
        return inner.detach().double().cpu().T
    if isinstance(bundle, GaussianProcess | TrainableGaussianProcess):
        return bundle.control_positions.detach().double().cpu()
    if isinstance(bundle, RadialBasis):
        return bundle.positions.detach().double().cpu().T
    if isinstance(bundle, Composite):
        own = [grid_positions(part) for part in bundle.parts]
        found = [positions for positions in own if positions is not None]
        return torch.cat(found, dim=1) if found else None
    return None


def place_grid(bundle: EdgeFamily, positions: Tensor) -> None:
    """Move the grid of a bundle, ``(in, points)`` in normalised units; the parameters stay.

    Gaussian-process edges must be adaptive. Bumps get widths in proportion to their distances, and
    the shares of trained control points are kept above a tenth of an even one, as in training.
    """
    if isinstance(bundle, BSpline):
        bundle.set_grid(positions.T)
    elif isinstance(bundle, GaussianProcess):
        if bundle.adaptive:
            bundle.set_control_positions(positions.to(bundle.lower.device))
    elif isinstance(bundle, TrainableGaussianProcess):
        count = bundle.n_basis - 1
        shares = (positions.diff(dim=1) / 2 - 0.1 / count) / 0.9
        with torch.no_grad():
            bundle.spacing_logits.copy_(shares.clamp_min(1e-6).log().T)
    elif isinstance(bundle, RadialBasis):
        gaps = positions.diff(dim=1)
        local = torch.cat([gaps[:, :1], (gaps[:, 1:] + gaps[:, :-1]) / 2, gaps[:, -1:]], dim=1)
        with torch.no_grad():
            bundle.positions.copy_(positions.T)
            bundle.log_widths.copy_((bundle.width * local).log().T)


def resampled(positions: Tensor, count: int) -> Tensor:
    """Return a grid of `count` points with the same density, ``(in, points) -> (in, count)``.

    Every k-th point is kept where that gives the number wanted.
    """
    place = torch.linspace(0, positions.shape[1] - 1, count, dtype=torch.float64)
    low = place.floor().long().clamp_max(positions.shape[1] - 2)
    share = place - low
    found = positions[:, low] * (1 - share) + positions[:, low + 1] * share
    found[:, 0], found[:, -1] = positions[:, 0], positions[:, -1]
    return found


def subdivided(positions: Tensor, count: int) -> Tensor:
    """Return a grid of `count` points that holds the old one, ``(in, points) -> (in, count)``.

    Every interval is divided evenly, always the one whose pieces are the widest.
    """
    rows = []
    for own in positions:
        widths = own.diff()
        pieces = torch.full((len(widths),), count - 1).long() // len(widths)
        while int(pieces.sum()) < count - 1:
            pieces[int((widths / pieces).argmax())] += 1
        parts = [
            own[k] + widths[k] * torch.arange(int(n), dtype=torch.float64) / n
            for k, n in enumerate(pieces)
        ]
        rows.append(torch.cat([*parts, own[-1:]]))
    return torch.stack(rows)
