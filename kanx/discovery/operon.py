"""The genetic back end: Operon breeds formulas of the columns and of the groups found in them.

``pip install pyoperon``. Its trees are read back as text by a parser that knows arithmetic only,
and are fitted, polished and chosen like all other candidates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.discovery.deadline import Deadline
from kanx.discovery.trees import Tree, evaluate, from_sympy, substitute, variable
from kanx.explain.formula_parser import parse_formula

if TYPE_CHECKING:
    from kanx.discovery.engine import Search

Array = NDArray[np.float64]
LEAST_SECONDS = 1
LARGEST_SEED = 2**31 - 1
SYMBOLS = ("add", "sub", "mul", "div", "square", "sqrt", "constant", "variable")
FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "tanh", "asin", "acos", "atan")


def search_with_operon(search: Search, deadline: Deadline) -> None:
    """Use the time that is left for a genetic search; file its Pareto front in the archive.

    Beside the columns it sees the groups of inputs of the best hypotheses, so that it need not
    breed them.

    Parameters
    ----------
    search : Search
        A search that has run.
    deadline : Deadline
        When to stop.

    Raises
    ------
    ImportError
        If pyoperon is not installed.
    """
    archive, data = search.archive, search.data
    seconds = int(deadline.remaining)
    if seconds < LEAST_SECONDS:
        search.notes.append("no time was left for Operon; raise max_time")
        return
    coordinates = [variable(k) for k in range(len(data.columns))] + search.group_trees()
    columns = np.array([evaluate(tree, data.columns) for tree in coordinates])
    fine = np.isfinite(columns).all(axis=1)
    coordinates = [tree for tree, ok in zip(coordinates, fine, strict=True) if ok]
    functions = [f for f in FUNCTIONS if search.allowed is None or f in search.allowed]
    model = operon_class()(
        allowed_symbols=",".join((*SYMBOLS, *functions)), population_size=1000,
        objectives=["r2", "length"], max_length=40, optimizer_iterations=5, generations=10**6,
        max_evaluations=10**9, max_time=seconds, n_threads=1,
        random_state=int(search.generator.integers(LARGEST_SEED)),
    )  # fmt: skip
    model.fit(columns[fine].T, data.y)
    for tree in _front(model, coordinates):
        archive.consider(tree)


def operon_class() -> Any:
    """Return pyoperon's estimator.

    Raises
    ------
    ImportError
        If pyoperon is not installed.
    """
    try:
        from pyoperon.sklearn import SymbolicRegressor
    except ImportError as error:
        raise ImportError(
            'backend="operon" needs pyoperon: pip install pyoperon (or backend="kanx")'
        ) from error
    return SymbolicRegressor


def _front(model: Any, coordinates: list[Tree]) -> list[Tree]:
    """Return the trees of Operon's Pareto front in the columns."""
    names = [f"c{k}" for k in range(len(coordinates))]
    symbols = [sp.Symbol(name) for name in names]
    found = []
    for member in model.pareto_front_:
        text = model.get_model_string(member["tree"], 17, names).replace("^", "**")
        try:
            expr = parse_formula(text, names, exact=False)
            tree = from_sympy(expr, symbols)
        except ValueError:  # a constant outside a domain, or a formula too large to read
            continue
        found.append(substitute(tree, coordinates))
    return found
