"""`KANRegressor`: regression on tables, with error bars."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.metrics import d2_tweedie_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
)
from torch import Tensor

from kanx.estimator_base import KANEstimator, check_weight, given, target_names
from kanx.model import Model
from kanx.tables import Categorical, encode
from kanx.training.batches import Batches, as_batches
from kanx.training.function_samples import FunctionSamples
from kanx.training.losses import Loss, NoisyLoss, Poisson
from kanx.training.options import FIRST_ORDER, TrainingOptions
from kanx.training.predictive import (
    check_coverage,
    count_interval,
    count_moments,
    half_width,
)
from kanx.training.rows import InMemory
from kanx.training.streaming import Summary
from kanx.training.targets import Target, check_spread, check_target, regression_target


class KANRegressor(RegressorMixin, KANEstimator):
    r"""Regress on a table by a Kolmogorov-Arnold network with error bars.

    Trained by Levenberg-Marquardt with evidence maximisation: smoothness, noise and the relevance
    of every curve are estimated from the data, without a validation set or a learning rate.

    Parameters
    ----------
    edge : str or mapping, default="gp"
        Family of the curves, a key of `kanx.layers.FAMILIES`; or a mapping with the key
        ``"family"`` and the family's options; or a mapping from column to one of these. Columns
        that it leaves out get ``"gp"``; categorical columns always get ``"lookup"``. ``"slaf"``
        without a degree is first tried as if the data had no noise, with polynomials of rising
        degree; see `kanx.training.noise_free.fit_noise_free`.
    hidden : "auto", "additive", tuple of widths, or (name, number), default="auto"
        Hidden nodes. ``"auto"`` keeps the additive model unless two, four or eight hidden nodes, or
        one or two multiplication nodes in their place, are clearly better by their evidence or by
        their predictions of left-out rows; see `kanx.training.selection.choose`. Beyond 5000 rows
        it may be 16, 32 or 64, see `optimizer`. A tuple of widths adds hidden layers beside direct
        curves from input to output; ``("kst", Q)`` is the Kolmogorov superposition with ``Q`` outer
        functions, ``("shared_kst", Q)`` the one whose outer functions share one curve per input,
        and ``("deep_sets", width)`` a function of a set whose elements are the columns, in any
        order (``("deep_sets", width, d)``: elements of ``d`` neighbouring columns each). A width
        may be a mapping with multiplication and ratio nodes, such as
        ``{"sums": 2, "ratios": ["S"]}``.
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
    categorical_features : "from_dtype", None, or list of names, positions or bools
        Columns that hold categories; by default those that hold no numbers or whose type is
        categorical. Bools are a mask, one for each column.
    n_estimators : int, default=4
        Random starts where there are hidden nodes; of the widths that ``hidden="auto"`` does not
        choose, two. All but stuck ones are averaged into one network. ``"auto"`` chooses among
        more than 5000 rows on 2500 of them and finishes two starts on all.
    max_iter : int, default=60
        Largest number of rounds of every fit.
    loss : {"squared", "huber", "student_t", "poisson"}, default="squared"
        ``"huber"`` bears errors with somewhat heavy tails, ``"student_t"`` gross outliers of any
        size, whose degrees of freedom are estimated (first-order methods take 4); ``"poisson"`` is
        for counts (logarithmic link).
    optimizer : {"auto", "lm", "adam", "lbfgs"}, default="auto"
        Levenberg-Marquardt, or a first-order method for large networks and for rows that do not
        fit into memory; these train one network. ``"auto"`` is Levenberg-Marquardt unless rows come
        in batches, are too many, or a sparsity penalty is asked for. Where eight hidden nodes are
        chosen from more than 5000 rows, it goes on to wider networks by Adam, which
        ``"lm"`` does not; see `kanx.training.wide`.
    training : TrainingOptions or mapping, optional
        How the first-order methods train; see `kanx.training.options.TrainingOptions`. Wide
        networks of ``optimizer="auto"`` take at most 20 epochs, in float32 for the default type.
    checkpoint : path, optional
        Folder for checkpoints. A fit that was interrupted or killed goes on from there when the
        same data and parameters are fitted again, and ends with the same bits.
    n_jobs : int, optional
        Processes that fit and finish the random starts, as in scikit-learn; other joblib back ends
        through `joblib.parallel_config`.
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
        loss: str = "squared",
        optimizer: str = "auto",
        training: TrainingOptions | Mapping[str, Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        n_jobs: int | None = None,
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
        self.loss = loss

    @with_callbacks
    def fit(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit to a table and one or several numeric targets.

        Parameters
        ----------
        X : array, DataFrame (pandas, polars) or dict of columns, (rows, features)
            NaN and None mark missing values. Or, without `y`, batches of rows: an iterable of
            ``(X, y)`` or ``(X, y, sample_weight)`` that can be gone through again, a function that
            returns one, or `kanx.training.batches.ParquetBatches`.
        y : array, (rows,) or (rows, targets)
        sample_weight : array, (rows,), optional
            A weight of 2 is the same as a row that appears twice.
        """
        self._check_parameters()
        batches = as_batches(X, y, sample_weight, self.optimizer in FIRST_ORDER)
        if batches is not None:
            return self._fit_stream(batches)
        columns, values, weight = self._read(X, given(y), sample_weight, True)
        check_spread(values)
        names = target_names(y, values.shape[1])
        weight = check_weight(weight, columns[0])
        mean = np.average(values, axis=0, weights=weight)
        variance = np.average((values - mean) ** 2, axis=0, weights=weight)
        unit = regression_target(self.loss, mean, variance, values[weight > 0])
        count = values.shape[1]
        learned, members = self._fit_members(
            X, columns, unit.encode(values), unit.loss, count, weight, unit.scale
        )
        self.model_ = Model(learned, members, unit.centre, unit.scale, names)
        return self

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Let the model see further rows; the first call is `fit`.

        The posterior so far is the prior of the new rows, which for one layer and normal errors is
        exact: batch after batch gives what all rows at once would, at the smoothness, the noise,
        the ranges and the categories that the first batch has shown.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y, sample_weight)
        columns, values, weight = self._read(X, given(y), sample_weight, False)
        model = self.model_
        if values.shape[1] != len(model.target_names):
            raise ValueError(
                f"the model has {len(model.target_names)} targets, got {values.shape[1]}"
            )
        x = torch.from_numpy(encode(model.columns, columns))
        y_new = torch.tensor(values)
        if not self._counts:
            y_new = (y_new - model.target_mean) / model.target_scale
        self._update_members(InMemory(x, y_new, torch.tensor(weight)))
        return self

    def _read(
        self, X: Any, y: Any, sample_weight: Any, first: bool
    ) -> tuple[list[NDArray[Any]], NDArray[np.float64], NDArray[np.float64]]:
        """Check a table, its targets and weights; targets as ``(rows, targets)``."""
        columns = self._table(X, reset=first)
        target = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(columns[0], target)
        if first:
            self._single_target = target.ndim == 1
        values = target[:, None] if target.ndim == 1 else target
        check_target(self.loss, values)
        weight = _check_sample_weight(
            sample_weight, columns[0], dtype=np.float64, ensure_non_negative=True
        )
        return columns, values, weight

    def _fit_stream(self, batches: Batches) -> Self:
        found: list[Target] = []

        def prepare(summary: Summary) -> tuple[Any, Loss, int]:
            unit = regression_target(self.loss, summary.mean, summary.variance, summary.sample_y)
            found.append(unit)
            return unit.encode, unit.loss, len(summary.mean)

        learned, members = self._fit_batches(batches, self._read, prepare)
        names = target_names(None, len(found[0].centre))
        self.model_ = Model(learned, members, found[0].centre, found[0].scale, names)
        return self

    @property
    def _counts(self) -> bool:
        """Whether the model predicts the logarithm of a count."""
        return isinstance(self.model_.members[0].loss, Poisson)

    @property
    def _noise(self) -> NoisyLoss:
        loss = self.model_.members[0].loss
        assert isinstance(loss, NoisyLoss)
        return loss

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
        x = self._new_rows(X)
        linear = self.model_.outputs(x)
        mean = linear.exp() if self._counts else linear
        if not return_std:
            return self._shaped(mean)
        curves = self.model_.variance(x, noise=False)
        if self._counts:
            variance = torch.from_numpy(count_moments(linear.numpy(), curves.numpy())[1])
        else:
            variance = curves + self._noise.unit_variance * self.model_.noise_variance()
        return self._shaped(mean), self._shaped(variance.sqrt())

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
        check_coverage(coverage)
        x = self._new_rows(X)
        linear, curves = (
            self.model_.outputs(x).numpy(),
            self.model_.variance(x, noise=False).numpy(),
        )
        if self._counts:
            ends = count_interval(linear, curves, coverage)
        else:
            half = half_width(curves, self.model_.noise_variance().numpy(), coverage, self._noise)
            ends = linear - half, linear + half
        both = np.stack(ends, axis=1)
        return both[..., 0] if self._single_target else both

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
            Call it with a table for values ``(n, rows)`` or ``(n, rows, targets)``, without noise;
            the same functions every time.
        """
        check_is_fitted(self)
        model, single, counts = self.model_, self._single_target, self._counts

        def finish(values: Tensor) -> NDArray[np.float64]:
            linear = model.target_mean + model.target_scale * values
            mean = linear.exp() if counts else linear
            return (mean[..., 0] if single else mean).numpy()

        return FunctionSamples(
            model.members, n, check_random_state(random_state), self._matrix, finish
        )

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2, or the share of the Poisson deviance that is explained (D2) for counts."""
        if not (hasattr(self, "model_") and self._counts):
            return super().score(X, y, sample_weight)
        return d2_tweedie_score(y, self.predict(X), sample_weight=sample_weight, power=1)

    def _shaped(self, values: Tensor) -> NDArray[np.float64]:
        return (values[:, 0] if self._single_target else values).numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
