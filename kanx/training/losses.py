"""Losses as negative log likelihoods, with the curvature that Gauss-Newton needs."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import Self

import torch
from scipy.stats import norm
from torch import Tensor


class Loss(ABC):
    """A negative log likelihood of targets given the network's outputs.

    Targets are ``(rows, outputs)`` except for `Softmax`, whose are class codes ``(rows,)``.
    """

    @abstractmethod
    def value(self, f: Tensor, y: Tensor) -> Tensor:
        """Return the negative log likelihood of every row, ``(rows,)``."""

    @abstractmethod
    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        """Differentiate `value` by the outputs: ``(rows, outputs)``."""

    @abstractmethod
    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        """Return ``R`` with ``R R'`` the generalised Gauss-Newton curvature by the outputs.

        ``(rows, outputs)`` where it is diagonal, else ``(rows, outputs, outputs)``.
        """

    @abstractmethod
    def mean(self, f: Tensor) -> Tensor:
        """Map outputs to the expected target."""

    def to(self, like: Tensor) -> Self:
        """Return the loss for outputs of another number type or device."""
        return self

    def times(self, other: Loss) -> float | None:
        """Return what gradient and curvature are in units of those of another loss.

        None where they are not the same multiple at all outputs and targets.
        """
        return 1.0 if self is other else None


class NoisyLoss(Loss):
    """A loss whose target has a noise that is estimated with the network.

    Attributes
    ----------
    precision : Tensor, (outputs,)
        Inverse variances; ``(rows, outputs)`` where every row has its own.
    """

    precision: Tensor

    def with_precision(self, precision: Tensor) -> Self:
        """Return the same loss with another noise."""
        other = copy.copy(self)
        other.precision = precision
        return other

    def to(self, like: Tensor) -> Self:
        """Return the loss for outputs of another number type or device."""
        return self.with_precision(self.precision.to(like))

    def residual_squares(self, f: Tensor, y: Tensor) -> Tensor:
        """Return squared residuals whose weighted mean is the noise, ``(rows, outputs)``."""
        return (f - y) ** 2

    @property
    def unit_variance(self) -> float:
        """Variance of the noise where the precision is one."""
        return 1.0

    def unit_quantile(self, level: float) -> float:
        """Return the quantile of that noise for a level of at least one half."""
        return float(norm.ppf(level))

    @property
    def noise(self) -> Tensor:
        """All that is estimated of the noise, one vector."""
        return self.precision

    def with_noise(self, noise: Tensor) -> Self:
        """Return the same loss with another `noise`."""
        return self.with_precision(noise)


class Gaussian(NoisyLoss):
    """Normal errors, one precision per output.

    Parameters
    ----------
    precision : Tensor, (outputs,)
        Inverse noise variances.
    """

    def __init__(self, precision: Tensor) -> None:
        self.precision = precision

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        normaliser = torch.log(self.precision / (2 * torch.pi)).sum(-1)
        return 0.5 * ((f - y) ** 2 * self.precision).sum(-1) - 0.5 * normaliser

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        return (f - y) * self.precision

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        return self.precision.sqrt().expand_as(f)

    def mean(self, f: Tensor) -> Tensor:
        return f

    def times(self, other: Loss) -> float | None:
        if not isinstance(other, Gaussian) or other.precision.shape != self.precision.shape:
            return None
        ratio = (self.precision / other.precision).flatten()
        return ratio[0].item() if bool((ratio == ratio[0]).all()) else None


class Logistic(Loss):
    """Binary classes 0 and 1 through the logit link; several outputs are independent."""

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        return (torch.nn.functional.softplus(f) - y * f).sum(-1)

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(f) - y

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        p = torch.sigmoid(f)
        return (p * (1 - p)).sqrt()

    def mean(self, f: Tensor) -> Tensor:
        return torch.sigmoid(f)


class Softmax(Loss):
    """Several exclusive classes; targets are class codes."""

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(f, y, reduction="none")

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        return f.softmax(-1) - torch.nn.functional.one_hot(y, f.shape[-1])

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        # diag(p) - p p' = R R' with R = diag(sqrt p) - p sqrt(p)'
        p = f.softmax(-1)
        return torch.diag_embed(p.sqrt()) - p.unsqueeze(-1) * p.sqrt().unsqueeze(-2)

    def mean(self, f: Tensor) -> Tensor:
        return f.softmax(-1)


class Poisson(Loss):
    """Counts through the logarithmic link.

    Parameters
    ----------
    offset : Tensor, (outputs,), optional
        Added to the outputs, such as the logarithm of the mean count; 0 if left out.
    """

    def __init__(self, offset: Tensor | None = None) -> None:
        self.offset = torch.zeros(1, dtype=torch.float64) if offset is None else offset

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        linear = f + self.offset
        return (linear.exp() - y * linear + torch.lgamma(y + 1)).sum(-1)

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        return self.mean(f) - y

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        return ((f + self.offset) / 2).exp()

    def mean(self, f: Tensor) -> Tensor:
        return (f + self.offset).exp()

    def to(self, like: Tensor) -> Self:
        other = copy.copy(self)
        other.offset = self.offset.to(like)
        return other


class Huber(NoisyLoss):
    """Squared errors near zero and absolute ones beyond ``delta`` standard deviations.

    Parameters
    ----------
    precision : Tensor, (outputs,)
        Inverse variances of the central part.
    delta : float, default=1.345
        Where the loss turns linear; 1.345 has 95 % efficiency on normal errors.

    References
    ----------
    Huber: Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964.
    """

    def __init__(self, precision: Tensor, delta: float = 1.345) -> None:
        self.precision = precision
        self.delta = delta

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        r = ((f - y) * self.precision.sqrt()).abs()
        inner = r.clamp_max(self.delta)
        normaliser = torch.log(self.precision / (2 * torch.pi)).sum(-1)
        return (inner * (r - inner / 2)).sum(-1) - 0.5 * normaliser

    def gradient(self, f: Tensor, y: Tensor) -> Tensor:
        root = self.precision.sqrt()
        return ((f - y) * root).clamp(-self.delta, self.delta) * root

    def root_curvature(self, f: Tensor, y: Tensor) -> Tensor:
        # the weights of iteratively re-weighted least squares, positive in the tails too
        r = ((f - y) * self.precision.sqrt()).abs()
        return (self.precision * (self.delta / r.clamp_min(self.delta))).sqrt()

    def mean(self, f: Tensor) -> Tensor:
        return f

    def residual_squares(self, f: Tensor, y: Tensor) -> Tensor:
        # weighted so that the scale is the most likely one of Huber's density
        return (f - y) ** 2 * (self.root_curvature(f, y) ** 2 / self.precision)

    @property
    def unit_variance(self) -> float:
        # Huber: Robust statistics, 1981, 4.5: normal up to delta and exponential beyond
        delta, (centre, edge) = self.delta, self._masses()
        inner = centre - 2 * delta * edge
        outer = 2 * edge * (delta + 2 / delta + 2 / delta**3)
        return (inner + outer) / (centre + 2 * edge / delta)

    def unit_quantile(self, level: float) -> float:
        delta, (centre, edge) = self.delta, self._masses()
        mass = centre + 2 * edge / delta
        beyond = (1 - level) * mass  # of the upper tail
        if beyond < edge / delta:
            return delta - math.log(beyond * delta / edge) / delta
        return float(norm.ppf(0.5 + (level - 0.5) * mass / math.sqrt(2 * math.pi)))

    def _masses(self) -> tuple[float, float]:
        """Return the mass of the normal part and the density at its end, without normaliser."""
        inside = float(norm.cdf(self.delta) - norm.cdf(-self.delta))
        return math.sqrt(2 * math.pi) * inside, math.exp(-(self.delta**2) / 2)
