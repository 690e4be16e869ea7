"""A law behind the logit link: classes instead of values, by iterated weighted least squares.

With probabilities ``p`` of a first guess, ``z = f + (y - p)/(p (1 - p))`` with weights
``p (1 - p)`` is a target of unit variance whose mean is the log-odds (Fisher scoring). The guess
is a logistic regression on polynomials; the formulas that the search finds take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kanx.discovery.data import Data
from kanx.discovery.prepare import Prepared, distinct_rows, prepare
from kanx.discovery.ridge import chebyshev, surface_basis
from kanx.discovery.task import Clock, Options, Rows, context_of, named, run, search_of
from kanx.discovery.template import Required
from kanx.discovery.trees import Tree, evaluate
from kanx.explain.formula import Formula

Array = NDArray[np.float64]
LARGEST_LOGIT = 8.0  # beyond, a label says nothing more
LEAST_WEIGHT = 1e-4
SCORING_STEPS = 25
LARGEST_DEGREE = 4  # of the guess
MOST_TERMS = 200
ROWS_PER_TERM = 8
PRIOR = 0.1  # precision of the guess's coefficients: their scale is about three


def find_log_odds(
    rows: Rows, options: Options, seed: int, tell: Callable[[str], None] | None = None
) -> tuple[Formula, list[Formula]]:
    """Search the log-odds of a class; return the chosen formula and the front, simplest first.

    Parameters
    ----------
    rows : Rows
        With 0 and 1 as the target.
    options : Options
        Without template and units.
    seed : int
        Seed.
    tell : callable, optional
        Called with the best formula so far after every stage.
    """
    clock = Clock(options.max_time)
    generator = np.random.default_rng(seed)
    X, y, weight, _ = distinct_rows(rows.X, rows.y, rows.weight)
    rows = replace(rows, X=X, y=y, weight=weight)
    guess = first_guess(rows.X, rows.y, rows.weight)
    working = scored(guess, rows.y, rows.weight)
    prepared = prepare(
        rows.X, working.target, working.weight, list(rows.names), options.max_rows, generator
    )
    search = search_of(prepared, options, clock, generator, rows.names, tell)
    archive = run(search, options)
    context = context_of(rows, prepared, clock)
    context = replace(context, relinearise=_again(rows, prepared))
    found, front = named(archive, context, search.notes)
    front = [_judged(formula, rows, prepared) for formula in front]
    notes = [*found.notes, *prepared.notes, *search.notes]
    notes.append(f"the formula is the log-odds: the probability is 1/(1 + exp(-{rows.target}))")
    near = [_judged(formula, rows, prepared) for formula in found.alternatives]
    chosen = replace(_judged(found, rows, prepared), front=front, alternatives=near, notes=notes)
    return chosen, front


def first_guess(X: Array, y: Array, weight: Array) -> Array:
    """Return log-odds from a logistic regression on polynomials, their degree chosen by AIC.

    Parameters
    ----------
    X : array of shape (rows, columns)
        Inputs.
    y, weight : arrays of shape (rows,)
        Classes 0 and 1, and weights.
    """
    low, high = X.min(axis=0), X.max(axis=0)
    t = 2.0 * (X - low) / np.where(high > low, high - low, 1.0) - 1.0
    most = min(MOST_TERMS, max(len(y) // ROWS_PER_TERM, 2))
    best: Array = np.zeros(len(y))
    best_score = np.inf
    for degree in range(LARGEST_DEGREE + 1):
        basis = _polynomials(t, degree, most)
        if basis.shape[1] > most:
            break
        logits = _regression(basis, y, weight)
        score = _deviance(logits, y, weight) + 2.0 * basis.shape[1]
        if score < best_score:
            best, best_score = logits, score
    return best


def _polynomials(t: Array, degree: int, most: int) -> Array:
    """Return all polynomials of a total degree, or those of single inputs if these are too many."""
    n = t.shape[1]
    if comb(n + degree, n) <= most:
        return surface_basis(t, degree)[0]
    tables = [chebyshev(column, degree)[0][:, 1:] for column in t.T]
    return np.hstack([np.ones((len(t), 1)), *tables])


def _regression(basis: Array, y: Array, weight: Array) -> Array:
    """Return the log-odds of a logistic regression with a weak normal prior."""
    coefficients: Array = np.zeros(basis.shape[1])
    prior = np.full(basis.shape[1], PRIOR)
    prior[0] = 1e-6
    for _ in range(SCORING_STEPS):
        logits = np.clip(basis @ coefficients, -LARGEST_LOGIT, LARGEST_LOGIT)
        working = scored(logits, y, weight)
        weighted = basis * working.weight[:, None]
        matrix = weighted.T @ basis + np.diag(prior)
        new = np.linalg.solve(matrix, weighted.T @ working.target)
        change = np.abs(new - coefficients).max()
        coefficients = np.asarray(new, dtype=float)
        if change < 1e-6:
            break
    return np.asarray(np.clip(basis @ coefficients, -LARGEST_LOGIT, LARGEST_LOGIT))


def scored(logits: Array, y: Array, weight: Array) -> Required:
    """Return the working target and its weights at these log-odds (Fisher scoring).

    Parameters
    ----------
    logits : array of shape (rows,)
        Log-odds known so far; those beyond 8 count as 8.
    y, weight : arrays of shape (rows,)
        Classes 0 and 1, and weights.
    """
    logits = np.clip(np.nan_to_num(logits), -LARGEST_LOGIT, LARGEST_LOGIT)
    p = expit(logits)
    slope = np.maximum(p * (1.0 - p), LEAST_WEIGHT)
    return Required(logits + (y - p) / slope, weight * slope)


def _deviance(logits: Array, y: Array, weight: Array) -> float:
    return float(2.0 * np.sum(weight * (np.logaddexp(0.0, logits) - y * logits)))


def _again(rows: Rows, prepared: Prepared) -> Callable[[Tree], Data]:
    """Return what turns a tree of the log-odds into the working rows at that tree."""
    y, weight = rows.y[prepared.train_rows], rows.weight[prepared.train_rows]
    columns = prepared.train.columns

    def again(tree: Tree) -> Data:
        working = scored(evaluate(tree, columns), y, weight)
        return Data(columns, working.target, working.weight / working.weight.mean())

    return again


def _judged(formula: Formula, rows: Rows, prepared: Prepared) -> Formula:
    """Return the formula with the scores of a classifier."""
    scores: dict[str, float] = {}
    for part, chosen in (("train", prepared.train_rows), ("test", prepared.test_rows)):
        if len(chosen):
            logits, y = formula.predict(rows.X[chosen]), rows.y[chosen]
            weight = rows.weight[chosen] / rows.weight[chosen].sum()
            loss = _deviance(logits, y, weight) / 2.0
            scores[f"log_loss_{part}"] = loss if np.isfinite(loss) else np.inf
            scores[f"accuracy_{part}"] = float(np.sum(weight * ((logits > 0) == y)))
    return replace(formula, scores=scores)
