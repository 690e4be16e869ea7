"""Name one curve: which elementary function it is, how sure that is, and with which constants.

Every form of the function table is fitted, and the fits are ranked by description length: the
bits of the misfit, measured against the curve's own uncertainty, plus the bits of the function
and of its constants. A curve that no form explains is kept as a curve.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import lgamma, log, log2, pi

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kanx.explain.edge_fit import Axis, EdgeFit, Polynomial, polynomial_in_x, solution_in_x
from kanx.explain.edge_forms import RATIONAL, Array, forms
from kanx.explain.rational_fit import DEGREES, Rational, rational_in_x
from kanx.explain.varpro import ROUNDING, Solution, Whitened, fit_forms

_POLYNOMIALS = {"identity": 1, "square": 2, "cube": 3, "fourth_power": 4}
_MOST_POINTS = 1000
_MOST_REPORTED = 6  # forms whose expressions are built
_LEAST_KNOWN = 1e-9  # relative size of what a basis or its information can still tell
_CONFIDENCE = 0.999
_TIE_BITS = log2(20)
_GROUP_TIE_BITS = log2(1000)
_WRONG_NOISE = 0.05  # prior probability that the stated uncertainty of the curve is wrong
_NOISE_RANGE = log(1e12)  # of the unknown noise, on a logarithmic scale

Candidate = Polynomial | Solution | Rational


@dataclass(frozen=True)
class EdgeSymbols:
    """Hold the functions that a curve may be.

    Parameters
    ----------
    fits : tuple of EdgeFit
        The best few fits, best first.
    is_explained : bool
        Whether the best fit agrees with the curve; if not, keep the curve.
    ties : tuple of EdgeFit
        Fits that the curve cannot tell from the best one.
    """

    fits: tuple[EdgeFit, ...]
    is_explained: bool
    ties: tuple[EdgeFit, ...]

    @property
    def best(self) -> EdgeFit | None:
        """The best fit, or None where the curve is better kept."""
        return self.fits[0] if self.is_explained else None


def fit_edge(
    x: ArrayLike,
    y: ArrayLike,
    *,
    standard_deviation: ArrayLike | None = None,
    basis: ArrayLike | None = None,
    information: ArrayLike | None = None,
    functions: Collection[str] | None = None,
    tolerance: float = 1e-2,
) -> EdgeSymbols:
    """Fit the elementary functions to one curve and rank them by description length.

    Parameters
    ----------
    x, y : array, shape (n,)
        The curve: points and values. Of more than 1000 points, 1000 are used.
    standard_deviation : float or array, shape (n,), optional
        Uncertainty of the values, such as the posterior standard deviation of a learned edge; it
        is the noise floor below which a better fit means nothing. Unknown by default.
    basis : array, shape (n, p), optional
        Columns whose combinations the learned curve is made of, such as B-splines at ``x``. A
        function is then compared with the curve only after projection on them, so that a spline
        that cuts off a pole is still recognised. Without it the points are independent.
    information : array, shape (p, p), optional
        Precision of the coefficients of ``basis`` from the data alone, without any prior; it
        takes the place of ``standard_deviation``, and what has none is not compared.
    functions : collection of str, optional
        Names of the functions of ``kanx.functions`` allowed, ``"power"`` (``x**p`` with a free
        p) and ``"rational"`` (a quotient of polynomials); all by default.
        ``"identity"``, ``"square"``, ``"cube"`` and ``"fourth_power"`` allow polynomials of
        their degree.
    tolerance : float
        Relative residual that counts as agreement even where the curve is more certain.

    Returns
    -------
    EdgeSymbols

    Raises
    ------
    ValueError
        If the arrays do not match, are not finite, or hold fewer than five different points.
    """
    x, y, sd, basis = _checked(x, y, standard_deviation, basis)
    axis = Axis.of(x)
    curve = _whiten(axis.to_t(x), y, sd, basis, information)
    allowed = _POLYNOMIALS.keys() if functions is None else set(functions) & _POLYNOMIALS.keys()
    found: list[Candidate] = []
    found += [Polynomial.fit(curve, degree) for degree in (0, *(_POLYNOMIALS[n] for n in allowed))]
    found += fit_forms(forms(functions), curve, axis.origin)
    found.sort(key=lambda fit: _bits(fit, curve))
    if (functions is None or RATIONAL in functions) and not _is_within_noise(found[0], curve):
        rationals = [Rational.fit(curve, y, degree) for degree in DEGREES]
        found += [rational for rational in rationals if rational is not None]
        found.sort(key=lambda fit: _bits(fit, curve))
    ranked = [_in_x(fit, curve, axis) for fit in found[:_MOST_REPORTED]]
    ties = [fit for fit in ranked[1:] if _is_tied(fit, ranked[0])]
    explained = _explains(ranked[0], curve, tolerance)
    if basis is None and sd is None:
        explained = explained or _is_white(ranked[0], x, y)
    return EdgeSymbols(tuple(ranked), explained, tuple(ties))


def _in_x(fit: Candidate, curve: Whitened, axis: Axis) -> EdgeFit:
    if isinstance(fit, Polynomial):
        named = polynomial_in_x(fit, curve, axis)
    elif isinstance(fit, Rational):
        named = rational_in_x(fit, axis)
    else:
        named = solution_in_x(fit, curve, axis)
    return replace(named, bits=_bits(fit, curve))


def _checked(
    x: ArrayLike, y: ArrayLike, sd: ArrayLike | None, basis: ArrayLike | None
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return the arrays as floats, of at most `_MOST_POINTS` points spread over the range."""
    points, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if points.ndim != 1 or points.shape != values.shape:
        raise ValueError(
            f"x and y must be of one shape (n,), got {points.shape} and {values.shape}"
        )
    if not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise ValueError("x and y must be finite; leave out the other points")
    size = np.abs(values).max(initial=0.0)
    if size and not 1e-100 < size < 1e100:
        raise ValueError(f"y is as large as {size:.0e}: rescale it, its square must fit a float")
    if len(np.unique(points)) < 5:
        raise ValueError(f"a curve needs at least 5 different points, got {len(np.unique(points))}")
    errors = None if sd is None else np.broadcast_to(np.asarray(sd, float), values.shape)
    columns = None if basis is None else np.asarray(basis, dtype=float)
    if columns is not None and (columns.ndim != 2 or len(columns) != len(values)):
        raise ValueError(f"basis must have shape ({len(values)}, p), got {columns.shape}")
    kept = np.argsort(points, kind="stable")
    if len(kept) > _MOST_POINTS:
        kept = kept[np.linspace(0, len(kept) - 1, _MOST_POINTS).round().astype(int)]
    return (
        points[kept],
        values[kept],
        None if errors is None else errors[kept],
        None if columns is None else columns[kept],
    )


def _whiten(
    t: Array, y: Array, sd: Array | None, basis: Array | None, information: ArrayLike | None
) -> Whitened:
    """Return the curve in coordinates of equal, independent errors.

    With a basis of p columns they are the coordinates in an orthonormal basis of its span, and
    the errors of the values at the n points have p degrees of freedom.
    """
    least = ROUNDING * (np.abs(y).max() + np.finfo(float).tiny)
    if basis is None:
        if information is not None:
            raise ValueError("information is on the coefficients of a basis; pass the basis too")
        weight = np.ones_like(y) if sd is None else 1 / np.maximum(sd, least)
        return Whitened(t, weight, y * weight, sd is not None)
    if information is not None:
        precisions, axes = np.linalg.eigh(np.asarray(information, dtype=float))
        known = precisions > _LEAST_KNOWN * precisions.max()
        weighted_axes = axes[:, known] * np.sqrt(precisions[known])
        operator = _with_mean(weighted_axes.T @ np.linalg.pinv(basis, rcond=1e-10))
        return Whitened(t, operator, operator @ y, True)
    orthonormal, scales, _ = np.linalg.svd(basis, full_matrices=False)
    orthonormal = orthonormal[:, scales > _LEAST_KNOWN * scales.max()]
    variance = 1.0 if sd is None else np.sum(sd**2) / orthonormal.shape[1]
    operator = orthonormal.T / max(np.sqrt(variance), least)
    return Whitened(t, operator, operator @ y, sd is not None)


def _with_mean(operator: Array) -> Array:
    """Return the operator, and the mean of the points where it does not see a constant.

    The offset of an edge is shared with a bias, so its information may say nothing about it.
    """
    size = np.linalg.norm(operator)
    if np.linalg.norm(operator.sum(axis=1)) > 1e-6 * size:
        return operator
    return np.vstack([operator, np.full(operator.shape[1], size / operator.shape[1])])


def _bits(fit: Candidate, curve: Whitened) -> float:
    """Return the description length of the curve and the function.

    The misfit is measured with the stated noise (variance 1 after whitening) and, with a small
    probability, with an unknown noise, whose scale is integrated out; so the stated uncertainty
    may be wrong. A constant costs a bit and the logarithm of the curve's signal-to-noise ratio.
    """
    freedom = max(1, len(curve.target) - fit.n_constants)
    loss = fit.loss + curve.rounding
    log_likelihood = log(0.5 / _NOISE_RANGE) + lgamma(freedom / 2) - freedom / 2 * log(pi * loss)
    if curve.has_unit_noise:
        stated = -freedom / 2 * log(2 * pi) - loss / 2
        log_likelihood = float(
            np.logaddexp(log(1 - _WRONG_NOISE) + stated, log(_WRONG_NOISE) + log_likelihood)
        )
    per_constant = log(curve.variation + (1 if curve.has_unit_noise else 0)) / 2 + log(2)
    return (fit.n_constants * per_constant - log_likelihood) / log(2) + fit.price_bits


def _is_tied(fit: EdgeFit, best: EdgeFit) -> bool:
    """Return whether the curve cannot tell a fit from the best one, whatever their prices.

    Functions of one group, such as silu, gelu and mish, need stronger evidence to be told apart.
    """
    behind = (fit.bits - fit.price_bits) - (best.bits - best.price_bits)
    same_group = fit.group is not None and fit.group == best.group
    return behind < (_GROUP_TIE_BITS if same_group else _TIE_BITS)


def _is_within_noise(fit: Candidate | EdgeFit, curve: Whitened) -> bool:
    """Return whether the residual is no larger than the stated uncertainty or than rounding."""
    n_constants = len(fit.constants) if isinstance(fit, EdgeFit) else fit.n_constants
    allowed = 1e6 * curve.rounding
    if curve.has_unit_noise:
        freedom = max(1, len(curve.target) - n_constants)
        allowed = max(allowed, float(stats.chi2.ppf(_CONFIDENCE, freedom)))
    return fit.loss <= allowed


def _explains(fit: EdgeFit, curve: Whitened, tolerance: float) -> bool:
    """Return whether the residual is within the tolerance or within the curve's uncertainty."""
    agrees = fit.loss <= tolerance**2 * curve.variation
    return bool(agrees or _is_within_noise(fit, curve))


def _is_white(fit: EdgeFit, x: Array, y: Array) -> bool:
    """Return whether the residuals of neighbouring points are unrelated (von Neumann 1941).

    The points are in order.
    """
    residual = y - fit.predict(x)
    square = float(residual @ residual) + np.finfo(float).tiny
    ratio = float(np.sum(np.diff(residual) ** 2)) / square
    return bool((1 - ratio / 2) * np.sqrt(len(x)) < stats.norm.ppf(_CONFIDENCE))
