"""Whether another seed, or other rows, would have told the same story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from kanx.explain.curves import Curve
from kanx.explain.explanation import Explanation, explain
from kanx.explain.frames import frame_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stability:
    """Importances and effects over several fits; made by `kanx.explain.stability`.

    Attributes
    ----------
    importances : ndarray, (repeats, in)
        Share of every input in every fit, the mean over the outputs.
    agreement : float
        Mean rank correlation (Spearman) between the importances of two fits; 1 is the same order.
    effects_error : ndarray, (in,)
        How far the effect of an input moves between fits: the standard deviation over the fits
        in percent of the standard deviation of the largest effect, both along the grid.
    names : list of str
    share : float
        Part of the rows that every fit saw.
    """

    importances: Array
    agreement: float
    effects_error: Array
    names: list[str]
    share: float

    def to_frame(self) -> Any:
        """Return one row per input: mean, standard deviation and range of its share."""
        order = np.argsort(-self.importances.mean(0), kind="stable")
        shares = self.importances[:, order]
        return frame_of(
            {
                "feature": [self.names[j] for j in order],
                "share": shares.mean(0),
                "std": shares.std(0, ddof=1),
                "least": shares.min(0),
                "most": shares.max(0),
                "effect_error": self.effects_error[order],
            }
        )

    def __str__(self) -> str:
        mean, std = self.importances.mean(0), self.importances.std(0, ddof=1)
        order = np.argsort(-mean, kind="stable")
        part = "" if self.share == 1 else f", each to {100 * self.share:.0f} % of the rows"
        lines = [
            f"{len(self.importances)} fits from other seeds{part}",
            f"rank correlation of the importances {self.agreement:.2f}",
            *(
                f"  {self.names[j]}: {100 * mean[j]:.1f} ± {100 * std[j]:.1f} % of the variance, "
                f"effect moves by {self.effects_error[j]:.1f} %"
                for j in order
                if mean[j] > 0
            ),
        ]
        return "\n".join(lines)


def stability(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    n_repeats: int = 5,
    share: float = 0.8,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Stability:
    """Fit a model again and again, and compare the explanations over the same rows.

    Parameters
    ----------
    estimator : KANRegressor or KANClassifier
        Copies are fitted, each with a seed of its own.
    X : table, (rows, features)
    y : array, (rows,) or (rows, targets)
    n_repeats : int, default=5
    share : float, default=0.8
        Part of the rows, drawn at random without replacement, that every fit sees; 1 changes the
        seeds only.
    random_state : int, default=0
    n_jobs : int, optional
        Processes, as in joblib.

    Returns
    -------
    Stability

    Raises
    ------
    ValueError
        If there are fewer than two repeats, or the share is no part of the rows.

    References
    ----------
    Meinshausen, Bühlmann: Stability selection, JRSS B 72, 2010 (fits to parts of the rows).

    Examples
    --------
    >>> import numpy as np
    >>> import kanx
    >>> X = np.random.default_rng(0).uniform(-1, 1, (120, 2))
    >>> model = kanx.KANRegressor(hidden="additive")
    >>> found = kanx.explain.stability(model, X, X[:, 0] ** 2 + X[:, 1], n_repeats=3)
    >>> found.agreement
    1.0
    """
    if n_repeats < 2:
        raise ValueError(f"stability needs at least 2 repeats, got {n_repeats}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be a part of the rows between 0 and 1, got {share}")
    from joblib import Parallel, delayed

    seeds = np.random.SeedSequence(random_state).generate_state(n_repeats)
    runs = Parallel(n_jobs=n_jobs)(
        delayed(_run)(estimator, X, y, share, int(seed)) for seed in seeds
    )
    views = [view for view, _ in runs]
    shares = np.array([importances for _, importances in runs])
    pairs = [(a, b) for a in range(n_repeats) for b in range(a)]
    agreement = [_rank_correlation(shares[a], shares[b]) for a, b in pairs]
    errors = _effect_errors([view.effects for view in views], views[0].names)
    return Stability(shares, float(np.mean(agreement)), errors, views[0].names, share)


def _run(
    estimator: Any, X: Any, y: ArrayLike, share: float, seed: int
) -> tuple[Explanation, Array]:
    rows = len(np.asarray(y))
    seen = np.arange(rows)
    if share < 1:
        seen = np.sort(np.random.default_rng(seed).permutation(rows)[: round(share * rows)])
    model = clone(estimator).set_params(random_state=seed % 2**31)
    model.fit(_rows(X, seen), _safe_indexing(y, seen))
    view = explain(model, X)
    return view, view.importances.features.mean(1)


def _rows(X: Any, seen: NDArray[np.intp]) -> Any:
    if isinstance(X, dict):
        return {name: np.asarray(column)[seen] for name, column in X.items()}
    return _safe_indexing(X, seen)


def _rank_correlation(a: Array, b: Array) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float(np.ptp(a) == np.ptp(b))
    return float(spearmanr(a, b).statistic)


def _effect_errors(fits: Sequence[Sequence[Curve]], names: Sequence[str]) -> Array:
    """Return how far every input's effect moves, in percent of the largest effect."""
    moves, sizes = np.zeros(len(names)), np.zeros(len(names))
    for curves in zip(*fits, strict=True):
        first = curves[0]
        if first.labels is not None:
            values = np.array([_by_label(curve, first.labels) for curve in curves])
        else:
            values = np.array([np.interp(first.grid, c.grid, c.value) for c in curves])
        values = values - values.mean(1, keepdims=True)
        j = names.index(first.source)
        moves[j] += values.std(0, ddof=1).mean()
        sizes[j] += values.mean(0).std()
    return 100 * moves / max(sizes.max(), 1e-300)


def _by_label(curve: Curve, labels: Sequence[Any]) -> Array:
    """Return the values of categories by name; zero, the average, where a fit did not see one."""
    assert curve.labels is not None
    values = dict(zip(curve.labels, curve.value, strict=True))
    return np.array([values.get(name, 0.0) for name in labels])
