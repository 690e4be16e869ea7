"""The Gaussian posterior of a network that another optimiser than ours has trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.climb import DENSE_LIMIT, NOISE_RANGE
from kanx.training.coordinates import Coordinates
from kanx.training.distributed import own_share, total
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Loss, NoisyLoss
from kanx.training.normal_equations import assemble, curvature_diagonal
from kanx.training.posterior import Posterior
from kanx.training.rows import Chunks, blocks


def laplace(
    network: KAN, chunks: Chunks, loss: Loss, precision: Tensor
) -> tuple[Posterior, float, Loss]:
    r"""Return the posterior, the log evidence and the loss with its noise re-estimated.

    Sums run over blocks of rows, so memory does not grow with their number. The curvature is the
    whole Gauss-Newton matrix up to `DENSE_LIMIT` coordinates and its diagonal beyond.

    Parameters
    ----------
    network : KAN
        In float64, at its optimum; not changed.
    chunks : Chunks
    loss : Loss
    precision : Tensor, (n_groups,)
        Prior precisions it was trained with.
    """
    coordinates = Coordinates(network)
    if int(coordinates.alive().sum()) > DENSE_LIMIT:  # perhaps not of those that rows depend on
        coordinates.freeze(_uninformed(coordinates, chunks))
    dense = int(coordinates.alive().sum()) <= DENSE_LIMIT
    sums = _sums(coordinates, chunks, loss, dense)
    living = coordinates.alive()
    own = precision[coordinates.group[living]]
    if isinstance(loss, NoisyLoss):
        effective = (1 - own * _covariance(sums.curvature, own, variances=True)).sum().clamp_min(0)
        freedom = (sums.weight - effective / len(sums.squares)).clamp_min(0.05 * sums.weight)
        noise = (freedom / sums.squares.clamp_min(1e-300)).clamp(*NOISE_RANGE)
        before, loss = loss, loss.with_precision(noise)
        known = sums.with_noise(before, loss)
        sums = _sums(coordinates, chunks, loss, dense) if known is None else known
    w = coordinates.read()[living]
    penalised = sums.value + 0.5 * (own * w * w).sum()
    evidence = -penalised + 0.5 * (own.log().sum() - _log_determinant(sums.curvature, own))
    noise_precision = loss.precision if isinstance(loss, NoisyLoss) else None
    covariance = _covariance(sums.curvature, own, variances=False)
    posterior = Posterior(coordinates, living, covariance, precision, noise_precision)
    return posterior, evidence.item(), loss


@dataclass(frozen=True)
class Sums:
    """Sums over all rows.

    Attributes
    ----------
    curvature : Tensor, (living, living) or (living,)
        The whole Gauss-Newton matrix or its diagonal.
    value : Tensor, ()
        Negative log likelihood.
    squares : Tensor, (outputs,)
        Squared residuals, where the noise is estimated.
    weight : Tensor, ()
    """

    curvature: Tensor
    value: Tensor
    squares: Tensor
    weight: Tensor

    def with_noise(self, before: Loss, loss: Loss) -> Sums | None:
        """Return the sums for another noise; None where all rows have to be seen again."""
        times = loss.times(before)
        if times is None or not isinstance(loss, Gaussian) or not isinstance(before, Gaussian):
            return None
        change = (loss.precision - before.precision) @ self.squares
        logarithms = self.weight * (loss.precision / before.precision).log().sum()
        value = self.value + 0.5 * (change - logarithms)
        return replace(self, curvature=times * self.curvature, value=value)


def _uninformed(coordinates: Coordinates, chunks: Chunks) -> Tensor:
    flags = torch.ones(coordinates.size, dtype=torch.bool)
    for x, _, _ in blocks(chunks):
        flags &= Linearisation(coordinates, x[own_share(len(x))]).uninformed()
    return flags


def _sums(coordinates: Coordinates, chunks: Chunks, loss: Loss, dense: bool) -> Sums:
    """Sum over all rows, and freeze the coordinates that none of them depends on."""
    w, living = coordinates.read(), coordinates.alive()
    size = int(living.sum())
    curvature = torch.zeros(size, size) if dense else torch.zeros(size)
    curvature = curvature.double()
    value, weights = torch.zeros(2, dtype=torch.float64)
    squares = torch.zeros(coordinates.network.out_features, dtype=torch.float64)
    uninformed = torch.ones(coordinates.size, dtype=torch.bool)
    for rows in blocks(chunks):
        x, y, weight = (part[own_share(len(part))] for part in rows)
        linearisation = Linearisation(coordinates, x)
        uninformed &= linearisation.uninformed()
        f = linearisation.outputs(w)
        if dense:
            curvature += assemble(linearisation, loss, w, y, weight, living).curvature
        else:
            curvature += curvature_diagonal(linearisation, loss, w, y, weight, living)
        value += (loss.value(f, y) * weight).sum()
        weights += weight.sum()
        if isinstance(loss, NoisyLoss):
            squares += (loss.residual_squares(f, y) * weight.unsqueeze(-1)).sum(0)
    coordinates.freeze(uninformed)
    informed = coordinates.alive()[living]
    curvature = curvature[informed][:, informed] if dense else curvature[informed]
    return Sums(curvature, total(value), total(squares), total(weights))


def _covariance(curvature: Tensor, precision: Tensor, variances: bool) -> Tensor:
    if curvature.dim() == 1:
        return 1 / (curvature + precision)
    covariance = torch.linalg.inv(curvature + torch.diag(precision))
    return covariance.diagonal() if variances else 0.5 * (covariance + covariance.mT)


def _log_determinant(curvature: Tensor, precision: Tensor) -> Tensor:
    if curvature.dim() == 1:
        return (curvature + precision).log().sum()
    return torch.linalg.slogdet(curvature + torch.diag(precision)).logabsdet
