"""Noise-free fits that search on: when, with which starts, and what holds beyond the rows."""

import numpy as np
import pytest
import torch

from kanx import KAN, KANRegressor
from kanx.training.depth import hand_on
from kanx.training.domains import narrowed, place_hidden, widen_inputs
from kanx.training.least_squares import descend
from kanx.training.neighbours import looks_noisy, noise_variance
from kanx.training.noise_free import fit_noise_free, refit
from kanx.training.noise_free_search import Rows
from kanx.training.placement import place_on_data
from kanx.training.separable import SeparableProblem
from kanx.training.starts import random_start


def rows(count, inputs, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (count, inputs))
    return torch.tensor(x)


def weighted(x, y):
    return Rows(x, y, torch.ones(len(x), dtype=torch.float64))


def wave(x):
    return torch.sin(3 * x[:, :1] * (1.5 + x[:, 1:])) / (1.5 + x[:, :1])


def noisy(y, deviation, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return y + deviation * torch.randn(y.shape, generator=generator, dtype=y.dtype)


def network_of(widths, degree, seed=0, **options):
    network = KAN(widths, "slaf", degree=degree, extrapolate="family", random_state=0, **options)
    network = network.double()
    random_start(network, torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize("deviation", [0.1, 0.3])
def test_neighbours_tell_the_variance_of_the_noise(deviation):
    x = rows(1000, 2)
    estimate, nearest = noise_variance(weighted(x, noisy(wave(x), deviation)))
    assert estimate == pytest.approx(deviation**2, rel=0.25)
    assert nearest > estimate
    clean, nearest = noise_variance(weighted(x, wave(x)))
    assert abs(clean) < nearest / 2


def test_noise_is_suspected_only_where_it_can_explain_the_error():
    x = rows(1000, 2)
    clean, spoilt = weighted(x, wave(x)), weighted(x, noisy(wave(x), 0.3))
    share = 0.3 / spoilt.error(spoilt.y.mean(0))
    assert looks_noisy(spoilt, 1.1 * share)
    assert not looks_noisy(spoilt, 5 * share)
    assert not looks_noisy(spoilt, 1e-4)
    assert not looks_noisy(clean, 0.3)


def test_rows_with_missing_values_and_equal_rows_tell_nothing_of_noise():
    x = rows(400, 2)
    y = noisy(wave(x), 0.3)
    holes = x.clone()
    holes[::4, 0] = torch.nan
    kept = torch.arange(400) % 4 > 0
    assert noise_variance(weighted(holes, y)) == noise_variance(weighted(x[kept], y[kept]))
    assert noise_variance(weighted(holes[::4], y[::4])) == (0.0, 0.0)
    same = torch.zeros(50, 2, dtype=torch.float64)
    assert np.isfinite(noise_variance(weighted(same, y[:50]))).all()


@pytest.mark.parametrize("constant", [0.0, 0.1, 5e3])
def test_a_column_that_does_not_vary_tells_nothing_of_distances(constant):
    x = rows(400, 2)
    y = noisy(wave(x), 0.3)
    wider = torch.cat([x, torch.full((400, 1), constant, dtype=x.dtype)], dim=1)
    assert noise_variance(weighted(wider, y)) == noise_variance(weighted(x, y))


def test_narrowed_polynomials_are_the_same_on_the_rows_and_straight_beyond():
    x = rows(200, 2)
    x[::20, 1] = torch.nan
    network = network_of([2, 3, 1], 7, missing=True, hidden_edge="slaf")
    place_on_data(network, x)
    widen_inputs(network)
    place_hidden(network, x)
    ended = narrowed(network, x)
    torch.testing.assert_close(ended(x), network(x), rtol=1e-9, atol=1e-9)
    for layer in ended.layers:  # a fit leaves them to the biases
        assert all((bundle.coefficients[0] == 0).all() for bundle in layer.bundles)
    ends = ended.layers[1].bundles[0]
    h = ended.layers[0](x).detach()
    torch.testing.assert_close(ends.lower, h.amin(0), rtol=1e-4, atol=1e-4)
    beyond = ends.upper + 0.1 * torch.arange(1, 4, dtype=torch.float64).unsqueeze(-1)
    curves = ends.curves(beyond).detach()
    torch.testing.assert_close(curves[2] - curves[1], curves[1] - curves[0])


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("widths", [[2, 3, 1, 1], [2, 3, 2, 2], [2, 2, 2, 1, 1]])
def test_a_deep_network_hands_a_shallow_fit_on(widths, skip):
    x = rows(100, 2)
    shallow = network_of([*widths[:2], widths[-1]], 4, seed=1, skip=skip)
    deep = network_of(widths, 4, seed=2, skip=skip)
    with torch.no_grad():
        for parameter in deep.parameters():
            parameter.zero_()  # nothing beside the shallow fit
    hand_on(deep, shallow, x)
    torch.testing.assert_close(deep(x), shallow(x), rtol=1e-9, atol=1e-9)


def test_a_thorough_search_ends_nearer_where_the_first_minima_are_far():
    x = rows(120, 2)
    network = KAN([2, 2, 1, 1], "slaf", degree=5, random_state=0)
    errors = [
        fit_noise_free(network, x, wave(x), starts=1, thorough=thorough).error
        for thorough in (False, True)
    ]
    assert errors[1] < errors[0]


def test_noise_is_not_searched_for_a_law():
    x = rows(300, 2)
    y = noisy(wave(x), 0.5)
    network = KAN([2, 2, 1], "slaf", degree=5, random_state=0)
    first, second = (
        fit_noise_free(network, x, y, starts=2, thorough=thorough).network(x)
        for thorough in (False, True)
    )
    assert torch.equal(first, second)


def test_a_start_that_overflows_is_left_and_does_no_harm():
    x = rows(60, 2)
    network = network_of([2, 2, 1, 1], 9)
    with torch.no_grad():
        network.layers[0].bundles[0].coefficients.mul_(1e80)
    problem = SeparableProblem(network, x, wave(x), torch.ones(60, dtype=torch.float64))
    found = descend(problem, 1e-3, iterations=3)
    assert not found.point.squares < float("inf")  # so that no other start is beaten by it


def test_more_rows_go_on_from_a_fit_and_keep_how_it_is_continued():
    x, more = rows(200, 2), rows(2000, 2, seed=1)
    network = KAN([2, 2, 1], "slaf", degree=5, extrapolate="constant", random_state=0)
    found = fit_noise_free(network, x, wave(x), thorough=False)
    finer = refit(found, more, wave(more), torch.ones(2000, dtype=torch.float64))
    before, after = (
        (fit.network(more) - wave(more)).square().mean().item() for fit in (found, finer)
    )
    assert after < before
    assert {bundle.extrapolate for _, bundle, _ in finer.network.bundles()} == {"constant"}


def test_an_estimator_keeps_what_the_search_found():
    x = rows(200, 2).numpy()
    y = np.exp(x.sum(1)) + 0.02 * np.sin(3 * x[:, 0]) * x[:, 1]  # hardly more than the shape holds
    model = KANRegressor(edge="slaf", hidden=("kst", 1), random_state=0).fit(x, y)
    mean, std = model.predict(x, return_std=True)
    assert np.mean((mean - y) ** 2) ** 0.5 < 1e-2 * y.std()
    assert 0.9 < np.mean(np.abs(mean - y) < 1.96 * std) <= 1
