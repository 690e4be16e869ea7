"""What a report costs: processor time to build it, and its size."""

import platform
import time
import warnings

import numpy as np
import torch

import kanx
from kanx.explain.report import render

CASES = (("additive", 20), ((3,), 20), ("additive", 100))


def table(columns, rows=1500):
    """Return columns of which each matters, and two interact."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (rows, columns))
    scale = 1 + np.arange(columns) % 3
    y = (scale * np.sin(2 * x + np.arange(columns))).sum(1) + 3 * x[:, 0] * x[:, 1]
    names = [f"feature {j}" for j in range(columns)]
    return dict(zip(names, x.T, strict=True)), y + rng.normal(0, 0.3, rows)


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print("| features | hidden nodes | curves | CPU-s | MB |\n|---|---|---|---|---|")
    for hidden, columns in CASES:
        X, y = table(columns)
        model = kanx.KANRegressor(hidden=hidden, max_iter=2, n_estimators=1, random_state=0)
        model.fit(X, y)
        render(kanx.explain(model, X), y=y)  # imports and compiled kernels are not counted
        start = time.process_time()
        page = render(kanx.explain(model, X), y=y)
        spent = time.process_time() - start
        size = len(page.encode()) / 1e6
        nodes = "none" if hidden == "additive" else hidden[0]
        print(f"| {columns} | {nodes} | {model.network_.n_edges} | {spent:.1f} | {size:.2f} |")
    print(f"\nPython {platform.python_version()}, torch {torch.__version__}, one thread.")


if __name__ == "__main__":
    main()
