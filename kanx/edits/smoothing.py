"""A curve made smoother, in the sense of its family's prior."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanx.edits.columns import columns_of_layer, single
from kanx.edits.rebuild import own_edge, replaced
from kanx.edits.result import Edited, edited
from kanx.edits.transfer import quadrature
from kanx.layers import EdgeFamily, LinearFamily
from kanx.network import KAN
from kanx.training.coordinates import BEND, whitening

STRENGTHS = (-12.0, 12.0)  # logarithms to base ten of the penalty, relative to the fit
HALVINGS = 60


def smooth(
    network: KAN, edge: Sequence[int], roughness: float = 0.5, *, x: Tensor | None = None
) -> Edited:
    r"""Draw one curve with a given share of its roughness, as near to what it is as that allows.

    .. math:: \min_g \int (g - f)^2 \quad\text{with}\quad \|g\|^2 = \varrho \, \|f\|^2,

    where :math:`\|\cdot\|^2` is the prior's quadratic form of the bends, straight lines being
    smooth. Exact for 1.

    Parameters
    ----------
    network : KAN
    edge : (int, int, int)
        Layer (an index into ``network.all_layers``), input and output.
    roughness : float, default=0.5
        Share that stays, from 0, a straight line, to 1.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such edge.
    ValueError
        If the share is not between 0 and 1.
    TypeError
        If the family does not hold straight lines, or is not linear in its coefficients.
    """
    index, i, o = own_edge(network, edge)
    if not 0 <= roughness <= 1:
        raise ValueError(f"roughness must lie between 0 and 1, got {roughness}")
    bundle = single(columns_of_layer(network.all_layers[index])[i]).double().cpu()
    factor, roles = whitening(bundle)
    bends = roles == BEND
    if not isinstance(bundle, LinearFamily) or not bool(bends.any()):
        raise TypeError(
            f"curves of the family {bundle.name!r} cannot be smoothed; change them first to one "
            "that holds straight lines, such as 'gp', 'spline' or 'slaf'"
        )
    result = replaced(network, {})
    if roughness < 1:
        w = torch.linalg.solve(factor[0], bundle.stacked_parameters().detach()[:, 0, o])
        smoother = factor[0] @ _smoothed(_design(bundle, factor[0]), w, bends, roughness)
        target, place = result.all_layers[index].edge(i)
        values = target.stacked_parameters().detach().clone()
        values[:, place, o] = smoother.to(values)
        target.load_stacked(values)
    return edited(network, result, x)


def _design(bundle: EdgeFamily, factor: Tensor) -> Tensor:
    """Return the curve's mean square over the domain in whitened coordinates, ``(p, p)``."""
    points, weight = quadrature(bundle)
    features = bundle.gradients(points)[:, :, 0, 0] @ factor
    gram = features.mT @ (features * (weight / weight.sum())[:, None])
    # a value for missing inputs shows nowhere on the domain and stays as it is
    return gram + 1e-14 * gram.trace() * torch.eye(len(gram)).to(gram)


def _smoothed(gram: Tensor, w: Tensor, bends: Tensor, roughness: float) -> Tensor:
    scale = gram.diagonal().max()
    wanted = roughness * w[bends].square().sum()
    low, high = STRENGTHS
    found = w
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        penalty = torch.diag(bends.to(gram) * scale * 10**middle)
        found = torch.linalg.solve(gram + penalty, gram @ w)
        if found[bends].square().sum() > wanted:
            low = middle
        else:
            high = middle
    return found
