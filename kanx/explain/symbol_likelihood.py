"""How far a formula is from what was measured: squares, or deviances behind a link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, xlogy

Array = NDArray[np.float64]


class Likelihood(ABC):
    """Distribution of a target around a formula on the scale of its link.

    Attributes
    ----------
    error : str
        What the root of the mean squared residual is called.
    has_noise : bool
        Whether the variance of a row is a number that the rows must tell.
    """

    error: ClassVar[str] = "root mean deviance"
    has_noise: ClassVar[bool] = False

    @abstractmethod
    def residual(self, values: Array, target: Array) -> Array:
        """Return signed residuals whose squares add up to the loss, (rows,).

        Parameters
        ----------
        values : ndarray, (rows,)
            The formula, on the scale of the link.
        target : ndarray, (rows,)
            Measured values, or expectations of classes 0 and 1 or of counts.
        """

    @abstractmethod
    def link(self, mean: float) -> float:
        """Return the constant formula for a mean of the target."""

    def softened(self, target: Array) -> Array:
        r"""Return the target with one more observation, of the mean, spread over all rows.

        .. math:: t_i' = \frac{N t_i + \bar t}{N + 1}

        is the target whose likelihood is the posterior under a conjugate prior that weighs as much
        as one row. Constants of perfectly separated classes stay finite.

        References
        ----------
        Chen and Ibrahim: Conjugate priors for generalized linear models, Statistica Sinica 13,
        2003.
        """
        rows = len(target)
        return np.asarray((rows * target + target.mean()) / (rows + 1), dtype=float)


class Normal(Likelihood):
    """Values with noise of one variance; the formula is the value itself."""

    error = "root-mean-square error"
    has_noise = True

    def residual(self, values: Array, target: Array) -> Array:
        return np.asarray(values - target, dtype=float)

    def link(self, mean: float) -> float:
        return mean

    def softened(self, target: Array) -> Array:
        return target


class Bernoulli(Likelihood):
    """Classes 0 and 1; the formula is the log-odds of 1."""

    def residual(self, values: Array, target: Array) -> Array:
        entropy = -xlogy(target, target) - xlogy(1 - target, 1 - target)
        deviance = 2 * (np.logaddexp(0, values) - target * values - entropy)
        sign = np.where(expit(values) < target, -1.0, 1.0)
        return np.asarray(sign * np.sqrt(np.maximum(deviance, 0.0)), dtype=float)

    def link(self, mean: float) -> float:
        return float(logit(np.clip(mean, 1e-12, 1 - 1e-12)))


class Counts(Likelihood):
    """Numbers of events, of Poisson's distribution; the formula is the logarithm of the mean."""

    def residual(self, values: Array, target: Array) -> Array:
        expected = np.exp(np.minimum(values, 700.0))
        deviance = 2 * (xlogy(target, target) - target * values - target + expected)
        sign = np.where(expected < target, -1.0, 1.0)
        return np.asarray(sign * np.sqrt(np.maximum(deviance, 0.0)), dtype=float)

    def link(self, mean: float) -> float:
        return float(np.log(max(mean, 1e-12)))
