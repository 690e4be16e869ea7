"""Data without noise: networks fitted down to rounding, from low degrees to high ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.degrees import polynomials
from kanx.training.domains import narrowed, place_hidden
from kanx.training.exploration import explore
from kanx.training.interrupt import never
from kanx.training.least_squares import descend
from kanx.training.neighbours import looks_noisy
from kanx.training.noise_free_search import (
    FEWEST_ROWS,
    NEAR,
    ROUNDING,
    STEPS,
    NoiseFree,
    Rows,
    Search,
)
from kanx.training.separable import SeparableProblem

NEGLIGIBLE = 1e-12  # deviation of a curve that is rounding, relative to the largest at its node


def fit_noise_free(
    network: KAN,
    x: Tensor,
    y: Tensor,
    weight: Tensor | None = None,
    *,
    random_state: int = 0,
    starts: int = 8,
    branches: int = 2,
    thorough: bool = True,
    stop: Callable[[], bool] = never,
) -> NoiseFree:
    r"""Fit a network of fixed shape to data without noise, as closely as rounding allows.

    Least squares without a penalty have local minima and singular valleys at high degrees, hardly
    any at low ones. So several random starts are fitted at the lowest degrees; the best goes on
    to higher ones, each from where the one before ended, and where it does not come down to
    rounding, so does the next best minimum. If that is not near, and the data do not look noisy,
    many more minima are tried, see `explore`. Of all that was met, the network that is nearest to
    rows held out is fitted to all rows in the end.

    Parameters
    ----------
    network : KAN
        Shape and families; the degrees of its polynomial edges are the highest that are tried,
        other edges keep their size. Its parameters do not matter, and it stays as it is.
    x : Tensor, (rows, in), float64
    y : Tensor, (rows, outputs), float64
    weight : Tensor, (rows,), optional
    random_state : int, default=0
    starts : int, default=8
        Random starts at a low degree at most; fewer once the lowest minimum is found twice, or
        far below all others.
    branches : int, default=2
        Minima that are followed to higher degrees at most, before the thorough search.
    thorough : bool, default=True
        Whether to search on where the error stays above `NEAR` deviations of the target.
    stop : callable, optional
        Asked after every fit of the search whether to end it with the best so far.

    Raises
    ------
    ValueError
        If fewer rows than `FEWEST_ROWS` have a weight.
    """
    weight = torch.ones(len(x), dtype=torch.float64) if weight is None else weight
    rows = Rows(x, y, weight)[weight > 0]
    if len(rows.x) < FEWEST_ROWS:
        raise ValueError(
            f"a noise-free fit holds rows out and needs at least {FEWEST_ROWS} with a weight above "
            f"zero, got {len(rows.x)}"
        )
    search = Search(network, rows, random_state, stop)
    found = search.start(starts)
    for candidate in found[:branches]:
        search.follow(candidate)
        if search.best.error < ROUNDING or stop():
            break
    far = len(network.layers) > 1 and search.best.error > NEAR and not stop()
    if thorough and far and not looks_noisy(rows, search.best.error):
        explore(search, found[branches:])
    best = search.finished()
    return replace(best, network=_ended(best.network, network, rows.x, best.error))


def refit(found: NoiseFree, x: Tensor, y: Tensor, weight: Tensor) -> NoiseFree:
    """Return a fit that goes on with more rows, where it stands.

    Parameters
    ----------
    found : NoiseFree
    x : Tensor, (rows, in), float64
    y : Tensor, (rows, outputs), float64
    weight : Tensor, (rows,)
    """
    network = copy.deepcopy(found.network)
    for bundle in polynomials(network):
        bundle.extrapolate = "family"
    descend(SeparableProblem(network, x, y, weight), found.penalty, iterations=STEPS)
    return replace(found, network=_ended(network, found.network, x, found.error))


def _ended(network: KAN, asked: KAN, x: Tensor, error: float) -> KAN:
    """Return a fitted network with ends and extrapolation as for use, idle curves cut."""
    place_hidden(network, x, anew=error < NEAR)
    ended = network if error < NEAR else narrowed(network, x)
    cut_negligible(ended, x)
    for own, wanted in zip(polynomials(ended), polynomials(asked), strict=True):
        own.extrapolate = wanted.extrapolate
    return ended


def cut_negligible(network: KAN, x: Tensor, share: float = NEGLIGIBLE) -> None:
    """Prune the curves that hardly vary beside the largest one into the same node, in place.

    Their means go to the biases.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
    share : float
        Of the largest curve's deviation over the rows.
    """
    with torch.no_grad():
        h = x
        for layer, nodes in zip(network.layers, network.nodes, strict=True):
            curves = layer.curves(h)  # (rows, in, out)
            spread = curves.std(0)
            kept = spread > share * spread.amax(0)
            if layer.bias is not None:
                layer.bias.add_((curves.mean(0) * ~kept).sum(0))
                layer.set_mask(layer.mask * kept)
            h = nodes(layer(h))
