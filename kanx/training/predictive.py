"""What is predicted of a new observation: its standard deviation, intervals, probabilities."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import nbinom, norm
from torch import Tensor

from kanx.training.losses import NoisyLoss

Array = NDArray[np.float64]


def check_coverage(coverage: float) -> None:
    """Refuse a probability that is none, by `ValueError`."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, got {coverage}")


def half_width(curves: Array, noise: Array, coverage: float, loss: NoisyLoss) -> Array:
    """Return half the width of the central interval of a new observation.

    Parameters
    ----------
    curves, noise : ndarray
        Variances of the function, and the inverse noise precision of the target around it.
    coverage : float
    loss : NoisyLoss
        Says what the noise is distributed like.
    """
    level = 0.5 + coverage / 2
    # the two parts add like independent errors of the same level
    return np.sqrt(loss.unit_quantile(level) ** 2 * noise + norm.ppf(level) ** 2 * curves)


def count_moments(linear: Array, variance: Array) -> tuple[Array, Array]:
    r"""Return mean and variance of a new count whose logarithmic rate is normal.

    .. math:: E = e^{m + v/2}, \quad V = E + (e^v - 1) E^2
    """
    mean = np.exp(linear + variance / 2)
    return mean, mean + np.expm1(variance) * mean**2


def count_interval(linear: Array, variance: Array, coverage: float) -> tuple[Array, Array]:
    """Return the central interval of a new count, from the negative binomial of its moments."""
    mean, spread = count_moments(linear, variance)
    excess = np.maximum(spread - mean, 1e-9 * mean)  # a Poisson variable in the limit
    size = mean**2 / excess
    share = size / (size + mean)
    tail = (1 - coverage) / 2
    return nbinom.ppf(tail, size, share), nbinom.ppf(1 - tail, size, share)


def class_logits(logits: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return the logit of every class's probability and its variance, ``(rows, classes)``.

    For one output the classes are its two signs. For several,
    :math:`\operatorname{logit} p_k = f_k - \log \sum_{j \ne k} e^{f_j}`, whose variance is
    :math:`g' \Sigma g` with its gradient :math:`g` (delta method). It does not change when all
    outputs move together, which the softmax does not see either.

    Parameters
    ----------
    logits : Tensor, (rows, outputs)
    covariance : Tensor, (rows, outputs, outputs)
    """
    if logits.shape[1] == 1:
        spread = covariance[:, :, 0].expand(-1, 2)
        return torch.cat([-logits, logits], dim=1), spread
    count = logits.shape[1]
    own = torch.eye(count, dtype=torch.bool)
    others = logits.unsqueeze(1).expand(-1, count, -1).masked_fill(own, -torch.inf)
    slope = own.to(logits) - others.softmax(-1)  # (rows, classes, outputs)
    spread = torch.einsum("nkc,ncd,nkd->nk", slope, covariance, slope)
    return logits - others.logsumexp(-1), spread.clamp_min(0)


def moderated(logits: Tensor, covariance: Tensor) -> Tensor:
    r"""Return class probabilities averaged over the posterior, ``(rows, classes)``.

    :math:`\sigma(\kappa m)` with :math:`\kappa = (1 + \pi v / 8)^{-1/2}` for the logit of every
    class, then normalised; exactly MacKay's formula for two classes, and an approximation of the
    same kind for several.

    References
    ----------
    MacKay: The evidence framework applied to classification networks, Neural Computation 4, 1992.
    """
    mean, variance = class_logits(logits, covariance)
    p = torch.sigmoid(mean / (1 + torch.pi * variance / 8).sqrt())
    return p / p.sum(1, keepdim=True)


def probability_interval(logits: Tensor, covariance: Tensor, coverage: float) -> Tensor:
    """Return the central interval of every class's probability, ``(rows, 2, classes)``."""
    mean, variance = class_logits(logits, covariance)
    half = float(norm.ppf(0.5 + coverage / 2)) * variance.sqrt()
    return torch.sigmoid(torch.stack([mean - half, mean + half], dim=1))
