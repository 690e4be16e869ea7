"""A network whose trainable parameters are whitened coordinates, for first-order optimisers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from kanx.layers import LinearFamily
from kanx.network import KAN
from kanx.training.coordinates import Block, Coordinates


class Whitening(nn.Module):
    r"""Map whitened coordinates ``w`` of a bundle to its coefficients ``c = L w``.

    Parameters
    ----------
    factor : Tensor, (in, p, p)
        :math:`L` of every input, with :math:`L L'` the prior covariance.
    """

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor.clone())

    def forward(self, w: Tensor) -> Tensor:
        """Return coefficients ``(p, in, out)`` at ``w``, of the same shape."""
        return (self.factor @ w.movedim(1, 0)).movedim(0, 1)

    def right_inverse(self, c: Tensor) -> Tensor:
        """Return the coordinates of coefficients."""
        return torch.linalg.solve(self.factor, c.movedim(1, 0)).movedim(0, 1).contiguous()


@contextmanager
def whitened(network: KAN) -> Iterator[None]:
    """Let the parameters of linear bundles be whitened coordinates within the block.

    The curvature of a stiff prior, whose eigenvalues span many orders of magnitude, is what a
    first-order optimiser cannot follow in plain coefficients.
    """
    blocks = [block for block in Coordinates(network).blocks if _is_linear(block)]
    for block in blocks:
        whitening = Whitening(block.factor)
        parametrize.register_parametrization(block.bundle, "coefficients", whitening)
    try:
        yield
    finally:
        network.double()  # the last product of factors is not rounded to the type of training
        for block in blocks:
            parametrize.remove_parametrizations(block.bundle, "coefficients")


class Prior(nn.Module):
    r"""The penalty :math:`\tfrac12 \sum_j \alpha_j w_j^2` of a network's coordinates.

    Parameters
    ----------
    network : KAN
        In float64 and not yet `whitened`.
    precision : Tensor, (n_groups,)
        Prior precision of every group; see `Coordinates`.
    """

    def __init__(self, network: KAN, precision: Tensor) -> None:
        super().__init__()
        coordinates = Coordinates(network)
        self._bundles = [block.bundle for block in coordinates.blocks]
        for k, block in enumerate(coordinates.blocks):
            own = precision[coordinates.group[block.start : block.stop]]
            self.register_buffer(f"precision_{k}", own.view(block.shape).clone())
            self.register_buffer(f"inverse_{k}", torch.linalg.inv(block.factor))

    def forward(self) -> Tensor:
        """Return the penalty at the present parameters, a scalar."""
        total: Tensor = torch.zeros(())
        for k, bundle in enumerate(self._bundles):
            precision = self.get_buffer(f"precision_{k}")
            if parametrize.is_parametrized(bundle, "coefficients"):
                w: Tensor = bundle.get_parameter("parametrizations.coefficients.original")
            else:
                c = bundle.stacked_parameters()
                w = (self.get_buffer(f"inverse_{k}") @ c.movedim(1, 0)).movedim(0, 1)
            total = total.to(w) + 0.5 * (precision * w * w).sum()
        return total


def _is_linear(block: Block) -> bool:
    return isinstance(block.bundle, LinearFamily)
