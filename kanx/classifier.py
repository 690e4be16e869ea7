"""`KANClassifier`: classification of rows of tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)
from torch import Tensor

from kanx.estimator_base import KANEstimator, check_weight, given
from kanx.labels import check_labels, check_present, class_weights
from kanx.model import Model
from kanx.tables import Categorical, Column, encode
from kanx.training.batches import Batches, as_batches
from kanx.training.evidence import Fit
from kanx.training.function_samples import FunctionSamples
from kanx.training.losses import Logistic, Loss, Softmax
from kanx.training.options import FIRST_ORDER, TrainingOptions
from kanx.training.predictive import check_coverage, moderated, probability_interval
from kanx.training.rows import InMemory
from kanx.training.streaming import Summary


class KANClassifier(ClassifierMixin, KANEstimator):
    r"""Classify rows of a table by a Kolmogorov-Arnold network.

    Two classes have one logit, the sum of the output's curves; several have one each and share
    the softmax. Trained as `KANRegressor`, by the generalised Gauss-Newton form.

    Parameters
    ----------
    edge, hidden, edge_options, constraints
        See `KANRegressor`.
    categorical_features : "from_dtype", None, or list of names, positions or bools
        Columns that hold categories; by default those that hold no numbers or whose type is
        categorical. Bools are a mask, one for each column.
    n_estimators, max_iter, optimizer, training, checkpoint, n_jobs, random_state
        See `KANRegressor`.
    class_weight : "balanced", dict from class to float, or None
        Weight of every class.

    Attributes
    ----------
    classes_ : ndarray
    model_, network_, n_parameters_, n_features_in_, feature_names_in_
        See `KANRegressor`.
    """

    _fitted_values = ("classes_",)

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
        class_weight: str | Mapping[Any, float] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            edge=edge,
            hidden=hidden,
            edge_options=edge_options,
            constraints=constraints,
            categorical_features=categorical_features,
            n_estimators=n_estimators,
            max_iter=max_iter,
            optimizer=optimizer,
            training=training,
            checkpoint=checkpoint,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.class_weight = class_weight

    @with_callbacks
    def fit(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit to a table and class labels.

        Parameters
        ----------
        X : array, DataFrame (pandas, polars) or dict of columns, (rows, features)
            Or batches without `y`; see `KANRegressor.fit`.
        y : array, (rows,)
        sample_weight : array, (rows,), optional
        """
        self._check_parameters()
        batches = as_batches(X, y, sample_weight, self.optimizer in FIRST_ORDER)
        if batches is not None:
            return self._fit_stream(batches)
        return self._fit_table(X, y, sample_weight, None)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Let the model see further rows; the first call is `fit`.

        The posterior so far is the prior of the new rows; smoothness, ranges and categories stay
        as the first batch has shown them, and what it gave no reason for stays out: it should hold
        some rows of every class.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.
        classes : array, optional
            All labels that will ever come; by default those of the first batch.
        """
        if not hasattr(self, "model_"):
            self._check_parameters()
            return self._fit_table(X, y, sample_weight, classes)
        columns, labels, weight = self._read(X, given(y), sample_weight, False)
        target = self._encode(labels, self.classes_)
        weight = weight * class_weights(self.class_weight, labels)
        x = torch.from_numpy(encode(self.model_.columns, columns))
        self._update_members(InMemory(x, target, torch.tensor(weight)))
        return self

    def _fit_table(self, X: Any, y: Any, sample_weight: Any, classes: ArrayLike | None) -> Self:
        columns, labels, weight = self._read(X, given(y), sample_weight, True)
        weight = check_weight(weight, columns[0])
        known = np.unique(labels if classes is None else np.asarray(classes))
        target = self._encode(labels, known)
        weight = weight * class_weights(self.class_weight, labels)
        check_present(labels, weight)
        outputs, loss = _outputs(known)
        learned, members = self._fit_members(X, columns, target, loss, outputs, weight)
        return self._keep(learned, members, known)

    def _fit_stream(self, batches: Batches) -> Self:
        found: list[NDArray[Any]] = []

        def prepare(summary: Summary) -> tuple[Any, Loss, int]:
            if isinstance(self.class_weight, str):
                raise ValueError(
                    "class_weight='balanced' needs all labels at once; for batches pass a dict"
                )
            check_labels(summary.classes)
            classes = np.array(summary.classes)
            if len(classes) < 2:
                raise ValueError(
                    f"Classifier can't train when only one class is present: {classes}"
                )
            outputs, loss = _outputs(classes)
            found.append(classes)
            return lambda labels: self._encode(labels, classes), loss, outputs

        def read(
            X: Any, y: Any, sample_weight: Any, first: bool
        ) -> tuple[list[NDArray[Any]], NDArray[Any], NDArray[np.float64]]:
            columns, labels, weight = self._read(X, y, sample_weight, first)
            # labels that are numbers are classes too
            own = labels.astype(object) if labels.dtype.kind == "f" else labels
            return columns, own, weight * class_weights(self.class_weight, labels)

        learned, members = self._fit_batches(batches, read, prepare)
        return self._keep(learned, members, found[0])

    def _read(
        self, X: Any, y: Any, sample_weight: Any, first: bool
    ) -> tuple[list[NDArray[Any]], NDArray[Any], NDArray[np.float64]]:
        """Check a table, its labels and weights."""
        columns = self._table(X, reset=first)
        given_labels = np.asarray(y)
        if given_labels.dtype == object and given_labels.ndim == 1:
            check_labels(given_labels.tolist())
        labels = column_or_1d(
            check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True
        )
        check_classification_targets(labels)
        check_consistent_length(columns[0], labels)
        weight = _check_sample_weight(
            sample_weight, columns[0], dtype=np.float64, ensure_non_negative=True
        )
        return columns, labels, weight

    @staticmethod
    def _encode(labels: NDArray[Any], classes: NDArray[Any]) -> Tensor:
        """Return class codes, or 0 and 1 as ``(rows, 1)`` for two classes."""
        unknown = sorted(set(np.unique(labels).tolist()) - set(classes.tolist()), key=str)
        if unknown:
            raise ValueError(
                f"the labels {unknown} are none of the classes {classes.tolist()}; name all "
                "classes in the first call of partial_fit"
            )
        codes = torch.from_numpy(np.searchsorted(classes, labels.astype(classes.dtype)))
        return codes.double()[:, None] if len(classes) == 2 else codes

    def _keep(self, columns: list[Column], members: list[Fit], classes: NDArray[Any]) -> Self:
        outputs, _ = _outputs(classes)
        zero, one = (torch.full((outputs,), v, dtype=torch.float64) for v in (0.0, 1.0))
        names = [str(c) for c in (classes[1:] if outputs == 1 else classes)]
        self.classes_ = classes
        self.model_ = Model(columns, members, zero, one, names)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return logits: ``(rows,)`` of the second of two classes, else ``(rows, classes)``."""
        x = self._new_rows(X)
        logits = self.model_.outputs(x)
        return (logits[:, 0] if len(self.classes_) == 2 else logits).numpy()

    def predict_proba(self, X: Any, *, moderate: bool = False) -> NDArray[np.float64]:
        """Return the probability of every class, ``(rows, classes)``.

        Parameters
        ----------
        X : table, (rows, features)
        moderate : bool, default=False
            Whether to average over the posterior instead of taking the most probable network,
            which moves probabilities towards each other where the network does not know; see
            `kanx.training.predictive.moderated`.
        """
        x = self._new_rows(X)
        logits = self.model_.outputs(x)
        if moderate:
            return moderated(logits, self.model_.covariance(x)).numpy()
        return _probabilities(logits).numpy()

    def predict_interval(self, X: Any, coverage: float = 0.95) -> NDArray[np.float64]:
        """Return the interval that holds every class's probability with the given credibility.

        Parameters
        ----------
        X : table, (rows, features)
        coverage : float, default=0.95

        Returns
        -------
        ndarray, (rows, 2, classes)
            Lower and upper ends; see `kanx.training.predictive.class_logits`.
        """
        check_coverage(coverage)
        x = self._new_rows(X)
        logits, covariance = self.model_.outputs(x), self.model_.covariance(x)
        return probability_interval(logits, covariance, coverage).numpy()

    def sample_functions(
        self, n: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> FunctionSamples:
        """Draw whole functions from the posterior.

        Parameters
        ----------
        n : int, default=1
        random_state : int or RandomState, optional

        Returns
        -------
        FunctionSamples
            Call it with a table for probabilities ``(n, rows, classes)``; the same functions
            every time.
        """
        check_is_fitted(self)
        return FunctionSamples(
            self.model_.members,
            n,
            check_random_state(random_state),
            self._matrix,
            lambda logits: _probabilities(logits).numpy(),
        )

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of every row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]


def _outputs(classes: NDArray[Any]) -> tuple[int, Loss]:
    return (1, Logistic()) if len(classes) == 2 else (len(classes), Softmax())


def _probabilities(logits: Tensor) -> Tensor:
    if logits.shape[-1] == 1:
        p = torch.sigmoid(logits)
        return torch.cat([1 - p, p], dim=-1)
    return logits.softmax(-1)
