"""The smallest change of the inputs that flips a decision or reaches a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from kanx.explain.frames import frame_of
from kanx.explain.local import shown
from kanx.explain.subject import Subject

STEPS = 400  # of the search along one input
ROUNDS, POINTS = 7, 33  # of the search for the place where the outcome changes: 2^-35 of a step

Array = NDArray[np.float64]
Margin = Callable[[Tensor], Tensor]  # rows -> how far each is past the wanted side, >= 0 is there


@dataclass(frozen=True)
class Change:
    """A change of a row after which the wanted outcome holds.

    Attributes
    ----------
    row : ndarray, (in,)
        The changed row, encoded.
    changed : dict of str to (str, str)
        Input's name to its value before and after, as text.
    distance : float
        Euclidean length of the change, every number in units of its standard deviation over the
        data; a category that changes counts as one unit.
    output : ndarray, (outputs,)
        The model's outputs after the change.
    within_data : bool
        Whether no value lies beyond what the model has seen.
    """

    row: Array
    changed: dict[str, tuple[str, str]]
    distance: float
    output: Array
    within_data: bool


@dataclass(frozen=True)
class Counterfactuals:
    """Ways to flip one row's outcome, the smallest change first.

    Attributes
    ----------
    wanted : str
        What was asked for, in words.
    before : ndarray, (outputs,)
    changes : list of Change
        One per input that can do it alone, and the smallest joint change of the numeric inputs
        where that is smaller; empty where the search found none within the range of the data.
    """

    wanted: str
    before: Array
    changes: list[Change]

    def to_frame(self) -> Any:
        """Return one row per change: distance and the changed inputs in words."""
        return frame_of(
            {
                "distance": [change.distance for change in self.changes],
                "change": [
                    ", ".join(f"{name}: {a} to {b}" for name, (a, b) in change.changed.items())
                    for change in self.changes
                ],
            }
        )


def find_counterfactuals(
    subject: Subject,
    row: Tensor,
    wanted: float | str | None,
    output: int,
    fixed: Sequence[str],
    *,
    together: bool = True,
) -> Counterfactuals:
    """Search for the smallest changes of one encoded row.

    Parameters
    ----------
    subject : Subject
    row : Tensor, (in,)
    wanted : float, str or None
        Value that a regression output must cross, or the class that must win; by default the
        other class, or the runner-up of several.
    output : int
        Which output of a regression.
    fixed : sequence of str
        Inputs that cannot change.
    together : bool, default=True
        Also search for a joint change of several inputs.

    Raises
    ------
    ValueError
        If `wanted` or `fixed` makes no sense for the model.
    """
    strangers = sorted(set(fixed) - set(subject.names))
    if strangers:
        raise ValueError(f"fixed names {strangers}; the columns are {subject.names}")
    before = subject.outputs(row[None])[0]
    margin, words = _margin(subject, before, wanted, output)
    if margin(row[None]).item() >= 0:
        return Counterfactuals(words, before.numpy(), [_change(subject, row, row)])
    free = [j for j, name in enumerate(subject.names) if name not in fixed]
    found = [f for f in (_alone(subject, row, j, margin) for j in free) if f is not None]
    changes = [_change(subject, row, f) for f in found]
    nearest = min([change.distance for change in changes], default=np.inf)
    joint = _together(subject, row, free, margin, found) if together else None
    if joint is not None:
        change = _change(subject, row, joint)
        # one that is hardly smaller than a change of a single input is harder to read
        changes += [change] if change.distance < 0.999 * nearest else []
    changes.sort(key=lambda change: change.distance)
    return Counterfactuals(words, before.numpy(), changes)


def _margin(
    subject: Subject, before: Tensor, wanted: float | str | None, output: int
) -> tuple[Margin, str]:
    """Return what must become non-negative, and the wish in words."""
    if subject.link == "identity":
        if wanted is None or isinstance(wanted, str):
            raise ValueError("say which value the prediction must cross: wanted=<number>")
        goal = float(wanted)
        sign = 1.0 if before[output].item() < goal else -1.0
        name = subject.target_names[output]
        words = f"{name} {'>=' if sign > 0 else '<='} {goal:g}"
        return (lambda rows: sign * (subject.outputs(rows)[:, output] - goal)), words
    classes = [str(c) for c in getattr(subject.estimator, "classes_", subject.target_names)]
    if wanted is not None and str(wanted) not in classes:
        raise ValueError(f"wanted={wanted!r} is no class; the classes are {classes}")
    if subject.link == "logistic":
        second = classes.index(str(wanted)) == 1 if wanted is not None else before.item() < 0
        sign = 1.0 if second else -1.0
        words = f"class {classes[1 if second else 0]}"
        return (lambda rows: sign * subject.outputs(rows)[:, 0]), words
    ranked = before.argsort(descending=True).tolist()
    goal_class = classes.index(str(wanted)) if wanted is not None else ranked[1]
    others = [k for k in range(len(classes)) if k != goal_class]

    def lead(rows: Tensor) -> Tensor:
        logits = subject.outputs(rows)
        return logits[:, goal_class] - logits[:, others].amax(1)

    return lead, f"class {classes[goal_class]}"


def _alone(subject: Subject, row: Tensor, j: int, margin: Margin) -> Tensor | None:
    """Return the row with the nearest value of one input that does it, if there is one."""
    column = subject.columns[j]
    if column.categories is not None:
        values = torch.arange(len(column.categories), dtype=torch.float64)
    else:
        values = torch.linspace(column.lower, column.upper, STEPS, dtype=torch.float64)
    rows = row.repeat(len(values), 1)
    rows[:, j] = values
    there = margin(rows) >= 0
    if not bool(there.any()):
        return None
    if column.categories is not None:
        frequency = (subject.x[:, j, None] == values).double().mean(0)
        best = int(torch.where(there, frequency, -1).argmax())
        return rows[best]
    start = row[j] if not torch.isnan(row[j]) else subject.x[:, j].nanmean()
    distance = torch.where(there, (values - start).abs(), torch.inf)
    best = int(distance.argmin())
    good = values[best]
    step = (column.upper - column.lower) / (STEPS - 1)
    bad = good + (start - good).clamp(-step, step)
    return _nearest(row, j, bad, good, margin)


def _nearest(row: Tensor, j: int, bad: Tensor, good: Tensor, margin: Margin) -> Tensor:
    """Move the good end of an interval towards the bad one as far as the outcome holds."""
    part = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    rows, found = row.repeat(POINTS, 1), row.clone()
    found[j] = good
    for _ in range(ROUNDS):
        rows[:, j] = values = torch.lerp(bad, good, part)
        there = margin(rows) >= 0
        there[-1] = True  # the good end, up to rounding
        first = int(there.int().argmax())
        bad, good = values[max(first - 1, 0)], values[first]
        nearer = found.clone()
        nearer[j] = good
        if margin(nearer[None]).item() < 0:  # sums over other numbers of rows are rounded otherwise
            break
        found = nearer
    return found


def _together(
    subject: Subject, row: Tensor, free: list[int], margin: Margin, starts: list[Tensor]
) -> Tensor | None:
    """Return the smallest joint change of the numeric inputs, if the search finds one."""
    numeric = [j for j in free if not subject.columns[j].is_categorical and not torch.isnan(row[j])]
    if len(numeric) < 2:
        return None
    scale = _scales(subject)[numeric]
    lower, upper = (
        torch.tensor([getattr(subject.columns[j], end) for j in numeric], dtype=torch.float64)
        for end in ("lower", "upper")
    )

    def at(step: Array) -> Tensor:
        changed = row.clone()
        changed[numeric] = row[numeric] + torch.from_numpy(step) * scale
        return changed

    def margin_at(step: Array) -> float:
        return margin(at(step)[None]).item()

    def margin_slope(step: Array) -> Array:
        # central differences, all in one batch
        width = 1e-5
        offsets = np.concatenate([np.eye(len(step)), -np.eye(len(step))]) * width
        values = margin(torch.stack([at(step + offset) for offset in offsets]))
        return ((values[: len(step)] - values[len(step) :]) / (2 * width)).numpy()

    bounds = np.stack([((lower - row[numeric]) / scale), ((upper - row[numeric]) / scale)], 1)
    bounds[:, 0], bounds[:, 1] = np.minimum(bounds[:, 0], 0), np.maximum(bounds[:, 1], 0)
    categorical = [j for j in range(len(row)) if j not in numeric]
    usable = [s for s in starts if bool((s[categorical] == row[categorical]).all())]
    guesses = [((s - row)[numeric] / scale).numpy() for s in usable][:3]
    best: Array | None = None
    for guess in [np.zeros(len(numeric)), *guesses]:
        result = minimize(
            lambda step: float(step @ step),
            np.clip(guess, bounds[:, 0], bounds[:, 1]),
            jac=lambda step: 2 * step,
            bounds=bounds,
            constraints={"type": "ineq", "fun": margin_at, "jac": margin_slope},
            method="SLSQP",
            options={"maxiter": 60},
        )
        reached = _pushed(result.x, margin_at)
        if reached is not None and (best is None or reached @ reached < best @ best):
            best = reached
    return None if best is None else at(best)


def _pushed(step: Array, margin_at: Callable[[Array], float]) -> Array | None:
    """Lengthen a step by at most a percent until the outcome holds."""
    for factor in (1.0, 1 + 1e-6, 1 + 1e-4, 1.01):
        if margin_at(step * factor) >= 0:
            return step * factor
    return None


def _scales(subject: Subject) -> Tensor:
    """Return the unit of distance of every input, ``(in,)``."""
    found = []
    for j, column in enumerate(subject.columns):
        values = subject.x[:, j][~torch.isnan(subject.x[:, j])]
        spread = values.std(correction=0).item() if len(values) else 0.0
        found.append(1.0 if column.is_categorical or spread == 0 else spread)
    return torch.tensor(found, dtype=torch.float64)


def _change(subject: Subject, before: Tensor, after: Tensor) -> Change:
    same = (before == after) | (torch.isnan(before) & torch.isnan(after))
    categorical = torch.tensor([column.is_categorical for column in subject.columns])
    step = torch.where(categorical | torch.isnan(before), 1.0, (after - before) / _scales(subject))
    step = torch.where(same, 0.0, step)
    changed = {
        subject.names[j]: (
            shown(subject, j, before[j].item()),
            shown(subject, j, after[j].item()),
        )
        for j in (~same).nonzero().flatten().tolist()
        if abs(step[j].item()) > 1e-6
    }
    return Change(
        after.numpy(),
        changed,
        step.square().sum().sqrt().item(),
        subject.outputs(after[None])[0].numpy(),
        not bool(subject.outside(after[None]).any()),
    )
