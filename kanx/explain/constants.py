"""The constants of a formula: their errors, and when one may be given its exact name.

Some exact number lies within the error of any constant, so being close proves nothing. A name is
given only when it is much shorter than the digits it explains: when its description length is at
least ``MARGIN_BITS`` below the number of significant bits of the constant.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd, inf, isfinite, log2, nan, sqrt
from typing import NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from kanx.explain.complexity import number_bits

MARGIN_BITS = 6.0
STANDARD_ERRORS = 2.58  # half-width of the interval searched: 99 % of a normal distribution
FINEST_RELATIVE_ERROR = 2.0**-44  # what is left of 53 bits after a fit in double precision
NAMED_RELATIVE_ERROR = 1e-6  # coarser constants are not compared with multiples of pi and roots
MAX_DENOMINATOR = 4


@dataclass(frozen=True)
class Constant:
    """Hold one fitted constant.

    Parameters
    ----------
    value : float
        The value that stands in the formula.
    standard_error : float
        Its standard error; NaN where it is not known.
    exact : sympy.Expr or None
        The exact number it was recognised as, such as ``1/2`` or ``sqrt(2*pi)``.
    """

    value: float
    standard_error: float = nan
    exact: sp.Expr | None = None


class Tie(NamedTuple):
    """Say that ``constants[first] = ratio * constants[second]`` within their errors."""

    first: int
    second: int
    ratio: sp.Rational


def snap(value: float, standard_error: float) -> sp.Expr | None:
    """Return the exact number that a constant is, or None where no name is justified.

    Zero is returned when it lies within the error. Any other exact number must lie within the
    error and satisfy ``bits(number) < -log2(relative error) - 6``: of 2000 random reals at most
    3 % are named at any precision (``tests/test_constants.py``).

    Parameters
    ----------
    value, standard_error : float
        The fitted constant and its standard error, which is taken to be at least ``2**-44`` of
        the value. Without a finite standard error nothing is named.
    """
    for number in candidates(value, standard_error):
        if number.is_zero or pays(number, value, standard_error):
            return number
    return None


def pays(number: sp.Expr, value: float, standard_error: float) -> bool:
    """Return whether an exact number is short enough to stand for a constant of this error."""
    relative = max(standard_error / abs(value), FINEST_RELATIVE_ERROR) if value else inf
    return number_bits(number) < -log2(relative) - MARGIN_BITS


def candidates(
    value: float, standard_error: float, max_denominator: int = MAX_DENOMINATOR
) -> list[sp.Expr]:
    """Return the exact numbers within the error that deserve a re-fit, shortest first.

    They are 0, the simplest rational within the error if its denominator is at most
    ``max_denominator`` or its bits pay, and the shortest ``p/q * pi^(k/2) * sqrt(m)`` if the
    relative error is below 1e-6 and its bits pay.
    """
    if not (isfinite(value) and isfinite(standard_error) and standard_error >= 0):
        return []
    error = max(standard_error, FINEST_RELATIVE_ERROR * abs(value))
    reach = STANDARD_ERRORS * error
    if abs(value) <= reach:
        return [sp.Integer(0)]
    simplest = simplest_fraction(abs(value) - reach, abs(value) + reach)
    rational = sp.Rational(simplest.numerator, simplest.denominator)
    found = []
    if simplest.denominator <= max_denominator or pays(rational, value, error):
        found.append(rational)
    if error < NAMED_RELATIVE_ERROR * abs(value):
        named = _shortest_named(abs(value) - reach, abs(value) + reach)
        if named is not None and pays(named, value, error):
            found.append(named)
    sign = 1 if value > 0 else -1
    return [sign * number for number in sorted(found, key=number_bits)]


def ties(values: ArrayLike, covariance: ArrayLike) -> list[Tie]:
    """Return the pairs of constants whose ratio is 1, 2 or 1/2, of either sign, within the errors.

    Parameters
    ----------
    values : array, shape (n,)
        The fitted constants.
    covariance : array, shape (n, n)
        Their covariance.
    """
    c, cov = np.asarray(values, dtype=float), np.asarray(covariance, dtype=float)
    found = []
    for first in range(len(c)):
        for second in range(first):
            for ratio in map(sp.Rational, (1, -1, 2, -2, "1/2", "-1/2")):
                r = float(ratio)
                variance = cov[first, first] + r * r * cov[second, second]
                variance -= 2 * r * cov[first, second]
                floor = FINEST_RELATIVE_ERROR * abs(c[first])
                reach = STANDARD_ERRORS * max(sqrt(max(variance, 0.0)), floor)
                if abs(c[first] - r * c[second]) <= reach < abs(c[first]):
                    found.append(Tie(first, second, ratio))
    return found


def simplest_fraction(low: float, high: float) -> Fraction:
    """Return the fraction of smallest denominator in ``[low, high]``, ``0 < low <= high``.

    The first fraction of the Stern-Brocot tree inside the interval, found through the continued
    fractions of its ends; it has the smallest numerator too.
    """
    return _simplest_between(Fraction(low), Fraction(high))


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    whole = low.numerator // low.denominator
    if whole == low or whole + 1 <= high:
        return Fraction(whole if whole == low else whole + 1)
    return whole + 1 / _simplest_between(1 / (high - whole), 1 / (low - whole))


@lru_cache(maxsize=1)
def _named_numbers() -> tuple[list[float], list[tuple[int, int, int, int]]]:
    """Return the values ``p/q * pi^(k/2) * sqrt(m)`` in order, and their (p, q, k, m)."""
    entries = [
        (p, q, k, m)
        for p in range(1, 41)
        for q in range(1, 41)
        if gcd(p, q) == 1
        for k in range(-6, 7)
        for m in (1, 2, 3, 5, 6)
        if (k, m) != (0, 1)
    ]
    p, q, k, m = np.array(entries, dtype=float).T
    values = p / q * np.pi ** (k / 2) * np.sqrt(m)
    order = np.argsort(values)
    return values[order].tolist(), [entries[i] for i in order]


def _shortest_named(low: float, high: float) -> sp.Expr | None:
    values, entries = _named_numbers()
    inside = entries[bisect_left(values, low) : bisect_right(values, high)]
    names = [sp.Rational(p, q) * sp.pi ** sp.Rational(k, 2) * sp.sqrt(m) for p, q, k, m in inside]
    return min(names, key=number_bits, default=None)
