"""Sums over rows that Gauss-Newton needs, built block by block of rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.training.distributed import total
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Loss

# numbers in one block of the Jacobian: 64 MiB of float64
BLOCK_NUMBERS = 2**23


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
    size = int(living.sum())
    everything = size == len(living)
    curvature = torch.zeros(size, size, dtype=torch.float64)
    gradient = torch.zeros(size, dtype=torch.float64)
    outputs = linearisation.network.out_features
    rows = max(16, BLOCK_NUMBERS // (len(w) * outputs))
    for start in range(0, len(y), rows):
        part = slice(start, start + rows)
        f, jacobian = linearisation.jacobian(w, part)
        if not everything:
            jacobian = jacobian[:, :, living]
        scale = weight[part].unsqueeze(-1)
        slope = loss.gradient(f, y[part]) * scale
        gradient += torch.einsum("nc,ncp->p", slope, jacobian)
        root = loss.root_curvature(f, y[part])
        if root.dim() == 2:
            rooted = jacobian.mul_((root * scale.sqrt()).unsqueeze(-1))
        else:
            rooted = torch.einsum("nck,ncp->nkp", root * scale.sqrt().unsqueeze(-1), jacobian)
        flat = rooted.flatten(0, 1)
        curvature.addmm_(flat.mT, flat)
    return NormalEquations(total(curvature), total(gradient))


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
    root = loss.root_curvature(f, y)
    root = root * weight.sqrt().view(-1, *[1] * (root.dim() - 1))
    if root.dim() == 2:
        root = torch.diag_embed(root)
    return total(linearisation.squared(w, root.mT)[living])


def factorise(matrix: Tensor) -> Tensor:
    """Return the Cholesky factor, with the smallest relative jitter that makes it possible."""
    diagonal = matrix.diagonal()
    jitter = 0.0
    while True:
        factor, info = torch.linalg.cholesky_ex(matrix + torch.diag(jitter * diagonal))
        if int(info) == 0:
            return factor
        jitter = max(jitter * 10, 1e-14)
