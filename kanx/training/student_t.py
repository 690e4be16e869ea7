"""Student's t errors: a noise whose tails are as heavy as the data say."""

from __future__ import annotations

import math
from typing import Self

import torch
from scipy.stats import t as student
from torch import Tensor

from kanx.training.losses import NoisyLoss

# with less the variance would hardly exist, with more the errors are normal for all purposes
FREEDOMS = torch.logspace(math.log10(2.1), 2, 30, dtype=torch.float64)


class StudentT(NoisyLoss):
    r"""Errors that follow Student's t distribution, which bears gross outliers.

    .. math:: -\log p = \tfrac{\nu + 1}{2} \log\Big(1 + \frac{(f - y)^2}{\nu s^2}\Big)
              + \log s + \text{const}

    An error of many standard deviations hardly costs more than one of a few, so that outliers of
    any size leave fit and scale as they are. The curvature is that of iteratively re-weighted
    least squares, which is positive everywhere.

    Parameters
    ----------
    precision : Tensor, (outputs,)
        Inverse squared scales :math:`1 / s^2`.
    freedom : float, default=4
        Degrees of freedom :math:`\nu`.

    References
    ----------
    Lange, Little and Taylor: Robust statistical modeling using the t distribution, Journal of the
    American Statistical Association 84, 1989.
    """

    def __init__(self, precision: Tensor, freedom: float = 4.0) -> None:
        self.precision = precision
        self.freedom = freedom

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        return -self._log_density(f, y, torch.tensor(self.freedom, dtype=f.dtype)).sum(-1)

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        return (f - y) * self.precision * self._share(f, y)

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        return (self.precision * self._share(f, y)).sqrt()

    def mean(self, f: Tensor) -> Tensor:
        return f

    def residual_squares(self, f: Tensor, y: Tensor) -> Tensor:
        # weighted so that the scale is the most likely one
        return (f - y) ** 2 * self._share(f, y)

    @property
    def unit_variance(self) -> float:
        return self.freedom / (self.freedom - 2)

    def unit_quantile(self, level: float) -> float:
        return float(student.ppf(level, self.freedom))

    @property
    def noise(self) -> Tensor:
        return torch.cat([self.precision, self.precision.new_tensor([self.freedom])])

    def with_noise(self, noise: Tensor) -> Self:
        found = self.with_precision(noise[:-1])
        found.freedom = noise[-1].item()
        return found

    def tails(self, f: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Sum the log density of rows under the degrees of freedom `FREEDOMS`."""
        by_row = self._log_density(f.unsqueeze(-1), y.unsqueeze(-1), FREEDOMS)
        return weight @ by_row.sum(1)

    def with_tails(self, sums: Tensor) -> Self:
        r"""Return the loss with the most probable degrees of freedom.

        Their prior is :math:`\nu e^{-\nu / 10}` (Juárez and Steel: Model-based clustering of
        non-Gaussian panel data based on skew-t distributions, Journal of Business and Economic
        Statistics 28, 2010).

        Parameters
        ----------
        sums : Tensor
            Of `tails`.
        """
        posterior = sums + FREEDOMS.log() - FREEDOMS / 10
        return self.with_noise(torch.cat([self.precision, FREEDOMS[posterior.argmax()][None]]))

    def _share(self, f: Tensor, y: Tensor) -> Tensor:
        """Return the weights of the rows in re-weighted least squares."""
        return (self.freedom + 1) / (self.freedom + (f - y) ** 2 * self.precision)

    def _log_density(self, f: Tensor, y: Tensor, freedom: Tensor) -> Tensor:
        """Return the log density, ``(rows, outputs)`` or ``(rows, outputs, freedoms)``."""
        more = f.dim() - 2
        precision = self.precision.reshape(*self.precision.shape, *more * [1])
        half = (freedom + 1) / 2
        constant = torch.lgamma(half) - torch.lgamma(freedom / 2) - 0.5 * (math.pi * freedom).log()
        error = torch.log1p((f - y) ** 2 * precision / freedom)
        return constant + 0.5 * precision.log() - half * error
