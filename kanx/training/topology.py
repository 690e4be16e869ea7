"""From an estimator's `edge` and `hidden` to fitted networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from kanx.layers import Constraint
from kanx.layers.registry import family_class
from kanx.tables import Column
from kanx.training.additive import finish_additive
from kanx.training.constrained_fit import ConstrainedFit
from kanx.training.constraint_choice import constrained_spec, parse_constraints
from kanx.training.evidence import Fit, Settings
from kanx.training.first_order import FirstOrder
from kanx.training.hidden import Hidden, parse_hidden
from kanx.training.interrupt import never
from kanx.training.losses import Loss
from kanx.training.noise_free_choice import without_noise
from kanx.training.selection import choose, choose_length_scale, near_best
from kanx.training.task import Task
from kanx.training.wide import Wide

# a family, its options under "family" and others, or one of these for every column
EdgeChoice = str | Mapping[Any, Any]

# grid of an edge that sees an input, and of one that sees a hidden node
INPUT_OPTIONS: dict[str, dict[str, Any]] = {
    "gp": {"control_points": 12, "adaptive": True},
    "spline": {"intervals": 10},
}
HIDDEN_OPTIONS: dict[str, dict[str, Any]] = {
    "gp": {"control_points": 8},
    "spline": {"intervals": 6},
}


def fit_topology(
    columns: Sequence[Column],
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    loss: Loss,
    outputs: int,
    *,
    edge: EdgeChoice,
    hidden: str | Sequence[Any],
    edge_options: Mapping[str, Any],
    n_estimators: int,
    max_iter: int,
    random_state: int,
    on_round: Callable[[int, float], bool] | None,
    constraints: Mapping[Any, Any] | None = None,
    target_scale: Tensor | None = None,
    first_order: FirstOrder | None = None,
    wide: Wide | None = None,
    checkpoint: Path | None = None,
    n_jobs: int | None = None,
    stop: Callable[[], bool] = never,
) -> list[Fit]:
    """Fit the networks that an estimator's parameters ask for.

    Constrained columns enter only by their direct curves; see `impose`.

    Parameters
    ----------
    target_scale : Tensor, (outputs,), optional
        Target units per unit of the output, for curves that are known functions; 1 if left out.
    first_order : FirstOrder, optional
        Instead of Levenberg-Marquardt; ``x``, ``y`` and ``weight`` are then its sample of the rows.
    wide : Wide, optional
        Networks for many rows that ask for more nodes than Levenberg-Marquardt can take.
    checkpoint : Path, optional
        Folder of checkpoints; see `Journal`.
    n_jobs : int, optional
        Processes for random starts.
    stop : callable, optional
        Asked whether to end at once, where no rounds are reported.

    Raises
    ------
    ValueError
        If `edge`, `hidden` or `constraints` is not understood.
    """
    topology = parse_hidden(hidden)
    edges = edge_specs(columns, edge, edge_options, x)
    wanted = parse_constraints(columns, constraints)
    numeric = next((e for e in edges if e["family"] != "lookup"), {"family": "gp"})
    family = numeric["family"]
    chosen = {k: v for k, v in edge_options.items() if k not in ("control_points", "intervals")}
    own = chosen if family == edge else {}
    hidden_edge = {"family": family, **HIDDEN_OPTIONS.get(family, {}), **own}
    edges = _constrained_specs(columns, edges, wanted, edge, edge_options)
    if wanted and topology.kind != "free":
        raise ValueError(
            "constraints need curves of single columns that go straight to the output, which "
            f"hidden={hidden!r} has not; use hidden='auto', 'additive' or a tuple of widths"
        )
    if wanted and first_order is not None:
        raise ValueError("constraints need optimizer='lm'")
    bound = ConstrainedFit(wanted, outputs, target_scale)
    y, loss = bound.offset(x, y, loss)
    task = Task(
        x,
        y,
        weight,
        loss,
        outputs,
        topology.edges(edges),
        topology.hidden_edge(hidden_edge),
        Settings(max_iter=max_iter, checkpoint=checkpoint),
        random_state,
        on_round,
        n_jobs,
        bound.prepare if wanted else topology.prepare,
        stop,
    )
    if first_order is not None:
        widths = topology.all_widths(len(columns))
        return [first_order.fit(task, widths, skip=topology.skip, n_estimators=n_estimators)]
    exact = (
        None if wanted else without_noise(task, topology.all_widths(len(columns)), topology.skip)
    )
    if exact is not None:
        return [exact]
    fits = _fits(task, topology, n_estimators, None if wanted else wide)
    return [bound.finish(fit, task) for fit in fits]


def _fits(task: Task, topology: Hidden, n_estimators: int, wide: Wide | None) -> list[Fit]:
    """Fit and choose, constraints aside."""
    widths = topology.all_widths(len(task.edges))
    if widths is None:
        choice = choose(task, n_estimators)
        wider = [] if wide is None else wide.fit(choice, n_estimators)
        return wider or choice.finish(n_estimators)
    whole, (task, additive) = task, choose_length_scale(task.part())
    if not widths:
        return [finish_additive(whole, task, additive)]
    fits = task.fit_starts(widths, topology.skip, range(n_estimators))
    return whole.finish_all(near_best(fits, task.weight.sum().item()))


def _constrained_specs(
    columns: Sequence[Column],
    edges: Sequence[dict[str, Any]],
    wanted: Mapping[int, Sequence[Constraint]],
    edge: EdgeChoice,
    edge_options: Mapping[str, Any],
) -> list[dict[str, Any]]:
    specs = list(edges)
    for j, own in wanted.items():
        asked = {*edge_options}
        if isinstance(edge, Mapping):
            chosen = edge if "family" in edge else edge.get(columns[j].name, edge.get(j, {}))
            asked |= {*chosen} if isinstance(chosen, Mapping) else set()
        specs[j] = constrained_spec(specs[j], columns[j].name, own, asked)
    return specs


def edge_specs(
    columns: Sequence[Column], edge: EdgeChoice, edge_options: Mapping[str, Any], x: Tensor
) -> list[dict[str, Any]]:
    """Return the edge specification of every column.

    Categorical columns get lookup edges, numeric ones the family asked for (GP where a mapping
    leaves a column out), with no more grid points than the column has distinct values.

    Raises
    ------
    ValueError
        If `edge` names an unknown family or column.
    """
    names = [column.name for column in columns]
    by_column = isinstance(edge, Mapping) and "family" not in edge
    if by_column:
        unknown = [key for key in edge if key not in names and key not in range(len(names))]
        if unknown:
            raise ValueError(f"edge names the columns {unknown}, which X lacks; it has {names}")
    specs = []
    for j, column in enumerate(columns):
        if column.categories is not None:
            count = len(column.categories)
            specs.append({"family": "lookup", "categories": count, "missing": True})
            continue
        own: Any = edge
        if by_column and isinstance(edge, Mapping):
            own = edge.get(column.name, edge.get(j, "gp"))
        chosen = {"family": own} if isinstance(own, str) else dict(own)
        asked = {**edge_options, **chosen}
        specs.append(_input_spec(asked, len(np.unique(x[:, j].numpy()))))
    return specs


def _input_spec(asked: dict[str, Any], distinct: int) -> dict[str, Any]:
    """Complete what was asked for by the defaults of an edge that sees an input."""
    family = asked["family"]
    family_class(family)  # an unknown name fails here, with the list of known ones
    spec = {"missing": True, **INPUT_OPTIONS.get(family, {}), **asked}
    if "control_points" not in asked and "control_points" in spec:
        # few sizes, so that edges of one size are evaluated together
        fitting = [size for size in (3, 6) if size >= distinct]
        spec["control_points"] = min([*fitting, spec["control_points"]])
    return spec
