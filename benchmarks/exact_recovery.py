"""Laws without noise recovered to rounding, beside pykan's L-BFGS.

    python benchmarks/exact_recovery.py [--pykan-seeds 2] [--write docs/exact_recovery.md]

1000 rows to train on and 1000 to test, uniform on [-1, 1]; one thread; CPU seconds. Ours is
`KANRegressor(edge="slaf", hidden=...)` with the shape of the network and nothing else. pykan trains
the same shape in its own way: L-BFGS on grids of 3, 10, 20, 50 and 100 intervals in turn, 200 steps
each, in float64, until a limit of CPU seconds. It runs in fits of 20 steps, so that the limit can
be kept. Without pykan (`pip install pykan==0.2.8`) only ours is run.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.special import j0

from kanx import KANRegressor

ROWS = 1000
GRIDS = (3, 10, 20, 50, 100)
STEPS, PORTION = 200, 20


class Law(NamedTuple):
    """A target with the shape of the network that holds it and the seconds it may take."""

    name: str
    inputs: int
    widths: list[int]
    hidden: Any
    limit: float
    function: Callable[[np.ndarray], np.ndarray]


LAWS = [
    Law(
        "exp(sin(pi x) + y^2)",
        2,
        [2, 1, 1],
        ("kst", 1),
        1.0,
        lambda x: np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2),
    ),
    Law("x y", 2, [2, 2, 1], ("kst", 2), 0.1, lambda x: x[:, 0] * x[:, 1]),
    Law("J0(20 x)", 1, [1, 1], "additive", 0.1, lambda x: j0(20 * x[:, 0])),
]


def draw(law: Law, seed: int) -> tuple[np.ndarray, ...]:
    """Return rows to train on and to test."""
    rng = np.random.default_rng(seed)
    train, test = rng.uniform(-1, 1, (2, ROWS, law.inputs))
    return train, law.function(train), test, law.function(test)


def ours(law: Law, seed: int) -> tuple[float, float]:
    """Return the test RMSE and the CPU seconds of one fit."""
    train, y, test, wanted = draw(law, seed)
    start = time.process_time()
    model = KANRegressor(edge="slaf", hidden=law.hidden, random_state=seed).fit(train, y)
    spent = time.process_time() - start
    return rmse(model.predict(test), wanted), spent


def pykan(law: Law, seed: int, limit: float) -> tuple[float, float]:
    """Return the best test RMSE on the way and the CPU seconds of one run."""
    from kan import KAN

    arrays = (torch.tensor(part).reshape(ROWS, -1) for part in draw(law, seed))
    keys = ("train_input", "train_label", "test_input", "test_label")
    data = dict(zip(keys, arrays, strict=True))
    start, best = time.process_time(), float("inf")
    with tempfile.TemporaryDirectory() as folder:
        network = KAN(
            width=list(law.widths), grid=GRIDS[0], k=3, seed=seed, auto_save=False, ckpt_path=folder
        )
        for grid in GRIDS:
            if grid != GRIDS[0]:
                network = network.refine(grid)
                network.auto_save = False
            for step in range(0, STEPS, PORTION):
                if time.process_time() - start > limit:
                    return best, time.process_time() - start
                network.fit(data, opt="LBFGS", steps=PORTION, update_grid=step < 30, log=PORTION)
                with torch.no_grad():
                    found = network(data["test_input"])[:, 0].numpy()
                best = min(best, rmse(found, data["test_label"][:, 0].numpy()))
    return best, time.process_time() - start


def rmse(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the root mean square error, infinite where it is not a number."""
    error = float(np.sqrt(np.mean((found - wanted) ** 2)))
    return error if np.isfinite(error) else float("inf")


def row(name: str, law: Law, runs: list[tuple[float, float]]) -> str:
    """Write one line of the table."""
    errors, seconds = np.array(runs).T
    good = int(np.sum((errors < 1e-9) & (seconds < law.limit)))
    return (
        f"| {law.name} | {law.widths} | {name} | {np.median(errors):.1e} | {errors.max():.1e} | "
        f"{np.median(seconds):.3f} | {seconds.max():.3f} | {good} of {len(runs)} |"
    )


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pykan-seeds", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds of a pykan run")
    parser.add_argument("--write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "| law | network | | RMSE, median | worst | CPU s, median | longest | 1e-9 in time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours(LAWS[1], 0)  # imports and first-use costs
    for law in LAWS:
        lines.append(row("kanx", law, [ours(law, seed) for seed in range(options.seeds)]))
        print(lines[-1], flush=True)
    if options.pykan_seeds and importlib.util.find_spec("kan") is not None:
        torch.set_default_dtype(torch.float64)
        for law in LAWS:
            runs = [pykan(law, seed, options.limit) for seed in range(options.pykan_seeds)]
            lines.append(row("pykan 0.2.8", law, runs))
            print(lines[-1], flush=True)
    limits = ", ".join(f"{law.limit} s for {law.name}" for law in LAWS)
    text = "\n".join(
        [
            "# Laws without noise",
            "",
            "Networks of fixed shape, trained on 1000 rows without noise, tested on 1000 others.",
            'Ours is `KANRegressor(edge="slaf", hidden=...)`: polynomials whose degree is left',
            "open ([how](training.md#data-without-noise)). The last column counts the seeds with a",
            f"test RMSE below 1e-9 in time: {limits}.",
            "pykan is its L-BFGS in float64 on grids of 3 to 100 intervals, stopped after "
            f"{options.limit:.0f} CPU seconds; its RMSE is the best on the way.",
            "",
            *lines,
            "",
            f"Made by `python benchmarks/exact_recovery.py`; one thread, {platform.machine()}, "
            f"torch {torch.__version__}, a shared machine.",
            "",
        ]
    )
    if options.write:
        with open(options.write, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
