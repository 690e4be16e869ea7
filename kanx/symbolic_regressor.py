"""SymbolicRegressor: the search for a law, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

Array = NDArray[np.float64]
SEARCH_SHARE = 0.85  # of the time; the rest is for polishing


class SymbolicRegressor(CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """Search for the formula behind a table of numbers.

    Groups of inputs that act together are found by variable projection, as dimensional analysis
    would find them from units; the function of the groups is then named from a dictionary of
    elementary functions, all constants are re-fitted jointly, and the description length decides.
    The search stops when a formula leaves only rounding error or noise, or when time is up, and it
    returns its best formulas when it is interrupted.

    Parameters
    ----------
    max_time : float, default=60
        Seconds of wall clock.
    functions : collection of str, optional
        Elementary functions that formulas may use, names of ``kanx.functions.FUNCTIONS``; powers
        are always allowed. All by default.
    max_complexity : int, default=80
        Largest number of nodes of a candidate.
    max_rows : int, default=3000
        Most rows of the search; of larger tables a random part is searched.
    n_jobs : int, optional
        Processes for several targets, as in joblib.
    random_state : int, RandomState or None
        Seed: the search is deterministic given it, unless time runs out.

    Attributes
    ----------
    formula_ : Formula or list of Formula
        The chosen formula; a list if ``y`` has several columns.
    front_ : pandas.DataFrame or dict of lists
        The accuracy/complexity front, simplest first (of the first target).
    n_features_in_, feature_names_in_
        Number and, for frames, names of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from kanx import SymbolicRegressor
    >>> X = np.random.default_rng(0).uniform(1, 3, (200, 2))
    >>> SymbolicRegressor(random_state=0).fit(X, X[:, 0] * X[:, 1] ** 2).formula_.expr
    x0*x1**2
    """

    def __init__(
        self,
        *,
        max_time: float = 60.0,
        functions: Collection[str] | None = None,
        max_complexity: int = 80,
        max_rows: int = 3000,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.max_time = max_time
        self.functions = functions
        self.max_complexity = max_complexity
        self.max_rows = max_rows
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Search for a formula of ``y``.

        Parameters
        ----------
        X : array or frame of shape (rows, columns)
            Finite numbers.
        y : array of shape (rows,) or (rows, targets)
            Finite targets.
        sample_weight : array of shape (rows,), optional
            Inverse noise variances up to a factor; rows of weight zero are ignored.
        """
        self._check_options()
        table, target = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        weight = _check_sample_weight(
            sample_weight, table, dtype=np.float64, ensure_non_negative=True
        )
        _check_magnitude(target)
        targets = target.reshape(len(table), -1).T
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(targets))
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self)
        if len(targets) == 1:
            results = [self._search(table, targets[0], weight, int(seeds[0]), "y", context)]
        else:
            from joblib import Parallel, delayed

            results = Parallel(n_jobs=self.n_jobs)(
                delayed(self._search)(table, column, weight, int(seed), f"y{k}")
                for k, (column, seed) in enumerate(zip(targets, seeds, strict=True))
            )
        formulas = [formula for formula, _ in results]
        self.formula_ = formulas[0] if target.ndim == 1 else formulas
        self.front_ = _front_table(results[0][1])
        context.call_on_fit_task_end(estimator=self)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Compute the formula.

        Parameters
        ----------
        X : array or frame of shape (rows, columns)
            Inputs; outside the formula's domain the prediction is NaN.
        """
        check_is_fitted(self, "formula_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if isinstance(self.formula_, list):
            return np.column_stack([f.predict(X) for f in self.formula_])
        return self.formula_.predict(X)

    def _search(
        self, X: Array, y: Array, weight: Array, seed: int, target: str, context: Any = None
    ) -> tuple[Any, list]:
        """Search one target; return its formula and front."""
        from kanx.discovery.deadline import Deadline
        from kanx.discovery.engine import Search
        from kanx.discovery.prepare import prepare
        from kanx.discovery.report import Context, formulas_of

        deadline, last = Deadline(SEARCH_SHARE * self.max_time), Deadline(0.95 * self.max_time)
        generator = np.random.default_rng(seed)
        names = self._names()
        prepared = prepare(X, y, weight, names, self.max_rows, generator)
        search = Search(
            prepared.search, deadline, generator, self.functions, self.max_complexity,
            report=_reporter(self, context),
        )  # fmt: skip
        archive = search.run()
        about = Context(
            names, prepared.kept, prepared.scale, prepared.train, prepared.test, target, last
        )
        formula, front = formulas_of(archive, about)
        notes = [*formula.notes, *prepared.notes, *search.notes]
        return replace(formula, notes=notes), front

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return [f"x{k}" for k in range(self.n_features_in_)]
        return [str(name) for name in names]

    def _check_options(self) -> None:
        if not self.max_time > 0:
            raise ValueError(
                f"max_time must be a positive number of seconds, got {self.max_time!r}"
            )
        if self.max_rows < 20:
            raise ValueError(f"max_rows must be at least 20, got {self.max_rows!r}")
        if self.functions is not None:
            from kanx.functions import FUNCTIONS

            unknown = sorted(set(self.functions) - set(FUNCTIONS))
            if unknown:
                raise ValueError(
                    f"functions has unknown names {unknown}; known are {sorted(FUNCTIONS)}, and "
                    "kanx.functions.register adds more"
                )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags


def _check_magnitude(target: Array) -> None:
    """Refuse targets whose squares overflow or underflow."""
    peak = float(np.abs(target).max(initial=0.0))
    if peak > 0 and not 1e-100 < peak < 1e100:
        raise ValueError(
            f"y has values of magnitude {peak:.1e}, whose squares are out of the range of floating "
            "point; change its unit so that they are between 1e-100 and 1e100"
        )


def _reporter(estimator: SymbolicRegressor, context: Any) -> Any:
    """Return a function that tells the callbacks that a stage has ended."""
    if context is None:
        return None

    def report(archive: Any) -> None:
        stage = context.subcontext(task_name="stage")
        stage.call_on_fit_task_begin(estimator=estimator)
        stage.call_on_fit_task_end(estimator=estimator)

    return report


def _front_table(front: list) -> Any:
    """Return the front as a frame if pandas is there, else as a dict of lists."""
    table = {
        "formula": front,
        "complexity": [f.complexity for f in front],
        "r2": [f.scores["r2_train"] for f in front],
        "nrmse": [f.scores["nrmse_train"] for f in front],
        "status": [f.status for f in front],
        "constants": [f.constants for f in front],
    }
    try:
        import pandas as pd
    except ImportError:
        return table
    return pd.DataFrame(table)
