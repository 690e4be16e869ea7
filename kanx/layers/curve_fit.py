"""Least-squares fits of all edges of a bundle at once, each by its own Levenberg-Marquardt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from kanx.layers.base import EdgeFamily


def fit_curves(
    bundle: EdgeFamily,
    x: Tensor,
    targets: Tensor,
    weight: Tensor,
    starts: Sequence[Tensor] = (),
    *,
    screening: int = 12,
    iterations: int = 100,
    ridge: float = 1e-10,
) -> Tensor:
    """Fit every edge by Levenberg-Marquardt from the bundle's parameters and from other starts.

    Parameters
    ----------
    bundle : EdgeFamily
        A bundle in float64; its parameters are overwritten.
    x : Tensor, (batch, in)
    targets : Tensor, (batch, in, out)
    weight : Tensor, (batch,)
    starts : sequence of Tensor, (parameters_per_edge, in, out) each
    screening, iterations : int, default=12, 100
        Steps from every start, and most steps from the best of them.
    ridge : float, default=1e-10
        Strength of the prior, relative to the targets' mean square.

    Returns
    -------
    Tensor, (parameters_per_edge, in, out)
        Of each edge, the parameters with the smallest penalised error.

    References
    ----------
    Nocedal and Wright: Numerical Optimization, section 10.3.
    """
    bundle.mask = torch.ones_like(bundle.mask)
    present = bundle.stacked_parameters().detach().clone()
    size = targets.pow(2).mean().clamp_min(1e-12) * weight.sum().clamp_min(1e-12)
    precision = bundle.prior().diagonal(dim1=-2, dim2=-1).T.unsqueeze(-1)  # (p, in, 1)
    penalty = ridge * size * precision
    best, lowest = present, torch.full(targets.shape[1:], torch.inf).to(targets)
    for start in (present, *starts):
        found, loss = _descend(bundle, x, targets, weight, start.to(present), penalty, screening)
        better = loss < lowest
        best, lowest = torch.where(better, found, best), torch.where(better, loss, lowest)
    return _descend(bundle, x, targets, weight, best, penalty, iterations)[0]


def _descend(
    bundle: EdgeFamily,
    x: Tensor,
    targets: Tensor,
    weight: Tensor,
    values: Tensor,
    penalty: Tensor,
    iterations: int,
) -> tuple[Tensor, Tensor]:
    def state(values: Tensor) -> tuple[Tensor, Tensor]:
        bundle.load_stacked(values)
        with torch.no_grad():
            residual = targets - bundle.curves(x)
        loss = torch.einsum("bio,b->io", residual**2, weight) + (penalty * values**2).sum(0)
        return residual, loss

    damping = torch.full(targets.shape[1:], 1e-2).to(targets)
    negligible = 1e-14 * torch.einsum("bio,b->io", targets**2, weight)
    residual, loss = state(values)
    for _ in range(iterations):
        bundle.load_stacked(values)
        rows = bundle.gradients(x).detach()  # (batch, p, in, out)
        weighted = rows * weight[:, None, None, None]
        normal = torch.einsum("bpio,bqio->iopq", weighted, rows)
        normal = normal + torch.diag_embed(penalty.expand_as(values).movedim(0, -1))
        right = torch.einsum("bpio,bio->iop", weighted, residual)
        right = right - (penalty * values).movedim(0, -1)
        level = normal.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12)
        system = normal + torch.diag_embed(damping[..., None] * level)
        step = torch.linalg.solve(system, right.unsqueeze(-1)).squeeze(-1).movedim(-1, 0)
        new_residual, new_loss = state(values + step)
        better = new_loss < loss  # NaN counts as worse
        small = new_loss > (1 - 1e-6) * loss
        values = torch.where(better, values + step, values)
        residual = torch.where(better, new_residual, residual)
        loss = torch.where(better, new_loss, loss)
        if bool((torch.where(better, small, damping > 1e8) | (loss <= negligible)).all()):
            break
        damping = torch.where(better, damping / 4, damping * 8).clamp(1e-12, 1e12)
    return values, torch.nan_to_num(loss, nan=torch.inf)
