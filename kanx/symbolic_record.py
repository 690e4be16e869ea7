"""Fitted SymbolicRegressors and SymbolicClassifiers as a header of plain JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from kanx.symbolic_base import front_table
from kanx.symbolic_classifier import SymbolicClassifier
from kanx.symbolic_regressor import SymbolicRegressor

SymbolicEstimator = SymbolicRegressor | SymbolicClassifier
ESTIMATORS = {cls.__name__: cls for cls in (SymbolicRegressor, SymbolicClassifier)}
_SCORES = {
    "SymbolicRegressor": ("r2_train", "nrmse_train"),
    "SymbolicClassifier": ("log_loss_train", "accuracy_train"),
}
_MOST_FORMULAS = 10_000


def to_header(model: SymbolicEstimator) -> dict[str, Any]:
    """Return a fitted estimator as JSON values.

    Each formula is JSON text of its own, as ``Formula.to_json`` writes it.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If its template is a sympy expression that cannot be written.
    """
    check_is_fitted(model, "formula_")
    several = isinstance(model.formula_, list)
    formulas = model.formula_ if isinstance(model.formula_, list) else [model.formula_]
    header: dict[str, Any] = {
        "options": {name: _plain(name, v) for name, v in model.get_params(deep=False).items()},
        "n_features_in": int(model.n_features_in_),
        "feature_names_in": None,
        "formulas": [formula.to_json() for formula in formulas],
        "several": several,
    }
    if hasattr(model, "feature_names_in_"):
        header["feature_names_in"] = [str(name) for name in model.feature_names_in_]
    if isinstance(model, SymbolicClassifier):
        header["classes"] = {"kind": model.classes_.dtype.kind, "values": model.classes_.tolist()}
    return header


def from_header(kind: str, header: Mapping[str, Any]) -> SymbolicEstimator:
    """Return the estimator that ``to_header`` described; nothing in it is ever executed.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a part is missing, malformed or does not belong to the others.
    """
    from kanx.explain.formula import Formula

    model = ESTIMATORS[kind](**header["options"])
    texts = header["formulas"]
    if not isinstance(texts, list) or not 0 < len(texts) <= _MOST_FORMULAS:
        raise ValueError("an estimator has at least one formula")
    formulas = [Formula.from_json(text) for text in texts]
    count = header["n_features_in"]
    if any(len(formula.names) != count for formula in formulas):
        raise ValueError(f"a formula's columns are not the model's {count}")
    model.n_features_in_ = int(count)
    names = header["feature_names_in"]
    if names is not None:
        if [str(name) for name in names] != list(formulas[0].names):
            raise ValueError("the names of the columns are not those of the formulas")
        model.feature_names_in_ = np.asarray(names, dtype=object)
    if not header["several"] and len(formulas) > 1:
        raise ValueError("one formula was expected")
    model.formula_ = formulas if header["several"] else formulas[0]
    model.front_ = front_table(formulas[0].front, _SCORES[kind])
    if isinstance(model, SymbolicClassifier):
        model.classes_ = _classes(header["classes"])
        if len(formulas) != (1 if len(model.classes_) == 2 else len(model.classes_)):
            raise ValueError(f"{len(formulas)} formulas for {len(model.classes_)} classes")
    return model


def _plain(name: str, value: Any) -> Any:
    """Return an option as a JSON value; a random state with a history as None."""
    if name == "template" and value is not None and not isinstance(value, str):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    return None if isinstance(value, np.random.RandomState) else value


def _classes(described: Mapping[str, Any]) -> np.ndarray:
    kind, values = described["kind"], described["values"]
    if kind not in ("b", "i", "u", "f", "U", "O") or len(values) < 2:
        raise ValueError(f"labels of kind {kind!r} are not known")
    types = {"b": bool, "i": np.int64, "u": np.uint64, "f": np.float64, "U": str, "O": object}
    return np.array(values, dtype=types[kind])
