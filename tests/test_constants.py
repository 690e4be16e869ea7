"""A constant gets its exact name when it has earned it, and seldom otherwise."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx.explain.constants import candidates, simplest_fraction, snap, ties

TRUE_CONSTANTS = [
    sp.Integer(2),
    sp.Rational(1, 2),
    sp.Rational(3, 4),
    sp.Rational(-2, 3),
    sp.pi,
    2 * sp.pi,
    sp.pi / 4,
    4 * sp.pi / 3,
    sp.sqrt(2),
    1 / sp.sqrt(2 * sp.pi),
    sp.sqrt(3) / 2,
    1 / (8 * sp.pi),
]


def random_reals(n=2000):
    rng = np.random.default_rng(0)
    return np.exp(rng.uniform(np.log(0.01), np.log(100), n))


@pytest.mark.parametrize("relative_error", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-12])
def test_random_reals_are_seldom_named(relative_error):
    named = [snap(v, relative_error * v) is not None for v in random_reals()]
    assert np.mean(named) < 0.035


@pytest.mark.parametrize("truth", TRUE_CONSTANTS, ids=str)
def test_true_constants_are_named_once_they_are_precise(truth):
    rng = np.random.default_rng(1)
    exact = float(truth)
    for relative_error in (1e-8, 1e-10):
        error = relative_error * abs(exact)
        assert snap(exact + rng.uniform(-2, 2) * error, error) == truth


def test_simple_rationals_are_named_at_ordinary_precision_and_offered_for_a_refit_before():
    assert snap(2.0004, 0.0005) == 2
    assert snap(0.4997, 0.0005) == sp.Rational(1, 2)
    assert snap(2.03, 0.03) is None and candidates(2.03, 0.03) == [2]
    assert candidates(-0.74, 0.01) == [sp.Rational(-3, 4)]
    assert candidates(0.74, 0.002) == []


def test_pi_is_not_guessed_from_few_digits():
    assert snap(3.14159, 1e-4) is None
    assert snap(3.14159265, 1e-8) == sp.pi


def test_a_decimal_that_people_write_is_recognised():
    assert snap(9.81 + 1e-10, 1e-10) == sp.Rational(981, 100)


def test_zero_lies_within_the_error_or_not():
    assert snap(0.01, 0.02) == 0
    assert snap(0.0, 0.0) == 0
    assert snap(0.01, 1e-9) == sp.Rational(1, 100)


@pytest.mark.parametrize(
    "bad", [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, -1.0), (1.0, np.inf)]
)
def test_without_a_value_or_an_error_nothing_is_named(bad):
    assert snap(*bad) is None


@settings(derandomize=True)
@given(st.floats(1e-6, 1e6), st.floats(1e-12, 0.5))
def test_simplest_fraction_is_inside_and_none_simpler_is(value, width):
    low, high = Fraction(value * (1 - width)), Fraction(value)
    found = simplest_fraction(float(low), float(high))
    assert low <= found <= high
    for denominator in range(1, min(found.denominator, 50)):
        assert ceil(low * denominator) > high * denominator


def test_ties_between_constants():
    values = [3.0, 6.001, -3.0005, 0.7]
    found = ties(values, np.diag([1e-3, 1e-3, 1e-3, 1e-3]) ** 2)
    assert {(t.first, t.second, t.ratio) for t in found} == {
        (1, 0, 2),
        (2, 0, -1),
        (2, 1, -sp.S.Half),
    }


def test_constants_known_only_as_a_sum_are_not_tied_by_their_correlation():
    correlated = np.array([[1.0, 0.999], [0.999, 1.0]])
    assert [t.ratio for t in ties([10.0, 10.05], correlated)] == [1]
    assert ties([10.0, 10.5], correlated) == []
