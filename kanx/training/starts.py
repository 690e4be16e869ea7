"""Random starts: inner curves of moderate slope, outer and direct ones near zero."""

from __future__ import annotations

import torch

from kanx.layers import LinearFamily
from kanx.layers.registry import family_class
from kanx.network import KAN
from kanx.training.coordinates import Coordinates


def random_start(network: KAN, generator: torch.Generator) -> None:
    """Draw the parameters of a network from its prior, scaled for a start; in place.

    Hidden values start within about one standard deviation of the domain of the outer curves.
    Nonlinear families draw the start of their own.
    """
    coordinates = Coordinates(network)
    for block in coordinates.blocks:
        bundle = block.bundle
        if not isinstance(bundle, LinearFamily):
            family, size = family_class(bundle.name), (bundle.in_features, bundle.out_features)
            fresh = family(*size, generator=generator, **bundle.config())
            bundle.load_stacked(fresh.stacked_parameters().detach().to(bundle.lower))
    w = coordinates.read()
    last = len(network.layers) - 1
    for block in coordinates.blocks:
        if not isinstance(block.bundle, LinearFamily):
            continue
        fan_in = network.all_layers[block.layer].in_features
        if block.layer < last:
            scale = 0.3 / fan_in**0.5
        elif block.layer == last and last > 0:
            scale = 0.1
        else:
            scale = 0.05
        count = block.stop - block.start
        draw = torch.randn(count, generator=generator, dtype=torch.float64)
        w[block.start : block.stop] = scale * draw
    for index, start in coordinates.bias_starts.items():
        constants = torch.tensor(network.nodes[index].start, dtype=torch.float64)
        w[start : start + len(constants)] = constants
    coordinates.write(w * coordinates.alive())
