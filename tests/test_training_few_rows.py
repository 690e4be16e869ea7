"""Fewer rows than coordinates: linear algebra among the rows, and an honest noise."""

import numpy as np
import pytest
import torch

import kanx
from kanx import KAN, KANClassifier, KANRegressor
from kanx.training import normal_equations
from kanx.training.coordinates import Coordinates
from kanx.training.evidence import Settings, fit_evidence
from kanx.training.few_rows import RowEquations, RowSystem, rows_are_few
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Logistic, Softmax
from kanx.training.normal_equations import DenseSystem, NormalEquations, assemble
from kanx.training.placement import place_on_data
from kanx.training.starts import random_start


def assert_near(a, b, rtol=1e-8):
    torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * b.abs().max().item())


@pytest.fixture(scope="module")
def systems():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(20, 160, generator=generator, dtype=torch.float64)
    precision = 0.1 + torch.rand(160, generator=generator, dtype=torch.float64)
    precision[[3, 159]] = 1e-6  # biases
    return DenseSystem(root.mT @ root + torch.diag(precision)), RowSystem(root, precision)


def test_solutions_determinant_and_inverse_are_those_of_the_whole_matrix(systems):
    dense, rows = systems
    right = torch.linspace(-1, 1, 160).double()
    for damping in (1e-9, 1e-2, 10.0):
        step = dense.solve(right, damping)
        assert_near(rows.solve(right, damping), step, 1e-6)
        assert_near(rows.quadratic(step), dense.quadratic(step))
    (determinant, inverse), (own, covariance) = dense.laplace(), rows.laplace()
    assert_near(own, determinant)
    assert_near(covariance.variances(), inverse.diagonal(), 1e-6)
    assert_near(covariance.times(right[None]), right[None] @ inverse, 1e-6)
    members = torch.tensor([0, 3, 50])
    assert_near(covariance.between(members), inverse[members][:, members], 1e-6)


def test_a_system_that_is_not_finite_has_no_step():
    root = torch.full((2, 5), float("nan"), dtype=torch.float64)
    assert RowSystem(root, torch.ones(5).double()).solve(torch.ones(5).double(), 1.0) is None


def network(outputs, hidden=()):
    made = KAN([16, *hidden, outputs], "gp", control_points=13, skip=bool(hidden)).double()
    x = torch.rand(15, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    place_on_data(made, x, torch.ones(15).double())
    random_start(made, torch.Generator().manual_seed(2))
    return made, x


CASES = [
    (Gaussian(torch.tensor([3.0]).double()), 1, torch.linspace(-1, 1, 15).double()[:, None]),
    (Logistic(), 1, (torch.arange(15) % 2).double()[:, None]),
    (Softmax(), 3, torch.arange(15) % 3),
]


@pytest.mark.parametrize(("loss", "outputs", "y"), CASES, ids=["normal", "two", "three"])
@pytest.mark.parametrize("hidden", [(), (2,)])
def test_equations_of_few_rows_are_the_same(loss, outputs, y, hidden, monkeypatch):
    made, x = network(outputs, hidden)
    coordinates = Coordinates(made)
    linearisation = Linearisation(coordinates, x)
    w, living = coordinates.read(), coordinates.alive()
    weight = torch.linspace(0.5, 2, 15).double()
    few = assemble(linearisation, loss, w, y, weight, living)
    assert isinstance(few, RowEquations)
    monkeypatch.setattr(normal_equations, "rows_are_few", lambda *counts: False)
    whole = assemble(linearisation, loss, w, y, weight, living)
    assert isinstance(whole, NormalEquations)
    assert_near(few.curvature, whole.curvature)
    assert_near(few.gradient, whole.gradient)
    assert_near(few.times(3.0).curvature, whole.times(3.0).curvature)
    change = torch.linspace(-1, 1, len(few.gradient)).double()
    kept = torch.arange(len(change)) % 3 > 0
    assert_near(few.moved(change, kept).gradient, whole.moved(change, kept).gradient)
    assert_near(few.moved(change, kept).curvature, whole.moved(change, kept).curvature)


def test_a_fit_ends_where_it_does_with_the_whole_matrix(monkeypatch):
    ends = []
    for few in (True, False):
        if not few:
            monkeypatch.setattr(normal_equations, "rows_are_few", lambda *counts: False)
        made, x = network(1)
        y = torch.sin(6 * x[:, :1]) + x[:, 1:2]
        loss = Gaussian(torch.tensor([10.0]).double())
        ends.append(fit_evidence(made, x, y, loss, settings=Settings(max_iter=8)))
    own, whole = ends
    assert own.evidence == pytest.approx(whole.evidence, abs=1e-5)
    assert_near(own.network(x), whole.network(x), 1e-5)
    assert_near(own.posterior.covariance, whole.posterior.covariance, 1e-4)


def test_thousands_of_columns_are_no_large_matrix(tmp_path):
    """4000 coordinates from 40 rows; their variances are kept, and written."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 400))
    y = X[:, 0] + 0.1 * rng.standard_normal(40)
    model = KANRegressor(hidden="additive", max_iter=4, random_state=0).fit(X, y)
    kanx.save(model, tmp_path / "m.kanx")
    again = kanx.load(tmp_path / "m.kanx")
    mean, std = model.predict(X, return_std=True)
    assert np.array_equal(again.predict(X, return_std=True), (mean, std))
    assert (std > 0).all() and np.isfinite(std).all()


def test_rows_shared_between_processes_are_never_few(monkeypatch):
    assert rows_are_few(10, 1000) and not rows_are_few(400, 1000)
    monkeypatch.setattr("kanx.training.few_rows.processes", lambda: 2)
    assert not rows_are_few(10, 1000)


def linear(rows, columns, seed, width=1.8):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-width, width, (rows, columns))
    return X, X[:, 0] + 0.5 * X[:, 1] + 0.3 * rng.standard_normal(rows)


@pytest.mark.slow
def test_intervals_hold_where_columns_are_many():
    inside = []
    for seed in range(3):
        X, y = linear(60, 30, seed)
        model = KANRegressor(random_state=0).fit(X, y)
        fresh, wanted = linear(500, 30, 100 + seed, 1.6)
        low, high = model.predict_interval(fresh).T
        inside.append(((low < wanted) & (wanted < high)).mean())
    assert 0.85 < np.mean(inside) < 0.99, inside


@pytest.mark.slow
def test_noise_in_many_columns_is_not_passed_through():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-1, 1, (40, 60)), rng.standard_normal(40)
    model = KANRegressor(random_state=0).fit(X, y)
    assert np.mean(model.predict(rng.uniform(-0.8, 0.8, (500, 60))) ** 2) < 0.3
    # of a few that matter among many, the others are left out
    X, y = linear(80, 60, 1)
    assert KANRegressor(random_state=0).fit(X, y).network_.n_edges < 40


def test_copies_are_held_out_together():
    """A weight of 2 is a row that appears twice, in folds too."""
    X, y = linear(24, 3, 0)
    weight = np.where(np.arange(24) < 8, 2.0, 1.0)
    weighted = KANRegressor(random_state=0, max_iter=8).fit(X, y, sample_weight=weight)
    mixed = np.random.default_rng(0).permutation(32)
    X2, y2 = np.concatenate([X, X[:8]])[mixed], np.concatenate([y, y[:8]])[mixed]
    twice = KANRegressor(random_state=0, max_iter=8).fit(X2, y2)
    own, other = (m.predict(X, return_std=True) for m in (weighted, twice))
    np.testing.assert_allclose(own, other, rtol=1e-5)


def test_classes_of_few_rows_are_chosen_by_folds_too():
    X, y = linear(40, 10, 2)
    model = KANClassifier(random_state=0, max_iter=10).fit(X, y > 0)
    fresh, wanted = linear(400, 10, 3, 1.6)
    assert model.score(fresh, wanted > 0) > 0.75
