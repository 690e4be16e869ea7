"""What the estimators that search for formulas share: options, several searches, the front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kanx.discovery.task import Options, Rows
    from kanx.explain.formula import Formula

Array = NDArray[np.float64]
Tell = Callable[[str], None]
Find = Callable[..., "tuple[Formula, list[Formula]]"]
BACKENDS = ("kanx", "operon")
AFTER_INTERRUPT = 1.0  # seconds for each target that is left when the user interrupts


def names_of(estimator: Any) -> list[str]:
    """Return the names of the columns that an estimator was fitted to."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return [f"x{k}" for k in range(estimator.n_features_in_)]
    return [str(name) for name in names]


def check_search(estimator: Any) -> None:
    """Refuse options of a search that make no sense.

    Raises
    ------
    ValueError
        If one is out of its range or names an unknown function.
    """
    if not estimator.max_time > 0:
        raise ValueError(
            f"max_time must be a positive number of seconds, got {estimator.max_time!r}"
        )
    if estimator.max_rows < 20:
        raise ValueError(f"max_rows must be at least 20, got {estimator.max_rows!r}")
    if estimator.max_complexity < 1:
        raise ValueError(f"max_complexity must be at least 1, got {estimator.max_complexity!r}")
    if estimator.functions is not None:
        from kanx.functions import FUNCTIONS

        unknown = sorted(set(estimator.functions) - set(FUNCTIONS))
        if unknown:
            raise ValueError(
                f"functions has unknown names {unknown}; known are {sorted(FUNCTIONS)}, and "
                "kanx.functions.register adds more"
            )


def find_all(
    find: Find,
    tables: Sequence[Rows],
    options: Options,
    seeds: Sequence[int],
    n_jobs: int | None,
    tell: Tell | None,
) -> list[tuple[Formula, list[Formula]]]:
    """Search every target, in turn or in parallel; after an interrupt the rest only briefly."""
    if len(tables) > 1 and n_jobs not in (None, 1):
        from joblib import Parallel, delayed

        found = Parallel(n_jobs=n_jobs)(
            delayed(find)(rows, options, seed) for rows, seed in zip(tables, seeds, strict=True)
        )
        return list(found)
    results = []
    for rows, seed in zip(tables, seeds, strict=True):
        results.append(find(rows, options, seed, tell))
        if any("interrupted" in note for note in results[-1][0].notes):
            options = replace(options, max_time=min(options.max_time, AFTER_INTERRUPT))
    return results


def teller(estimator: Any, context: Any) -> Tell:
    """Return what tells the callbacks that a stage has ended and which formula is best so far.

    A new best formula is a task of that name, which ``sklearn.callback.ProgressBar`` shows on a
    line of its own.
    """
    shown: set[str] = set()

    def tell(text: str) -> None:
        stage = context.subcontext(task_name=text, max_subtasks=0 if text in shown else None)
        shown.add(text)
        stage.call_on_fit_task_begin(estimator=estimator)
        stage.call_on_fit_task_end(estimator=estimator)

    return tell


def front_table(front: Sequence[Formula], scores: Sequence[str]) -> Any:
    """Return a front as a frame if pandas is there, else as a dict of lists, one line a formula."""
    from kanx.explain.formula_text import constants_text, plain_text

    table: dict[str, list[Any]] = {
        "complexity": [f.complexity for f in front],
        **{name.removesuffix("_train"): [f.scores[name] for f in front] for name in scores},
        "formula": [plain_text(f.expr) for f in front],
        "status": [f.status for f in front],
        "constants": [constants_text(f) for f in front],
    }
    try:
        import pandas as pd
    except ImportError:
        return table
    return pd.DataFrame(table)
