"""From fitted exponents to groups: fix the gauge, round to rationals, confirm by re-fit.

A unit ``x^a G(x^b1, .., x^bd)`` is unchanged when the directions are mixed or a multiple of them is
moved into the gate. Choosing ``d`` pivot inputs whose exponents form the identity fixes that
freedom; among the choices, the one whose other exponents are the simplest rationals is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.ridge import Projection, RidgeProblem, RidgeUnit, descend

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Exponents = tuple[Fraction | float, ...]


@dataclass(frozen=True)
class Reduction:
    """State that the target is ``x^gate G(x^groups[0], ...)``, and how well.

    Parameters
    ----------
    gate : tuple of Fraction or float
        Exponents of the common factor, one per coordinate.
    groups : tuple of such tuples
        Exponents of each group.
    loss : float
        Relative loss of the unit with these exponents.
    """

    gate: Exponents
    groups: tuple[Exponents, ...]
    loss: float

    @property
    def is_exact(self) -> bool:
        """Whether every exponent is rational."""
        return all(isinstance(e, Fraction) for row in (self.gate, *self.groups) for e in row)

    @property
    def price(self) -> float:
        """Size of the exponents in bits: what a simpler choice of groups saves."""
        entries = [e for row in (self.gate, *self.groups) for e in row if e != 0]
        return sum(
            1.0 + np.log2(abs(e.numerator) * e.denominator**2) if isinstance(e, Fraction) else 10.0
            for e in entries
        )


def nearest_rational(value: float, largest_denominator: int) -> Fraction:
    """Return the nearest fraction with a denominator up to the given one."""
    return Fraction(value).limit_denominator(largest_denominator)


def gauges(unit: RidgeUnit, limit: int = 3) -> list[tuple[tuple[int, ...], Array, Array]]:
    """Return the best pivot choices as (pivots, gate, directions), simplest first."""
    d, n = unit.directions.shape
    ranked: list[tuple[float, tuple[int, ...], Array, Array]] = []
    for pivots in combinations(range(n), d):
        block = unit.directions[:, pivots]
        if d and np.linalg.cond(block) > 1e3:
            continue
        mixed = np.linalg.solve(block, unit.directions) if d else unit.directions
        directions = np.asarray(mixed, dtype=float)
        gate = unit.gate - unit.gate[list(pivots)] @ directions if d else unit.gate
        entries = np.concatenate([gate, directions.ravel()])
        if np.abs(entries).max(initial=0) > 12:
            continue
        halves = np.round(2 * entries) / 2
        roughness = np.minimum(np.abs(entries - halves), 0.25).sum()
        size = np.abs(halves).sum() + np.sum(halves != np.round(halves))
        ranked.append((8 * roughness + 0.3 * size, pivots, gate, directions))
    ranked.sort(key=lambda item: item[0])
    return [(p, g, b) for _, p, g, b in ranked[:limit]]


def rationalise(
    problem: RidgeProblem, unit: RidgeUnit, tolerance: float, limit: int = 3
) -> list[Reduction]:
    """Return reductions with rounded exponents that fit as well as the free ones.

    Parameters
    ----------
    problem, unit : RidgeProblem, RidgeUnit
        Data and its fitted unit.
    tolerance : float
        Largest factor by which rounding may raise the loss.
    limit : int
        Most gauges to try.
    """
    found = []
    for pivots, gate, directions in gauges(unit, limit):
        found.append(_round_one_gauge(problem, pivots, gate, directions, tolerance))
    unique = {(r.gate, r.groups): r for r in found}
    return sorted(unique.values(), key=lambda r: (not r.is_exact, r.price))


def _round_one_gauge(
    problem: RidgeProblem,
    pivots: tuple[int, ...],
    gate: Array,
    directions: Array,
    tolerance: float,
) -> Reduction:
    n, d = len(gate), len(directions)
    free_gate, free = np.ones(n, bool), np.ones((d, n), bool)
    free_gate[list(pivots)], free[:, list(pivots)] = False, False
    gate = np.where(free_gate, gate, 0.0)
    if d:
        directions[:, list(pivots)] = np.eye(d)
    unit = descend(problem, gate, directions, free_gate, free, iterations=15)
    ceiling = unit.loss * tolerance + 1e-20
    for largest in (1, 2, 4):
        gate, directions = unit.gate.copy(), unit.directions.copy()
        for entries in (gate, directions):
            entries[...] = _rounded(entries, largest)
        if _loss(problem, gate, directions) <= ceiling:
            return _as_reduction(gate, directions, _loss(problem, gate, directions), largest)
    return _round_in_turn(problem, unit, free_gate, free, ceiling)


def _rounded(entries: Array, largest: int) -> Array:
    flat = [float(nearest_rational(float(e), largest)) for e in entries.ravel()]
    return np.array(flat).reshape(entries.shape)


def _round_in_turn(
    problem: RidgeProblem, unit: RidgeUnit, free_gate: Flags, free: Flags, ceiling: float
) -> Reduction:
    """Round the exponent nearest to a half-integer, re-fit the others, and so on."""
    free_gate, free = free_gate.copy(), free.copy()
    refused_gate, refused = np.zeros_like(free_gate), np.zeros_like(free)
    while True:
        open_entries = [(0, j) for j in np.flatnonzero(free_gate & ~refused_gate)]
        open_entries += [(k + 1, j) for k, j in zip(*np.nonzero(free & ~refused), strict=True)]
        if not open_entries:
            break
        table = np.vstack([unit.gate, unit.directions])
        halves = np.round(2.0 * table) / 2.0
        row, column = min(open_entries, key=lambda e: abs(float(table[e] - halves[e])))
        table = table.copy()
        table[row, column] = halves[row, column]
        trial_gate, trial_free = free_gate.copy(), free.copy()
        if row == 0:
            trial_gate[column] = False
        else:
            trial_free[row - 1, column] = False
        trial = descend(problem, table[0], table[1:], trial_gate, trial_free, iterations=8)
        if trial.loss <= ceiling:
            unit, free_gate, free = trial, trial_gate, trial_free
        elif row == 0:
            refused_gate[column] = True
        else:
            refused[row - 1, column] = True
    exact = _as_reduction(unit.gate, unit.directions, unit.loss, 2)
    gate = tuple(
        float(v) if f else e for v, f, e in zip(unit.gate, free_gate, exact.gate, strict=True)
    )
    groups = tuple(
        tuple(float(v) if f else e for v, f, e in zip(values, flags, row, strict=True))
        for values, flags, row in zip(unit.directions, free, exact.groups, strict=True)
    )
    return replace(exact, gate=gate, groups=groups)


def _loss(problem: RidgeProblem, gate: Array, directions: Array) -> float:
    size = float(np.sum(problem.weight * problem.y**2)) + 1e-300
    return Projection(problem, gate, directions).loss / size


def _as_reduction(gate: Array, directions: Array, loss: float, largest: int) -> Reduction:
    exact = tuple(nearest_rational(e, largest) for e in gate)
    groups = tuple(tuple(nearest_rational(e, largest) for e in row) for row in directions)
    return Reduction(exact, groups, loss)
