"""The Gaussian posterior of a network that another optimiser than ours has trained."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.climb import NOISE_RANGE
from kanx.training.coordinates import Coordinates
from kanx.training.distributed import own_share, total
from kanx.training.evidence import DENSE_LIMIT
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Loss, NoisyLoss
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
    coordinates.freeze(_uninformed(coordinates, chunks))
    living = coordinates.alive()
    own = precision[coordinates.group[living]]
    dense = int(living.sum()) <= DENSE_LIMIT
    curvature, value, squares, weight = _sums(coordinates, chunks, loss, living, dense)
    if isinstance(loss, NoisyLoss):
        effective = (1 - own * _covariance(curvature, own, variances=True)).sum().clamp_min(0)
        freedom = (weight - effective / len(squares)).clamp_min(0.05 * weight)
        loss = loss.with_precision((freedom / squares.clamp_min(1e-300)).clamp(*NOISE_RANGE))
        curvature, value, _, _ = _sums(coordinates, chunks, loss, living, dense)
    w = coordinates.read()[living]
    penalised = value + 0.5 * (own * w * w).sum()
    evidence = -penalised + 0.5 * (own.log().sum() - _log_determinant(curvature, own))
    noise = loss.precision if isinstance(loss, NoisyLoss) else None
    covariance = _covariance(curvature, own, variances=False)
    return Posterior(coordinates, living, covariance, precision, noise), evidence.item(), loss


def _uninformed(coordinates: Coordinates, chunks: Chunks) -> Tensor:
    flags = torch.ones(coordinates.size, dtype=torch.bool)
    for x, _, _ in blocks(chunks):
        flags &= Linearisation(coordinates, x[own_share(len(x))]).uninformed()
    return flags


def _sums(
    coordinates: Coordinates, chunks: Chunks, loss: Loss, living: Tensor, dense: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return curvature, loss, weighted squares of the residuals and weight of all rows."""
    w = coordinates.read()
    size = int(living.sum())
    curvature = torch.zeros(size, size) if dense else torch.zeros(size)
    curvature = curvature.double()
    value, weights = torch.zeros(2, dtype=torch.float64)
    squares = torch.zeros(coordinates.network.out_features, dtype=torch.float64)
    for rows in blocks(chunks):
        x, y, weight = (part[own_share(len(part))] for part in rows)
        linearisation = Linearisation(coordinates, x)
        with torch.no_grad():
            f = coordinates.network(x)
        if dense:
            curvature += assemble(linearisation, loss, w, y, weight, living).curvature
        else:
            curvature += curvature_diagonal(linearisation, loss, w, y, weight, living)
        value += (loss.value(f, y) * weight).sum()
        weights += weight.sum()
        if isinstance(loss, NoisyLoss):
            squares += (loss.residual_squares(f, y) * weight.unsqueeze(-1)).sum(0)
    return curvature, total(value), total(squares), total(weights)


def _covariance(curvature: Tensor, precision: Tensor, variances: bool) -> Tensor:
    if curvature.dim() == 1:
        return 1 / (curvature + precision)
    covariance = torch.linalg.inv(curvature + torch.diag(precision))
    return covariance.diagonal() if variances else 0.5 * (covariance + covariance.mT)


def _log_determinant(curvature: Tensor, precision: Tensor) -> Tensor:
    if curvature.dim() == 1:
        return (curvature + precision).log().sum()
    return torch.linalg.slogdet(curvature + torch.diag(precision)).logabsdet
