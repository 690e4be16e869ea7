"""Where the curves of an averaged network come from, and how certain they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kanx.explain.subject import Subject
from kanx.network import KAN

if TYPE_CHECKING:
    from kanx.training.evidence import Fit

STEP = 1e-4  # of the posterior's own size; small enough to be linear, large enough to compute


@dataclass(frozen=True)
class Source:
    """The part of a layer that one member brought in.

    Attributes
    ----------
    member : Fit
    layer : int
        Index into the member's ``network.all_layers``.
    inputs, outputs : slice
        Where its edges lie in the layer of the averaged network.
    factor : float
        What its curves were multiplied by.
    """

    member: Fit
    layer: int
    inputs: slice
    outputs: slice
    factor: float


def sources(subject: Subject, layer: int) -> list[Source]:
    """Return the parts that a layer of ``network.all_layers`` was averaged from."""
    every = slice(None)
    members = subject.members
    depth = len(subject.network.layers)
    if len(members) == 1 or depth == 1 or layer == depth:
        return [Source(member, layer, every, every, 1.0) for member in members]
    found, start = [], 0
    for member in members:
        own = slice(start, start + member.network.nodes[0].width)
        if layer == 0:
            found.append(Source(member, layer, every, own, 1.0))
        else:
            found.append(Source(member, layer, own, every, 1 / len(members)))
        start = own.stop
    return found


def curve_deviations(subject: Subject, layer: int, grid: Tensor, data: Tensor) -> Tensor:
    r"""Return the posterior standard deviations of the centred curves of a layer.

    A centred curve is :math:`f(x) - \frac1N \sum_n f(x_n)`, so its variance is
    :math:`(\phi(x) - \bar\phi)' \Sigma (\phi(x) - \bar\phi)` with the edge's posterior covariance
    :math:`\Sigma`. Where several members share an edge: their mean variance plus the variance
    between them.

    Parameters
    ----------
    subject : Subject
    layer : int
        Index into ``network.all_layers``.
    grid : Tensor, (points, in)
    data : Tensor, (rows, in)
        What enters the layer over the rows.

    Returns
    -------
    Tensor, (points, in, out)
        In the network's own units; NaN where the model has no posterior.
    """
    shape = (*grid.shape, subject.network.all_layers[layer].out_features)
    if not subject.members:
        return torch.full(shape, float("nan"), dtype=torch.float64)
    within, value, square, count = (torch.zeros(shape, dtype=torch.float64) for _ in range(4))
    for source in sources(subject, layer):
        own_grid, own_data = grid[:, source.inputs], data[:, source.inputs]
        where = (slice(None), source.inputs, source.outputs)
        within[where] += source.factor**2 * _variances(source, own_grid, own_data)
        curves = source.factor * _centred(source, own_grid, own_data)
        value[where] += curves
        square[where] += curves**2
        count[where] += 1
    between = square / count - (value / count) ** 2
    return (within / count + torch.where(count > 1, between, 0)).clamp_min(0).sqrt()


def _centred(source: Source, grid: Tensor, data: Tensor) -> Tensor:
    """Evaluate a member's curves of one layer, centred over the rows: ``(points, in, out)``."""
    layer = source.member.network.all_layers[source.layer]
    with torch.no_grad():
        return layer.curves(grid) - layer.curves(data).mean(0)


def _variances(source: Source, grid: Tensor, data: Tensor) -> Tensor:
    """Return the posterior variances of a member's centred curves, ``(points, in, out)``."""
    posterior = source.member.posterior
    layer = source.member.network.all_layers[source.layer]
    found = torch.zeros(*grid.shape, layer.out_features, dtype=torch.float64)
    for block in posterior.coordinates.layer_blocks(source.layer):
        with torch.no_grad():
            features = block.bundle.gradients(grid[:, block.columns])  # (points, p, in, out or 1)
            mean = block.bundle.gradients(data[:, block.columns]).mean(0)
        offset = (features - mean).double()
        for i, o in torch.nonzero(block.bundle.mask).tolist():
            rows = offset[:, :, i, o if offset.shape[-1] > 1 else 0]
            covariance = posterior.parameter_covariance(block, (i, o))
            found[:, block.columns[i], o] = ((rows @ covariance) * rows).sum(-1)
    return found


def posterior_deviations(
    subject: Subject,
    evaluate: Callable[[KAN], list[Tensor]],
    count: int,
    random_state: int,
) -> list[Tensor] | None:
    r"""Return the posterior standard deviation of anything computed from the network.

    To first order in the parameters, as the error bars of predictions are: the network is moved
    by a small multiple of draws from the posterior, and the differences are scaled up. (Full
    draws of a network with hidden nodes leave the region where its Gaussian posterior holds.)
    The members' noise is scaled so that the variance is the mean of theirs.

    Parameters
    ----------
    subject : Subject
    evaluate : callable
        Network to tensors of fixed shapes.
    count : int
        Number of draws; the relative error of the result is about ``1 / sqrt(2 count)``.
    random_state : int

    Returns
    -------
    list of Tensor, or None without a posterior
    """
    if subject.model is None:
        return None
    generator = torch.Generator().manual_seed(random_state)
    size = STEP * len(subject.members) ** 0.5
    centre = evaluate(subject.network)
    total = [torch.zeros_like(part) for part in centre]
    factors = [_root(member.posterior.covariance) for member in subject.members]
    for _ in range(count):
        moved = []
        for member, factor in zip(subject.members, factors, strict=True):
            noise = torch.randn(len(factor), generator=generator, dtype=torch.float64)
            w = member.posterior.coordinates.read()
            w[member.posterior.living] += size * (
                factor * noise if member.posterior.is_diagonal else factor @ noise
            )
            moved.append(replace(member, network=_network_at(member, w)))
        found = evaluate(replace(subject.model, members=moved).network)
        for own, part, reference in zip(total, found, centre, strict=True):
            own += ((part - reference) / STEP) ** 2
    return [(own / count).sqrt() for own in total]


def _network_at(member: Fit, w: Tensor) -> KAN:
    """Return a copy of a member's network with other parameters."""
    coordinates = member.posterior.coordinates
    network = copy.deepcopy(member.network)
    for block in coordinates.blocks:
        original = member.network.all_layers[block.layer]
        place = next(k for k, b in enumerate(original.bundles) if b is block.bundle)
        bundle = network.all_layers[block.layer].bundles[place]
        bundle.load_stacked(coordinates.parameters_of(block, w))
    with torch.no_grad():
        for index, start in coordinates.bias_starts.items():
            bias: Any = network.all_layers[index].bias
            bias.copy_(w[start : start + len(bias)])
    return network


def _root(covariance: Tensor) -> Tensor:
    """Return a matrix whose square is a covariance, which rounding may have made indefinite.

    Of a diagonal, ``(size,)``, the diagonal of the root.
    """
    if covariance.dim() == 1:
        return covariance.sqrt()
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt()
