"""Few rows and many columns: accuracy and intervals beside the lasso and an exact Gaussian process.

    python benchmarks/few_rows.py [--seeds 5] [--write docs/few_rows.md]

Columns are standard normal. *sparse*: three matter, as ``sin(2 a) + b + c^2 / 2``; *dense*: thirty,
linearly; *none*: none. The noise has a standard deviation of 0.3. The tests are 500 new rows, most
of them outside the range of the training rows in some column.
"""

from __future__ import annotations

import os
import platform
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from page import write_page
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import LassoCV

from kanx import KANRegressor

NOISE = 0.3
CASES = [
    (20, 2, "sparse"),
    (50, 10, "sparse"),
    (100, 30, "sparse"),
    (100, 200, "sparse"),
    (100, 200, "dense"),
    (100, 200, "none"),
    (100, 1000, "sparse"),
]
Array = np.ndarray
Model = Callable[[Array, Array, Array], tuple[Array, Array | None]]


def function(kind: str, X: Array, coefficients: Array) -> Array:
    """Evaluate what the target is without noise."""
    if kind == "none":
        return np.zeros(len(X))
    if kind == "dense":
        return X[:, :30] @ coefficients / np.linalg.norm(coefficients)
    third = X[:, 2] ** 2 / 2 if X.shape[1] > 2 else 0.0
    return np.sin(2 * X[:, 0]) + X[:, 1] + third


def kanx_(X: Array, y: Array, fresh: Array) -> tuple[Array, Array | None]:
    """Fit the default estimator."""
    model = KANRegressor(random_state=0).fit(X, y)
    return model.predict(fresh), model.predict_interval(fresh)


def lasso(X: Array, y: Array, fresh: Array) -> tuple[Array, Array | None]:
    """Fit the lasso, its penalty by cross-validation; it has no intervals."""
    return LassoCV(random_state=0).fit(X, y).predict(fresh), None


def gaussian_process(X: Array, y: Array, fresh: Array) -> tuple[Array, Array | None]:
    """Fit an exact Gaussian process with a linear part and one length-scale."""
    kernel = ConstantKernel() * RBF(X.shape[1] ** 0.5) + DotProduct() + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(X, y)
    mean, std = model.predict(fresh, return_std=True)
    half = norm.ppf(0.975) * std
    return mean, np.stack([mean - half, mean + half], 1)


MODELS: dict[str, Model] = {"kanx": kanx_, "lasso": lasso, "Gaussian process": gaussian_process}


def measure(rows: int, columns: int, kind: str, seed: int) -> dict[str, tuple[float, ...]]:
    """Return error, coverage and seconds of every model on one draw."""
    rng = np.random.default_rng(seed)
    X, fresh = rng.standard_normal((rows, columns)), rng.standard_normal((500, columns))
    coefficients = rng.standard_normal(30)
    targets = [function(kind, own, coefficients) for own in (X, fresh)]
    y, wanted = (own + NOISE * rng.standard_normal(len(own)) for own in targets)
    found = {}
    for name, model in MODELS.items():
        start = time.process_time()
        mean, ends = model(X, y, fresh)
        seconds = time.process_time() - start
        error = float(np.sqrt(np.mean((mean - wanted) ** 2)) / wanted.std())
        inside = np.nan
        if ends is not None:
            inside = float(((ends[:, 0] < wanted) & (wanted < ends[:, 1])).mean())
        found[name] = (error, inside, seconds)
    return found


def line(case: tuple[int, int, str], seeds: int) -> str:
    """Return the line of a case."""
    draws = [measure(*case, seed) for seed in range(seeds)]
    cells = [str(part) for part in case]
    for name in MODELS:
        own = np.array([draw[name] for draw in draws])
        cells.append(f"{np.median(own[:, 0]):.3f}")
        if not np.isnan(own[0, 1]):
            cells.append(f"{100 * own[:, 1].mean():.1f} ({100 * own[:, 1].min():.0f})")
        cells.append(f"{np.median(own[:, 2]):.1f}")
    return "| " + " | ".join(cells) + " |"


def report(lines: list[str], seeds: int) -> str:
    """Write the page."""
    return "\n".join(
        [
            "# Few rows, many columns",
            "",
            "Root mean square error in deviations of the target (median), coverage of 95 %",
            "intervals in per cent (mean, and the lowest draw), and CPU seconds, of the default",
            "`KANRegressor`, the lasso with a cross-validated penalty, which has no intervals, and",
            f"scikit-learn's exact Gaussian process. {seeds} draws each; the noise is 0.3.",
            "*sparse*: three columns matter, as $\\sin 2a + b + c^2/2$ (of two columns both,",
            "without the square); *dense*: thirty, linearly; *none*: none, where an error of 1 is",
            "the best there is. Errors are those of new targets, noise included. How: see",
            "[training](training.md#a-precision-for-every-curve-or-one-for-all).",
            "",
            "| rows | columns | | kanx | held | s | lasso | s | Gaussian process | held | s |",
            "|" + 11 * "---|",
            *lines,
            "",
            f"Made by `python benchmarks/few_rows.py`; one thread, {platform.machine()}, torch "
            f"{torch.__version__}, a shared machine.",
            "",
        ]
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # rows out of range, and kernels at their bounds
    write_page(__doc__, CASES, line, report)
