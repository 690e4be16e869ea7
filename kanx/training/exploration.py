"""More minima of a network of fixed shape, where the first ones are not near the data."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.degrees import polynomials
from kanx.training.depth import deepened
from kanx.training.noise_free_search import LOW, NEAR, NoiseFree, Search, different
from kanx.training.rows import seeded

MORE_STARTS, FIRST_OF_THEM = 16, 100
BRANCHES = 8  # of the starts that are gone on with
MIDDLE = 15  # degree up to which they are compared
TEAM, KICKS, STEPS_OF_A_KICK = 3, 12, 30
SIZES = (0.3, 0.1)  # of kicks, relative to an edge's largest coefficient


def explore(search: Search, found: list[NoiseFree]) -> None:
    """Go on with a search that ended in minima too far from the data.

    The error at a low degree says little about that at a high one. So many starts are drawn:
    random ones, and where there are several hidden layers also those that pass a shallower fit
    on. They race to a middle degree, where one is left as soon as an earlier one was clearly nearer
    at the same degree. The nearest few are kicked: shaken at random and fitted again, which gets
    them out of narrow valleys, and kept where that is nearer. Then they go on to high degrees.

    Parameters
    ----------
    search : Search
        What is met is added to it.
    found : list of NoiseFree
        Starts at a low degree that were not gone on with so far.
    """
    more = [search.fit(search.random(LOW, FIRST_OF_THEM + k)) for k in range(MORE_STARTS)]
    starts = different([*found, *deepened(search), *more])
    for start in starts[:BRANCHES]:
        search.follow(start, MIDDLE, race=True)
        if search.best.error < NEAR:
            return
    middle = max(fit.degree for fit in search.met if fit.degree <= MIDDLE)
    team = different(fit for fit in search.met if fit.degree == middle)[:TEAM]
    generator = seeded(search.random_state, FIRST_OF_THEM)
    for kick in range(KICKS):
        member, size = kick % len(team), SIZES[kick // len(team) % len(SIZES)]
        shaken = kicked(team[member].network, size, generator)
        fit = search.fit(shaken, team[member].penalty, STEPS_OF_A_KICK)
        if fit.error < team[member].error:
            team[member] = fit
        if search.best.error < NEAR:
            return
    for fit in different(team):
        search.follow(fit, race=True)


def kicked(network: KAN, size: float, generator: torch.Generator) -> KAN:
    r"""Return a copy whose inner polynomials are shaken by smooth random curves.

    The coefficient of degree :math:`k` changes by a normal number times
    :math:`s\,\max_j |c_j| / k^2`; the output layer, which a fit solves for, stays.

    Parameters
    ----------
    network : KAN
    size : float
        The factor :math:`s`.
    generator : torch.Generator
    """
    network = copy.deepcopy(network)
    last = network.layers[-1]
    inner = [bundle for bundle in polynomials(network) if bundle not in list(last.bundles)]
    for bundle in inner:
        c: Tensor = bundle.coefficients.detach()  # (p, in, out)
        order = torch.arange(len(c), dtype=c.dtype).clamp_min(1).view(-1, 1, 1)
        noise = torch.randn(c.shape, generator=generator, dtype=c.dtype)
        with torch.no_grad():
            bundle.coefficients.add_(size * c.abs().amax(0) * noise / order**2)
    return network
