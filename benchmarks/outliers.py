"""Gross outliers: the regressor's losses beside splines with Huber's regression.

    python benchmarks/outliers.py [--seeds 5] [--write docs/outliers.md]

400 rows of ``sin(3 a) + b^2 + c / 2`` on the cube [-1, 1]^3 with a noise of 0.1; a share of the
targets has normal errors of another size on top. Errors are those of the function, without noise.
"""

from __future__ import annotations

import os
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from page import write_page
from sklearn.linear_model import HuberRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from kanx import KANRegressor

NOISE, ROWS = 0.1, 400
CASES = [(0.0, 0.0), (0.1, 1.0), (0.1, 100.0), (0.1, 1e4), (0.25, 100.0)]
LOSSES = ("squared", "huber", "student_t")


def draw(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and function values."""
    X = rng.uniform(-1, 1, (rows, 3))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + X[:, 2] / 2


def measure(share: float, size: float, seed: int) -> list[tuple[float, float]]:
    """Return error and seconds of every model on one draw."""
    rng = np.random.default_rng(seed)
    X, f = draw(ROWS, rng)
    y = f + NOISE * rng.standard_normal(ROWS)
    wrong = rng.random(ROWS) < share
    y[wrong] += size * rng.standard_normal(wrong.sum())
    fresh, wanted = draw(2000, rng)
    models = [KANRegressor(loss=loss, random_state=0) for loss in LOSSES]
    splines = make_pipeline(SplineTransformer(8), HuberRegressor(max_iter=2000))
    found = []
    for model in [*models, splines]:
        start = time.process_time()
        model.fit(X, y)
        seconds = time.process_time() - start
        error = np.sqrt(np.mean((model.predict(fresh) - wanted) ** 2))
        found.append((float(error), seconds))
    return found


def line(case: tuple[float, float], seeds: int) -> str:
    """Return the line of a case."""
    share, size = case
    own = np.array([measure(share, size, seed) for seed in range(seeds)])
    errors, seconds = np.median(own[..., 0], 0), np.median(own[..., 1], 0)
    cells = [f"{share:.0%}", f"{size:g}", *(f"{error:.3f}" for error in errors)]
    return "| " + " | ".join([*cells, f"{seconds[2]:.1f}"]) + " |"


def report(lines: list[str], seeds: int) -> str:
    """Write the page."""
    return "\n".join(
        [
            "# Outliers of the target",
            "",
            "Root mean square error of the function ($\\sin 3a + b^2 + c/2$, noise 0.1, 400 rows)",
            "where a share of the targets has normal errors of another size on top: the three",
            "losses of the default `KANRegressor`, and B-splines with scikit-learn's",
            f"`HuberRegressor`. Median of {seeds} draws.",
            "",
            "Huber's density has exponential tails, so that its most likely scale grows with",
            "outliers of any size; `student_t` estimates how heavy the tails are.",
            "",
            "| outliers | their size | squared | huber | student_t | splines, Huber | CPU s |",
            "|" + 7 * "---|",
            *lines,
            "",
            "CPU seconds are those of `student_t`. Made by `python benchmarks/outliers.py`; one",
            f"thread, {platform.machine()}, torch {torch.__version__}, a shared machine.",
            "",
        ]
    )


if __name__ == "__main__":
    write_page(__doc__, CASES, line, report)
