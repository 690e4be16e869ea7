"""Saved models as the commands need them."""

from __future__ import annotations

from typing import Any

import numpy as np


def load_model(path: str) -> Any:
    """Load whatever `kanx.save` wrote.

    Raises
    ------
    ValueError
        If there is no such file, or it is no kanx model.
    OSError
        If it cannot be read.
    """
    from kanx.persistence import load

    try:
        return load(path)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise ValueError(
            f"{path} is a folder; expected a model such as {path}/model.kanx"
        ) from None


def load_estimator(path: str) -> Any:
    """Load a regressor or classifier.

    Raises
    ------
    ValueError
        As `load_model`, or if the file holds a symbolic estimator, or a bare network without
        columns.
    OSError
        If it cannot be read.
    """
    model = load_model(path)
    if hasattr(model, "formula_"):
        raise ValueError(
            f"{path} holds the formula of a {type(model).__name__}, not a network; `kanx formula` "
            "prints it, kanx.load in Python predicts with it"
        )
    if not hasattr(model, "model_"):
        raise ValueError(
            f"{path} holds a bare network, which knows no columns; use kanx.load in Python"
        )
    return model


def as_input(model: Any, columns: dict[str, np.ndarray]) -> Any:
    """Return columns in the form that the model was fitted on: a table, or an array if nameless."""
    if hasattr(model, "feature_names_in_"):
        return columns
    if any(values.dtype == object for values in columns.values()):
        return np.column_stack([values.astype(object) for values in columns.values()])
    return np.column_stack(list(columns.values()))


def rows_over_ranges(model: Any, count: int = 1000) -> Any:
    """Return rows spread evenly over what the model has seen of every column.

    A Latin hypercube: every column runs evenly through its range, in an order of its own.
    """
    rng = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {}
    for column in model.model_.columns:
        order = rng.permutation(count)
        if column.categories is None:
            columns[column.name] = np.linspace(column.lower, column.upper, count)[order]
        else:
            values = np.array([*column.categories, None], dtype=object)[:-1]
            columns[column.name] = values[order % len(values)]
    return as_input(model, columns)
