"""The last steps to a readable formula: merge, drop what does not pay, name constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy as sp
from scipy import stats

from kanx.explain.complexity import number_bits
from kanx.explain.constants import Constant, snap
from kanx.explain.simplify import simplify
from kanx.explain.symbol_choices import Writer
from kanx.explain.symbol_refit import Draft, Refit, Rows, refit

_CONFIDENCE = 0.99
_MOST_CONSTANTS = 40  # formulas with more are not read constant by constant


def merged(expr: sp.Expr, writers: Mapping[str, Writer]) -> sp.Expr:
    """Return a formula with chains of linear steps merged; kept curves are left alone.

    Parameters
    ----------
    expr : sympy.Expr
        With floats for its constants.
    writers : mapping of str to callable
        Kept curves by the names of their functions.
    """
    hidden = {
        node: sp.Symbol(f"\x00curve {k}")
        for k, node in enumerate(sorted(expr.atoms(sp.core.function.AppliedUndef), key=str))
        if node.func.__name__ in writers
    }
    shown = {symbol: node for node, symbol in hidden.items()}
    with np.errstate(all="ignore"):  # values are compared outside the formula's domain too
        return simplify(expr.xreplace(hidden)).xreplace(shown)


def polished(found: Refit, rows: Rows, kept_coefficients: int = 0) -> Refit:
    """Return a formula with fewer and rounder constants that fits as well.

    Parameters
    ----------
    found : Refit
    rows : Rows
    kept_coefficients : int
        Coefficients hidden in kept curves.

    Returns
    -------
    Refit
        Of the merged formula. A constant is set to zero, or to an exact number that its standard
        error allows, if after all others are fitted anew the loss has risen by no more than
        chance explains: ``chi2(1) < 6.6``.
    """
    writers = found.draft.writers
    for _ in range(2):
        start = refit(Draft.of(merged(found.draft.written, writers), writers), rows)
        if start is None or start.loss > found.loss + _allowance(found, rows):
            break
        found = _with_numbers(start, rows, kept_coefficients)
    return found


def _allowance(found: Refit, rows: Rows) -> float:
    """Return by how much the loss may rise for one constant less."""
    variance = rows.variance(found.loss, len(found.draft.free))
    return float(stats.chi2.ppf(_CONFIDENCE, 1)) * variance


def _with_numbers(found: Refit, rows: Rows, kept_coefficients: int) -> Refit:
    """Replace constants by exact numbers, one at a time, those that are shortest first."""
    refused: set[tuple[sp.Symbol, sp.Expr]] = set()
    while 0 < len(found.draft.free) <= _MOST_CONSTANTS:
        proposals = [p for p in _proposals(found) if p not in refused]
        if not proposals:
            break
        for symbol, number in proposals:
            trial = refit(found.draft.with_number(symbol, number), rows, kept_coefficients)
            if trial is not None and trial.loss <= found.loss + _allowance(found, rows):
                found = trial
                break
            refused.add((symbol, number))
    return found


def _proposals(found: Refit) -> list[tuple[sp.Symbol, sp.Expr]]:
    """Return exact numbers that constants may be, zeros and the least certain ones first."""
    listed = []
    for symbol, value, error in zip(
        found.draft.free, found.draft.point.tolist(), found.standard_errors.tolist(), strict=True
    ):
        numbers = [snap(value, error)]
        if error > abs(value):  # not determined by the rows: any scale will do
            numbers.append(sp.Integer(1 if value > 0 else -1))
        for number in numbers:
            if number is not None:
                ratio = error / (abs(value) + 1e-300)
                listed.append((number_bits(number), -ratio, symbol, number))
    listed.sort(key=lambda entry: entry[:2])
    return [(symbol, number) for *_, symbol, number in listed]


def constants_of(found: Refit) -> tuple[Constant, ...]:
    """Return the constants that are left, with their standard errors."""
    values, errors = found.draft.point.tolist(), found.standard_errors.tolist()
    return tuple(map(Constant, values, errors))
