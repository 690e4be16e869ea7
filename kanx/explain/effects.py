"""The average effect of every input on the outputs, with its error band."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from kanx.explain.anova import Anova
from kanx.explain.curves import Curve, Curves, Support, grid_of, support_of
from kanx.explain.marginals import Marginal
from kanx.explain.provenance import posterior_deviations
from kanx.explain.subject import Subject
from kanx.network import KAN
from kanx.tables import Column

DRAWS = 12
BACKGROUND = 16
POINTS_FOR_ERRORS = 10
EFFECT_LAYER = -1


def read_effects(
    subject: Subject,
    curves: Curves,
    anova: Anova,
    marginals: list[Marginal],
    random_state: int,
) -> Curves:
    """Return the main effect of every input on every output, as curves.

    The mean prediction when one input is set and the others vary independently as in the data,
    minus its mean. For an additive model these are its curves; otherwise the layer of an effect
    is -1: it is no edge of the network.
    """
    if subject.is_additive:
        return curves
    grids = [grid_of(subject, subject.x, j, True) for j in range(len(subject.columns))]
    spreads = _deviations(subject, grids, random_state)
    found = []
    for j, column in enumerate(subject.columns):
        support = support_of(subject, subject.x, j, at_input=True)
        at = _with_missing(grids[j], column)
        value = anova.main(j, at)
        spread = marginals[j].weights @ anova.main(j, marginals[j].nodes).square()
        for o in range(subject.n_outputs):
            found.append(_effect(subject, (j, o), at, value, spreads[j], support, spread))
    return Curves(found)


def _effect(
    subject: Subject,
    edge: tuple[int, int],
    at: Tensor,
    value: Tensor,
    deviation: Tensor,
    support: Support,
    spread: Tensor,
) -> Curve:
    j, o = edge
    column = subject.columns[j]
    own, std = value[:, o].numpy(), deviation[:, o].numpy()
    count = len(at) - column.missing
    labels = None
    if column.categories is not None:
        labels = tuple(str(category) for category in column.categories)
    return Curve(
        layer=EFFECT_LAYER,
        edge=edge,
        source=subject.names[j],
        target=subject.target_names[o],
        grid=at[:count].numpy(),
        value=own[:count],
        std=std[:count],
        offset=0.0,
        support=support,
        labels=labels,
        missing=(float(own[-1]), float(std[-1])) if column.missing else None,
        is_alive=bool(spread[o] > 0),
        starts_at_input=True,
        ends_at_output=True,
        deviation=float(spread[o].sqrt()),
        source_label=subject.input_label(j),
        target_label=subject.output_label(o),
        source_unit=subject.unit(subject.names[j]),
        target_unit=subject.output_unit(o),
    )


def _deviations(subject: Subject, grids: list[Tensor], random_state: int) -> list[Tensor]:
    """Return the posterior deviation of every effect on its grid, and where missing.

    The variance within the members' posteriors and between the members, of averages over a few
    rows at a few points, interpolated between them.
    """
    columns = subject.columns
    points = [g if c.is_categorical else _few(g) for g, c in zip(grids, columns, strict=True)]
    points = [_with_missing(p, c) for p, c in zip(points, columns, strict=True)]
    generator = torch.Generator().manual_seed(random_state)
    rows = subject.x[torch.randint(len(subject.x), (BACKGROUND,), generator=generator)]
    stacked = torch.cat([_set(rows, j, p) for j, p in enumerate(points)])
    sizes = [len(p) * BACKGROUND for p in points]

    def averages(network: KAN) -> list[Tensor]:
        own = dataclasses.replace(subject, network=network).outputs(stacked).split(sizes)
        means = [
            part.view(len(p), BACKGROUND, -1).mean(1) for part, p in zip(own, points, strict=True)
        ]
        return [m - m.mean(0) for m in means]

    within = posterior_deviations(subject, averages, DRAWS, random_state)
    if within is None:
        outputs = subject.n_outputs
        within = [torch.full((len(p), outputs), float("nan")).double() for p in points]
    else:
        members = [averages(member.network) for member in subject.members]
        between = [torch.stack(parts).var(0, correction=0) for parts in zip(*members, strict=True)]
        within = [(w**2 + b).sqrt() for w, b in zip(within, between, strict=True)]
    return [
        _spread_out(grid, own, spread, column.missing)
        for grid, own, spread, column in zip(grids, points, within, columns, strict=True)
    ]


def _few(grid: Tensor) -> Tensor:
    return torch.linspace(grid[0].item(), grid[-1].item(), POINTS_FOR_ERRORS, dtype=torch.float64)


def _with_missing(points: Tensor, column: Column) -> Tensor:
    """Append NaN to the points of an input that may be missing."""
    return torch.cat([points, torch.full((int(column.missing),), float("nan")).to(points)])


def _set(rows: Tensor, column: int, values: Tensor) -> Tensor:
    """Repeat rows with one input set to each value in turn."""
    repeated = rows.repeat(len(values), 1)
    repeated[:, column] = values.repeat_interleave(len(rows))
    return repeated


def _spread_out(grid: Tensor, points: Tensor, spread: Tensor, missing: bool) -> Tensor:
    count = len(points) - missing
    x, y = points[:count].numpy(), spread[:count].numpy()
    filled = np.stack([np.interp(grid.numpy(), x, y[:, o]) for o in range(y.shape[1])], 1)
    return torch.cat([torch.from_numpy(filled), spread[count:]])
