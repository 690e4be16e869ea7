"""The Gaussian (Laplace) posterior of a fitted network: error bars of curves and predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.training.coordinates import Block, Coordinates
from kanx.training.few_rows import RowCovariance


class Posterior:
    r"""Hold :math:`N(w, A^{-1})` over the whitened coordinates of the edges that are alive.

    Parameters
    ----------
    coordinates : Coordinates
    living : Tensor, bool (size,)
    covariance : Tensor, (living, living) or (living,), or RowCovariance
        The whole matrix, or only its diagonal where the network is too large for one. During a fit
        to few rows, what stands for the matrix.
    precision : Tensor, (n_groups,)
        Prior precision of every group of coordinates.
    noise_precision : Tensor, (outputs,), optional
        Of the target, where the loss has one.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        living: Tensor,
        covariance: Tensor | RowCovariance,
        precision: Tensor,
        noise_precision: Tensor | None = None,
    ) -> None:
        self.coordinates = coordinates
        self.living = living
        # one layout, so that a copy computes the same
        self._form = covariance.contiguous() if isinstance(covariance, Tensor) else covariance
        self.precision = precision
        self.noise_precision = noise_precision

    @property
    def covariance(self) -> Tensor:
        """The whole matrix or its diagonal, ``(living, living)`` or ``(living,)``."""
        if isinstance(self._form, RowCovariance):
            return self._form.times(torch.eye(int(self.living.sum()), dtype=torch.float64))
        return self._form

    @property
    def is_diagonal(self) -> bool:
        """Whether only the variances of the coordinates are known."""
        return isinstance(self._form, Tensor) and self._form.dim() == 1

    @property
    def is_among_rows(self) -> bool:
        """Whether a matrix stands for the covariance that has a row for every row of the data."""
        return isinstance(self._form, RowCovariance)

    def variances(self) -> Tensor:
        """Return the variance of every living coordinate, ``(living,)``."""
        if isinstance(self._form, RowCovariance):
            return self._form.variances()
        return self._form if self.is_diagonal else self._form.diagonal()

    def between(self, members: Tensor) -> Tensor:
        """Return the covariance of some living coordinates, ``(members, members)``."""
        if isinstance(self._form, RowCovariance):
            return self._form.between(members)
        if self.is_diagonal:
            return torch.diag(self._form[members])
        return self._form[members][:, members]

    def _times(self, rows: Tensor) -> Tensor:
        """Multiply ``(..., living)`` by the covariance."""
        if isinstance(self._form, RowCovariance):
            return self._form.times(rows)
        return rows * self._form if self.is_diagonal else rows @ self._form

    def rescaled(self, factor: float, noise_precision: Tensor) -> Posterior:
        """Return the posterior with a multiple of its covariance, and another noise."""
        return Posterior(
            self.coordinates, self.living, factor * self.covariance, self.precision, noise_precision
        )

    def effective_parameters(self) -> Tensor:
        r"""Return :math:`\gamma` of every group, ``(n_groups,)``; zero where pruned."""
        group = self.coordinates.group[self.living]
        ones = torch.ones(len(group), dtype=torch.float64)
        zeros = torch.zeros(self.coordinates.n_groups, dtype=torch.float64)
        count = zeros.index_add(0, group, ones)
        spread = zeros.index_add(0, group, self.variances())
        return (count - self.precision * spread).clamp_min(0)

    def log_bayes_factors(self, w: Tensor) -> Tensor:
        """Return the log Bayes factor of keeping each group against setting it to zero.

        The Savage-Dickey ratio of prior to posterior density at zero; ``(n_groups,)``, infinite
        for the biases and for groups that are pruned already.
        """
        group = self.coordinates.group[self.living]
        own = w[self.living]
        factors = torch.full((self.coordinates.n_groups,), float("inf"), dtype=torch.float64)
        order = torch.argsort(group, stable=True)
        labels, counts = torch.unique_consecutive(group[order], return_counts=True)
        for label, members in zip(labels.tolist(), order.split(counts.tolist()), strict=True):
            if label == self.coordinates.n_groups - 1:
                continue
            block = self.between(members)
            mean = own[members]
            factor, info = torch.linalg.cholesky_ex(block)
            if int(info) != 0:
                continue
            solved = torch.cholesky_solve(mean.unsqueeze(-1), factor).squeeze(-1)
            at_posterior = -factor.diagonal().log().sum() - 0.5 * (mean @ solved)
            at_prior = 0.5 * len(members) * self.precision[label].log()
            factors[label] = at_prior - at_posterior
        return factors

    def output_variance(self, jacobian: Tensor) -> Tensor:
        """Return the variance of the outputs: ``(rows, outputs, size) -> (rows, outputs)``."""
        own = jacobian[:, :, self.living]
        return (self._times(own) * own).sum(-1)

    def output_covariance(self, jacobian: Tensor) -> Tensor:
        """Return the covariance of the outputs of every row, ``(rows, outputs, outputs)``."""
        own = jacobian[:, :, self.living]
        return self._times(own) @ own.mT

    def scaled(self, normal: Tensor) -> Tensor:
        """Turn standard normal numbers ``(draws, living)`` into draws around the optimum."""
        if self.is_diagonal:
            return normal * self.covariance.sqrt()
        # the eigenvalues of a covariance that is singular to rounding may be below zero
        values, vectors = torch.linalg.eigh(self.covariance)
        return (normal * values.clamp_min(0).sqrt()) @ vectors.mT

    def parameter_covariance(self, block: Block, edge: tuple[int, int]) -> Tensor:
        """Return the covariance of one edge's parameters, ``(p, p)``; zero where pruned."""
        p, n, o = block.shape
        i, out = edge
        index = block.start + (torch.arange(p) * n + i) * o + out
        living = self.living[index]
        place = torch.cumsum(self.living, 0) - 1
        factor = block.factor[i][:, living]
        return factor @ self.between(place[index[living]]) @ factor.mT
