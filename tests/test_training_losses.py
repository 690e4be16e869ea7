"""Losses of the regressor, and what is predicted of new observations and classes."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn.linear_model import HuberRegressor, PoissonRegressor
from sklearn.metrics import d2_tweedie_score

import kanx
from kanx import KANClassifier, KANRegressor
from kanx.training.losses import Gaussian, Huber
from kanx.training.predictive import (
    class_logits,
    count_interval,
    half_width,
    moderated,
    probability_interval,
)
from kanx.training.student_t import FREEDOMS, StudentT

FAST = {"hidden": "additive", "random_state": 0, "max_iter": 15}
LINEAR = {"edge": {"family": "slaf", "degree": 1}, **FAST}


def rows(count=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (count, 2))
    return rng, X, 1 + 2 * X[:, 0] - X[:, 1]


def test_huber_with_straight_edges_is_hubers_regression():
    rng, X, f = rows()
    y = f + 0.2 * rng.standard_normal(300)
    y[::15] += 4 * rng.uniform(-1, 1, 20)
    expected = HuberRegressor(epsilon=1.345, alpha=0).fit(X, y)
    model = KANRegressor(loss="huber", **LINEAR).fit(X, y)
    assert np.abs(model.predict(X) - expected.predict(X)).max() < 0.04
    squared = KANRegressor(**LINEAR).fit(X, y)
    wrong = np.abs(squared.predict(X) - f).mean()
    assert np.abs(model.predict(X) - f).mean() < 0.7 * wrong
    lower, upper = model.predict_interval(X).T
    assert 0.9 < ((y > lower) & (y < upper)).mean() < 0.99


def test_students_density_and_its_derivatives():
    scale = torch.tensor([0.5, 2.0]).double()
    loss = StudentT(scale**-2, 3.7)
    f = torch.tensor([[0.1, -2.0], [30.0, 0.4]]).double().requires_grad_()
    y = torch.zeros(2, 2).double()
    expected = stats.t.logpdf(f.detach(), 3.7, scale=scale).sum(1)
    np.testing.assert_allclose(-loss.value(f, y).detach(), expected)
    (slope,) = torch.autograd.grad(loss.value(f, y).sum(), f)
    torch.testing.assert_close(loss.gradient(f.detach(), y), slope)
    assert loss.unit_variance == pytest.approx(stats.t.var(3.7))
    assert loss.unit_quantile(0.9) == pytest.approx(stats.t.ppf(0.9, 3.7))
    again = StudentT(torch.ones(2).double()).with_noise(loss.noise)
    assert torch.equal(again.precision, loss.precision) and again.freedom == loss.freedom


@pytest.mark.parametrize("freedom", [3.0, 30.0])
def test_degrees_of_freedom_are_those_of_the_rows(freedom):
    rng = np.random.default_rng(0)
    y = torch.from_numpy(0.3 * stats.t.rvs(freedom, size=(20_000, 1), random_state=rng))
    loss = StudentT(torch.tensor([0.3**-2]).double())
    sums = loss.tails(torch.zeros_like(y), y, torch.ones(20_000).double())
    assert sums.shape == FREEDOMS.shape
    assert loss.with_tails(sums).freedom == pytest.approx(freedom, rel=0.3)


def test_gross_outliers_move_neither_fit_nor_scale(tmp_path):
    rng, X, _ = rows(300)
    f = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
    y = f + 0.1 * rng.standard_normal(300)
    y[::10] += 100 * rng.standard_normal(30)
    model = KANRegressor(loss="student_t", **FAST).fit(X, y)
    clean = np.arange(300) % 10 > 0
    best = KANRegressor(**FAST).fit(X[clean], y[clean])
    assert np.abs(model.predict(X) - f).mean() < 1.3 * np.abs(best.predict(X) - f).mean()
    assert 0.07 < model.model_.noise_variance().sqrt().item() < 0.15
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert again.model_.members[0].loss.freedom == model.model_.members[0].loss.freedom
    assert np.array_equal(again.predict_interval(X), model.predict_interval(X))


def test_without_outliers_students_errors_cost_nothing():
    rng, X, _ = rows(300)
    f = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
    y = f + 0.1 * rng.standard_normal(300)
    model, normal = (KANRegressor(loss=loss, **FAST).fit(X, y) for loss in ("student_t", "squared"))
    assert model.model_.members[0].loss.freedom > 10
    assert np.abs(model.predict(X) - normal.predict(X)).max() < 0.03
    fresh = f + 0.1 * rng.standard_normal(300)
    lower, upper = model.predict_interval(X).T
    assert 0.92 < ((fresh > lower) & (fresh < upper)).mean() < 0.985


def test_heavy_tails_by_a_first_order_method_and_by_weights():
    rng, X, f = rows(120)
    y = f + 0.1 * rng.standard_t(3, 120)
    y[:6] += 1000
    adam = {"optimizer": "adam", "training": {"epochs": 60}}
    model = KANRegressor(loss="student_t", **FAST, **adam).fit(X, y)
    assert np.abs(model.predict(X) - f).mean() < 0.3
    weighted = KANRegressor(loss="student_t", **LINEAR).fit(X, y, sample_weight=np.full(120, 2.0))
    twice = KANRegressor(loss="student_t", **LINEAR).fit(np.tile(X, (2, 1)), np.tile(y, 2))
    np.testing.assert_allclose(weighted.predict(X), twice.predict(X), atol=1e-6)


def test_counts_with_straight_edges_are_poisson_regression():
    rng, X, f = rows()
    y = rng.poisson(np.exp(f)).astype(float)
    expected = PoissonRegressor(alpha=0).fit(X, y)
    model = KANRegressor(loss="poisson", **LINEAR).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=0.03)
    assert model.score(X, y) == pytest.approx(expected.score(X, y), abs=2e-3)
    assert model.score(X, y) == d2_tweedie_score(y, model.predict(X), power=1)
    fresh = rng.poisson(np.exp(f))
    lower, upper = model.predict_interval(X).T
    assert 0.93 < ((fresh >= lower) & (fresh <= upper)).mean()
    _, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(std, np.sqrt(np.exp(f)), rtol=0.2)


def test_counts_that_are_all_zero_have_a_small_rate():
    _, X, _ = rows(100)
    model = KANRegressor(loss="poisson", **FAST).fit(X, np.zeros(100))
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, 0.005, rtol=0.05)
    assert np.isfinite(std).all()
    assert np.array_equal(model.predict_interval(X).max(0), [0, 0])


@pytest.mark.parametrize("unit", [1e-200, 1e-140, 1e140, 1e160])
def test_targets_of_any_size_are_fitted_or_refused(unit):
    rng, X, f = rows(100)
    y = f + 0.1 * rng.standard_normal(100)
    if not 1e-150 < unit < 1e150:
        with pytest.raises(ValueError, match="too large or too small for float64"):
            KANRegressor(**FAST).fit(X, unit * y)
        return
    model, own = (KANRegressor(**FAST).fit(X, target) for target in (unit * y, y))
    np.testing.assert_allclose(model.predict(X) / unit, own.predict(X), rtol=1e-5)
    ends = model.predict_interval(X) / unit
    np.testing.assert_allclose(ends, own.predict_interval(X), rtol=1e-5)


def test_a_target_far_from_zero_is_no_constant():
    rng, X, f = rows(100)
    y = 1e12 + f + 0.1 * rng.standard_normal(100)
    assert KANRegressor(**FAST).fit(X, y).score(X, y) > 0.95


def test_counts_survive_saving(tmp_path):
    rng, X, f = rows(100)
    model = KANRegressor(loss="poisson", **FAST).fit(X, rng.poisson(1000 * np.exp(f)))
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert torch.equal(again.model_.members[0].loss.offset, model.model_.members[0].loss.offset)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [("absolute", [1.0, 2.0], "choose one of"), ("poisson", [1.0, -2.0], "row 1 holds -2.0")],
)
def test_wrong_losses_say_what_is_right(loss, y, message):
    with pytest.raises(ValueError, match=message):
        KANRegressor(loss=loss).fit([[0.0], [1.0]], y)


@pytest.mark.parametrize("delta", [0.7, 1.345, 3.0])
def test_moments_and_quantiles_of_hubers_density(delta):
    loss = Huber(torch.ones(1).double(), delta)

    def density(r):
        f = torch.tensor([[float(r)]]).double()
        return np.exp(-loss.value(f, torch.zeros(1, 1)).item())

    mass = 2 * integrate.quad(density, 0, 40, points=[delta])[0]
    variance = 2 * integrate.quad(lambda r: r**2 * density(r), 0, 60, points=[delta])[0] / mass
    assert loss.unit_variance == pytest.approx(variance, rel=1e-6)
    for level in (0.6, 0.9, 0.999):
        upper = loss.unit_quantile(level)
        below = 0.5 + integrate.quad(density, 0, upper, points=[min(delta, upper)])[0] / mass
        assert below == pytest.approx(level, abs=1e-7)


def test_intervals_have_their_limits():
    one, unit = np.ones(1), torch.ones(1).double()
    assert half_width(one, 3 * one, 0.95, Gaussian(unit)) == pytest.approx(2 * 1.959964)
    for loss in (Huber(unit), StudentT(unit, 3.0)):
        assert half_width(4 * one, 0 * one, 0.95, loss) == pytest.approx(2 * 1.959964)
    assert half_width(0 * one, 4 * one, 0.95, StudentT(unit, 3.0)) == pytest.approx(
        2 * stats.t.ppf(0.975, 3)
    )
    lower, upper = count_interval(np.log(100) * one, 0 * one, 0.9)
    assert (lower, upper) == stats.poisson.interval(0.9, 100)


@pytest.mark.parametrize("outputs", [1, 3])
def test_probabilities_averaged_over_the_posterior_agree_with_sampling(outputs):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, outputs, outputs))
    covariance = torch.from_numpy(root @ root.transpose(0, 2, 1))
    logits = torch.from_numpy(rng.normal(size=(4, outputs)))
    draws = logits.numpy()[:, None] + np.einsum(
        "nij,nsj->nsi", root, rng.normal(size=(4, 20_000, outputs))
    )
    draws = torch.from_numpy(np.concatenate([0 * draws, draws], -1) if outputs == 1 else draws)
    samples = draws.softmax(-1)
    tolerance = 0.02 if outputs == 1 else 0.08
    found = moderated(logits, covariance)
    torch.testing.assert_close(found, samples.mean(1), atol=tolerance, rtol=0)
    torch.testing.assert_close(found.sum(1), torch.ones(4).double())
    interval = probability_interval(logits, covariance, 0.9)
    held = (samples > interval[:, :1]) & (samples < interval[:, 1:])
    assert (held.double().mean(1) > 0.82).all()
    # moving all outputs together changes nothing
    if outputs > 1:
        for moved, kept in zip(
            class_logits(logits + 5, covariance + 7), class_logits(logits, covariance), strict=True
        ):
            torch.testing.assert_close(moved, kept)


@pytest.mark.parametrize("labels", [2, 3])
def test_a_classifier_knows_where_it_does_not_know(labels):
    rng, X, f = rows(200)
    y = np.digitize(f + 0.5 * rng.standard_normal(200), [0.0, 2.0][: labels - 1])
    model = KANClassifier(**FAST).fit(X, y)
    plain, careful = model.predict_proba(X), model.predict_proba(X, moderate=True)
    assert careful.max(1).mean() < plain.max(1).mean()
    interval = model.predict_interval(X[:6], coverage=0.8)
    assert interval.shape == (6, 2, labels)
    probabilities = plain[:6]
    assert (interval[:, 0] <= probabilities + 1e-12).all()
    assert (interval[:, 1] >= probabilities - 1e-12).all()
    with pytest.raises(ValueError, match="coverage"):
        model.predict_interval(X, coverage=1.5)
    draws = model.sample_functions(50, random_state=0)
    np.testing.assert_allclose(draws(X[:4]).sum(-1), 1)
    values = draws(X[:4])
    inside = (values > interval[:4, 0]) & (values < interval[:4, 1])
    assert 0.6 < inside.mean() < 0.95


def test_functions_drawn_have_the_exact_posterior():
    """Of a linear model, whose posterior is known in closed form."""
    rng, X, f = rows(60)
    model = KANRegressor(**FAST).fit(X, f + 0.3 * rng.standard_normal(60))
    places = X[:5]
    draws = model.sample_functions(4000, random_state=0)
    values = draws(places)
    x = model._matrix(places)
    deviation = model.model_.variance(x, noise=False).sqrt()[:, 0].numpy()
    np.testing.assert_allclose(values.mean(0), model.predict(places), atol=4 * deviation.max() / 60)
    np.testing.assert_allclose(values.std(0), deviation, rtol=0.06)
    # one draw is one function, wherever and however often it is asked
    np.testing.assert_allclose(draws(places[2:3])[:, 0], values[:, 2], rtol=1e-8)
    assert np.array_equal(model.sample_functions(4000, 0)(places), values)
    assert len(draws) == 4000


def test_bands_cover_functions_of_the_prior():
    held = []
    for seed in range(8):
        rng, X, _ = rows(80, seed)
        f = np.sin(2 * X[:, 0] + rng.uniform(0, 6)) + rng.normal() * X[:, 1] ** 2
        model = KANRegressor(**FAST).fit(X, f + 0.2 * rng.standard_normal(80))
        values = model.sample_functions(200, random_state=0)(X)
        lower, upper = np.quantile(values, [0.025, 0.975], axis=0)
        held.append(((f > lower) & (f < upper)).mean())
    assert 0.85 < np.mean(held) <= 1


def test_drawing_functions_of_averaged_networks_counts_and_several_targets():
    rng, X, f = rows(80)
    both = np.column_stack([f, X[:, 0] * X[:, 1]])
    model = KANRegressor(hidden=(2,), n_estimators=2, max_iter=5, random_state=0).fit(X, both)
    assert model.sample_functions(6, 0)(X).shape == (6, 80, 2)
    counts = KANRegressor(loss="poisson", **FAST).fit(X, rng.poisson(np.exp(f)))
    assert (counts.sample_functions(6, 0)(X) > 0).all()
    with pytest.raises(ValueError, match="positive integer"):
        counts.sample_functions(0)
