"""The noise and the size of a rough posterior from held-out rows."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from kanx import KAN
from kanx.training import laplace as laplace_module
from kanx.training.calibration import calibrated, log_density
from kanx.training.first_order import flat_precision
from kanx.training.laplace import laplace
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian
from kanx.training.rows import InMemory

PAIR = torch.ones(2).double()


def fitted(monkeypatch, limit=0):
    """Return a posterior and a loss of a network with two outputs, and its outputs' moments."""
    monkeypatch.setattr(laplace_module, "DENSE_LIMIT", limit)
    net = KAN([1, 2], {"family": "gp", "control_points": 8}, random_state=0).double()
    x = torch.linspace(-1, 1, 200).double().unsqueeze(1)
    chunk = InMemory(x, torch.sin(3 * x).repeat(1, 2), torch.ones(200).double())
    posterior, _, loss = laplace(net, chunk, Gaussian(PAIR), flat_precision(net, 1.0))
    return posterior, loss


def moments(posterior, x):
    coordinates = posterior.coordinates
    f, jacobian = Linearisation(coordinates, x).jacobian(coordinates.read())
    return f, posterior.output_variance(jacobian)


def targets(posterior, loss, rows, factor, noise_factors, seed=0):
    """Draw rows from the predictive distribution with other variances."""
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.uniform(-1, 1, (rows, 1)))
    f, variance = moments(posterior, x)
    total = factor * variance + torch.tensor(noise_factors) / loss.precision
    y = f + total.sqrt() * torch.tensor(rng.standard_normal((rows, 2)))
    return x, y, torch.ones(rows).double()


def test_both_factors_are_found_in_many_rows(monkeypatch):
    posterior, loss = fitted(monkeypatch)
    assert posterior.is_diagonal
    x = torch.linspace(-1, 1, 50).double().unsqueeze(1)
    _, curves = moments(posterior, x)  # made as large as the noise
    size = (curves * loss.precision).mean().item()
    posterior = posterior.rescaled(1 / size, loss.precision)
    _, curves = moments(posterior, x)
    chunk = targets(posterior, loss, 20_000, 0.25, (0.5, 2.0))
    found, quieter = calibrated(posterior, loss, chunk)
    factor = (found.covariance / posterior.covariance)[0]
    torch.testing.assert_close(found.covariance, factor * posterior.covariance)
    assert torch.equal(found.noise_precision, quieter.precision)
    # both are nearly constant: what they are together is what rows tell
    truth = 0.25 * curves + torch.tensor((0.5, 2.0)) / loss.precision
    total = factor * curves + 1 / quieter.precision
    torch.testing.assert_close(total, truth, rtol=0.05, atol=0)
    before = log_density(posterior, loss, chunk)
    best = log_density(
        posterior.rescaled(0.25, loss.precision),
        loss.with_precision(loss.precision / torch.tensor((0.5, 2.0))),
        chunk,
    )
    assert best - 1e-4 < log_density(found, quieter, chunk) < best + 1e-3
    assert before < best - 0.01


def test_few_rows_change_little_and_a_weight_is_that_many_rows(monkeypatch):
    posterior, loss = fitted(monkeypatch)
    x, y, weight = targets(posterior, loss, 3, 1.0, (9.0, 9.0))
    few, own = calibrated(posterior, loss, (x, y, weight))
    assert (loss.precision / own.precision).max() < 6
    twice = calibrated(posterior, loss, (x.repeat(2, 1), y.repeat(2, 1), weight.repeat(2)))
    heavy = calibrated(posterior, loss, (x, y, 2 * weight))
    torch.testing.assert_close(twice[0].covariance, heavy[0].covariance, rtol=1e-4, atol=0)
    torch.testing.assert_close(twice[1].precision, heavy[1].precision, rtol=1e-4, atol=0)
    assert not torch.equal(few.covariance, heavy[0].covariance)


@pytest.mark.parametrize("limit", [0, 3000])
def test_the_density_is_that_of_scipy(limit, monkeypatch):
    posterior, loss = fitted(monkeypatch, limit)
    x, y, weight = targets(posterior, loss, 40, 1.0, (1.0, 1.0))
    weight = weight * torch.linspace(0, 2, 40)
    f, variance = (part.numpy() for part in moments(posterior, x))
    spread = np.sqrt(variance + 1 / loss.precision.numpy())
    expected = np.average(norm.logpdf(y.numpy(), f, spread).sum(1), weights=weight.numpy())
    assert log_density(posterior, loss, (x, y, weight)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("limit", [0, 3000])
def test_one_pass_is_enough_for_another_noise(limit, monkeypatch):
    """What is known of one noise is what a second pass over the rows would find."""
    once, _ = fitted(monkeypatch, limit)
    monkeypatch.setattr(laplace_module.Sums, "with_noise", lambda *_: None)
    twice, _ = fitted(monkeypatch, limit)
    torch.testing.assert_close(once.covariance, twice.covariance)
    torch.testing.assert_close(once.noise_precision, twice.noise_precision)
