r"""Sparsity penalties of the KAN papers, for the first-order optimisers.

With :math:`s_{io} = \operatorname{mean}_n |\phi_{io}(x_{ni}) - \bar\phi_{io}|` the size of an edge,
:math:`S = \sum s_{io}` and :math:`r_{io}` its root mean square, a layer's penalty is

.. math:: \lambda_1 S - \lambda_H \sum_{io} \frac{s_{io}}{S} \log \frac{s_{io}}{S}
          + \lambda_G \sum_i \sqrt{n_\text{out}} \, \Big(\sum_o r_{io}^2\Big)^{1/2} .

The first term shrinks edges, the second prefers few of them, the third removes all edges that leave
an input or a hidden node together. Sizes are measured around the mean because a constant on an edge
is a bias of the node; where an edge is removed its mean goes into that bias.

At the end edges are removed that are small beside the largest of their layer, and edges into the
outputs without which the penalised loss is no larger. First-order steps come near zero but not to
it: a penalty too strong for any edge leaves a layer of small ones, none small beside the others.

Liu et al.: KAN, arXiv:2404.19756, section 2.5 (L1, entropy). Yuan and Lin: Model selection and
estimation in regression with grouped variables, JRSS B 68, 2006 (group).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.layers import KANLayer
from kanx.network import KAN
from kanx.training.losses import Loss, NoisyLoss
from kanx.training.options import TrainingOptions
from kanx.training.rows import Chunk

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
        total = total + _layer_penalty(
            centred.abs().mean(0), centred.square().mean(0) if options.group else None, options
        )
    return total


def _layer_penalty(size: Tensor, square: Tensor | None, options: TrainingOptions) -> Tensor:
    """Return the penalty of a layer from its edges' sizes and mean squares, ``(in, out)``."""
    whole = size.sum()
    total = options.l1 * whole
    if options.entropy:
        share = size / (whole + TINY)
        total = total - options.entropy * (share * (share + TINY).log()).sum()
    if square is not None:
        # the square root has no slope at zero, where a group shall rest
        norm = (square.sum(1) + TINY).sqrt()
        total = total + options.group * size.shape[1] ** 0.5 * norm.sum()
    return total


def prune_sparse(network: KAN, rows: Chunk, loss: Loss, options: TrainingOptions) -> int:
    """Mask the edges that a sparsity penalty has made superfluous; return how many.

    Parameters
    ----------
    network : KAN
        In float64, changed in place.
    rows : Chunk
        Inputs, targets and weights.
    loss : Loss
        With the estimated noise.
    options : TrainingOptions
    """
    before = network.n_edges
    with torch.no_grad():
        prune_small_edges(network, rows[0], options.prune_below)
        _prune_unpaid(network, rows, loss, options)
        _prune_unused(network)
    return before - network.n_edges


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
            doomed = (mask > 0) & ((size < share * size.max()) | (size < TINY))
            removed += int(doomed.sum())
            _remove(network, layer, doomed, x)
    return removed


def _prune_unpaid(network: KAN, rows: Chunk, loss: Loss, options: TrainingOptions) -> None:
    """Remove edges into the outputs that lower the loss by less than their own penalty."""
    x, y, weight = rows
    curves = dict(zip(network.all_layers, _centred_curves(network, x), strict=True))
    # in units of the squared error, as in training
    unit = loss.precision.mean().item() if isinstance(loss, NoisyLoss) else 1.0
    f = network(x)

    def mean_loss(outputs: Tensor) -> float:
        return ((loss.value(outputs, y) * weight).sum() / weight.sum()).item()

    for layer in _output_layers(network):
        centred = curves[layer]
        size, square = centred.abs().mean(0), centred.square().mean(0)
        doomed = torch.zeros_like(size, dtype=torch.bool)
        present = mean_loss(f)
        for place in torch.argsort(size.flatten()).tolist():  # the smallest first
            i, o = divmod(place, size.shape[1])
            if layer.mask[i, o] == 0:
                continue
            without, size_left, square_left = f.clone(), size.clone(), square.clone()
            without[:, o] -= centred[:, i, o]
            size_left[i, o] = square_left[i, o] = 0
            price = _layer_penalty(size, square if options.group else None, options)
            left = _layer_penalty(size_left, square_left if options.group else None, options)
            reached = mean_loss(without)
            if reached - present <= unit * (price - left).item():
                f, size, square, present = without, size_left, square_left, reached
                doomed[i, o] = True
        _remove(network, layer, doomed, x)


def _prune_unused(network: KAN) -> None:
    """Remove the edges into hidden nodes from which no edge leads on."""
    for depth in reversed(range(len(network.layers) - 1)):
        nodes, layer = network.nodes[depth], network.layers[depth]
        used = network.layers[depth + 1].mask.any(1)
        arities = torch.tensor([1] * nodes.sums + list(nodes.arities))
        layer.set_mask(layer.mask * used.repeat_interleave(arities))


def _output_layers(network: KAN) -> list[KANLayer]:
    """Return the layers whose sums are added to the outputs as they are."""
    last = [] if network.nodes[-1].kinds else [network.layers[-1]]
    return last if network.skip is None else [*last, network.skip]


def _remove(network: KAN, layer: KANLayer, doomed: Tensor, x: Tensor) -> None:
    """Mask some edges of a layer, ``bool (in, out)``, and leave their means in its bias."""
    if not bool(doomed.any()):
        return
    entering = x if layer is network.skip else _entering(network, layer, x)
    receiver = layer
    if layer is network.skip and not network.nodes[-1].kinds:
        receiver = network.layers[-1]
    if receiver.bias is not None:
        means = layer.curves(entering).mean(0)
        receiver.bias.add_(torch.where(doomed, means, 0.0).sum(0))
    layer.set_mask(layer.mask * ~doomed)


def _entering(network: KAN, layer: KANLayer, x: Tensor) -> Tensor:
    place = next(depth for depth, own in enumerate(network.layers) if own is layer)
    return network.activations(x)[place]


def _centred_curves(network: KAN, x: Tensor) -> list[Tensor]:
    entering = network.activations(x)[:-1]
    if network.skip is not None:
        entering.append(x)
    found = []
    for layer, h in zip(network.all_layers, entering, strict=True):
        curves = layer.curves(h)  # (rows, in, out)
        found.append(curves - curves.mean(0))
    return found
