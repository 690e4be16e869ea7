r"""Symmetries and separability of a function, by itself or as a model has learned it.

Separability is measured without derivatives. With ``x`` and ``z`` two independent rows and
:math:`f_{ab}` the function with input ``i`` from the one or the other, and input ``j`` likewise,

.. math:: \frac{E\,(f_{11} - f_{12} - f_{21} + f_{22})^2}{4 \operatorname{var} f}

is the share of the variance in which ``i`` and ``j`` act together (Liu and Owen 2006: the superset
importance); it is zero exactly where the function is a sum of parts without ``i`` or without
``j``. A product of such parts has :math:`f_{11} f_{22} = f_{12} f_{21}`.

A symmetry says that two inputs act through one combination of them, so that two derivatives are
proportional on all rows:

.. math:: x_i + r x_j: \; (f_i, f_j); \qquad x_i x_j^r: \; (x_i f_i, x_j f_j);
          \qquad x_i^2 + r x_j^2: \; (x_j f_i, x_i f_j) .

The measure is :math:`1 - (E\,ab)^2 / (E\,a^2\, E\,b^2)`: the share of the one that is not
proportional to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanx.explain.pair_findings import NOTHING, SYMMETRIES, Finding, Structure
from kanx.explain.subject import subject_of
from kanx.tables import column_names, columns_of

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

GROUPS = 20  # of rows, for the jackknife's errors
STEP = 6e-6  # cube root of the rounding error: the best step of central differences


def structure(
    model: Any,
    X: Any,
    *,
    output: int = 0,
    gradient: Function | None = None,
    tolerance: float = 1e-3,
    max_rows: int = 500,
    random_state: int = 0,
) -> Structure:
    r"""Test a function for separability and for symmetries of pairs of inputs.

    Parameters
    ----------
    model : fitted model of kanx, KAN, estimator, or callable
        A callable maps an array ``(rows, in)`` to ``(rows,)`` or ``(rows, outputs)``; of any other
        estimator `decision_function` or `predict` is tested. Derivatives are exact for models of
        kanx, and central differences otherwise.
    X : array, DataFrame or dict of columns, (rows, in)
        Where the function is looked at. Inputs are recombined as if they were independent; columns
        with missing values or, for a model, categories get no symmetry tests.
    output : int, default=0
        Which output, where there are several. Classifiers of kanx are tested on log-odds.
    gradient : callable, optional
        ``(rows, in) -> (rows, in)``: the exact derivatives of a callable.
    tolerance : float, default=1e-3
        Share of the variance up to which a property is said to hold; a fitted model follows its
        law only to its own error, so give at least its unexplained share of the variance.
    max_rows : int, default=500
        A larger table is thinned to so many rows, drawn at random.
    random_state : int, default=0
        Seed of that draw and of the second rows ``z``.

    Returns
    -------
    Structure
        Measures and their standard errors for every pair; groups that separate.

    Raises
    ------
    TypeError
        If the model is nothing that can be computed.
    ValueError
        If X has too few rows, or the function is constant or not finite there.

    References
    ----------
    Liu, Owen: Estimating mean dimensionality of analysis of variance decompositions, JASA 101,
    2006. Udrescu, Tegmark: AI Feynman, Science Advances 6, 2020 (symmetries from derivatives).

    Examples
    --------
    >>> import numpy as np
    >>> import kanx
    >>> X = np.random.default_rng(0).uniform(1, 3, (200, 3))
    >>> found = kanx.explain.structure(lambda x: x[:, 0] * np.exp(x[:, 1] - x[:, 2]), X)
    >>> found.products
    [['x0'], ['x1', 'x2']]
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be a positive share of the variance, got {tolerance}")
    names, x, function, gradients, smooth = _read(model, X, output, gradient, random_state)
    rng = np.random.default_rng(random_state)
    if len(x) > max_rows:
        x = x[np.sort(rng.choice(len(x), max_rows, replace=False))]
    if len(x) < 2 * GROUPS:
        raise ValueError(f"the tests need at least {2 * GROUPS} rows, got {len(x)}")
    z = np.column_stack([rng.permutation(column) for column in x.T])
    values = function(x)
    if not np.isfinite(values).all():
        raise ValueError(f"the function is not finite on {np.sum(~np.isfinite(values))} rows of X")
    variance = float(values.var())
    if variance == 0:
        raise ValueError("the function is constant on X: there is nothing to test")
    single = [function(_moved(x, z, [j])) for j in range(x.shape[1])]
    effects = np.array([np.mean((one - values) ** 2) / 2 / variance for one in single])
    active = [j for j in range(x.shape[1]) if effects[j] > NOTHING]
    findings = []
    for i, j in combinations(active, 2):
        both = function(_moved(x, z, [i, j]))
        together = (both - single[i] - single[j] + values) ** 2 / (4 * variance)
        findings.append(_finding("sum", i, j, together, np.ones_like(together)))
        findings.append(_product(i, j, values * both, single[i] * single[j]))
    usable = [j for j in active if smooth[j] and np.isfinite(x[:, j]).all()]
    if len(usable) > 1:
        findings += _symmetries(x, gradients(x), usable)
    return Structure(names, effects, findings, tolerance, len(x))


def _symmetries(x: Array, slopes: Array, usable: Sequence[int]) -> list[Finding]:
    found = []
    for i, j in combinations(usable, 2):
        for kind in SYMMETRIES:
            if kind == "scaling" and not ((x[:, i] > 0).all() and (x[:, j] > 0).all()):
                continue
            left, right = _factors(kind, x[:, i], x[:, j])
            found.append(_proportional(kind, i, j, slopes[:, i] * left, slopes[:, j] * right))
    return found


def _factors(kind: str, first: Array, second: Array) -> tuple[Array, Array]:
    """Return what the derivatives by two inputs are multiplied by before they are compared."""
    if kind == "scaling":
        return first, second
    if kind == "rotation":
        return second, first
    return np.ones_like(first), np.ones_like(second)


def _proportional(kind: str, i: int, j: int, a: Array, b: Array) -> Finding:
    """Measure how far two derivatives are from being proportional: ``b = ratio * a``."""

    def measure(keep: NDArray[np.bool_]) -> tuple[float, float]:
        aa, bb, ab = (float(u[keep] @ v[keep]) for u, v in ((a, a), (b, b), (a, b)))
        error = max(0.0, 1 - ab * ab / (aa * bb)) if aa * bb > 0 else 0.0
        return error, bb / ab if ab else np.inf

    error, ratio, error_std, ratio_std = _jackknife(measure, len(a))
    return Finding(kind, i, j, error, error_std, ratio, ratio_std)


def _product(i: int, j: int, direct: Array, crossed: Array) -> Finding:
    """Measure how far ``f11 f22`` is from ``f12 f21``, as a share of their variance."""
    level = (direct.mean() + crossed.mean()) / 2
    scale = (direct - level) ** 2 + (crossed - level) ** 2
    return _finding("product", i, j, (direct - crossed) ** 2, scale)


def _finding(kind: str, i: int, j: int, part: Array, whole: Array) -> Finding:
    def measure(keep: NDArray[np.bool_]) -> tuple[float, float]:
        total = whole[keep].sum()
        return (part[keep].sum() / total if total > 0 else 0.0), np.nan

    error, _, error_std, _ = _jackknife(measure, len(part))
    return Finding(kind, i, j, error, error_std)


def _jackknife(
    measure: Callable[[NDArray[np.bool_]], tuple[float, float]], rows: int
) -> tuple[float, float, float, float]:
    """Return two statistics and their standard errors, leaving out one group of rows at a time."""
    group = np.arange(rows) % GROUPS
    whole = measure(np.ones(rows, dtype=bool))
    parts = np.array([measure(group != g) for g in range(GROUPS)])
    with np.errstate(invalid="ignore"):
        spread = np.sqrt((GROUPS - 1) * parts.var(axis=0))
    return float(whole[0]), float(whole[1]), float(spread[0]), float(spread[1])


def _moved(x: Array, z: Array, columns: Sequence[int]) -> Array:
    moved = x.copy()
    moved[:, columns] = z[:, columns]
    return moved


def _read(
    model: Any, X: Any, output: int, gradient: Function | None, random_state: int
) -> tuple[list[str], Array, Function, Function, list[bool]]:
    """Return names, rows, the function, its derivatives, and which inputs are numbers."""
    if hasattr(model, "model_") or hasattr(model, "members") or hasattr(model, "in_features"):
        return _read_ours(model, X, output, random_state)
    for name in ("decision_function", "predict"):
        method = getattr(model, name, None)
        if method is not None:
            break
    else:
        method = model
    if not callable(method):
        raise TypeError(
            f"cannot test a {type(model).__name__}; pass a fitted model, or a function of an array "
            "(rows, inputs)"
        )
    columns = [np.asarray(column, dtype=float) for column in columns_of(_table(X))]
    names = [str(n) for n in column_names(X) or (f"x{j}" for j in range(len(columns)))]
    frame = column_names(X) is not None and method is not model and not isinstance(X, Mapping)

    def function(x: Array) -> Array:
        table = type(X)(dict(zip(X.columns, x.T, strict=True))) if frame else x
        return _column(method(table), len(x), output)

    spread = np.array([np.nanstd(column) for column in columns])
    exact = gradient or (lambda x: _differences(function, x, spread))
    return names, np.column_stack(columns), function, exact, [True] * len(columns)


def _read_ours(
    model: Any, X: Any, output: int, random_state: int
) -> tuple[list[str], Array, Function, Function, list[bool]]:
    subject = subject_of(model, X, None, 2**62, random_state)
    if not 0 <= output < subject.n_outputs:
        raise ValueError(f"output must be below {subject.n_outputs}, got {output}")

    def function(x: Array) -> Array:
        return subject.outputs(torch.from_numpy(x))[:, output].numpy()

    def gradients(x: Array) -> Array:
        rows = torch.from_numpy(x).requires_grad_()
        (slopes,) = torch.autograd.grad(subject.network(rows)[:, output].sum(), rows)
        return (slopes * subject.target_scale[output]).numpy()

    smooth = [not column.is_categorical for column in subject.columns]
    return subject.names, subject.x.numpy(), function, gradients, smooth


def _table(X: Any) -> Any:
    return X if column_names(X) is not None else np.asarray(X, dtype=float)


def _column(values: Any, rows: int, output: int) -> Array:
    found = np.asarray(values, dtype=float)
    if found.ndim == 2 and len(found) == rows and output < found.shape[1]:
        found = found[:, output]
    if found.shape != (rows,):
        raise ValueError(
            f"the function must return {rows} values for {rows} rows, it returned shape "
            f"{found.shape}"
        )
    return found


def _differences(function: Function, x: Array, spread: Array) -> Array:
    """Differentiate by central differences, ``(rows, in)``; within rounding where it is smooth."""
    slopes = np.zeros_like(x)
    for j in range(x.shape[1]):
        step = STEP * max(spread[j], 1e-300)
        above, below = x.copy(), x.copy()
        above[:, j] += step
        below[:, j] -= step
        slopes[:, j] = (function(above) - function(below)) / (above[:, j] - below[:, j])
    return slopes
