"""The Gaussian (Laplace) posterior of a fitted network: error bars of curves and predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.training.coordinates import Block, Coordinates


class Posterior:
    r"""Hold :math:`N(w, A^{-1})` over the whitened coordinates of the edges that are alive.

    Parameters
    ----------
    coordinates : Coordinates
    living : Tensor, bool (size,)
    covariance : Tensor, (living, living) or (living,)
        The whole matrix, or only its diagonal where the network is too large for one.
    precision : Tensor, (n_groups,)
        Prior precision of every group of coordinates.
    noise_precision : Tensor, (outputs,), optional
        Of the target, where the loss has one.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        living: Tensor,
        covariance: Tensor,
        precision: Tensor,
        noise_precision: Tensor | None = None,
    ) -> None:
        self.coordinates = coordinates
        self.living = living
        self.covariance = covariance.contiguous()  # one layout, so that a copy computes the same
        self.precision = precision
        self.noise_precision = noise_precision

    @property
    def is_diagonal(self) -> bool:
        """Whether only the variances of the coordinates are known."""
        return self.covariance.dim() == 1

    def variances(self) -> Tensor:
        """Return the variance of every living coordinate, ``(living,)``."""
        return self.covariance if self.is_diagonal else self.covariance.diagonal()

    def between(self, members: Tensor) -> Tensor:
        """Return the covariance of some living coordinates, ``(members, members)``."""
        if self.is_diagonal:
            return torch.diag(self.covariance[members])
        return self.covariance[members][:, members]

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
        spread = own * self.covariance if self.is_diagonal else own @ self.covariance
        return (spread * own).sum(-1)

    def output_covariance(self, jacobian: Tensor) -> Tensor:
        """Return the covariance of the outputs of every row, ``(rows, outputs, outputs)``."""
        own = jacobian[:, :, self.living]
        spread = own * self.covariance if self.is_diagonal else own @ self.covariance
        return spread @ own.mT

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
