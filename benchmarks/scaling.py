"""CPU seconds of a fit against rows, features and parameters, with the fitted exponents.

python benchmarks/scaling.py [--rows 1000 10000 100000] [--out docs/scaling.md]

Every line is one fit of `KANRegressor` in this process on one thread; an exponent ``k`` says that
seconds grow as size ** k over the sizes that were run (least squares of the logarithms).
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kanx import KANRegressor
from kanx.training.batches import Batches

ROUNDS = 4
BATCH = 10_000


def table(rows: int, features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and a target with curves and one product."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, features))
    f = np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + X[:, 0] * X[:, 1] + X[:, 2:].sum(1) / features
    return X, f + 0.1 * rng.standard_normal(rows)


def batches(rows: int, features: int) -> Batches:
    """Return rows that are made anew in every pass and never all there."""

    def make() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for seed in range(rows // BATCH):
            yield table(BATCH, features, seed)

    return Batches(make)


def seconds(fit: Callable[[], KANRegressor]) -> tuple[float, int]:
    """Return the CPU seconds of a fit and the number of its parameters."""
    start = time.process_time()
    model = fit()
    return time.process_time() - start, model.n_parameters_


def exponent(sizes: list[int], times: list[float]) -> float:
    """Return the slope of log seconds over log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def levenberg_marquardt(X: np.ndarray, y: np.ndarray, **options: Any) -> KANRegressor:
    """Fit with a fixed number of rounds and one start."""
    model = KANRegressor(n_estimators=1, max_iter=ROUNDS, random_state=0, optimizer="lm", **options)
    return model.fit(X, y)


def adam(rows: int) -> KANRegressor:
    """Fit in two passes over rows that come in batches."""
    training = {"epochs": 2, "batch_size": 1000}
    model = KANRegressor(hidden="additive", max_iter=ROUNDS, training=training, random_state=0)
    return model.fit(batches(rows, 5))


def streamed_memory(rows: int) -> float:
    """Return the peak memory in MiB of a process of its own that fits rows from batches."""
    command = [sys.executable, __file__, "--stream", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def series(rows: list[int], features: list[int], widths: list[int]) -> Iterator[tuple[str, list]]:
    """Yield a heading and rows of (size, parameters, seconds) per series."""
    levenberg_marquardt(*table(200, 2), hidden="additive")  # imports and first-use costs
    adam(BATCH)

    def run(sizes: list[int], fit: Callable[[int], KANRegressor]) -> list:
        found = []
        for size in sizes:
            spent, parameters = seconds(partial(fit, size))
            found.append((size, parameters, spent))
        return found

    additive = {"hidden": "additive"}
    yield (
        "rows, Levenberg-Marquardt, additive, 5 features",
        run(rows, lambda size: levenberg_marquardt(*table(size, 5), **additive)),
    )
    yield (
        "features, Levenberg-Marquardt, additive, 2000 rows",
        run(features, lambda size: levenberg_marquardt(*table(2000, size), **additive)),
    )
    yield (
        "hidden nodes, Levenberg-Marquardt, 4 features, 2000 rows",
        run(widths, lambda size: levenberg_marquardt(*table(2000, 4), hidden=(size,))),
    )
    streamed = [size for size in rows if size >= BATCH]
    yield "rows in batches, Adam, two passes, 5 features", run(streamed, adam)


def memory_lines(rows: list[int]) -> list[str]:
    """Measure fits to rows in batches of all sizes and say what they took."""
    sizes = [size for size in rows if size >= BATCH]
    found = ", ".join(f"{size} rows {streamed_memory(size):.0f}" for size in sizes)
    return [f"Peak memory of a process that fits rows in batches, MiB, torch and all: {found}."]


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--widths", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--stream", type=int, help="only fit so many rows and print the memory")
    parser.add_argument("--memory", action="store_true", help="only measure memory; changes --out")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stream:
        adam(arguments.stream)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if arguments.memory:
        text = arguments.out.read_text().split("\n\nPeak memory")[0]
        arguments.out.write_text("\n".join([text, "", *memory_lines(arguments.rows)]) + "\n")
        return
    memory = memory_lines(arguments.rows)  # first: a process inherits the peak of its parent
    lines = [
        "# Scaling",
        "",
        f"CPU seconds of one fit, one thread, {ROUNDS} rounds and one start "
        f"(`benchmarks/scaling.py`; {platform.machine()}, torch {torch.__version__}). Beyond 5000 "
        "rows the smoothness is chosen on a part of the rows and the fit is finished on all.",
        "",
        "| series | size | parameters | CPU s |",
        "| --- | ---: | ---: | ---: |",
    ]
    exponents = []
    for name, found in series(arguments.rows, arguments.features, arguments.widths):
        for size, parameters, spent in found:
            lines.append(f"| {name} | {size} | {parameters} | {spent:.2f} |")
            print(lines[-1], flush=True)
        if len(found) > 1:
            sizes, _, times = zip(*found, strict=True)
            exponents.append(f"- {name}: seconds grow as size ^ {exponent(sizes, times):.2f}")
            print(exponents[-1], flush=True)
    lines += ["", *exponents, "", *memory]
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
