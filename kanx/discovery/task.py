"""One target from rows to formulas: prepare, search, polish, and undo what was done to the rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.discovery.archive import Archive
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.dimensions import Consistency
from kanx.discovery.engine import Search
from kanx.discovery.prepare import Prepared, prepare
from kanx.discovery.report import Context, formulas_of
from kanx.discovery.template import Template
from kanx.discovery.trees import Tree, evaluate, scaled, to_sympy
from kanx.discovery.units import Dimensions
from kanx.discovery.with_units import search_groups, units_notes
from kanx.explain.formula import Formula
from kanx.explain.formula_text import plain_text

Array = NDArray[np.float64]
SEARCH_SHARE = 0.85  # of the time; the rest is for polishing
POLISH_SHARE = 0.95
GROUPS_SHARE = 0.4  # of the time for the search among dimensionless groups


@dataclass(frozen=True)
class Options:
    """What a user asks of a search.

    Parameters
    ----------
    max_time : float
        Seconds.
    functions : collection of str, optional
        Functions that formulas may use.
    max_complexity, max_rows : int
        Largest number of nodes of a candidate, and of rows of the search.
    template : Template, optional
        The known part of the law.
    units : mapping of str to str
        Units of the columns and of the target, as the user wrote them.
    dimensions : mapping of str to dict, optional
        The same as dimensions; None if no units were given.
    backend : {"kanx", "operon"}
        Whether a genetic search takes the second half of the time where misfit is left.
    """

    max_time: float = 60.0
    functions: Collection[str] | None = None
    max_complexity: int = 80
    max_rows: int = 3000
    template: Template | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    dimensions: Mapping[str, Dimensions] | None = None
    backend: str = "kanx"


@dataclass(frozen=True)
class Rows:
    """The user's rows.

    Parameters
    ----------
    X : array of shape (rows, columns)
        Inputs.
    y, weight : arrays of shape (rows,)
        Target and weights.
    names : sequence of str
        Columns.
    target : str
        Name of the target.
    """

    X: Array
    y: Array
    weight: Array
    names: Sequence[str]
    target: str

    @property
    def values(self) -> dict[str, Array]:
        """The columns by name."""
        return dict(zip(self.names, self.X.T, strict=True))


def find_law(
    rows: Rows, options: Options, seed: int, tell: Callable[[str], None] | None = None
) -> tuple[Formula, list[Formula]]:
    """Search one target; return the chosen formula and the front, simplest first."""
    if options.template is not None:
        return _find_in_template(rows, options, options.template, seed, tell)
    clock = Clock(options.max_time)
    generator = np.random.default_rng(seed)
    prepared = prepare(rows.X, rows.y, rows.weight, list(rows.names), options.max_rows, generator)
    consistency = _consistency(rows, options, prepared)
    search = search_of(prepared, options, clock, generator, rows.names, tell)
    if consistency is not None:
        search = replace(search, penalty=consistency.penalty)
        part = Deadline(GROUPS_SHARE * options.max_time)
        seeds = search_groups(search, consistency, part)
        for tree in seeds:
            search.archive.consider(tree)
    archive = run(search, options)
    found, front = named(archive, context_of(rows, prepared, clock), search.notes)
    notes = [*found.notes, *prepared.notes, *search.notes]
    if options.dimensions is not None:
        notes += units_notes(found, options.dimensions, rows.target)
    return replace(found, notes=notes, units=options.units), front


def run(search: Search, options: Options) -> Archive:
    """Run a search, and in the second half the genetic one if asked for and misfit is left."""
    if options.backend != "operon":
        return search.run()
    from kanx.discovery.operon import search_with_operon

    whole = search.deadline
    search.deadline = Deadline(whole.remaining / 2)
    archive = search.run()
    if not archive.is_solved():
        search_with_operon(search, whole)
    return archive


def named(archive: Archive, context: Context, notes: list[str]) -> tuple[Formula, list[Formula]]:
    """Return polished formulas, or unpolished ones if the user interrupts."""
    try:
        return formulas_of(archive, context)
    except KeyboardInterrupt:
        notes.append("the polishing was interrupted; this is the best formula so far")
        return formulas_of(archive, replace(context, deadline=Deadline(0.0), relinearise=None))


class Clock:
    """When to stop searching, and when to stop polishing."""

    def __init__(self, seconds: float) -> None:
        self.search = Deadline(SEARCH_SHARE * seconds)
        self.polish = Deadline(POLISH_SHARE * seconds)


def search_of(
    prepared: Prepared,
    options: Options,
    clock: Clock,
    generator: np.random.Generator,
    names: Sequence[str],
    tell: Callable[[str], None] | None,
) -> Search:
    """Return the search over prepared rows; `tell` hears its best formula in the user's names."""
    symbols = [sp.Symbol(names[k]) for k in prepared.kept]

    def report(archive: Archive) -> None:
        champion = archive.champion()
        if tell is not None and champion is not None:
            tree = scaled(champion.tree, prepared.scale)
            tell(plain_text(to_sympy(tree, symbols), 3))

    return Search(
        prepared.search, clock.search, generator, options.functions, options.max_complexity, report
    )


def context_of(rows: Rows, prepared: Prepared, clock: Clock) -> Context:
    """Return what a tree of the search needs to become a formula of the user's columns."""
    return Context(
        rows.names, prepared.kept, prepared.scale, prepared.train, prepared.test, rows.target,
        clock.polish,
    )  # fmt: skip


def _consistency(rows: Rows, options: Options, prepared: Prepared) -> Consistency | None:
    if options.dimensions is None:
        return None
    columns = [options.dimensions.get(rows.names[k], {}) for k in prepared.kept]
    return Consistency(columns, options.dimensions.get(rows.target, {}))


def _find_in_template(
    rows: Rows, options: Options, template: Template, seed: int, tell: Callable[[str], None] | None
) -> tuple[Formula, list[Formula]]:
    """Search the unknown part of a template, then put it where it belongs."""
    clock = Clock(options.max_time)
    generator = np.random.default_rng(seed)
    required = template.solve(rows.values, rows.y, rows.weight)
    inner = Rows(
        template.columns(rows.values, len(rows.y)), required.target, required.weight,
        template.names, rows.target,
    )  # fmt: skip
    prepared = prepare(inner.X, inner.y, inner.weight, template.names, options.max_rows, generator)
    search = search_of(prepared, options, clock, generator, template.names, tell)
    archive = run(search, options)
    context = context_of(inner, prepared, clock)
    if not template.is_affine:
        context = replace(context, relinearise=_again(rows, template, prepared))
    found, front = named(archive, context, search.notes)
    whole = [_in_template(f, rows, template, prepared) for f in (found, *front)]
    near = [_in_template(f, rows, template, prepared) for f in found.alternatives]
    left = int(((required.weight == 0) & (rows.weight > 0)).sum())
    notes = [*found.notes, *prepared.notes, *search.notes]
    if left:
        notes.append(f"the template cannot be undone on {left} rows, which were left out")
    return replace(whole[0], front=whole[1:], alternatives=near, notes=notes), whole[1:]


def _again(rows: Rows, template: Template, prepared: Prepared) -> Callable[[Tree], Data]:
    """Return what turns a tree of the unknown part into the rows as they are seen from it."""
    chosen = prepared.train_rows
    values = {name: column[chosen] for name, column in rows.values.items()}
    y, weight = rows.y[chosen], rows.weight[chosen]

    def again(tree: Tree) -> Data:
        f = evaluate(tree, prepared.train.columns)
        required = template.seen_from(f, values, y, weight)
        return Data(
            prepared.train.columns, required.target, required.weight / required.weight.mean()
        )

    return again


def _in_template(formula: Formula, rows: Rows, template: Template, prepared: Prepared) -> Formula:
    """Return the whole law, judged on the target itself."""
    expr = template.compose(formula.expr)
    ranges = {
        name: (float(column[prepared.train_rows].min()), float(column[prepared.train_rows].max()))
        for name, column in rows.values.items()
        if sp.Symbol(name) in expr.free_symbols
    }
    whole = replace(
        formula, expr=expr, names=rows.names, ranges=ranges, scores={}, front=(), alternatives=()
    )
    scores: dict[str, float] = {}
    for part, chosen in (("train", prepared.train_rows), ("test", prepared.test_rows)):
        if len(chosen):
            y, weight = rows.y[chosen], rows.weight[chosen]
            residual = y - whole.predict(rows.X[chosen])
            spread = float(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
            left = float(np.average(residual**2, weights=weight))
            share = left / spread if spread > 0 else float(left > 0)
            scores[f"r2_{part}"] = 1.0 - share if np.isfinite(share) else -np.inf
            scores[f"nrmse_{part}"] = float(np.sqrt(share))
    return replace(whole, scores=scores)
