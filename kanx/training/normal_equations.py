"""Sums over rows that Gauss-Newton needs, built block by block of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from kanx.training.distributed import total
from kanx.training.few_rows import RowEquations, rows_are_few
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

    def times(self, factor: float) -> NormalEquations:
        """Return the equations of a multiple of the loss."""
        return NormalEquations(factor * self.curvature, factor * self.gradient)

    def moved(self, change: Tensor, kept: Tensor) -> NormalEquations:
        """Return those of some of the coordinates elsewhere, to first order."""
        gradient = self.gradient + self.curvature @ change
        return NormalEquations(self.curvature[kept][:, kept], gradient[kept])

    def regularised(self, precision: Tensor) -> DenseSystem:
        """Add the curvature of the prior."""
        return DenseSystem(self.curvature + torch.diag(precision))


class DenseSystem:
    """A positive definite matrix, ``(living, living)``."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def quadratic(self, step: Tensor) -> Tensor:
        """Return ``step' A step``."""
        return step @ self.matrix @ step

    def solve(self, right: Tensor, damping: float) -> Tensor | None:
        """Solve ``(A + damping diag A) s = right``; None where that is not positive definite."""
        diagonal = self.matrix.diagonal().clamp_min(1e-300)
        factor, info = torch.linalg.cholesky_ex(self.matrix + torch.diag(damping * diagonal))
        if int(info) != 0:
            return None
        step = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
        return step if bool(torch.isfinite(step).all()) else None

    def laplace(self) -> tuple[Tensor, Tensor]:
        """Return the log determinant, and the inverse."""
        factor = factorise(self.matrix)
        return 2 * factor.diagonal().log().sum(), torch.cholesky_inverse(factor)


Equations: TypeAlias = NormalEquations | RowEquations


def assemble(
    linearisation: Linearisation,
    loss: Loss,
    w: Tensor,
    y: Tensor,
    weight: Tensor,
    living: Tensor,
) -> Equations:
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

    def seed(f: Tensor, rows: slice) -> Tensor:
        own, scale = y[rows], weight[rows].unsqueeze(-1)
        slope = loss.gradient(f, own) * scale
        return torch.cat([weighted_root(loss, f, own, scale).mT, slope.unsqueeze(1)], dim=1)

    if rows_are_few(len(y) * linearisation.network.out_features, int(living.sum())):
        return _among_rows(linearisation, w, living, seed)
    columns = linearisation.columns(living)
    gram = GramMatrix(columns)
    gradient = torch.zeros(len(w), dtype=torch.float64)
    for factors in linearisation.factors(w, columns, seed):
        for factor in factors:
            by_column = factor.features.mT @ factor.upstream[:, -1]
            gradient[factor.places[factor.alive]] += by_column[factor.alive]
        gram.add([replace(factor, upstream=factor.upstream[:, :-1]) for factor in factors])
    return NormalEquations(total(gram.matrix()), total(gradient[living]))


def _among_rows(
    linearisation: Linearisation,
    w: Tensor,
    living: Tensor,
    seed: Callable[[Tensor, slice], Tensor],
) -> RowEquations:
    roots, gradient = [], torch.zeros(int(living.sum()), dtype=torch.float64)
    for rows in linearisation.blocks():
        f, jacobian = linearisation.jacobian(w, rows)
        products = seed(f, rows) @ jacobian[..., living]  # (rows, seeds, living), the slope last
        roots.append(products[:, :-1].flatten(0, 1))
        gradient += products[:, -1].sum(0)
    return RowEquations(torch.cat(roots), gradient)


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
