"""What the estimators share: tables in, a fitted model out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)
from torch import Tensor

from kanx.estimator_fit import fit_members, fit_seed
from kanx.layers import Constraint
from kanx.model import Model
from kanx.new_rows import warn_unlike
from kanx.serialisation import model_from_arrays, model_to_arrays
from kanx.tables import (
    Categorical,
    Column,
    column_names,
    columns_of,
    encode,
    is_mapping,
    learn_columns,
)
from kanx.training.batches import Batches
from kanx.training.evidence import Fit
from kanx.training.losses import Loss
from kanx.training.online import update
from kanx.training.options import TrainingOptions, as_options, check_device
from kanx.training.rows import InMemory
from kanx.training.streaming import Reader, Summary, stream_rows, summarise


class KANEstimator(CallbackSupportMixin, BaseEstimator):
    """What the regressor and the classifier share: tables in, a fitted model out."""

    def __init__(
        self,
        *,
        edge: str | Mapping[Any, Any] = "gp",
        hidden: str | Sequence[Any] = "auto",
        edge_options: Mapping[str, Any] | None = None,
        constraints: Mapping[Any, Any] | None = None,
        categorical_features: Categorical = "from_dtype",
        n_estimators: int = 4,
        max_iter: int = 60,
        optimizer: str = "auto",
        training: TrainingOptions | Mapping[str, Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.edge = edge
        self.hidden = hidden
        self.edge_options = edge_options
        self.constraints = constraints
        self.categorical_features = categorical_features
        self.n_estimators = n_estimators
        self.max_iter = max_iter
        self.optimizer = optimizer
        self.training = training
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state

    _fitted_values: tuple[str, ...] = ()  # small fitted attributes that are stored as they are
    model_: Model

    # -- fitted attributes, read from the model ------------------------------------------------

    @property
    def network_(self) -> Any:
        """The fitted `KAN`, in float64; its inputs are the encoded columns."""
        check_is_fitted(self)
        return self.model_.network

    @property
    def n_parameters_(self) -> int:
        """Number of parameters on edges that are not pruned."""
        check_is_fitted(self)
        return self.model_.network.n_parameters

    @property
    def n_iter_(self) -> int:
        """Number of rounds of the best fit."""
        check_is_fitted(self)
        return max(1, len(self.model_.members[0].trace))

    # -- storage -----------------------------------------------------------------------------

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted estimator as a JSON-compatible header and arrays."""
        check_is_fitted(self)
        described, arrays = model_to_arrays(self.model_)
        fitted = {name: getattr(self, name) for name in self._fitted_values if hasattr(self, name)}
        names = getattr(self, "feature_names_in_", None)
        header = {
            "parameters": {k: _as_json(v) for k, v in self.get_params(deep=False).items()},
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else names.tolist(),
            "fitted": {name: _as_json(value) for name, value in fitted.items()},
            "model": described,
        }
        return header, arrays

    @classmethod
    def from_arrays(cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a fitted estimator from `to_arrays`."""
        estimator = cls(**{k: _by_position(v) for k, v in header["parameters"].items()})
        if isinstance(estimator.training, Mapping):
            estimator.training = as_options(estimator.training)
        estimator.model_ = model_from_arrays(header["model"], arrays)
        estimator.n_features_in_ = int(header["n_features_in"])
        if header["feature_names_in"] is not None:
            estimator.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
        for name in cls._fitted_values:
            if name in header["fitted"]:
                value = header["fitted"][name]
                setattr(estimator, name, np.array(value) if name == "classes_" else value)
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:  # plain arrays pickle anywhere, and skops takes them too
            state["model_"] = model_to_arrays(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            state = {**state, "model_": model_from_arrays(*state["model_"])}
        super().__setstate__(state)

    # -- shared ------------------------------------------------------------------------------

    def _table(self, X: Any, reset: bool) -> list[NDArray[Any]]:
        """Check a table against scikit-learn's rules and return its columns."""
        names = column_names(X)
        if is_mapping(X):
            assert names is not None
            lengths = {len(values) for values in X.values()}
            if len(lengths) != 1:
                raise ValueError(
                    f"the columns of X must have the same length, got {sorted(lengths)}"
                )
            if reset:
                self.feature_names_in_ = np.array(names, dtype=object)
                self.n_features_in_ = len(names)
            elif names != list(getattr(self, "feature_names_in_", names)):
                raise ValueError(
                    f"the model was fitted with columns {list(self.feature_names_in_)}, got {names}"
                )
        elif names is not None:
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            is_text = isinstance(X, np.ndarray) and X.dtype.kind in "OUS"
            validated = validate_data(
                self,
                X,
                reset=reset,
                dtype=None if is_text and self._learns_text(X) else np.float64,
                ensure_all_finite="allow-nan",
            )
            X = validated
        columns = columns_of(X)
        if not columns or len(columns[0]) == 0:
            raise ValueError("X holds 0 sample(s) while a minimum of 1 is required.")
        return columns

    def _learns_text(self, X: NDArray[Any]) -> bool:
        """Say whether an array of objects holds text that is no number."""
        return X.ndim == 2 and any(isinstance(v, str) for v in X[:1].ravel())

    def _matrix(self, X: Any) -> Tensor:
        check_is_fitted(self)
        return torch.from_numpy(encode(self.model_.columns, self._table(X, reset=False)))

    def _new_rows(self, X: Any) -> Tensor:
        """Return rows to predict, warning of those unlike the training data."""
        x = self._matrix(X)
        warn_unlike(self.model_.columns, x.numpy())
        return x

    def _fit_members(
        self,
        X: Any,
        columns: list[NDArray[Any]],
        y: Tensor,
        loss: Loss,
        outputs: int,
        weight: NDArray[np.float64],
        target_scale: Tensor | None = None,
    ) -> tuple[list[Column], list[Fit]]:
        keep = weight > 0  # a row of weight zero is no row
        columns = [values[keep] for values in columns]
        y, weight = y[torch.from_numpy(keep)], weight[keep]
        learned = learn_columns(self._names(), columns, self.categorical_features)
        x = torch.from_numpy(encode(learned, columns))
        sample = InMemory(x, y, torch.from_numpy(weight))
        seed = fit_seed(self)
        return learned, fit_members(
            self, X, learned, sample, loss, outputs, seed, target_scale=target_scale
        )

    def _fit_batches(
        self,
        batches: Batches,
        read: Reader,
        prepare: Callable[[Summary], tuple[Callable[[NDArray[Any]], Tensor], Loss, int]],
    ) -> tuple[list[Column], list[Fit]]:
        """Fit to rows that are read in batches; `prepare` says how after the first pass."""
        seed = fit_seed(self)
        summary = summarise(batches, read, self._names, self.categorical_features, seed)
        target, loss, outputs = prepare(summary)
        rows = stream_rows(batches, read, summary, target, as_options(self.training), seed)
        columns = summary.columns
        return columns, fit_members(
            self, None, columns, rows.sample, loss, outputs, seed, rows=rows
        )

    def _update_members(self, rows: InMemory) -> None:
        """Let every network see further rows."""
        if self.constraints:
            raise ValueError("new rows would break constraints; fit anew to all rows with them")
        members = [update(member, rows) for member in self.model_.members]
        self.model_ = replace(self.model_, members=members)

    def _names(self) -> list[str]:
        named = [str(n) for n in getattr(self, "feature_names_in_", [])]
        return named or [f"x{j}" for j in range(self.n_features_in_)]

    def _check_parameters(self) -> None:
        if not isinstance(self.n_estimators, int | np.integer) or self.n_estimators < 1:
            raise ValueError(f"n_estimators must be a positive integer, got {self.n_estimators!r}")
        if not isinstance(self.max_iter, int | np.integer) or self.max_iter < 1:
            raise ValueError(f"max_iter must be a positive integer, got {self.max_iter!r}")
        if self.n_jobs is not None and (
            not isinstance(self.n_jobs, int | np.integer) or self.n_jobs == 0
        ):
            raise ValueError(
                "n_jobs must be None, a positive number of processes, or -1 for all processors, "
                f"got {self.n_jobs!r}"
            )
        check_device(as_options(self.training).device)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def check_weight(sample_weight: ArrayLike | None, like: NDArray[Any]) -> NDArray[np.float64]:
    """Return sample weights, refusing negative ones and all zeros."""
    weight = _check_sample_weight(sample_weight, like, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("sample_weight is zero for every row; give some rows a positive weight")
    return weight


def given(y: Any) -> Any:
    """Return the target, refusing None."""
    if y is None:
        raise ValueError("this estimator requires y to be passed, but the target y is None")
    return y


def target_names(y: Any, count: int) -> list[str]:
    """Return the names of the targets, from a frame or a series where there is one."""
    names = getattr(y, "columns", None)
    if names is not None:
        return [str(name) for name in names]
    name = getattr(y, "name", None)
    if count == 1:
        return [str(name) if name is not None else "y"]
    return [f"y{k}" for k in range(count)]


def _by_position(value: Any) -> Any:
    """Restore the positions of columns that are keys; JSON makes text of them."""
    if not isinstance(value, dict):
        return value
    return {int(k) if k.isdecimal() else k: v for k, v in value.items()}


def _as_json(value: Any) -> Any:
    """Return a JSON-compatible copy; what has none (a kernel, a random state) becomes None."""
    if isinstance(value, TrainingOptions):
        value = value.to_dict()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Constraint):
        value = {k: v for k, v in asdict(value).items() if v is not None}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k) if not isinstance(k, int) else k: _as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(v) for v in value]
    return value if isinstance(value, bool | int | float | str) else None
