"""SymbolicClassifier: the search for a law of the log-odds, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kanx.symbolic_base import check_search, find_all, front_table, names_of, teller

Array = NDArray[np.float64]


class SymbolicClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Search for a formula of the log-odds of a class.

    The logit link of logistic regression with the search of :class:`SymbolicRegressor` in place of
    the linear model: formulas are fitted by iterated weighted least squares and compared by the
    likelihood of the classes.

    Parameters
    ----------
    max_time : float, default=60
        Seconds of wall clock for each formula.
    functions, max_complexity, max_rows
        As in :class:`SymbolicRegressor`.
    n_jobs : int, optional
        Processes for more than two classes.
    random_state : int, RandomState or None
        Seed: the search is deterministic given it, unless time runs out.

    Attributes
    ----------
    classes_ : array
        Labels, sorted.
    formula_ : Formula or list of Formula
        The log-odds of ``classes_[1]``; with more than two classes a list, the log-odds of each
        class against all others.
    front_ : pandas.DataFrame or dict of lists
        The front of log loss and complexity, simplest first, as text (of the first formula).
    n_features_in_, feature_names_in_
        Number and, for frames, names of the columns.

    References
    ----------
    McCullagh and Nelder: Generalized Linear Models, 1989, section 2.5 (Fisher scoring).

    Examples
    --------
    >>> import numpy as np
    >>> from kanx import SymbolicClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 3, (2000, 2))
    >>> y = rng.random(2000) < 1 / (1 + np.exp(4 - 2 * X[:, 0] * X[:, 1] / 2))
    >>> model = SymbolicClassifier(max_time=10, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (2000, 2)
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
        """Search for a formula of the log-odds.

        Parameters
        ----------
        X : array or frame of shape (rows, columns)
            Finite numbers.
        y : array of shape (rows,)
            Labels of at least two classes.
        sample_weight : array of shape (rows,), optional
            Rows of weight zero are ignored.
        """
        from kanx.discovery.log_odds import find_log_odds
        from kanx.discovery.task import Options, Rows

        check_search(self)
        table, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        weight = _check_sample_weight(
            sample_weight, table, dtype=np.float64, ensure_non_negative=True
        )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        present = [k for k in range(len(self.classes_)) if weight[codes == k].sum() > 0]
        if len(present) < 2:
            raise ValueError(
                f"y has {len(present)} class of positive weight; SymbolicClassifier needs 2"
            )
        wanted = [1] if len(self.classes_) == 2 else list(range(len(self.classes_)))
        names = names_of(self)
        tables = [
            Rows(table, (codes == k).astype(float), weight, names, f"logit({self.classes_[k]})")
            for k in wanted
        ]
        options = Options(self.max_time, self.functions, self.max_complexity, self.max_rows)
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(tables))
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self)
        results = find_all(
            find_log_odds, tables, options, seeds.tolist(), self.n_jobs, teller(self, context)
        )
        formulas = [formula for formula, _ in results]
        self.formula_ = formulas[0] if len(formulas) == 1 else formulas
        self.front_ = front_table(results[0][1], ("log_loss_train", "accuracy_train"))
        context.call_on_fit_task_end(estimator=self)
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Compute the log-odds, (rows,); (rows, classes) with more than two classes.

        Parameters
        ----------
        X : array or frame of shape (rows, columns)
            Inputs; outside a formula's domain the log-odds are NaN.
        """
        check_is_fitted(self, "formula_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if isinstance(self.formula_, list):
            return np.column_stack([f.predict(X) for f in self.formula_])
        return self.formula_.predict(X)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Compute the probability of every class, (rows, classes).

        With more than two classes the probabilities of each against the others, divided by their
        sum.
        """
        odds = expit(self.decision_function(X))
        if odds.ndim == 1:
            return np.column_stack([1.0 - odds, odds])
        total = odds.sum(axis=1, keepdims=True)
        return np.where(total > 0, odds / np.where(total > 0, total, 1.0), 1.0 / odds.shape[1])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class, (rows,)."""
        odds = self.decision_function(X)
        codes = (odds > 0).astype(int) if odds.ndim == 1 else odds.argmax(axis=1)
        return np.asarray(self.classes_[codes])
