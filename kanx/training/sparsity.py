r"""Sparsity penalties of the KAN papers, for the first-order optimisers.

With :math:`s_{io} = \operatorname{mean}_n |\phi_{io}(x_{ni}) - \bar\phi_{io}|` the size of an edge,
:math:`S = \sum s_{io}` and :math:`r_{io}` its root mean square, a layer's penalty is

.. math:: \lambda_1 S - \lambda_H \sum_{io} \frac{s_{io}}{S} \log \frac{s_{io}}{S}
          + \lambda_G \sum_i \sqrt{n_\text{out}} \, \Big(\sum_o r_{io}^2\Big)^{1/2} .

The first term shrinks edges, the second prefers few of them, the third removes all edges that leave
an input or a hidden node together. Sizes are measured around the mean because a constant on an edge
is a bias of the node.

Liu et al.: KAN, arXiv:2404.19756, section 2.5 (L1, entropy). Yuan and Lin: Model selection and
estimation in regression with grouped variables, JRSS B 68, 2006 (group).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.options import TrainingOptions

ROWS = 128  # of a batch, on which sizes are measured: all edges one by one cost memory
TINY = 1e-12


def edge_sizes(network: KAN, x: Tensor) -> list[Tensor]:
    """Return the mean absolute deviation of every edge, ``(in, out)`` per layer.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
    """
    return [centred.abs().mean(0) for centred in _centred_curves(network, x)]


def sparsity_penalty(network: KAN, x: Tensor, options: TrainingOptions) -> Tensor:
    """Return the penalty of a network on the first rows of a batch, a scalar.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
    options : TrainingOptions
        Its `l1`, `entropy` and `group` are the weights.
    """
    total = x.new_zeros(())
    for centred in _centred_curves(network, x[:ROWS]):
        size = centred.abs().mean(0)
        whole = size.sum()
        total = total + options.l1 * whole
        if options.entropy:
            share = size / (whole + TINY)
            total = total - options.entropy * (share * (share + TINY).log()).sum()
        if options.group:
            # the square root has no slope at zero, where a group shall rest
            norm = (centred.square().mean(0).sum(1) + TINY).sqrt()
            total = total + options.group * size.shape[1] ** 0.5 * norm.sum()
    return total


def prune_small_edges(network: KAN, x: Tensor, share: float) -> int:
    """Mask edges whose size is below a share of the largest of their layer; return how many.

    Parameters
    ----------
    network : KAN
        Changed in place.
    x : Tensor, (rows, in)
    share : float
    """
    removed = 0
    with torch.no_grad():
        for layer, size in zip(network.all_layers, edge_sizes(network, x), strict=True):
            mask = layer.mask
            keep = mask * (size >= share * size.max())
            removed += int((mask - keep).sum())
            layer.set_mask(keep)
    return removed


def _centred_curves(network: KAN, x: Tensor) -> list[Tensor]:
    entering = network.activations(x)[:-1]
    if network.skip is not None:
        entering.append(x)
    found = []
    for layer, h in zip(network.all_layers, entering, strict=True):
        curves = layer.curves(h)  # (rows, in, out)
        found.append(curves - curves.mean(0))
    return found
