"""From the archive of a search to Formula objects in the user's names and scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.discovery.archive import Archive, Candidate
from kanx.discovery.baselines import baseline_notes
from kanx.discovery.choice import choice_score
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.least_squares import fit_constants
from kanx.discovery.polish import polish, refit
from kanx.discovery.trees import Tree, evaluate, scaled, to_sympy
from kanx.explain.constants import Constant
from kanx.explain.formula import Formula
from kanx.explain.formula_text import plain_text

Array = NDArray[np.float64]
MOST_POLISHED = 6
RELINEARISATIONS = 2
RIVAL_NATS = 16.0  # what simple constants, dropped terms and rounding may gain
SPARE_ROWS = 5  # least number of rows beyond the constants for a formula to be called exact
ALTERNATIVE_NATS = 3.0  # formulas this much longer are still called indistinguishable


@dataclass(frozen=True)
class Context:
    """Hold what a report needs to know about the user's data.

    Parameters
    ----------
    names : sequence of str
        Columns of X.
    kept : sequence of int
        Columns that the search saw, in its order.
    scale : float
        Factor by which the target was divided.
    train, test : Data
        Rows in the user's units: those that constants are fitted on and those held out.
    target : str
        Name of the predicted quantity.
    deadline : Deadline, optional
        When to stop polishing.
    relinearise : callable, optional
        The rows of `train` as they are seen from a tree, where the target is a function of what
        is searched.
    """

    names: Sequence[str]
    kept: Sequence[int]
    scale: float
    train: Data
    test: Data
    target: str = "y"
    deadline: Deadline | None = None
    relinearise: Callable[[Tree], Data] | None = None


def formulas_of(archive: Archive, context: Context) -> tuple[Formula, list[Formula]]:
    """Return the chosen formula and the accuracy/complexity front, simplest first."""
    symbols = [sp.Symbol(context.names[k]) for k in context.kept]
    final = final_archive(archive, context.train, context.scale, symbols, context.deadline)
    if context.relinearise is not None:
        final = seen_again(final, context.relinearise, symbols)
        context = replace(context, train=final.data)
    chosen = believable(final, symbols)[0]
    best = _formula(chosen, context, symbols)
    front = [_formula(c, context, symbols) for c in final.front()]
    near = [
        f for f, c in zip(front, final.front(), strict=True)
        if c.score < chosen.score + ALTERNATIVE_NATS and plain_text(f.expr) != plain_text(best.expr)
    ]  # fmt: skip
    notes = baseline_notes(context.train, chosen.fit.loss)
    return replace(best, front=front, alternatives=near, notes=notes), front


def final_archive(
    archive: Archive,
    train: Data,
    scale: float,
    symbols: Sequence[sp.Symbol],
    deadline: Deadline | None = None,
) -> Archive:
    """Return the front and the near-champions in the user's scale, polished on all rows.

    The champion is always there, polished as far as the deadline allows.
    """
    near = believable(archive, symbols, deadline)
    final = Archive(train, archive.max_complexity, penalty=archive.penalty)
    refit(final, scaled(near[0].tree, scale))
    final.deadline = deadline
    for candidate in near[:MOST_POLISHED]:
        start = refit(final, scaled(candidate.tree, scale))
        if start is not None:
            polish(final, start, symbols)
    for candidate in archive.front():
        refit(final, scaled(candidate.tree, scale), 15)
    return final


def seen_again(
    archive: Archive, relinearise: Callable[[Tree], Data], symbols: Sequence[sp.Symbol]
) -> Archive:
    """Return the candidates on the rows as the best one sees them: steps of Gauss and Newton."""
    for _ in range(RELINEARISATIONS):
        best = believable(archive, symbols)
        final = Archive(relinearise(best[0].tree), archive.max_complexity, penalty=archive.penalty)
        final.deadline = archive.deadline
        data = final.data
        final.keep(fit_constants(best[0].tree, data.columns, data.y, data.weight, 15))
        for position, candidate in enumerate([*best[:MOST_POLISHED], *archive.front()]):
            trial = refit(final, candidate.tree, 15)
            if trial is not None and position < MOST_POLISHED // 2:
                polish(final, trial, symbols)
        archive = final
    return archive


def believable(
    archive: Archive, symbols: Sequence[sp.Symbol], deadline: Deadline | None = None
) -> list[Candidate]:
    """Return the candidates of nearly the shortest description, the most believable first."""
    rivals = archive.near()
    rivals = [c for c in rivals if c.score <= rivals[0].score + RIVAL_NATS]
    if archive.is_exact():
        return rivals
    scores: list[float] = []
    for candidate in rivals:
        is_late = bool(scores) and deadline is not None and deadline.passed
        scores.append(candidate.score if is_late else choice_score(archive, candidate, symbols))
    return [rivals[k] for k in np.argsort(scores, kind="stable")]


def _formula(candidate: Candidate, context: Context, symbols: Sequence[sp.Symbol]) -> Formula:
    """Return one candidate as a formula, its constants re-fitted on all training rows."""
    train, test, fit = context.train, context.test, candidate.fit
    k = len(fit.tree.constants)
    variance = fit.loss / max(train.n_rows - k, 1)
    errors = fit.standard_errors(variance) if k else np.zeros(0)
    constants = [
        Constant(float(v), float(e), None) for v, e in zip(fit.tree.constants, errors, strict=True)
    ]
    scores = {"r2_train": _r2(fit.tree, train), "nrmse_train": _nrmse(fit.tree, train)}
    if test.n_rows:
        scores |= {"r2_test": _r2(fit.tree, test), "nrmse_test": _nrmse(fit.tree, test)}
    ranges = {
        context.names[k]: (float(c.min()), float(c.max()))
        for k, c in zip(context.kept, train.columns, strict=True)
    }
    return Formula(
        to_sympy(fit.tree, symbols), list(context.names), constants=constants, ranges=ranges,
        target=context.target, scores=scores, status=_status(fit.tree, context, k),
    )  # fmt: skip


def _status(tree: Tree, context: Context, n_constants: int) -> str:
    """Return "exact" if nothing but rounding, or nothing but noise, is left.

    A formula with nearly as many constants as there are rows fits anything and is never exact.
    """
    train = context.train
    if train.n_rows < n_constants + SPARE_ROWS:
        return "approximate"
    residual = train.y - evaluate(tree, train.columns)
    if np.sum(train.weight * residual**2) < 1e-18 * train.size:
        rows = context.test if context.test.n_rows else train
        return "exact" if _nrmse(tree, rows) < 1e-9 else "approximate"
    enough = train.n_rows >= 200
    return "exact" if enough and train.lack_of_fit(residual, n_constants) > 0.05 else "approximate"


def _r2(tree: Tree, data: Data) -> float:
    residual = data.y - evaluate(tree, data.columns)
    mean = np.average(data.y, weights=data.weight)
    spread = float(np.sum(data.weight * (data.y - mean) ** 2))
    loss = float(np.sum(data.weight * residual**2))
    if not np.isfinite(loss):
        return -np.inf
    return 1.0 - loss / spread if spread > 0 else float(loss == 0.0)


def _nrmse(tree: Tree, data: Data) -> float:
    residual = data.y - evaluate(tree, data.columns)
    mean = np.average(data.y, weights=data.weight)
    spread = float(np.sqrt(np.average((data.y - mean) ** 2, weights=data.weight)))
    error = float(np.sqrt(np.average(residual**2, weights=data.weight)))
    return error / spread if spread > 0 else error
