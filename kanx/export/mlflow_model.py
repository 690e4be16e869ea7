"""The model as an MLflow model: predictions, intervals and contributions as columns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from kanx.export.exported import fitted_model
from kanx.export.serving import Serving, background_of, serving_of
from kanx.persistence import load, save

FILE = "model.kanx"
BACKGROUND = "background.npy"


def to_mlflow(model: Any, path: str | os.PathLike[str], X: Any = None) -> None:
    """Write a fitted estimator as a folder in MLflow's format, flavour ``python_function``.

    The folder holds a kanx file, never a pickle, and a signature: MLflow refuses tables with wrong
    or missing columns. Serve it with ``mlflow models serve``, or load it with
    ``mlflow.pyfunc.load_model``. It gives one column per value: ``prediction``, ``std``,
    ``lower`` and ``upper`` (95 %), or ``prediction`` and ``probability of CLASS``; and
    ``contribution of COLUMN`` beside ``base``, to which they add up.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted
    path : path
        Folder to make.
    X : table, optional
        Rows that contributions are relative to, such as the training rows.

    Raises
    ------
    TypeError
        If the model is no fitted estimator.
    ImportError
        If the package mlflow (or mlflow-skinny) is missing.
    """
    try:
        import mlflow
    except ImportError as error:
        raise ImportError(
            "to_mlflow needs the package mlflow; install it with pip install mlflow-skinny"
        ) from error
    import tempfile

    fitted_model(model)
    background = background_of(model, X)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "kanx"
        data.mkdir()
        save(model, data / FILE)
        np.save(data / BACKGROUND, background.numpy())
        mlflow.pyfunc.save_model(
            os.fspath(path),
            loader_module="kanx.export.mlflow_model",
            data_path=os.fspath(data),
            signature=_signature(model),
            pip_requirements=["kanx", "mlflow-skinny"],
        )


class Served:
    """A loaded model as MLflow calls it.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted
    module : Serving
    """

    def __init__(self, model: Any, module: Serving) -> None:
        self.model = model
        self.module = module

    def predict(self, table: Any, params: dict[str, Any] | None = None) -> Any:
        """Return predictions, intervals and contributions of a pandas frame, as a frame."""
        import pandas as pd

        names = self.model.model_.names
        rows = {name: _plain(table[name], column) for name, column in self._columns()}
        nameless = not hasattr(self.model, "feature_names_in_")
        X: Any = np.column_stack([*rows.values()]) if nameless else rows
        found = self._predictions(X)
        values = self.module.contributions(self.model._matrix(X)).numpy()
        outputs = values.shape[2]
        for o in range(outputs):
            target = "" if outputs == 1 else f" to {self.model.model_.target_names[o]}"
            found[f"base{target}"] = np.full(len(values), float(self.module.base[o]))
            for j, name in enumerate(names):
                found[f"contribution of {name}{target}"] = values[:, j, o]
        return pd.DataFrame(found)

    def _columns(self) -> list[tuple[str, Any]]:
        return [(column.name, column) for column in self.model.model_.columns]

    def _predictions(self, X: Any) -> dict[str, Any]:
        model = self.model
        if hasattr(model, "classes_"):
            p = model.predict_proba(X)
            found: dict[str, Any] = {"prediction": model.classes_[p.argmax(1)]}
            found |= {f"probability of {c}": p[:, k] for k, c in enumerate(model.classes_)}
            return found
        mean, std = (v.reshape(len(v), -1) for v in model.predict(X, return_std=True))
        ends = model.predict_interval(X).reshape(len(mean), 2, -1)
        found = {}
        for o, name in enumerate(model.model_.target_names):
            end = "" if mean.shape[1] == 1 else f" of {name}"
            found[f"prediction{end}"], found[f"std{end}"] = mean[:, o], std[:, o]
            found[f"lower{end}"], found[f"upper{end}"] = ends[:, 0, o], ends[:, 1, o]
        return found


def _load_pyfunc(path: str) -> Served:
    """Load what `to_mlflow` wrote; MLflow calls it by this name."""
    import torch

    model = load(Path(path) / FILE)
    reference = torch.from_numpy(np.load(Path(path) / BACKGROUND, allow_pickle=False))
    return Served(model, serving_of(model, reference))


def _signature(model: Any) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns: list[Any] = []
    for column in model.model_.columns:
        texts = column.categories is not None and isinstance(column.categories[0], str)
        columns.append(ColSpec("string" if texts else "double", column.name))
    return ModelSignature(inputs=Schema(columns))


def _plain(series: Any, column: Any) -> np.ndarray:
    """Return a column as the model takes it; MLflow has turned its numbers into doubles."""
    if column.categories is None:
        return series.to_numpy(dtype=float, na_value=np.nan)
    by_number = {float(c): c for c in column.categories if not isinstance(c, str)}
    values = [None if v is None or v != v else by_number.get(v, v) for v in series.tolist()]
    return np.array([*values, None], dtype=object)[:-1]
