"""Networks that take the expansions of their inputs, which training computes once for all steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kanx.layers import KANLayer, LinearFamily
from kanx.network import KAN

# under either name, whether or not the network is whitened
OWN_PARAMETERS = {"coefficients", "parametrizations.coefficients.original"}


class Expanded(nn.Module):
    r"""Evaluate a network from the expansions of its inputs.

    What the curves of the inputs are at a row, :math:`\sum_g c_g B_g(x)`, has a part that no step
    changes: the basis functions at ``x``. They are most of the work of a wide network.

    Parameters
    ----------
    network : KAN
        One that `can_expand`.
    """

    def __init__(self, network: KAN) -> None:
        super().__init__()
        self.network = network
        self._distinct: list[tuple[KANLayer, int]] = []  # layer and bundle of every expansion
        self._places: list[list[int]] = []  # of every layer's bundles in that list
        for layer in _layers_on_inputs(network):
            self._places.append([self._place(layer, k) for k in range(len(layer.bundles))])

    def expand(self, x: Tensor) -> tuple[Tensor, ...]:
        """Expand inputs, ``(rows, in)``; one tensor ``(rows, ...)`` for every kind of edge."""
        found = []
        with torch.no_grad():
            for layer, k in self._distinct:
                bundle, columns = layer.bundles[k], layer.columns[k]
                assert isinstance(bundle, LinearFamily)
                parts = [bundle.expand_block(part).flatten(1) for part in x[:, columns].split(1024)]
                found.append(torch.cat(parts))
        return tuple(found)

    def forward(self, *expansions: Tensor) -> Tensor:
        """Map the expansions of some rows to the outputs, ``(rows, outputs)``."""
        network = self.network
        sums = [
            _sum(layer, [expansions[place] for place in places])
            for layer, places in zip(_layers_on_inputs(network), self._places, strict=True)
        ]
        h = network.nodes[0](sums[0])
        for layer, nodes in zip(network.layers[1:], network.nodes[1:], strict=True):
            h = nodes(layer(h))
        return h if network.skip is None else h + sums[1]

    def _place(self, layer: KANLayer, k: int) -> int:
        """Return which expansion a bundle takes: that of an equal bundle, or a new one."""
        bundle = layer.bundles[k]
        for place, (layer_before, j) in enumerate(self._distinct):
            before = layer_before.bundles[j]
            assert isinstance(bundle, LinearFamily) and isinstance(before, LinearFamily)
            if layer_before.columns[j] == layer.columns[k] and bundle.expands_like(before):
                return place
        self._distinct.append((layer, k))
        return len(self._distinct) - 1


def can_expand(network: KAN) -> bool:
    """Say whether all curves of the inputs are linear in the only parameters they have."""
    return all(
        isinstance(bundle, LinearFamily)
        and {name for name, _ in bundle.named_parameters()} <= OWN_PARAMETERS
        for layer in _layers_on_inputs(network)
        for bundle in layer.bundles
    )


def expansion_size(network: KAN) -> int:
    """Return the most numbers that the expansion of one row has."""
    return sum(
        bundle.parameters_per_edge * len(columns)
        for layer in _layers_on_inputs(network)
        for bundle, columns in zip(layer.bundles, layer.columns, strict=True)
    )


def _layers_on_inputs(network: KAN) -> list[KANLayer]:
    return [network.layers[0], *([] if network.skip is None else [network.skip])]


def _sum(layer: KANLayer, expansions: list[Tensor]) -> Tensor:
    """Add up the curves of every output, ``(rows, out)``."""
    total = None
    for bundle, features in zip(layer.bundles, expansions, strict=True):
        assert isinstance(bundle, LinearFamily)
        own = features @ (bundle.coefficients * bundle.mask).flatten(0, 1)
        total = own if total is None else total + own
    assert total is not None
    return total if layer.bias is None else total + layer.bias
