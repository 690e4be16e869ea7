"""The trade-off of the GP-KST paper: accuracy against the number of curves to read.

    python benchmarks/kst_tradeoff.py [--write docs/kst_tradeoff.md]

Banknote authentication (KANX_DATA), five grouped folds; the Kolmogorov topology has Q outer
functions and Q (n + 1) curves, Q = 1 .. 2 n + 1. One start a fit, so that a curve counts once, 8
control points a curve and at most 20 rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold

from kanx import KANClassifier
from kanx.datasets import load_banknote


def measure(hidden, data):
    X, y = np.asarray(data.X, float), np.asarray(data.y)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(X, y, data.groups)
    accuracy, alive, seconds = [], [], []
    for train, test in folds:
        start = time.process_time()
        model = KANClassifier(
            hidden=hidden,
            edge_options={"control_points": 8},
            n_estimators=1,
            max_iter=20,
            random_state=0,
        ).fit(X[train], y[train])
        seconds.append(time.process_time() - start)
        accuracy.append(model.score(X[test], y[test]))
        alive.append(model.network_.n_edges)
    return np.array(accuracy), float(np.median(alive)), float(np.median(seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    data = load_banknote()
    n = data.X.shape[1]
    lines = [
        "| topology | curves Q(n+1) | left after pruning | accuracy | worst fold | CPU-s a fit |",
        "|---|---|---|---|---|---|",
    ]
    points = []
    for q in [0, *range(1, 2 * n + 2)]:
        accuracy, alive, seconds = measure(("kst", q) if q else "additive", data)
        curves = q * (n + 1) if q else n
        points.append((q, curves, accuracy))
        name = f"Q = {q}" if q else "additive"
        lines.append(
            f"| {name} | {curves} | {alive:.0f} | {accuracy.mean():.4f} | {accuracy.min():.4f} | "
            f"{seconds:.1f} |"
        )
        print(lines[-1], flush=True)
    if options.write:
        write(options.write, lines, points)


def write(path, lines, points):
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    outer = [(curves, accuracy) for q, curves, accuracy in points if q]
    x = [curves for curves, _ in outer]
    mean = np.array([accuracy.mean() for _, accuracy in outer])
    low = np.array([accuracy.min() for _, accuracy in outer])
    high = np.array([accuracy.max() for _, accuracy in outer])
    ax.errorbar(
        x, mean, [mean - low, high - mean], fmt="o-", capsize=3, label="Kolmogorov, Q = 1 .. 9"
    )
    additive = points[0]
    ax.plot([additive[1]], [additive[2].mean()], "s", color="#d55e00", label="additive")
    ax.set(xlabel="curves to read, Q (n + 1)", ylabel="accuracy (mean and range of 5 folds)")
    ax.legend(loc="lower right")
    figure.savefig(path.removesuffix(".md") + ".png", dpi=120)
    machine = f"Python {platform.python_version()}, torch {torch.__version__}, one thread."
    text = (
        "# Accuracy against the number of curves\n\nBanknote authentication, five folds with "
        "duplicates kept together, one start a fit.\n\n"
        "![figure](kst_tradeoff.png)\n\n"
        + "\n".join(lines)
        + f"\n\n{machine}\n\nMade by `python benchmarks/kst_tradeoff.py --write "
        "docs/kst_tradeoff.md`.\n"
    )
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
