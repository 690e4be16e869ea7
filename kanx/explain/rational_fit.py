"""Fit a quotient of two polynomials to a curve that is no elementary function.

The AAA algorithm (Nakatsukasa, Sete & Trefethen, SIAM J. Sci. Comput. 40, 2018) finds the poles;
the denominator they make is then refined by least squares, the numerator solved exactly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.interpolate import AAA

from kanx.explain.edge_fit import Axis, EdgeFit, X, powers_of, with_errors
from kanx.explain.edge_forms import RATIONAL, Array
from kanx.explain.varpro import Whitened

DEGREES = (2, 3)  # a quotient of degree 1 is a shifted reciprocal
_ITERATIONS = 40
_MARGIN = 1.02  # poles may come as close as this to the end of [-1, 1]


@dataclass(frozen=True)
class Rational:
    """Hold ``numerator(t) / (1 + t * denominator(t))``, both of one degree."""

    curve: Whitened
    denominator: Array  # (degree,): coefficients of t, t**2, ...

    @classmethod
    def fit(cls, curve: Whitened, values: Array, degree: int) -> Rational | None:
        """Return the rational function closest to the curve; None if it has a pole on [-1, 1].

        Parameters
        ----------
        curve : Whitened
        values : ndarray, shape (n,)
            The curve at its points.
        degree : int
            Degree of numerator and denominator.
        """
        here = cls(curve, _from_poles(_poles(curve.t, values, degree), degree))
        damping = 1e-2
        for _ in range(_ITERATIONS):
            jacobian = here.jacobian
            normal = jacobian.T @ jacobian
            damped = normal + damping * np.diag(np.diag(normal)) + 1e-300 * np.eye(degree)
            step = np.linalg.lstsq(damped, jacobian.T @ here.residual, rcond=None)[0]
            trial = cls(curve, here.denominator - step)
            gain = 1 - trial.loss / here.loss if trial.is_legal and here.loss > 0 else -np.inf
            here, damping = (trial, damping / 8) if gain > 0 else (here, damping * 6)
            if 0 < gain < 1e-9 or damping > 1e10:
                break
        return here if here.is_legal else None

    @property
    def degree(self) -> int:
        """Degree of numerator and denominator."""
        return len(self.denominator)

    @property
    def name(self) -> str:
        """Name of the kind of function."""
        return RATIONAL

    @property
    def price_bits(self) -> float:
        """Price of choosing this degree."""
        return 4.0 + 2.0 * self.degree

    @property
    def n_constants(self) -> int:
        """Number of free coefficients."""
        return 2 * self.degree + 1

    @property
    def is_legal(self) -> bool:
        """Whether the denominator stays away from zero on [-1, 1]."""
        roots = np.roots([*self.denominator[::-1], 1.0])
        is_real = np.abs(roots.imag) < 1e-9 * np.abs(roots)
        return not np.any(is_real & (np.abs(roots.real) < _MARGIN))

    @cached_property
    def terms(self) -> Array:
        """Powers of t over the denominator, (degree + 1, n)."""
        powers = np.vander(self.curve.t, self.degree + 1, increasing=True).T
        return np.asarray(powers / (1 + self.denominator @ powers[1:]), dtype=float)

    @cached_property
    def design(self) -> Array:
        """The whitened terms, (p, degree + 1)."""
        return self.curve.apply(self.terms).T

    @cached_property
    def numerator(self) -> Array:
        """Coefficients of 1, t, t**2, ..., (degree + 1,)."""
        return np.asarray(np.linalg.lstsq(self.design, self.curve.target, rcond=None)[0], float)

    @property
    def residual(self) -> Array:
        """What is left of the whitened curve, (p,)."""
        return self.curve.target - self.design @ self.numerator

    @property
    def loss(self) -> float:
        """Whitened sum of squared residuals."""
        return float(self.residual @ self.residual)

    @property
    def jacobian(self) -> Array:
        """Derivative of the residual by the denominator, numerator re-solved, (p, degree)."""
        values = self.numerator @ self.terms
        by_denominator = self.curve.apply(values * self.terms[1:]).T
        basis, _ = np.linalg.qr(self.design)
        return by_denominator - basis @ (basis.T @ by_denominator)


def _poles(t: Array, values: Array, degree: int) -> NDArray[np.complex128]:
    """Return the poles of the AAA approximant of a degree."""
    with warnings.catch_warnings():  # that a noisy curve is not met exactly is no news
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(AAA(t, values, max_terms=degree + 1, rtol=0).poles(), complex)


def _from_poles(poles: NDArray[np.complex128], degree: int) -> Array:
    """Return the denominator's coefficients from poles, those on [-1, 1] moved out."""
    is_inside = (np.abs(poles.imag) < 1e-6) & (np.abs(poles.real) < 1.1)
    poles = np.where(is_inside, np.where(poles.real < 0, -1.5, 1.5), poles)
    coefficients = np.atleast_1d(np.poly(poles)).real[::-1]  # of no poles, poly is the number 1
    coefficients = coefficients[1:] / coefficients[0]
    return np.pad(coefficients, (0, degree - len(coefficients)))


def rational_in_x(rational: Rational, axis: Axis) -> EdgeFit:
    """Return a rational function in powers of x, the largest term of its denominator set to 1."""
    degree, curve = rational.degree, rational.curve
    change = powers_of(degree, axis.origin, 1 / axis.half)
    numerator = change @ rational.numerator
    denominator = change @ np.array([1.0, *rational.denominator])
    reach = np.abs(axis.to_x(np.array([-1.0, 1.0]))).max()
    unit = int(np.argmax(np.abs(denominator) * reach ** np.arange(degree + 1)))
    numerator, denominator = numerator / denominator[unit], denominator / denominator[unit]

    powers = np.vander(axis.to_x(curve.t), degree + 1, increasing=True).T
    terms = powers / (denominator @ powers)
    free = np.arange(degree + 1) != unit
    design = curve.apply(np.concatenate([terms, -(numerator @ terms) * terms[free]])).T
    values = np.concatenate([numerator, denominator[free]])
    constants = with_errors(values, design, rational.residual, curve.has_unit_noise)
    top = sp.Add(*(sp.Float(c) * X**k for k, c in enumerate(numerator)))
    bottom = sp.Add(*((sp.Float(c) if free[k] else 1) * X**k for k, c in enumerate(denominator)))
    return EdgeFit(rational.name, top / bottom, constants, rational.loss, rational.price_bits)
