"""What the data say about one edge of a fitted network, apart from its prior.

A learned curve is smoother and smaller than the truth, because its prior pulls it so. Comparing
functions with it would reward those that look shrunk. The likelihood part of the edge's Gaussian
posterior, with the other edges integrated out, has no such bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from kanx.training.coordinates import Block
    from kanx.training.evidence import Fit

_LEAST_GAIN = 1e-9  # relative precision below which the data have said nothing


class EdgeEvidence(NamedTuple):
    """Hold a curve as the data alone would have it, ready for ``fitting.fit_edge``.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Input of the edge and value of the curve in the network's units, row by row.
    basis : ndarray, shape (n, p)
        Derivative of the curve by the edge's coordinates.
    information : ndarray, shape (p, p)
        Precision of the coordinates from the data alone; singular where the data say nothing.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    basis: NDArray[np.float64]
    information: NDArray[np.float64]


def edge_evidence(
    fit: Fit, entering: Tensor, layer: int, edge: tuple[int, int]
) -> EdgeEvidence | None:
    r"""Return the likelihood of one edge's curve; None for a pruned edge.

    With the posterior :math:`N(w, C)` of the edge and its prior :math:`N(0, A^{-1})`, the
    likelihood has precision :math:`H = C^{-1} - A` and mean :math:`H^{+} C^{-1} w`.

    Parameters
    ----------
    fit : Fit
        A network with its posterior.
    entering : Tensor, (rows, in)
        What enters the layer.
    layer : int
        Index into ``network.all_layers``.
    edge : (int, int)
        Input and output of the layer.
    """
    blocks = fit.posterior.coordinates.layer_blocks(layer)
    block = next(block for block in blocks if edge[0] in block.columns)
    own = block.columns.index(edge[0]), edge[1]
    place = _place(block, own)
    if not fit.posterior.living[place].any():
        return None
    with torch.no_grad():
        x = entering[:, block.columns].to(torch.float64)
        curve = block.bundle.curves(x)[:, own[0], own[1]]
        gradients = block.bundle.gradients(x)  # (rows, p, in, out or 1)
    by_parameter = gradients[:, :, own[0], own[1] if gradients.shape[-1] > 1 else 0]
    factor = block.factor[own[0]]
    basis = by_parameter @ factor
    parameters = block.bundle.stacked_parameters()[:, own[0], own[1]].detach().double()
    mean = torch.linalg.solve(factor, parameters)
    likeliest, information = _likelihood(fit, place, mean, basis)
    y = curve + basis @ (likeliest - mean)
    return EdgeEvidence(*(part.numpy() for part in (x[:, own[0]], y, basis, information)))


def _place(block: Block, own: tuple[int, int]) -> Tensor:
    """Return where an edge's coordinates stand among all, (p,)."""
    p, n_inputs, n_outputs = block.shape
    return block.start + (torch.arange(p) * n_inputs + own[0]) * n_outputs + own[1]


def _likelihood(fit: Fit, place: Tensor, mean: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Return the likeliest coordinates of an edge, (p,), and their precision, (p, p).

    Coordinates that were pruned from the fit, such as all bends of a straight edge, stay where
    they are. If they would move the curve, the precision of all is taken in proportion to the
    spread of the basis over the rows, as it is for an edge alone.
    """
    posterior = fit.posterior
    living = posterior.living[place]
    members = (torch.cumsum(posterior.living, 0) - 1)[place[living]]
    precision = torch.linalg.inv(posterior.between(members))
    prior = posterior.precision[posterior.coordinates.group[place[living]]]
    gained = precision - torch.diag(prior)
    gained = (gained + gained.mT) / 2

    likeliest = mean.clone()
    weighted = precision @ mean[living]
    likeliest[living] = torch.linalg.pinv(gained, rtol=_LEAST_GAIN, hermitian=True) @ weighted
    centred = basis - basis.mean(0)
    spread = centred.mT @ centred
    if (spread.diagonal()[~living] > _LEAST_GAIN * spread.diagonal().max()).any():
        per_spread = (gained.diagonal() / spread.diagonal()[living]).median().clamp_min(0)
        return likeliest, per_spread * spread
    information = torch.zeros_like(spread)
    information[living.outer(living)] = gained.flatten()
    return likeliest, information
