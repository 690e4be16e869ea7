"""A smooth monotone map that sends unevenly placed control points to an even grid."""

from __future__ import annotations

import torch
from torch import Tensor


def warp(t: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    r"""Interpolate ``positions -> linspace(-1, 1)`` by monotone cubic pieces.

    Written as a sum of ramps, one per interval, so that it compiles and exports without a search.

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
    place = t.unsqueeze(-2)
    inside = (place >= left) & (place < right)
    inside = torch.cat([inside[..., :-1, :], (place >= left)[..., -1:, :]], dim=-2)
    # half-open intervals: a point on a knot belongs to one ramp, for autograd too
    s = torch.where(inside, (place - left) / width, (place >= right).to(t))
    # Hermite cubic from 0 to `rise`: s (first + s (a + s b))
    a = 3 * rise - 2 * first - last
    b = first + last - 2 * rise
    u = (s * (first + s * (a + s * b))).sum(-2) - 1
    slope = (first + s * (2 * a + 3 * s * b)) / width
    return u, torch.where(inside, slope, 0).sum(-2)
