"""Exact quotients of sparse polynomials, and residuals that are misfit or noise."""

from fractions import Fraction

import numpy as np
import pytest

from kanx.discovery.data import neighbour_ratio
from kanx.discovery.rationals import raised, sparse_quotient
from kanx.discovery.translations import find_merges
from kanx.discovery.trees import constant, evaluate, power, product, total, variable

LAWS = {
    "a polynomial plus a quotient": lambda a, b: 20 - a - a * b / (1 + 0.5 * a**2),
    "no constant in the denominator": lambda a, b: (a * b - 1) / (a + b),
    "a denominator with a cosine": lambda a, b: (1 - a**2) / (1 + a * np.cos(b)),
    "an exponential": lambda a, b: a / (np.exp(b) - 1),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_quotient_is_found_by_linear_algebra(name):
    columns = np.random.default_rng(0).uniform(0.5, 4.0, (2, 400))
    target = LAWS[name](*columns)
    tree = sparse_quotient(columns, target, np.ones(400))
    fresh = np.random.default_rng(1).uniform(0.5, 4.0, (2, 50))
    np.testing.assert_allclose(evaluate(tree, fresh), LAWS[name](*fresh), rtol=1e-8)
    assert len(tree.constants) <= 7


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_what_is_no_quotient_is_not_called_one(noise):
    rng = np.random.default_rng(0)
    columns = rng.uniform(0.5, 4.0, (2, 400))
    target = np.sqrt(columns[0]) * np.sin(columns[1] * columns[0])
    target = target + noise * rng.standard_normal(400)
    assert sparse_quotient(columns, target, np.ones(400)) is None


def test_only_allowed_functions_enter_a_quotient():
    columns = np.random.default_rng(0).uniform(0.5, 4.0, (2, 400))
    target = columns[0] / (np.exp(columns[1]) - 1)
    assert sparse_quotient(columns, target, np.ones(400), ["cos"]) is None


def test_neighbours_agree_on_a_misfit_and_not_on_noise():
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(1500, 2))
    assert neighbour_ratio(points, np.sin(8 * points[:, 0])) < 0.2
    assert abs(neighbour_ratio(points, rng.standard_normal(1500)) - 1.0) < 0.15


def test_a_merge_is_found_where_no_polynomial_is_good():
    rng = np.random.default_rng(0)
    a, b, t, u = columns = rng.uniform(1.0, 5.0, (4, 2000))
    target = np.sqrt(a**2 + b**2 - 2 * a * b * np.cos(t - u))
    merges = find_merges(columns, target, np.ones(2000))
    assert [(m.first, m.second, m.ratio) for m in merges[0]] == [(2, 3, -1.0)]


@pytest.mark.parametrize("low", [2.0, -0.5])
def test_a_root_of_a_quotient_keeps_its_values(low):
    columns = np.random.default_rng(0).uniform(low, low + 1.0, (1, 50))
    top, bottom = product(constant(-1.0), power(variable(0), 2)), total(constant(1.0), variable(0))
    bottom = bottom if low < 0 else product(constant(-1.0), bottom)
    quotient = product(top, power(bottom, -1))
    root = raised(quotient, Fraction(1, 2), columns)
    expected = np.sqrt(evaluate(quotient, columns)) if low > 0 else np.full(50, np.nan)
    np.testing.assert_allclose(evaluate(root, columns), expected)
