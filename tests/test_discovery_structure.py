"""What the search finds out about structure: groups, merges, sums, curves."""

from fractions import Fraction

import numpy as np
import pytest

from kanx.discovery.archive import Archive, structure_bits
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.groups import rationalise
from kanx.discovery.polish import without_one_term
from kanx.discovery.polynomials import sparse_polynomials
from kanx.discovery.prepare import prepare
from kanx.discovery.ridge import RidgeProblem, search_units, surface_basis
from kanx.discovery.sums import select
from kanx.discovery.translations import find_merges
from kanx.discovery.trees import constant, evaluate, power, product, total, variable


def ridge_problem(X, y, order):
    logs = np.log(X)
    return RidgeProblem(
        logs - logs.mean(axis=0), np.zeros((len(y), 0)), y, np.ones(len(y)), order, False
    )


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_groups_of_inputs_are_found_without_units(noise):
    rng = np.random.default_rng(0)
    X = rng.uniform(1.0, 5.0, (1500, 4))
    y = X[:, 0] * np.exp(-X[:, 1] * X[:, 2] / X[:, 3])
    y = y + noise * np.sqrt(np.mean(y**2)) * rng.standard_normal(len(y))
    problem = ridge_problem(X, y, 10)
    units = search_units(problem, 1, np.random.default_rng(1), Deadline(60.0), 12)
    best = rationalise(problem, units[0], 1.02 if noise else 30.0)[0]
    assert best.is_exact
    assert best.gate[0] == 1
    group = np.array([float(e) for e in best.groups[0]])
    np.testing.assert_array_equal(group / group[1], [0.0, 1.0, 1.0, -1.0])


def test_two_groups_are_found_together():
    X = np.random.default_rng(0).uniform(1.0, 5.0, (1500, 4))
    m1, m2, r1, r2 = X.T
    problem = ridge_problem(X, (m1 * r1 + m2 * r2) / (m1 + m2), 7)
    units = search_units(problem, 2, np.random.default_rng(1), Deadline(60.0), 12)
    assert units[0].loss < 1e-6
    assert rationalise(problem, units[0], 100.0)[0].is_exact


def test_surface_basis_slopes_are_derivatives():
    t = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    values, slopes = surface_basis(t, 4)
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        difference = (surface_basis(t + step, 4)[0] - surface_basis(t - step, 4)[0]) / 2e-6
        np.testing.assert_allclose(slopes[k], difference, atol=1e-7)
    assert values.shape == (20, 35)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_inputs_that_act_through_a_difference_are_merged(noise):
    rng = np.random.default_rng(0)
    X = rng.uniform(1.0, 5.0, (4, 2000))
    y = np.sqrt((X[0] - X[1]) ** 2 + (X[2] - X[3]) ** 2)
    y = y + noise * rng.standard_normal(len(y))
    merges = find_merges(X, y, np.ones(2000))
    assert {(m.first, m.second, m.ratio) for m in merges[0]} == {(0, 1, -1.0), (2, 3, -1.0)}


def test_inputs_that_act_apart_are_not_merged():
    X = np.random.default_rng(0).uniform(1.0, 5.0, (3, 2000))
    assert find_merges(X, X[0] * np.sin(X[1]) / X[2], np.ones(2000)) == []


def test_a_pair_of_weak_features_is_found():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((300, 80))
    features[17] = features[3] + 1e-2 * features[17]
    target = features[3] - features[17]
    found = select(features, np.ones(300), target, np.ones(80), 1e-16, 80)
    best = min(found, key=lambda selection: selection.rank)
    assert best.features == (3, 17)


def test_lack_of_fit_tells_structure_from_noise():
    rng = np.random.default_rng(0)
    columns = rng.uniform(0, 1, (2, 1000))
    data = Data(columns, np.ones(1000), np.ones(1000))
    noise = rng.standard_normal(1000)
    assert data.lack_of_fit(noise, 1) > 0.01
    assert data.lack_of_fit(noise + np.sin(3 * columns[0]) * columns[1], 1) < 1e-6


def test_every_summand_can_be_left_out():
    x, y = variable(0), variable(1)
    tree = product(constant(2.0), power(total(x, y, constant(1.0)), Fraction(1, 2)))
    assert len(list(without_one_term(tree))) == 3


def test_archive_prefers_the_shorter_of_two_equal_formulas():
    columns = np.random.default_rng(0).uniform(1, 2, (2, 100))
    archive = Archive(Data(columns, 2.0 * columns[0], np.ones(100)))
    short = product(constant(1.0), variable(0))
    archive.consider(total(short, product(constant(0.1), variable(1))))
    archive.consider(short)
    assert archive.champion().tree.variables == {0}
    assert structure_bits(short, 2) > 0


def test_equal_rows_and_weights_are_the_same_data():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(30, 2)), rng.uniform(size=30)
    weight = rng.integers(0, 4, 30)
    index = np.repeat(np.arange(30), weight)
    names = ["a", "b"]
    first = prepare(X, y, weight.astype(float), names, 100, np.random.default_rng(1)).search
    second = prepare(X[index], y[index], np.ones(len(index)), names, 100, np.random.default_rng(1))
    np.testing.assert_array_equal(first.columns, second.search.columns)
    np.testing.assert_allclose(first.weight, second.search.weight)


def test_constant_and_repeated_columns_are_left_out_and_named():
    rng = np.random.default_rng(0)
    a = rng.uniform(size=50)
    X = np.c_[a, np.full(50, 3.0), -2.0 * a, rng.uniform(size=50)]
    prepared = prepare(X, a, np.ones(50), list("pqrs"), 100, rng)
    assert prepared.kept == (0, 3)
    assert any("q is constant" in note for note in prepared.notes)
    assert any("r repeats p" in note for note in prepared.notes)


def test_a_sparse_polynomial_keeps_only_its_terms():
    columns = np.random.default_rng(0).uniform(-1, 1, (2, 20))
    x, y = columns
    target = x**4 - x**3 + y**2 / 2 - y
    best = sparse_polynomials(Data(columns, target, np.ones(20)))[-1]
    assert len(best.children) == 4
    np.testing.assert_allclose(evaluate(best, columns), target, atol=1e-12)
