"""The noise and the size of a rough posterior from rows that were held out."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from kanx.training.losses import Gaussian
from kanx.training.moments import moments
from kanx.training.posterior import Posterior
from kanx.training.rows import Chunk


def calibrated(posterior: Posterior, loss: Gaussian, held_out: Chunk) -> tuple[Posterior, Gaussian]:
    r"""Return the posterior and the noise under which held-out rows are most likely.

    A diagonal posterior ignores that coordinates make up for each other, and the residuals of the
    training rows of a wide network are smaller than those of new ones. The covariance is multiplied
    by :math:`\tau` and the noise variances by :math:`\sigma_k`, the maximum of

    .. math:: \sum_n \omega_n \log N(y_n; f_n, \sigma_k s_k^2 + \tau v_{nk})
              - \tfrac12 \log^2 \tau - \tfrac12 \sum_k \log^2 \sigma_k,

    whose last terms leave both as they are where few rows say anything.

    Parameters
    ----------
    posterior : Posterior
        Its noise precision is that of the loss.
    loss : Gaussian
    held_out : tuple of Tensor
        Inputs, targets ``(rows, outputs)`` and weights of rows that the network was not fitted to.
    """
    x, y, weight = held_out
    spread, f = moments(posterior, x, Posterior.output_variance)
    squares, own = ((f - y) ** 2).numpy(), weight.unsqueeze(-1).numpy()
    curves, noise = spread.numpy(), 1 / loss.precision.numpy()

    def objective(v: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parts = np.exp(v[0]) * curves, np.exp(v[1:]) * noise
        variance = parts[0] + parts[1]
        value = 0.5 * (own * (squares / variance + np.log(variance))).sum() + 0.5 * (v @ v)
        by_variance = 0.5 * own * (1 - squares / variance) / variance
        by_noise = (by_variance * parts[1]).sum(0)
        return value, np.concatenate([[(by_variance * parts[0]).sum()], by_noise]) + v

    found = minimize(objective, np.zeros(1 + len(noise)), jac=True, method="L-BFGS-B")
    factors = torch.from_numpy(np.exp(found.x))
    result = copy.copy(posterior)
    loss = loss.with_precision(loss.precision / factors[1:])
    result.covariance, result.noise_precision = posterior.covariance * factors[0], loss.precision
    return result, loss


def log_density(posterior: Posterior, loss: Gaussian, rows: Chunk) -> float:
    """Return the mean log density of rows under the predictive distribution."""
    x, y, weight = rows
    spread, f = moments(posterior, x, Posterior.output_variance)
    variance = 1 / loss.precision + spread
    own = -0.5 * ((f - y) ** 2 / variance + (2 * torch.pi * variance).log()).sum(1)
    return (own @ weight / weight.sum()).item()
