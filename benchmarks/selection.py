"""How often the default keeps the additive model, for laws that are additive and laws that are not.

    python benchmarks/selection.py [--seeds 5] [--write docs/selection.md]

`KANRegressor(random_state=0)` chooses its own shape; the table counts what it chose, and gives the
error against the law without noise beside that of ``hidden="additive"``, in deviations of the law.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from kanx import KANRegressor

ROWS, TEST, INPUTS = 300, 2000, 6


def inputs(law, rng):
    """Draw inputs: uniform, or normal with a correlation of 0.8."""
    if law != "additive, correlated inputs":
        return rng.uniform(-1, 1, (ROWS + TEST, INPUTS))
    common = 0.8 * np.ones((INPUTS, INPUTS)) + 0.2 * np.eye(INPUTS)
    return rng.multivariate_normal(np.zeros(INPUTS), common, ROWS + TEST) / 2


def additive(X):
    """A wave, a parabola and a line."""
    return np.sin(3 * X[:, 0]) + 1.5 * X[:, 1] ** 2 + X[:, 2]


# the law, the standard deviation of its noise in deviations of the law, whether it has heavy tails
LAWS = {
    "additive": (additive, 0.5, False),
    "additive, correlated inputs": (additive, 0.5, False),
    "additive, heavy-tailed noise": (additive, 0.5, True),
    "straight lines": (lambda X: X @ np.array([1, -2, 0.5, 0, 0, 0]), 0.8, False),
    "noise alone": (lambda X: np.zeros(len(X)), 1.0, False),
    "weak product": (lambda X: additive(X) + 0.5 * X[:, 0] * X[:, 3], 0.5, False),
    "product": (lambda X: additive(X) + 1.5 * X[:, 0] * X[:, 3], 0.5, False),
    "Friedman 1": (
        lambda X: (
            10 * np.sin(np.pi * (X[:, 0] + 1) * (X[:, 1] + 1) / 4)
            + 5 * X[:, 2] ** 2
            + 5 * X[:, 3]
            + 2.5 * X[:, 4]
        ),
        0.2,
        False,
    ),
}


def once(law, seed):
    """Return whether hidden nodes were chosen, both errors, curves and CPU seconds."""
    function, noise, heavy = LAWS[law]
    rng = np.random.default_rng(seed)
    X = inputs(law, rng)
    f = function(X)
    f = f / (f.std() or 1.0)
    draw = rng.standard_t(3, len(f)) / np.sqrt(3) if heavy else rng.standard_normal(len(f))
    y = f + noise * draw
    start = time.process_time()
    model = KANRegressor(random_state=0).fit(X[:ROWS], y[:ROWS])
    seconds = time.process_time() - start
    plain = KANRegressor(hidden="additive", random_state=0).fit(X[:ROWS], y[:ROWS])
    errors = [np.sqrt(np.mean((m.predict(X[ROWS:]) - f[ROWS:]) ** 2)) for m in (model, plain)]
    return len(model.network_.layers) > 1, *errors, model.network_.n_edges, seconds


def main():
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# When hidden nodes are chosen",
        "",
        f"{ROWS} rows, {INPUTS} inputs, `KANRegressor(random_state=0)`; {options.seeds} draws of",
        "every law. Errors are against the law without its noise, in its deviations: medians.",
        "How the choice is made: [training](training.md#how-many-hidden-nodes).",
        "",
        "| law | noise | hidden nodes chosen | error | additive model's | curves | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for law, (_, noise, _) in LAWS.items():
        runs = [once(law, seed) for seed in range(options.seeds)]
        middle = np.median(np.array([run[1:] for run in runs], dtype=float), axis=0)
        chosen = f"{sum(run[0] for run in runs)} of {len(runs)}"
        lines.append(
            f"| {law} | {noise} | {chosen} | {middle[0]:.3f} | {middle[1]:.3f} | {middle[2]:.0f} "
            f"| {middle[3]:.1f} |"
        )
        print(lines[-1], flush=True)
    lines += [
        "",
        f"Made by `python benchmarks/selection.py`; one thread, {platform.machine()}, torch "
        f"{torch.__version__}, a shared machine.",
        "",
    ]
    if options.write:
        options.write.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
