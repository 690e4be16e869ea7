"""`kanx.edit`: where an expert's edits of a fitted estimator begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from kanx.edits.editor import Editor

if TYPE_CHECKING:
    from kanx.estimator_base import KANEstimator


def edit(
    model: KANEstimator,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    X_test: Any = None,
    y_test: ArrayLike | None = None,
) -> Editor:
    """Edit a fitted estimator by hand, curve by curve.

    Parameters
    ----------
    model : KANRegressor or KANClassifier
        Fitted; it is not changed.
    X : table, (rows, features)
        Rows that everything else is fitted to again, as a rule those of the fit.
    y : array, (rows,) or (rows, targets)
    sample_weight : array, (rows,), optional
    X_test, y_test : table and array, optional
        Rows that the scores before and after every edit are computed on; without them these are
        scores on the training rows.

    Returns
    -------
    Editor

    Raises
    ------
    TypeError
        If the model is no fitted estimator of kanx.
    ValueError
        If X or y does not fit the model.

    Examples
    --------
    >>> import numpy as np
    >>> import kanx
    >>> X = np.random.default_rng(0).uniform(1, 3, (100, 2))
    >>> model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, np.log(X[:, 0]))
    >>> editor = kanx.edit(model, X, np.log(X[:, 0]))
    >>> editor.set_formula("x0", "log").edit
    'set_formula'
    >>> edited = editor.model
    """
    return Editor(model, X, y, sample_weight, X_test, y_test)
