"""Starts of a deep network that pass a shallower fit on."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.layers import SLAF
from kanx.network import KAN
from kanx.training.degrees import at_degree
from kanx.training.domains import chebyshev_points
from kanx.training.noise_free_search import LOW, NoiseFree, Search, different
from kanx.training.rows import seeded
from kanx.training.starts import random_start

STARTS, KEPT = 8, 3
FIRST_START = 200
SIDE = 0.3  # factor of the random curves beside those that pass the fit on
ROOM = 0.05  # of the range of values, left on both sides


def deepened(search: Search) -> list[NoiseFree]:
    """Fit the first hidden layer with an output layer alone, then the layers between them.

    The first nodes of every later layer take the outputs of the shallow network and hand them
    on unchanged, beside small random curves, so that the deep network starts as near as the
    shallow one.

    Parameters
    ----------
    search : Search

    Returns
    -------
    list of NoiseFree
        Empty for networks with one hidden layer and for those whose later layers are too narrow
        for the outputs, or hold other nodes than sums or other edges than polynomials.
    """
    template = search.template
    if len(template.layers) < 3 or not _can_hand_on(template):
        return []
    config = template.config()
    widths, edges = config["widths"], config["edges"]
    edges = [*edges[:2], *edges[len(template.layers) :]]
    config |= {"widths": [*widths[:2], widths[-1]], "edges": edges}
    shallow = KAN.from_config(config).double()
    shallow.layers[0].load_state_dict(template.layers[0].state_dict())
    if shallow.skip is not None and template.skip is not None:
        shallow.skip.load_state_dict(template.skip.state_dict())
    fits = []
    for start in range(STARTS):
        network = at_degree(shallow, shallow, LOW)
        random_start(network, seeded(search.random_state, LOW, FIRST_START + start))
        fits.append(search.fit(network, keep=False))
    results = []
    for start, fit in enumerate(different(fits)[:KEPT]):
        network = search.random(LOW, FIRST_START + start)
        hand_on(network, fit.network, search.seen.x)
        results.append(search.fit(network, fit.penalty))
    return results


def hand_on(network: KAN, shallow: KAN, x: Tensor) -> None:
    """Make a network a shallow one's function beside small random curves, in place.

    Parameters
    ----------
    network : KAN
        Of polynomials at adding nodes; its curves become the random ones.
    shallow : KAN
        Its first hidden layer with an output layer of its own, of the same families.
    x : Tensor, (rows, in)
        Where the values are that the domains of the later layers have to hold.
    """
    count, h = shallow.out_features, x
    if network.skip is not None and shallow.skip is not None:
        network.skip.load_state_dict(shallow.skip.state_dict())
    with torch.no_grad():
        for index, layer in enumerate(network.layers):
            for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
                assert isinstance(bundle, SLAF)
                bundle.coefficients.mul_(SIDE)
                if index < 2:
                    known = shallow.layers[index].bundles[list(layer.bundles).index(bundle)]
                    assert isinstance(known, SLAF)
                    bundle.set_domain(known.lower, known.upper)
                    bundle.coefficients[..., : known.coefficients.shape[-1]] = known.coefficients
                else:
                    _pass_through(bundle, columns, h, count)
            if layer.bias is not None:
                layer.bias.zero_()
                own = shallow.layers[index].bias if index < 2 else None
                if own is not None:
                    layer.bias[: len(own)] = own
            h = layer(h)


def _pass_through(bundle: SLAF, columns: list[int], h: Tensor, count: int) -> None:
    """Make the curves from a node to the one of the same number the identity, for the first few."""
    lowest, highest = h[:, columns].amin(0), h[:, columns].amax(0)
    room = (ROOM * (highest - lowest)).clamp_min(1e-6)
    bundle.set_domain(lowest - room, highest + room)
    points = chebyshev_points(bundle.lower, bundle.upper, bundle.n_basis)  # (basis, in)
    features = bundle.expand(points).movedim(-1, 0)[..., : bundle.n_basis]  # (in, points, basis)
    identity = torch.linalg.solve(features, points.mT)  # (in, basis)
    for place, column in enumerate(columns):
        if column < count:
            bundle.coefficients[: bundle.n_basis, place, column] = identity[place]


def _can_hand_on(network: KAN) -> bool:
    sums = all(not nodes.kinds for nodes in network.nodes)
    wide = all(nodes.width >= network.out_features for nodes in network.nodes)
    return sums and wide and all(isinstance(edge, SLAF) for _, edge, _ in network.bundles())
