"""The scikit-learn face: `KANRegressor` and `KANClassifier`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d
from torch import Tensor

from kanx.estimator_base import KANEstimator, check_weight, given, target_names
from kanx.model import Model
from kanx.training.losses import Gaussian, Logistic, Loss, Softmax


class KANRegressor(RegressorMixin, KANEstimator):
    r"""Regress on a table by a Kolmogorov-Arnold network with error bars.

    Trained by Levenberg-Marquardt with evidence maximisation: smoothness, noise and the relevance
    of every curve are estimated from the data, without a validation set or a learning rate.

    Parameters
    ----------
    edge : str or mapping, default="gp"
        Family of the curves, a key of `kanx.layers.FAMILIES`; or a mapping with the key
        ``"family"`` and the family's options; or a mapping from column to one of these. Columns
        that it leaves out get ``"gp"``; categorical columns always get ``"lookup"``.
    hidden : "auto", "additive", tuple of int, or ("kst", Q), default="auto"
        Hidden nodes. ``"auto"`` starts from the additive model and adds hidden nodes while the
        evidence rises; a tuple of widths adds hidden layers beside direct curves from input to
        output; ``("kst", Q)`` is the Kolmogorov superposition with ``Q`` outer functions.
    edge_options : mapping, optional
        Options of the edge family, such as ``{"control_points": 20}``; ``{"residual": "silu"}``
        runs that function beside every numeric curve, see `kanx.layers.KANLayer`.
    constraints : mapping from column (name or position) to constraint or list of these, optional
        What the response to a numeric column has to be: ``"increasing"``, ``"decreasing"``,
        ``"convex"``, ``"concave"``, ``"periodic"`` (over the column's observed range), ``{"kind":
        "zero_at", "point": 0.5}`` or, in the target's units (the logit's of two classes) and up to
        a constant, ``{"kind": "fixed", "function": "log"}`` with a name in `kanx.functions`; or
        `kanx.layers.Constraint`. They hold exactly: a constrained column enters only by its own
        curve, straight to the output and never through hidden nodes, so what the curve keeps the
        prediction keeps whatever the other columns are. The other curves are fitted beside it
        under the constraint, see `kanx.training.constrained.impose`.
    categorical_features : "from_dtype", None, or list of names or positions
        Columns that hold categories; by default those that hold no numbers.
    n_estimators : int, default=6
        Random starts where there are hidden nodes; the better half is averaged into one network.
    max_iter : int, default=60
        Largest number of rounds of every fit.
    random_state : int or RandomState, optional

    Attributes
    ----------
    model_ : kanx.model.Model
        Columns, networks and posteriors.
    network_ : KAN
    n_parameters_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has names.

    See Also
    --------
    kanx.explain : Curves, importances, pictures and formulas of a fitted model.

    References
    ----------
    Sun, Li, Wei, Tsourdos, Guo: arXiv:2006.06057 (Gaussian-process edges).
    MacKay: Bayesian interpolation, Neural Computation 4, 1992 (evidence).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> model = KANRegressor(random_state=0).fit(X, np.sin(6 * X[:, 0]))
    >>> model.predict([[0.5]]).round(3)
    array([0.141])
    """

    _fitted_values = ("_single_target",)

    @with_callbacks
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to a table and one or several numeric targets.

        Parameters
        ----------
        X : array, DataFrame (pandas, polars) or dict of columns, (rows, features)
            NaN and None mark missing values.
        y : array, (rows,) or (rows, targets)
        sample_weight : array, (rows,), optional
            A weight of 2 is the same as a row that appears twice.
        """
        self._check_parameters()
        columns = self._table(X, reset=True)
        target = check_array(given(y), ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(columns[0], target)
        weight = check_weight(sample_weight, columns[0])
        self._single_target = target.ndim == 1
        values = target[:, None] if target.ndim == 1 else target
        names = target_names(y, values.shape[1])
        mean = np.average(values, axis=0, weights=weight)
        scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
        constant = scale <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        scale = np.where(constant, 1.0, scale)
        scaled = torch.from_numpy(np.where(constant, 0.0, (values - mean) / scale))
        loss = Gaussian(torch.full((values.shape[1],), 10.0, dtype=torch.float64))
        spread = torch.from_numpy(scale)
        learned, members = self._fit_members(
            X, columns, scaled, loss, values.shape[1], weight, spread
        )
        self.model_ = Model(learned, members, torch.from_numpy(mean), spread, names)
        return self

    def predict(
        self, X: Any, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the target, with the standard deviation of a new observation where asked for.

        Parameters
        ----------
        X : table, (rows, features)
        return_std : bool, default=False

        Returns
        -------
        mean : ndarray, (rows,) or (rows, targets)
        std : ndarray, same shape
            Only with ``return_std=True``: noise and uncertainty of the curves together.
        """
        x = self._matrix(X)
        mean = self._shaped(self.model_.outputs(x))
        if not return_std:
            return mean
        return mean, self._shaped(self.model_.variance(x, noise=True).sqrt())

    def predict_interval(self, X: Any, coverage: float = 0.95) -> NDArray[np.float64]:
        """Return the central interval that holds a new observation with the given probability.

        Parameters
        ----------
        X : table, (rows, features)
        coverage : float, default=0.95

        Returns
        -------
        ndarray, (rows, 2) or (rows, 2, targets)
            Lower and upper ends.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage must lie between 0 and 1, got {coverage}")
        mean, std = self.predict(X, return_std=True)
        half = norm.ppf(0.5 + coverage / 2) * std
        return np.stack([mean - half, mean + half], axis=1)

    def _shaped(self, values: Tensor) -> NDArray[np.float64]:
        return (values[:, 0] if self._single_target else values).numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class KANClassifier(ClassifierMixin, KANEstimator):
    r"""Classify rows of a table by a Kolmogorov-Arnold network.

    Two classes have one logit, the sum of the output's curves; several have one each and share
    the softmax. Trained as `KANRegressor`, by the generalised Gauss-Newton form.

    Parameters
    ----------
    edge, hidden, edge_options, constraints, categorical_features, n_estimators, max_iter
    random_state
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
        categorical_features: str | Sequence[str | int] | None = "from_dtype",
        n_estimators: int = 6,
        max_iter: int = 60,
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
            random_state=random_state,
        )
        self.class_weight = class_weight

    @with_callbacks
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to a table and class labels.

        Parameters
        ----------
        X : array, DataFrame (pandas, polars) or dict of columns, (rows, features)
        y : array, (rows,)
        sample_weight : array, (rows,), optional
        """
        self._check_parameters()
        columns = self._table(X, reset=True)
        labels = column_or_1d(
            check_array(given(y), ensure_2d=False, dtype=None, input_name="y"), warn=True
        )
        check_classification_targets(labels)
        check_consistent_length(columns[0], labels)
        weight = check_weight(sample_weight, columns[0])
        classes, codes = np.unique(labels, return_inverse=True)
        present = np.unique(codes[weight > 0])
        if len(present) < 2:
            raise ValueError(
                f"Classifier can't train when only one class is present: every row with weight is "
                f"{classes[present].tolist()}"
            )
        weight = weight * compute_sample_weight(self.class_weight, labels)
        outputs = 1 if len(classes) == 2 else len(classes)
        target = torch.from_numpy(codes)
        loss: Loss = Softmax()
        if outputs == 1:
            target, loss = target.double()[:, None], Logistic()
        learned, members = self._fit_members(X, columns, target, loss, outputs, weight)
        zero, one = (torch.full((outputs,), v, dtype=torch.float64) for v in (0.0, 1.0))
        names = [str(c) for c in (classes[1:] if outputs == 1 else classes)]
        self.classes_ = classes
        self.model_ = Model(learned, members, zero, one, names)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return logits: ``(rows,)`` of the second of two classes, else ``(rows, classes)``."""
        x = self._matrix(X)
        logits = self.model_.outputs(x)
        return (logits[:, 0] if len(self.classes_) == 2 else logits).numpy()

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of every class, ``(rows, classes)``."""
        logits = torch.from_numpy(self.decision_function(X))
        if logits.dim() == 1:
            p = torch.sigmoid(logits)
            return torch.stack([1 - p, p], dim=1).numpy()
        return logits.softmax(-1).numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of every row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]
