"""Held-out scores of a model beside a simple rival's, and the table that shows them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kanx.tables import columns_of, encode, learn_columns


def model_scores(model: Any, X: Mapping[str, np.ndarray], y: np.ndarray) -> dict[str, float]:
    """Score a fitted classifier by accuracy, AUC and log loss, a regressor by RMSE and R².

    Parameters
    ----------
    model : fitted estimator
        Classifies if it has ``predict_proba``.
    X : table
    y : ndarray, (rows,)

    Returns
    -------
    dict from str to float
        NaN where a score is undefined, such as the AUC without every class among the rows.
    """
    from sklearn.metrics import log_loss, r2_score, root_mean_squared_error

    if not hasattr(model, "predict_proba"):
        predicted = model.predict(X)
        r2 = float(r2_score(y, predicted)) if len(y) > 1 else float("nan")
        return {"RMSE": float(root_mean_squared_error(y, predicted)), "R²": r2}
    probabilities = model.predict_proba(X)
    classes = list(model.classes_)
    winners = np.array(classes, object)[probabilities.argmax(1)]
    return {
        "accuracy": float(np.mean(winners == y)),
        "AUC": _auc(y, probabilities, classes),
        "log loss": float(log_loss(y, probabilities, labels=classes)),
    }


def fit_rival(X: Mapping[str, np.ndarray], y: np.ndarray, task: str) -> tuple[str, Any]:
    """Fit the simple rival: logistic regression, or ridge regression with chosen penalty.

    Numbers are standardised with missing values at the mean and marked, categories are
    one-hot; so the rival sees everything that the model does.

    Returns
    -------
    name : str
    rival : object
        With the methods that `model_scores` calls, on the same tables.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = learn_columns(list(X), columns_of(X))
    numeric = [j for j, column in enumerate(columns) if not column.is_categorical]
    categorical = [j for j, column in enumerate(columns) if column.is_categorical]
    filled = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    prepare = ColumnTransformer(
        [
            ("numbers", filled, numeric),
            ("categories", OneHotEncoder(handle_unknown="ignore"), categorical),
        ]
    )
    if task == "classification":
        name, last = "logistic regression", LogisticRegression(max_iter=5000)
    else:
        name, last = "ridge regression", RidgeCV(alphas=np.logspace(-4, 4, 17))
    pipeline = make_pipeline(prepare, last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rival's troubles are none of the user's
        pipeline.fit(encode(columns, columns_of(X)), y)
    return name, _OnTables(columns, pipeline)


class _OnTables:
    """Put a pipeline of matrices behind the tables that the model takes."""

    def __init__(self, columns: Sequence[Any], pipeline: Any) -> None:
        self._columns = columns
        self._pipeline = pipeline
        if hasattr(pipeline, "predict_proba"):
            self.classes_ = pipeline.classes_
            self.predict_proba = lambda X: pipeline.predict_proba(self._matrix(X))

    def predict(self, X: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._pipeline.predict(self._matrix(X))

    def _matrix(self, X: Mapping[str, np.ndarray]) -> np.ndarray:
        return encode(self._columns, columns_of(X))


def score_table(title: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return scores as an aligned table, one line per model.

    Parameters
    ----------
    title : str
        Stands above the names of the models.
    scores : mapping from model to (mapping from score to value)
    """
    heads = list(next(iter(scores.values())))
    width = max(len(title), *map(len, scores))
    lines = [title.ljust(width) + "".join(head.rjust(11) for head in heads)]
    for name, values in scores.items():
        lines.append(name.ljust(width) + "".join(show(values[h]).rjust(11) for h in heads))
    return "\n".join(lines)


def show(value: float) -> str:
    """Return a score with four decimals, or four digits where it is large."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def _auc(y: np.ndarray, probabilities: np.ndarray, classes: list[Any]) -> float:
    from sklearn.metrics import roc_auc_score

    if set(y) != set(classes):
        return float("nan")
    if len(classes) == 2:
        return float(roc_auc_score(y == classes[1], probabilities[:, 1]))
    return float(roc_auc_score(y, probabilities, labels=classes, multi_class="ovr"))
