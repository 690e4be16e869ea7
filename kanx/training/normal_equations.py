"""Sums over rows that Gauss-Newton needs, built block by block of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kanx.training.distributed import total
from kanx.training.gram import GramMatrix
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Loss


@dataclass(frozen=True)
class NormalEquations:
    """Curvature and gradient of a loss by the living coordinates.

    Attributes
    ----------
    curvature : Tensor, (living, living)
        Generalised Gauss-Newton matrix.
    gradient : Tensor, (living,)
    """

    curvature: Tensor
    gradient: Tensor


def assemble(
    linearisation: Linearisation,
    loss: Loss,
    w: Tensor,
    y: Tensor,
    weight: Tensor,
    living: Tensor,
) -> NormalEquations:
    r"""Sum :math:`J' W J` and :math:`J' g` over the rows; the network must be set to ``w``.

    Where processes share rows, each passes its own and all get the sum of all.

    Parameters
    ----------
    linearisation : Linearisation
    loss : Loss
    w : Tensor, (size,)
    y : Tensor, (rows, ...)
    weight : Tensor, (rows,)
        Sample weights.
    living : Tensor, bool (size,)
        Coordinates that take part.
    """
    columns = linearisation.columns(living)
    gram = GramMatrix(columns)
    gradient = torch.zeros(len(w), dtype=torch.float64)

    def seed(f: Tensor, rows: slice) -> Tensor:
        own, scale = y[rows], weight[rows].unsqueeze(-1)
        slope = loss.gradient(f, own) * scale
        return torch.cat([weighted_root(loss, f, own, scale).mT, slope.unsqueeze(1)], dim=1)

    for factors in linearisation.factors(w, columns, seed):
        for factor in factors:
            by_column = factor.features.mT @ factor.upstream[:, -1]
            gradient[factor.places[factor.alive]] += by_column[factor.alive]
        gram.add([replace(factor, upstream=factor.upstream[:, :-1]) for factor in factors])
    return NormalEquations(total(gram.matrix()), total(gradient[living]))


def curvature_diagonal(
    linearisation: Linearisation,
    loss: Loss,
    w: Tensor,
    y: Tensor,
    weight: Tensor,
    living: Tensor,
) -> Tensor:
    r"""Return the diagonal of :math:`J' W J`, ``(living,)``; sets the network to ``w``."""
    f = linearisation.outputs(w)
    root = weighted_root(loss, f, y, weight.unsqueeze(-1))
    return total(linearisation.squared(w, root.mT)[living])


def weighted_root(loss: Loss, f: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return the root of the loss's weighted curvature, ``(rows, outputs, seeds)``."""
    root = loss.root_curvature(f, y)
    if root.dim() == 2:
        root = torch.diag_embed(root)
    return root * weight.sqrt().unsqueeze(-1)


def factorise(matrix: Tensor) -> Tensor:
    """Return the Cholesky factor, with the smallest relative jitter that makes it possible."""
    diagonal = matrix.diagonal()
    jitter = 0.0
    while True:
        factor, info = torch.linalg.cholesky_ex(matrix + torch.diag(jitter * diagonal))
        if int(info) == 0:
            return factor
        jitter = max(jitter * 10, 1e-14)
