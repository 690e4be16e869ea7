"""SymbolicRegressor: the search for a law, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kanx.symbolic_base import BACKENDS, check_search, find_all, front_table, names_of, teller

if TYPE_CHECKING:
    import sympy as sp

    from kanx.discovery.task import Options

Array = NDArray[np.float64]


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
    template : str or sympy.Expr, optional
        A law of which a part is known, such as ``"m0*c**2 + f(v, m0)"``: arithmetic of the
        columns with one unknown function, of columns or of expressions of them, that occurs once
        and that the law can be solved for. Text is parsed, never run.
    units : mapping of str to str, optional
        Units of the columns, and of the target under ``"y"`` (``"y0"``, ``"y1"``, ... for
        several), such as ``{"v": "m/s", "m": "kg", "y": "kg*m^2/s^2"}``; what is not listed is a
        plain number. Formulas whose units disagree are excluded, constants that must carry units
        are said to, and dimensionless groups are searched first. Prefixes do not matter.
    max_complexity : int, default=80
        Largest number of nodes of a candidate.
    max_rows : int, default=3000
        Most rows of the search; of larger tables a random part is searched.
    backend : {"kanx", "operon"}, default="kanx"
        With ``"operon"``, genetic programming (``pip install pyoperon``) gets half of the time
        where no law is found in the other half, on the columns and the groups that act together.
    n_jobs : int, optional
        Processes for several targets, as in joblib.
    random_state : int, RandomState or None
        Seed: the search is deterministic given it, unless time runs out.

    Attributes
    ----------
    formula_ : Formula or list of Formula
        The chosen formula, with the front of formulas in ``formula_.front``; a list if ``y`` has
        several columns.
    front_ : pandas.DataFrame or dict of lists
        The accuracy/complexity front, simplest first, as text (of the first target).
    n_features_in_, feature_names_in_
        Number and, for frames, names of the columns.

    References
    ----------
    Golub and Pereyra: Separable nonlinear least squares, Inverse Problems 19, 2003; Udrescu et
    al.: AI Feynman 2.0, NeurIPS 2020; Buckingham: On physically similar systems, Physical Review
    4, 1914 (units).

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
        template: str | sp.Expr | None = None,
        units: Mapping[str, str] | None = None,
        max_complexity: int = 80,
        max_rows: int = 3000,
        backend: str = "kanx",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.max_time = max_time
        self.functions = functions
        self.template = template
        self.units = units
        self.max_complexity = max_complexity
        self.max_rows = max_rows
        self.backend = backend
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
        from kanx.discovery.task import Rows, find_law

        check_search(self)
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {BACKENDS}, got {self.backend!r}")
        if self.backend == "operon":
            from kanx.discovery.operon import operon_class

            operon_class()  # a missing package is said at once, not after half of the time
        table, target = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        weight = _check_sample_weight(
            sample_weight, table, dtype=np.float64, ensure_non_negative=True
        )
        _check_magnitude(target)
        columns = target.reshape(len(table), -1).T
        titles = ["y"] if len(columns) == 1 else [f"y{k}" for k in range(len(columns))]
        options = self._options(titles)
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(columns))
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self)
        names = names_of(self)
        results = find_all(
            find_law,
            [Rows(table, y, weight, names, t) for y, t in zip(columns, titles, strict=True)],
            options, seeds.tolist(), self.n_jobs, teller(self, context),
        )  # fmt: skip
        formulas = [formula for formula, _ in results]
        self.formula_ = formulas[0] if target.ndim == 1 else formulas
        self.front_ = front_table(results[0][1], ("r2_train", "nrmse_train"))
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

    def _options(self, targets: list[str]) -> Options:
        """Return what is asked of the search, templates and units read."""
        from kanx.discovery.task import Options
        from kanx.discovery.template import Template
        from kanx.discovery.units import parse_unit

        names = names_of(self)
        template = None if self.template is None else Template.of(self.template, names)
        dimensions = None
        if self.units is not None:
            if template is not None:
                raise ValueError("units cannot be checked inside a template; pass one of the two")
            strangers = sorted(set(self.units) - {*names, *targets})
            if strangers:
                raise ValueError(
                    f"units has {strangers}; expected columns {names} or targets {targets}"
                )
            dimensions = {name: parse_unit(unit) for name, unit in self.units.items()}
        return Options(
            self.max_time, self.functions, self.max_complexity, self.max_rows, template,
            dict(self.units or {}), dimensions, self.backend,
        )  # fmt: skip

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
