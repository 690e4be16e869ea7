"""A smooth monotone map that sends unevenly placed control points to an even grid."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.kernels.conditions import plain_eager


def warp(t: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    r"""Interpolate ``positions -> linspace(-1, 1)`` by monotone cubic pieces.

    Where it is compiled or exported it is a sum of ramps, one per interval, without a search.

    Parameters
    ----------
    t : Tensor, (..., in)
        In [-1, 1].
    positions : Tensor, (in, points)
        Strictly increasing from -1 to 1.

    Returns
    -------
    u, slope : Tensor, (..., in)
        The map and its derivative.

    References
    ----------
    Fritsch and Butland: A method for constructing local monotone piecewise cubic interpolants,
    SIAM J. Sci. Stat. Comput. 5, 1984.
    """
    left, right = positions[:, :-1].T, positions[:, 1:].T  # (intervals, in)
    width = positions.diff(dim=-1).T
    rise = 2 / len(width)
    secant = rise / width
    inner = 2 * secant[:-1] * secant[1:] / (secant[:-1] + secant[1:])
    slopes = torch.cat([secant[:1], inner, secant[-1:]])
    first, last = slopes[:-1] * width, slopes[1:] * width  # end slopes per unit interval
    # Hermite cubic from 0 to `rise`: s (first + s (a + s b))
    a = 3 * rise - 2 * first - last
    b = first + last - 2 * rise
    if plain_eager(t, positions):
        interval = _interval(t, positions)
        at = interval * t.shape[-1] + torch.arange(t.shape[-1])
        left, width, first, a, b = (v.take(at) for v in (left, width, first, a, b))
        s = (t - left) / width
        u = interval.to(t) * rise + s * (first + s * (a + s * b)) - 1
        return u, (first + s * (2 * a + 3 * s * b)) / width
    place = t.unsqueeze(-2)
    inside = (place >= left) & (place < right)
    inside = torch.cat([inside[..., :-1, :], (place >= left)[..., -1:, :]], dim=-2)
    # half-open intervals: a point on a knot belongs to one ramp, for autograd too
    s = torch.where(inside, (place - left) / width, (place >= right).to(t))
    u = (s * (first + s * (a + s * b))).sum(-2) - 1
    slope = (first + s * (2 * a + 3 * s * b)) / width
    return u, torch.where(inside, slope, 0).sum(-2)


def _interval(t: Tensor, positions: Tensor) -> Tensor:
    """Number the interval that every point lies in, from 0, ``(..., in)``; the last is closed."""
    count = positions.shape[-1] - 1
    by_input = t.detach().reshape(-1, t.shape[-1]).mT.contiguous()
    found = torch.searchsorted(positions.contiguous(), by_input, right=True) - 1
    return found.clamp_(0, count - 1).mT.reshape(t.shape)
