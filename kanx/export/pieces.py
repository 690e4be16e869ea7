"""Curves as piecewise polynomials: what code without torch computes with.

Every curve is a function of the normalised input ``t``, which runs over [-1, 1] in the domain of
its edges. Splines and polynomials of low degree come out exactly, to rounding; any other curve is
interpolated at Chebyshev points and its pieces are halved until they agree with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from kanx.layers import EdgeFamily, KANLayer, Lookup

Array = NDArray[np.float64]

DEGREE = 7
TOLERANCE = 1e-11  # of a curve, relative to the largest value of its layer's curves
MOST_HALVINGS = 26
MOST_PIECES = 1000
NOISE = 1000.0  # times the tolerance: what an ill-conditioned basis may lose to rounding
COVER = 3.0  # half-widths beyond the domain that are covered where no straight line follows


@dataclass(frozen=True)
class Pieces:
    r"""The living curves of one input of a layer, as polynomials on common pieces.

    On piece ``k``, :math:`f_o(t) = \sum_j c_{kjo} u^j` with ``u`` in [-1, 1] from the piece's left
    end to its right one. Beyond the pieces the curves are straight lines.

    Attributes
    ----------
    input : int
        Place of the input among the layer's inputs.
    outputs : list of int
        The sums that the curves are added to.
    middle, width : float
        ``t = (2 x - middle) / width``: the sum and the difference of the domain's ends.
    breaks : ndarray, (pieces + 1,)
        In units of ``t``.
    coefficients : ndarray, (pieces, degree + 1, outputs)
        Lowest power first.
    tails : ndarray, (2, outputs)
        Slopes by ``t`` below and above.
    periodic : bool
        Whether ``t`` is moved into [-1, 1) by whole periods first.
    missing : ndarray, (outputs,) or None
        Values where the input is NaN; without them the result is NaN.
    error : float
        Largest difference from the curves that was found between the breaks.
    """

    input: int
    outputs: list[int]
    middle: float
    width: float
    breaks: Array
    coefficients: Array
    tails: Array
    periodic: bool
    missing: Array | None
    error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON."""
        return {
            "input": self.input,
            "outputs": self.outputs,
            "middle": self.middle,
            "width": self.width,
            "breaks": self.breaks.tolist(),
            "coefficients": self.coefficients.tolist(),
            "tails": self.tails.tolist(),
            "periodic": self.periodic,
            "missing": None if self.missing is None else self.missing.tolist(),
        }


@dataclass(frozen=True)
class Categories:
    """The living curves of one categorical input: a value for every category.

    Attributes
    ----------
    input : int
    outputs : list of int
    values : ndarray, (categories, outputs)
        By code; any other code contributes nothing.
    missing : ndarray, (outputs,) or None
        Values where the input is NaN; without them it contributes nothing.
    """

    input: int
    outputs: list[int]
    values: Array
    missing: Array | None
    error: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return {
            "input": self.input,
            "outputs": self.outputs,
            "values": self.values.tolist(),
            "missing": None if self.missing is None else self.missing.tolist(),
        }


def curves_of(layer: KANLayer) -> list[Pieces | Categories]:
    """Write the living curves of a float64 layer as polynomials and tables, input by input."""
    level = _level(layer)
    found: list[Pieces | Categories] = []
    for index in range(layer.in_features):
        alive = torch.nonzero(layer.mask[index])[:, 0].tolist()
        if not alive:
            continue
        bundle, place = layer.edge(index)
        # a missing value has a value of its own, or is an absent element of a set
        missing = None
        if getattr(bundle, "missing", False) or getattr(bundle, "padded", False):
            missing = _values(bundle, place, np.array([np.nan]))[0, alive]
        if isinstance(bundle, Lookup):
            values = _values(bundle, place, np.arange(bundle.n_basis, dtype=float))[:, alive]
            found.append(Categories(index, alive, values, missing))
        else:
            found.append(_pieces(bundle, place, index, alive, missing, TOLERANCE * level))
    return found


def _pieces(
    bundle: EdgeFamily,
    place: int,
    index: int,
    alive: list[int],
    missing: Array | None,
    allowed: float,
) -> Pieces:
    lower, upper = float(bundle.lower[place]), float(bundle.upper[place])
    middle, width = upper + lower, upper - lower

    def curves(t: Array) -> Array:
        return _values(bundle, place, (t * width + middle) / 2)[:, alive]

    degree = min(DEGREE, _degree(bundle))
    reach = 1.0 + COVER if bundle.extrapolate == "family" else 1.0
    known = [b for b in _breaks(bundle, place) if -reach < b < reach]
    starts = np.unique([-reach, *known, reach])
    if reach > 1:  # a curve may bend at the ends of the domain
        starts = np.unique([*starts, -1.0, 1.0])
    breaks, coefficients, error = _divided(curves, starts, degree, allowed)
    tails = np.zeros((2, len(alive)))
    if bundle.extrapolate in ("linear", "family"):
        ends = np.array([-reach, reach])
        tails = _slopes(bundle, place, (ends * width + middle) / 2)[:, alive] * width / 2
    periodic = bundle.extrapolate == "periodic"
    return Pieces(
        index, alive, middle, width, breaks, coefficients, tails, periodic, missing, error
    )


def _divided(
    curves: Callable[[Array], Array], starts: Array, degree: int, allowed: float
) -> tuple[Array, Array, float]:
    """Interpolate on pieces; halve the worst one until all are good or there are too many."""
    done: list[tuple[float, Array, float]] = []
    waiting = _fitted(curves, starts, degree, allowed)
    heapq.heapify(waiting)
    least = (starts[-1] - starts[0]) * 2.0**-MOST_HALVINGS
    while waiting:
        piece = heapq.heappop(waiting)
        good = -piece.strain <= 1 or len(done) + len(waiting) >= MOST_PIECES
        if good or piece.right - piece.left < least:
            done.append((piece.left, piece.powers, piece.error))
            continue
        middle = (piece.left + piece.right) / 2
        halves = _fitted(curves, np.array([piece.left, middle, piece.right]), degree, allowed)
        if -piece.strain < NOISE and max(half.error for half in halves) > 0.7 * piece.error:
            done.append((piece.left, piece.powers, piece.error))  # the curve's own rounding
            continue
        for half in halves:
            heapq.heappush(waiting, half)
    done.sort(key=lambda found: found[0])
    lefts, powers, errors = zip(*done, strict=True)
    return np.array([*lefts, starts[-1]]), np.stack(powers), max(errors)


class _Piece(NamedTuple):
    strain: float  # minus the error in units of what is allowed: the worst piece sorts first
    left: float
    right: float
    powers: Array  # (degree + 1, outputs)
    error: float


def _fitted(
    curves: Callable[[Array], Array], breaks: Array, degree: int, allowed: float
) -> list[_Piece]:
    """Interpolate on the pieces between breaks; the curves are evaluated in one call."""
    points, checks, to_powers = _interpolation(degree)
    places = np.concatenate([points, checks])
    middles, halves = (breaks[1:] + breaks[:-1]) / 2, np.diff(breaks) / 2
    values = curves((middles[:, None] + halves[:, None] * places).ravel())
    found = []
    for (left, right), own in zip(
        pairwise(breaks.tolist()), np.split(values, len(middles)), strict=True
    ):
        powers = np.tensordot(to_powers, own[: len(points)], 1)
        strayed = np.vander(checks, degree + 1, increasing=True) @ powers - own[len(points) :]
        error = float(np.abs(strayed).max(initial=0.0))
        # near a pole values are large, and their last bits are rounding
        least = max(allowed, TOLERANCE * float(np.abs(own).max(initial=0.0)))
        found.append(_Piece(-error / least, left, right, powers, error))
    return found


@cache
def _interpolation(degree: int) -> tuple[Array, Array, Array]:
    """Return points, check points between them, and the map from values to powers of ``u``."""
    count = degree + 1
    # strictly inside: a piece that ends at a kink must not see the other side
    points = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    checks = np.cos(np.pi * np.arange(1, 2 * count) / (2 * count))
    checks = np.concatenate([checks, [-0.999, 0.999]])
    orthogonal = np.linalg.inv(chebyshev.chebvander(points, degree))
    columns = [chebyshev.cheb2poly(row) for row in np.eye(count)]
    basis = np.stack([np.pad(c, (0, count - len(c))) for c in columns], axis=1)
    return points, checks, basis @ orthogonal


def _degree(bundle: EdgeFamily) -> int:
    """Return the degree of the family's pieces, `DEGREE` where they are no polynomials."""
    is_polynomial = bundle.name in ("spline", "piecewise_linear", "slaf")
    return int(getattr(bundle, "degree", DEGREE)) if is_polynomial else DEGREE


def _breaks(bundle: EdgeFamily, place: int) -> list[float]:
    """Return where the family changes its formula, in units of ``t``."""
    parts = getattr(bundle, "parts", None)
    if bundle.name == "composite" and parts is not None:
        return [b for part in parts for b in _breaks(part, place)]
    if bundle.name in ("spline", "piecewise_linear"):
        return bundle.get_buffer("knots")[:, place].double().tolist()
    if getattr(bundle, "adaptive", False):
        return bundle.get_buffer("control_positions")[place].double().tolist()
    return []


def _level(layer: KANLayer) -> float:
    """Return the size of a layer's largest curve over the domains."""
    largest = 0.0
    for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
        share = torch.linspace(0, 1, 33, dtype=torch.float64)[:, None]
        points = bundle.lower + share * (bundle.upper - bundle.lower)
        if isinstance(bundle, Lookup):
            points = torch.arange(bundle.n_basis).double()[:, None].expand(-1, len(columns))
        with torch.no_grad():
            largest = max(largest, float(bundle.curves(points).abs().max()))
    return max(largest, 1e-300)


def _values(bundle: EdgeFamily, place: int, x: Array) -> Array:
    """Evaluate the curves of one input, ``(points, out)``."""
    with torch.no_grad():
        return bundle.curves(_points(bundle, place, x))[:, place].numpy()


def _slopes(bundle: EdgeFamily, place: int, x: Array) -> Array:
    """Differentiate the curves of one input, ``(points, out)``."""
    with torch.no_grad():
        return bundle.slopes(_points(bundle, place, x))[:, place].numpy()


def _points(bundle: EdgeFamily, place: int, x: Array) -> torch.Tensor:
    # a bundle takes all its inputs; the others stay at a harmless point
    centre = ((bundle.lower + bundle.upper) / 2).double()
    points = centre.expand(len(x), -1).clone()
    points[:, place] = torch.from_numpy(x)
    return points
