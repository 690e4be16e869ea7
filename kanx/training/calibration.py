"""The noise and the size of a rough posterior from rows that were held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from kanx.training.losses import Gaussian, Loss, NoisyLoss
from kanx.training.moments import moments
from kanx.training.posterior import Posterior
from kanx.training.rows import Chunk


class Predicted(NamedTuple):
    """Rows that a fit has not seen.

    Attributes
    ----------
    f, y : Tensor, (rows, outputs)
    weight : Tensor, (rows,)
    curves, noise : Tensor, (rows, outputs)
        Variances of the posterior and of the target around the function.
    """

    f: Tensor
    y: Tensor
    weight: Tensor
    curves: Tensor
    noise: Tensor


def most_likely_factors(rows: Predicted) -> tuple[Tensor, float]:
    r"""Return factors of the variances under which rows are most likely, and their log density.

    The covariance is multiplied by :math:`\tau` and the noise variances by :math:`\sigma_k`, the
    maximum of

    .. math:: \sum_n \omega_n \log N(y_n; f_n, \sigma_k s_k^2 + \tau v_{nk})
              - \tfrac12 \log^2 \tau - \tfrac12 \sum_k \log^2 \sigma_k,

    whose last terms leave both as they are where few rows say anything.

    Parameters
    ----------
    rows : Predicted

    Returns
    -------
    factors : Tensor, (1 + outputs,)
    density : float
        Mean log density of a row under them.
    """
    squares, own = ((rows.f - rows.y) ** 2).numpy(), rows.weight.unsqueeze(-1).numpy()
    curves, noise = rows.curves.numpy(), rows.noise.numpy()

    def objective(v: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parts = np.exp(v[0]) * curves, np.exp(v[1:]) * noise
        variance = parts[0] + parts[1]
        value = 0.5 * (own * (squares / variance + np.log(variance))).sum() + 0.5 * (v @ v)
        by_variance = 0.5 * own * (1 - squares / variance) / variance
        by_noise = (by_variance * parts[1]).sum(0)
        return value, np.concatenate([[(by_variance * parts[0]).sum()], by_noise]) + v

    found = minimize(objective, np.zeros(1 + noise.shape[1]), jac=True, method="L-BFGS-B")
    likelihood = found.fun - 0.5 * (found.x @ found.x)
    density = -likelihood / own.sum() - 0.5 * noise.shape[1] * np.log(2 * np.pi)
    return torch.from_numpy(np.exp(found.x)), float(density)


def predicted(posterior: Posterior, loss: Gaussian, rows: Chunk) -> Predicted:
    """Predict rows ``(x, y, weight)`` that a fit has not seen."""
    x, y, weight = rows
    spread, f = moments(posterior, x, Posterior.output_variance)
    return Predicted(f, y, weight, spread, (1 / loss.precision).expand_as(f))


def rescaled(posterior: Posterior, loss: Gaussian, factors: Tensor) -> tuple[Posterior, Gaussian]:
    """Multiply the variances of the posterior and of the noise, see `most_likely_factors`."""
    loss = loss.with_precision(loss.precision / factors[1:])
    return posterior.rescaled(factors[0].item(), loss.precision), loss


def calibrated(posterior: Posterior, loss: Gaussian, held_out: Chunk) -> tuple[Posterior, Gaussian]:
    """Return the posterior and the noise under which held-out rows are most likely.

    A diagonal posterior ignores that coordinates make up for each other, and the residuals of the
    training rows of a wide network are smaller than those of new ones. See `most_likely_factors`.

    Parameters
    ----------
    posterior : Posterior
        Its noise precision is that of the loss.
    loss : Gaussian
    held_out : tuple of Tensor
        Inputs, targets ``(rows, outputs)`` and weights of rows that the network was not fitted to.
    """
    factors, _ = most_likely_factors(predicted(posterior, loss, held_out))
    return rescaled(posterior, loss, factors)


def log_density(posterior: Posterior, loss: Loss, rows: Chunk) -> float:
    """Return the mean log density of rows under the predictive distribution.

    Where the target has a noise, it gets the posterior variance of the outputs too.
    """
    x, y, weight = rows
    spread, f = moments(posterior, x, Posterior.output_variance)
    if isinstance(loss, NoisyLoss):
        loss = loss.with_precision(1 / (1 / loss.precision + spread))
    return -(loss.value(f, y) @ weight / weight.sum()).item()
