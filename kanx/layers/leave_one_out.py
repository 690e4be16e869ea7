"""Leave-one-out errors of a Gaussian process with a linear mean, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor


def leave_one_out_errors(gram: Tensor, positions: Tensor, heights: Tensor) -> Tensor:
    r"""Predict every control height from all others and return the errors.

    .. math:: e_m = \frac{[P v]_m}{P_{mm}}, \quad
              P = K^{-1} - K^{-1} H (H'K^{-1}H)^{-1} H'K^{-1}, \quad H = (1, z)

    Parameters
    ----------
    gram : Tensor, (points, points)
    positions : Tensor, (in, points)
    heights : Tensor, (points, in, out)

    Returns
    -------
    Tensor, (points, in, out)

    References
    ----------
    Dubrule: Cross validation of kriging in a unique neighborhood, Mathematical Geology 15, 1983.
    """
    design = torch.stack([torch.ones_like(positions), positions], dim=-1)  # (in, points, 2)
    inverse = torch.linalg.inv(gram)
    half = inverse @ design
    projection = inverse - half @ torch.linalg.solve(design.mT @ half, half.mT)
    weighted = torch.einsum("img,gio->mio", projection, heights)
    return weighted / projection.diagonal(dim1=-2, dim2=-1).T.unsqueeze(-1)
