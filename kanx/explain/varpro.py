"""Fit many curved forms to one curve at once: variable projection and Levenberg-Marquardt.

The amplitude and the offset of ``amplitude * form(t; inner) + offset`` are linear, so they are
solved exactly for every ``inner`` (Golub & Pereyra 1973, with Kaufman's derivative); the inner
parameters of all starts of all forms descend together in one batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanx.explain.edge_forms import Array, Form, finite

_STARTS = 3
_ITERATIONS = 30
_STALLED = 0.1  # a relative gain that no longer helps a form far behind the best
_FAR_BEHIND = 30.0
_CONVERGED = 1e-9
_MOST_DAMPING = 1e10
_TINY = 1e-200
ROUNDING = 1e-13  # relative residual of an exact fit in double precision


class Solution(NamedTuple):
    """Hold the best fit of one form."""

    form: Form
    inner: Array  # (2,): slope and centre on the t axis
    loss: float  # whitened sum of squared residuals

    @property
    def n_constants(self) -> int:
        """Number of fitted constants, amplitude and offset included."""
        return self.form.n_constants

    @property
    def price_bits(self) -> float:
        """Price of choosing this form."""
        return self.form.price_bits


@dataclass(frozen=True)
class Whitened:
    """Hold a curve in coordinates in which its errors are independent and equal.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Points on [-1, 1].
    operator : ndarray, shape (n,) or (p, n)
        Weights of the points, or the linear map onto p coordinates.
    target : ndarray, shape (p,)
        The curve in these coordinates.
    has_unit_noise : bool
        Whether its errors there are known to have variance 1.
    """

    t: Array
    operator: Array
    target: Array
    has_unit_noise: bool

    @cached_property
    def unit(self) -> Array:
        """The constant 1 in the whitened coordinates, of length one, (p,)."""
        constant = self.apply(np.ones_like(self.t))
        return constant / np.linalg.norm(constant)

    @cached_property
    def rounding(self) -> float:
        """Sum of squares that an exact fit may leave in double precision."""
        return ROUNDING**2 * float(self.target @ self.target) + np.finfo(float).tiny

    @cached_property
    def variation(self) -> float:
        """Whitened sum of squares of the curve about its mean, no less than its rounding."""
        centred = self.centred(self.target)
        return float(centred @ centred) + self.rounding

    def centred(self, whitened: Array) -> Array:
        """Project away from the constant, which leaves room for a free offset."""
        return whitened - (whitened @ self.unit)[..., None] * self.unit

    def apply(self, values: Array) -> Array:
        """Return values on the points, (..., n), in the whitened coordinates, (..., p)."""
        return values * self.operator if self.operator.ndim == 1 else values @ self.operator.T


def fit_forms(forms: Sequence[Form], curve: Whitened, origin: float) -> list[Solution]:
    """Return the best fit of every form that is legal somewhere.

    Parameters
    ----------
    forms : sequence of Form
    curve : Whitened
    origin : float
        Where the user's ``x = 0`` lies on the t axis.
    """
    projector = _Projector(curve)
    owners, inners, coordinates = [], [], []
    with np.errstate(all="ignore"):
        for index, form in enumerate(forms):
            grid = form.starts(origin)
            if len(grid):
                s = form.coordinate(curve.t, origin)
                loss = projector.project(form.function.numpy(grid[:, :1] * (s - grid[:, 1:]))).loss
                best = grid[np.argsort(loss)[:_STARTS]]
                owners.append(np.full(len(best), index))
                inners.append(best)
                coordinates.append(np.broadcast_to(s, (len(best), len(s))))
        if not owners:
            return []
        owner = np.concatenate(owners)
        free = np.array([form.free.value for form in forms])[owner]
        rows = _Rows(owner, free, np.concatenate(coordinates), np.concatenate(inners))
        return _descend(forms, projector, rows)


class _Projection(NamedTuple):
    """Hold the linear parameters of a batch of starts and what they leave."""

    basis: Array  # (s, p): the form, centred
    amplitude: Array  # (s,)
    residual: Array  # (s, p)
    loss: Array  # (s,); infinite where the form is not finite


class _Projector:
    """Solve for amplitude and offset."""

    def __init__(self, curve: Whitened):
        self.curve = curve
        self.target = curve.centred(curve.target)

    def project(self, values: Array) -> _Projection:
        """Solve for the amplitude, given the values of the form, (s, n)."""
        basis = self.curve.centred(self.curve.apply(values))
        amplitude = (basis @ self.target) / np.einsum("sp,sp->s", basis, basis)
        residual = self.target - amplitude[:, None] * basis
        loss = np.einsum("sp,sp->s", residual, residual)
        return _Projection(basis, amplitude, residual, np.where(np.isfinite(loss), loss, np.inf))

    def tangents(self, derivative: Array, here: _Projection) -> Array:
        """Return the derivative of the residual by an inner parameter, (s, p), up to its sign."""
        basis = here.basis / np.linalg.norm(here.basis, axis=1, keepdims=True)
        tangent = self.curve.centred(self.curve.apply(derivative)) * here.amplitude[:, None]
        return tangent - np.einsum("sp,sp->s", tangent, basis)[:, None] * basis


@dataclass(frozen=True)
class _Rows:
    """Hold a batch of starts, those of one form next to each other."""

    owner: NDArray[np.int64]  # (r,): index of the form
    free: NDArray[np.bool_]  # (r, 2)
    s: Array  # (r, n): coordinate of the form
    inner: Array  # (r, 2)

    def argument(self, inner: Array) -> Array:
        """Return the argument of the functions, (r, n)."""
        return inner[:, :1] * (self.s - inner[:, 1:])

    def kept(self, rows: NDArray[np.bool_]) -> "_Rows":
        """Return the batch of some rows."""
        return _Rows(self.owner[rows], self.free[rows], self.s[rows], self.inner[rows])

    def evaluate(self, forms: Sequence[Form], inner: Array) -> tuple[Array, Array]:
        """Return values, NaN where not legal, and derivatives by the argument, (r, n) each."""
        argument = self.argument(inner)
        values, derivative = np.empty_like(argument), np.empty_like(argument)
        ends = [*np.flatnonzero(np.diff(self.owner)) + 1, len(self.owner)]
        start = 0
        for end in ends:
            form, rows = forms[self.owner[start]], slice(start, end)
            legal = form.is_legal(inner[rows])
            values[rows] = np.where(legal[:, None], form.function.numpy(argument[rows]), np.nan)
            derivative[rows] = form.function.derivative(argument[rows])
            start = end
        return values, finite(derivative)


def _descend(forms: Sequence[Form], projector: _Projector, rows: _Rows) -> list[Solution]:
    """Minimise over the inner parameters of all rows together; finished rows leave the batch."""
    best: dict[int, Solution] = {}
    values, slopes = rows.evaluate(forms, rows.inner)
    here = projector.project(values)
    damping = np.full(len(rows.owner), 1e-2)
    least = np.inf
    for iteration in range(_ITERATIONS + 1):
        step = _step(projector, rows, slopes, here, damping)
        moved = np.stack([rows.inner[:, 0] * np.exp(step[:, 0]), rows.inner[:, 1] + step[:, 1]], 1)
        new_values, new_slopes = rows.evaluate(forms, moved)
        there = projector.project(new_values)
        better = there.loss < here.loss
        gain = np.where(better, 1 - there.loss / here.loss, np.inf)
        here = _Projection(
            *(_choose(better, new, old) for new, old in zip(there, here, strict=True))
        )
        rows = replace(rows, inner=_choose(better, moved, rows.inner))
        slopes = _choose(better, new_slopes, slopes)
        damping = np.where(better, damping / 8, damping * 6)

        least = min(least, float(here.loss.min()))
        far_behind = (here.loss > _FAR_BEHIND * least) & (gain < _STALLED)
        done = far_behind | (gain < _CONVERGED) | (damping > _MOST_DAMPING)
        done |= (here.loss < 1e-3 * projector.curve.rounding) | (iteration == _ITERATIONS)
        for row in np.flatnonzero(done & np.isfinite(here.loss)):
            owner = int(rows.owner[row])
            if owner not in best or here.loss[row] < best[owner].loss:
                best[owner] = Solution(forms[owner], rows.inner[row], float(here.loss[row]))
        if done.all():
            break
        rows = rows.kept(~done)
        here = _Projection(*(part[~done] for part in here))
        slopes, damping = slopes[~done], damping[~done]
    return [best[owner] for owner in sorted(best)]


def _step(
    projector: _Projector, rows: _Rows, slopes: Array, here: _Projection, damping: Array
) -> Array:
    """Return the damped Gauss-Newton step in log |slope| and centre, (r, 2)."""
    by_log_slope = projector.tangents(slopes * rows.argument(rows.inner), here)
    by_centre = projector.tangents(-rows.inner[:, :1] * slopes, here)
    jacobian = np.stack([by_log_slope, by_centre], axis=1) * rows.free[..., None]  # (r, 2, p)
    gradient = np.einsum("rqp,rp->rq", jacobian, here.residual)
    normal = np.einsum("rqp,rsp->rqs", jacobian, jacobian)
    diagonal = np.einsum("rqq->rq", normal)
    a, d = ((1 + damping)[:, None] * diagonal + 1e-14 * diagonal.sum(1, keepdims=True) + _TINY).T
    b = normal[:, 0, 1]
    step = np.stack(
        [d * gradient[:, 0] - b * gradient[:, 1], a * gradient[:, 1] - b * gradient[:, 0]]
    )
    return np.clip(finite(step / (a * d - b * b)), -1.0, 1.0).T


def _choose(rows: NDArray[np.bool_], new: Array, old: Array) -> Array:
    """Return ``new`` in the chosen rows and ``old`` in the others."""
    return np.where(rows.reshape(-1, *[1] * (new.ndim - 1)), new, old)
