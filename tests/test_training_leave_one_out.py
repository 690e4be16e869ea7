"""Predictions of left-out rows: exact for one layer, near refits otherwise, weights as copies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx import KAN
from kanx.training.climb import Climb
from kanx.training.leave_one_out import leave_out, log_density
from kanx.training.losses import Gaussian, Logistic, Poisson, Softmax
from kanx.training.placement import place_on_data


def climb(x, y, loss, weight=None, steps=40, outputs=1, precision=2.0):
    """Fit an additive network at fixed precisions."""
    network = KAN([x.shape[1], outputs], edge="gp", control_points=6, random_state=0).double()
    place_on_data(network, torch.tensor([[-1.0], [1.0]]).expand(2, x.shape[1]))
    weight = torch.ones(len(x), dtype=torch.float64) if weight is None else weight
    result = Climb(network, x, y, loss, weight)
    result.precision = torch.full_like(result.precision, precision)
    for _ in range(4):  # the first ends where a step gains little, not yet at the minimum
        result.descend(steps)
    return result


def rows(count=25, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1
    noise = torch.randn(count, 1, generator=generator, dtype=torch.float64)
    return x, torch.sin(3 * x[:, :1]) + x[:, 1:] ** 2 + 0.3 * noise


def refitted(x, y, loss, row, outputs=1):
    """Return the output at a row of a fit without it."""
    weight = torch.ones(len(x), dtype=torch.float64)
    weight[row] = 0
    own = climb(x, y, loss, weight, outputs=outputs)
    return own.problem.linearisation.outputs(own.w)[row]


@given(seed=st.integers(0, 50))
@settings(max_examples=5, deadline=None)
def test_squared_errors_of_one_layer_are_those_of_fits_without_the_row(seed):
    x, y = rows(seed=seed)
    y = torch.cat([y, -2 * y.roll(3, 0)], dim=1)
    loss = Gaussian(torch.tensor([9.0, 4.0], dtype=torch.float64))
    fit = leave_out(climb(x, y, loss, outputs=2))
    for row in (0, 7, 24):
        np.testing.assert_allclose(fit.outputs[row], refitted(x, y, loss, row, 2), atol=1e-8)


@pytest.mark.parametrize("kind", ["logistic", "softmax", "poisson"])
def test_other_losses_are_near_fits_without_the_row(kind):
    x, f = rows(60)
    outputs, loss, y = {
        "logistic": (1, Logistic(), (f > 0.5).double()),
        "softmax": (3, Softmax(), torch.bucketize(f[:, 0], torch.tensor([0.0, 0.7]).double())),
        "poisson": (1, Poisson(), torch.floor((f + 1).exp())),
    }[kind]
    own = climb(x, y, loss, outputs=outputs)
    fit, seen = leave_out(own), own.problem.linearisation.outputs(own.w)
    exact = torch.stack([refitted(x, y, loss, row, outputs) for row in range(12)])
    change = (exact - seen[:12]).norm()
    assert (fit.outputs[:12] - exact).norm() < 0.15 * change


def test_a_weight_is_so_many_copies_of_which_one_is_left_out():
    x, y = rows(20)
    loss = Gaussian(torch.tensor([9.0], dtype=torch.float64))
    weight = torch.ones(20, dtype=torch.float64)
    weight[3] = 2
    weighted = leave_out(climb(x, y, loss, weight))
    index = torch.tensor([*range(20), 3])
    repeated = leave_out(climb(x[index], y[index], loss))
    np.testing.assert_allclose(weighted.outputs, repeated.outputs[:20], atol=1e-9)
    np.testing.assert_allclose(weighted.variance, repeated.variance[:20], atol=1e-9)


def test_of_a_weight_below_one_no_more_is_left_out_than_there_is():
    x, y = rows()
    loss = Gaussian(torch.tensor([9.0], dtype=torch.float64))
    weight = torch.ones(25, dtype=torch.float64)
    weight[:9] = torch.linspace(0.0, 0.8, 9)
    fit = leave_out(climb(x, y, loss, weight))
    for row in (0, 1, 3, 8):
        without = weight.clone()
        without[row] = 0
        own = climb(x, y, loss, without)
        expected = own.problem.linearisation.outputs(own.w)[row]
        np.testing.assert_allclose(fit.outputs[row], expected, atol=1e-8)


def test_the_density_is_the_normal_one_of_the_mean():
    from scipy.stats import norm

    x, y = rows()
    fits = [
        leave_out(climb(x, y, Gaussian(torch.tensor([p], dtype=torch.float64)), precision=a))
        for p, a in ((9.0, 2.0), (4.0, 0.5))
    ]
    mean = (fits[0].outputs + fits[1].outputs) / 2
    between = ((fits[0].outputs - fits[1].outputs) / 2) ** 2
    variance = (fits[0].variance + fits[1].variance) / 2 + between + (1 / 9 + 1 / 4) / 2
    expected = norm.logpdf(y[:, 0], mean[:, 0], variance[:, 0].sqrt())
    np.testing.assert_allclose(log_density(fits), expected)


def test_a_row_that_alone_determines_its_output_stays_finite():
    x, y = rows()
    x[0] = 1.0
    loss = Gaussian(torch.tensor([1e12], dtype=torch.float64))
    fit = leave_out(climb(x, y, loss, precision=1e-8))
    assert torch.isfinite(fit.outputs).all() and torch.isfinite(log_density([fit])).all()
