"""Estimators whose polynomials have no degree: first as if the data had no noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kanx.layers import SLAF
from kanx.network import KAN, Width
from kanx.training.climb import NOISE_RANGE, PRECISION_RANGE, Climb
from kanx.training.evidence import Fit
from kanx.training.losses import Gaussian
from kanx.training.neighbours import SURE
from kanx.training.noise_free import fit_noise_free, refit
from kanx.training.noise_free_search import DEGREES, FEWEST_ROWS, ROUNDING, NoiseFree
from kanx.training.task import Task

# shapes in the order of how hard they are to read, where the evidence is to choose
SHAPES: tuple[tuple[Width, ...], ...] = ((), (1,), ({"products": [2]},), (2,))
# largest error, in deviations of the target, of data that count as free of noise
NOISELESS = SURE
# a shape that is harder to read has to bring the error down to this share
CLEARLY_NEARER = 0.1


def without_noise(task: Task, widths: Sequence[Width] | None, skip: bool) -> Fit | None:
    """Fit polynomials of free degree if the data have no noise; None where they have.

    Parameters
    ----------
    task : Task
    widths : sequence of widths, optional
        Of the hidden layers; several shapes are tried where it is left out.
    skip : bool
        Whether there are direct curves where widths are given; the shapes that are tried have none.
    """
    specs = [*task.edges, task.hidden_edge]
    possible = isinstance(task.loss, Gaussian) and int((task.weight > 0).sum()) >= FEWEST_ROWS
    if not possible or not all(_is_free(spec) for spec in specs):
        return None
    task = replace(
        task,
        edges=[_highest(spec) for spec in task.edges],
        hidden_edge=_highest(task.hidden_edge),
    )
    part = task.part()
    best: NoiseFree | None = None
    for shape in SHAPES if widths is None else (tuple(widths),):
        found = fit_noise_free(
            part.build(shape, skip and widths is not None),
            part.x,
            part.y,
            part.weight,
            random_state=task.random_state,
            thorough=widths is not None,
            stop=task.stop,
        )
        if best is None or found.error < CLEARLY_NEARER * best.error:
            best = found
        if best.error < ROUNDING or task.stop():
            break
    assert best is not None
    if not best.error < NOISELESS:
        return None
    if len(part.x) < len(task.x):
        best = refit(best, task.x, task.y, task.weight)
    return as_fit(best.network, task)


def as_fit(network: KAN, task: Task) -> Fit:
    """Return the posterior around a network that fits to rounding, which stays as it is."""
    f = network(task.x).detach()
    # residuals are smaller than the noise as far as parameters have bent to meet it
    rows = task.weight.sum()
    freedom = (rows - network.n_parameters / task.y.shape[1]).clamp_min(rows / task.y.numel())
    variance = task.weight @ (task.y - f) ** 2 / freedom
    loss = Gaussian((1 / variance.clamp_min(1e-300)).clamp(*NOISE_RANGE))
    climb = Climb(network, task.x, task.y, loss, task.weight)
    climb.precision = _precision_of_coordinates(climb)
    evidence = climb.descend(iterations=0)
    return Fit(network, climb.posterior, evidence, loss, [evidence], True)


def _precision_of_coordinates(climb: Climb) -> Tensor:
    """Return the prior precisions under which the present coordinates are the most likely."""
    group = climb.coordinates.group
    zeros = torch.zeros_like(climb.precision)
    count = zeros.index_add(0, group, torch.ones_like(climb.w))
    square = zeros.index_add(0, group, climb.w**2)
    precision = (count / square.clamp_min(1e-300)).clamp(*PRECISION_RANGE)
    precision[-1] = climb.precision[-1]
    return precision


def _is_free(spec: Any) -> bool:
    polynomial = isinstance(spec, Mapping) and spec["family"] == SLAF.name
    return polynomial and "degree" not in spec


def _highest(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "degree": DEGREES[-1]}
