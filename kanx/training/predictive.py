"""What is predicted of a new observation: its standard deviation, intervals, probabilities."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import nbinom, norm
from torch import Tensor

from kanx.training.losses import Huber

Array = NDArray[np.float64]


def check_coverage(coverage: float) -> None:
    """Refuse a probability that is none, by `ValueError`."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, got {coverage}")


def huber_variance(delta: float) -> float:
    r"""Return the variance of the density proportional to :math:`e^{-\rho_\delta(r)}`.

    It is normal up to ``delta`` and exponential beyond (Huber: Robust statistics, 1981, 4.5).
    """
    centre = np.sqrt(2 * np.pi) * (norm.cdf(delta) - norm.cdf(-delta))
    edge = np.exp(-(delta**2) / 2)
    inner = centre - 2 * delta * edge
    outer = 2 * edge * (delta + 2 / delta + 2 / delta**3)
    return float((inner + outer) / (centre + 2 * edge / delta))


def huber_quantile(level: float, delta: float) -> float:
    """Return the quantile of that density for a level of at least one half."""
    centre = np.sqrt(2 * np.pi) * (norm.cdf(delta) - norm.cdf(-delta))
    edge = np.exp(-(delta**2) / 2)
    mass = centre + 2 * edge / delta
    beyond = (1 - level) * mass  # of the upper tail
    if beyond < edge / delta:
        return float(delta - np.log(beyond * delta / edge) / delta)
    return float(norm.ppf(0.5 + (level - 0.5) * mass / np.sqrt(2 * np.pi)))


def half_width(curves: Array, noise: Array, coverage: float, delta: float | None) -> Array:
    """Return half the width of the central interval of a new observation.

    Parameters
    ----------
    curves, noise : ndarray
        Variances of the function and of the target around it; with `delta` the latter is that of
        the central part of Huber's density.
    coverage : float
    delta : float, optional
        Of `Huber`; normal errors without it.
    """
    level = 0.5 + coverage / 2
    z = norm.ppf(level)
    if delta is None:
        return z * np.sqrt(curves + noise)
    # the two parts add like independent errors of the same level
    return np.sqrt(huber_quantile(level, delta) ** 2 * noise + z**2 * curves)


def noise_factor(loss: object) -> float:
    """Return the variance of the target's noise in units of the inverse noise precision."""
    return huber_variance(loss.delta) if isinstance(loss, Huber) else 1.0


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
