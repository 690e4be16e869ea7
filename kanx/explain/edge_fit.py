"""One named curve: its expression in the user's coordinate, its constants and their errors."""

from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from kanx.explain.constants import Constant
from kanx.explain.edge_forms import POWER, Array, Form, Free
from kanx.explain.evaluate import evaluate
from kanx.explain.varpro import Solution, Whitened

X = sp.Symbol("x")


@dataclass(frozen=True)
class EdgeFit:
    """Hold one function fitted to a curve.

    Parameters
    ----------
    name : str
        Name of the function in ``kanx.functions``, or ``polynomial``, ``power``, ``rational``,
        ``constant``.
    expr : sympy.Expr
        The fitted curve as a function of the symbol ``x``.
    constants : tuple of Constant
        The fitted constants and their standard errors.
    loss : float
        Sum of squared residuals, in units of the curve's variance where that is known.
    price_bits : float
        Price of the function.
    group : str or None
        Name shared with functions that look alike.
    bits : float
        Description length of curve and function together; only differences have a meaning.
    """

    name: str
    expr: sp.Expr
    constants: tuple[Constant, ...]
    loss: float
    price_bits: float
    group: str | None = None
    bits: float = np.nan

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted function at ``x``; NaN or infinite outside its domain."""
        x = np.asarray(x, dtype=float)
        return np.broadcast_to(evaluate(self.expr, {"x": x}), x.shape).astype(float)

    def in_terms_of(self, symbol: sp.Expr) -> sp.Expr:
        """Return the fitted function of another symbol or expression."""
        return self.expr.xreplace({X: symbol})


class Axis(NamedTuple):
    """Hold the linear map between the user's x and t in [-1, 1]: ``x = middle + half * t``."""

    middle: float
    half: float

    @classmethod
    def of(cls, x: Array) -> "Axis":
        """Return the axis that maps the range of ``x`` onto [-1, 1]."""
        low, high = float(x.min()), float(x.max())
        return cls((low + high) / 2, (high - low) / 2)

    @property
    def origin(self) -> float:
        """Where x = 0 lies on the t axis."""
        return -self.middle / self.half

    def to_t(self, x: Array) -> Array:
        """Return t for x, both of shape (n,)."""
        return (x - self.middle) / self.half

    def to_x(self, t: Array) -> Array:
        """Return x for t, both of shape (n,)."""
        return self.middle + self.half * t


_FAR = 4.0  # times the half-width of the data: powers of x itself would lose digits
_POLYNOMIAL_NAMES = {0: "constant", 1: "identity", 2: "square"}


@dataclass(frozen=True)
class Polynomial:
    """Hold the least-squares polynomial of a curve, in powers of t."""

    coefficients: Array  # (degree + 1,)
    design: Array  # (p, degree + 1)
    residual: Array  # (p,)

    @classmethod
    def fit(cls, curve: Whitened, degree: int) -> "Polynomial":
        """Return the polynomial of a degree that is closest to the curve."""
        design = curve.apply(np.vander(curve.t, degree + 1, increasing=True).T).T
        coefficients, *_ = np.linalg.lstsq(design, curve.target, rcond=None)
        return cls(np.asarray(coefficients, float), design, curve.target - design @ coefficients)

    @property
    def name(self) -> str:
        """Name of the function in the table, or ``polynomial``."""
        return _POLYNOMIAL_NAMES.get(len(self.coefficients) - 1, "polynomial")

    @property
    def price_bits(self) -> float:
        """Price of choosing this degree."""
        return 2.0 * (len(self.coefficients) - 2)

    @property
    def n_constants(self) -> int:
        """Number of coefficients."""
        return len(self.coefficients)

    @property
    def loss(self) -> float:
        """Whitened sum of squared residuals."""
        return float(self.residual @ self.residual)


def polynomial_in_x(polynomial: Polynomial, curve: Whitened, axis: Axis) -> EdgeFit:
    """Return a polynomial in powers of x, or of x - middle where x = 0 is far away."""
    degree = polynomial.n_constants - 1
    centre = axis.middle if abs(axis.origin) > _FAR else 0.0
    change = powers_of(degree, (centre - axis.middle) / axis.half, 1 / axis.half)
    constants = with_errors(
        change @ polynomial.coefficients,
        polynomial.design @ np.linalg.inv(change),
        polynomial.residual,
        curve.has_unit_noise,
    )
    base = X - sp.Float(centre) if centre else X
    expr = sp.Add(*(sp.Float(c.value) * base**k for k, c in enumerate(constants)))
    return EdgeFit(polynomial.name, expr, constants, polynomial.loss, polynomial.price_bits)


def powers_of(degree: int, shift: float, scale: float) -> Array:
    """Return the matrix whose column k holds the coefficients of ``(shift + scale * u)**k``."""
    columns = np.zeros((degree + 1, degree + 1))
    columns[0, 0] = 1.0
    for k in range(degree):
        columns[:, k + 1] = shift * columns[:, k]
        columns[1:, k + 1] += scale * columns[:-1, k]
    return columns


def solution_in_x(solution: Solution, curve: Whitened, axis: Axis) -> EdgeFit:
    """Return a solution on the t axis as a function of x, with the errors of its constants."""
    form = solution.form
    inner = _in_x(solution, axis)
    s = form.coordinate(axis.to_x(curve.t), 0.0)
    values = form.function.numpy(inner[0] * (s - inner[1]))
    design = curve.apply(np.stack([values, np.ones_like(values)])).T
    linear, *_ = np.linalg.lstsq(design, curve.target, rcond=None)
    residual = curve.target - design @ linear
    inner_design = curve.apply(linear[0] * form.gradient_by_constants(s, inner)).T
    constants = with_errors(
        np.concatenate([linear, form.constants(inner)]),
        np.hstack([design, inner_design]),
        residual,
        curve.has_unit_noise,
    )
    symbol = -X if form.name == POWER and axis.middle < 0 else X
    return EdgeFit(
        form.name,
        sp.Float(linear[0]) * form.expr(symbol, inner) + sp.Float(linear[1]),
        constants,
        float(residual @ residual),
        form.price_bits,
        form.function.group,
    )


def _in_x(solution: Solution, axis: Axis) -> Array:
    """Return slope and centre in units of x, canonical among those that give the same curve."""
    form = solution.form
    slope, centre = (float(value) for value in solution.inner)
    if form.name == POWER:
        return solution.inner
    centre = axis.middle + axis.half * centre
    if form.free is Free.CENTRE:
        return np.array([slope, _inside_domain(form, slope, centre, axis)])
    slope /= axis.half
    if form.is_symmetric:
        slope = abs(slope)
    if form.is_periodic:
        period = 2 * pi / slope
        centre -= round(centre / period) * period
    return np.array([slope, centre])


def _inside_domain(form: Form, slope: float, centre: float, axis: Axis) -> float:
    """Return the centre, moved by rounding errors if these have pushed the data off the domain."""
    ends = axis.to_x(np.array([-1.0, 1.0]))
    rounding = 8 * np.finfo(float).eps * (abs(axis.middle) + axis.half)
    for moved in (centre, centre - rounding, centre + rounding):
        low, high = np.sort(slope * (ends - moved))
        if form.function.domain.covers(low, high):
            return moved
    return centre


def with_errors(
    values: Array, design: Array, residual: Array, has_unit_noise: bool
) -> tuple[Constant, ...]:
    """Return constants with the standard errors of least squares.

    Parameters
    ----------
    values : ndarray, shape (k,)
    design : ndarray, shape (p, k)
        Derivative of the whitened curve by each constant.
    residual : ndarray, shape (p,)
        What is left.
    has_unit_noise : bool
        Whether the variance of the residual is known to be 1, or is estimated from it.
    """
    freedom = max(1, len(residual) - len(values))
    scale = np.linalg.norm(design, axis=0) + 1e-300
    inverse = np.linalg.pinv(design / scale)
    spread = np.linalg.norm(inverse, axis=1) / scale
    errors = spread if has_unit_noise else spread * np.sqrt(residual @ residual / freedom)
    return tuple(map(Constant, values.tolist(), errors.tolist()))
