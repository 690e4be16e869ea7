"""Rows per second and single-row latency, beside gradient boosting, in process and exported.

Run ``python benchmarks/latency.py [--rows 50000] [--calls 400]``; one thread. The same table
(5 numeric columns with an interaction, 500 training rows) for all models. Times are CPU times of
the process, which other processes on the machine do not count into; models take turns, five times,
and medians of the turns are shown. The C code is called through ctypes. With interpret-core
installed there is an EBM too.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from kanx import KANRegressor
from kanx.export import exported, runtime, to_c, to_onnx

TURNS = 5
Predict = Callable[[np.ndarray], Any]


def table(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of a smooth function with an interaction and noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (count, 5))
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + X[:, 3] ** 2 + 0.1 * rng.standard_normal(count)
    return X, y


def onnx_predictor(model: Any, contributions: bool) -> Predict:
    """Predict in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    data = to_onnx(model, contributions=contributions).SerializeToString()
    session = onnxruntime.InferenceSession(data, options)
    return lambda X: session.run(["predictions"], {"X": X})[0][:, 0]


def c_predictor(model: Any, folder: Path) -> Predict:
    """Predict in compiled C, with a loop over the rows beside it."""
    loop = (
        "void kanx_rows(int n, const double *x, double *y) {\n"
        "    for (int i = 0; i < n; i++) kanx_predict(x + i * KANX_COLUMNS, y + i);\n}\n"
    )
    (folder / "m.c").write_text(to_c(model) + loop)
    library = folder / "m.so"
    flags = ["-O2", "-std=c99", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(folder / "m.c"), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))

    def predict(X: np.ndarray) -> np.ndarray:
        y = np.empty(len(X))
        double = ctypes.POINTER(ctypes.c_double)
        loaded.kanx_rows(len(X), X.ctypes.data_as(double), y.ctypes.data_as(double))
        return y

    return predict


def quick_ebm() -> Any:
    """Return an EBM with the default terms; fewer rounds and bags predict as fast."""
    from interpret.glassbox import ExplainableBoostingRegressor

    return ExplainableBoostingRegressor(random_state=0, n_jobs=1, max_rounds=100, outer_bags=2)


def predictors(folder: Path) -> dict[str, Predict]:
    """Fit every model to the same rows."""
    X, y = table(500, 0)
    additive = KANRegressor(hidden="additive", max_iter=15, random_state=0).fit(X, y)
    deep = KANRegressor(hidden=(4,), n_estimators=1, max_iter=15, random_state=0).fit(X, y)
    plain = exported(deep).to_dict()
    found: dict[str, Predict] = {
        "gradient boosting (scikit-learn)": HistGradientBoostingRegressor(random_state=0)
        .fit(X, y)
        .predict
    }
    if importlib.util.find_spec("interpret"):
        found["EBM (interpret)"] = quick_ebm().fit(X, y).predict
    found |= {
        "kanx additive": additive.predict,
        "kanx 4 hidden nodes": deep.predict,
        "the same, numpy alone": lambda X: runtime.predict(plain, X)[:, 0],
        "the same, onnxruntime": onnx_predictor(deep, False),
        "the same, onnxruntime, contributions too": onnx_predictor(deep, True),
    }
    if shutil.which("gcc"):
        found["the same, C"] = c_predictor(deep, folder)
    return found


def rows_per_second(predict: Predict, X: np.ndarray) -> float:
    """Return the rate of one call."""
    start = time.process_time()
    predict(X)
    return len(X) / (time.process_time() - start)


def single(predict: Predict, X: np.ndarray, calls: int) -> list[float]:
    """Return the milliseconds of calls with one row each."""
    times = []
    for k in range(calls):
        start = time.process_time()
        predict(X[k : k + 1])
        times.append(1e3 * (time.process_time() - start))
    return times


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--calls", type=int, default=400)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    test, _ = table(arguments.rows, 1)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        models = predictors(Path(folder))
        rates: dict[str, list[float]] = {name: [] for name in models}
        times: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(TURNS):
            for name, predict in models.items():
                predict(test[:1000])
                rates[name].append(rows_per_second(predict, test))
                times[name] += single(predict, test, arguments.calls // TURNS)
    print("| model | rows / s | one row, median (ms) | p99 (ms) | of boosting |")
    print("|---|---|---|---|---|")
    first = np.median(next(iter(times.values())))
    for name, taken in times.items():
        median, worst = np.percentile(taken, [50, 99])
        rate = np.median(rates[name])
        print(f"| {name} | {rate:,.0f} | {median:.3f} | {worst:.3f} | {median / first:.2f} |")


if __name__ == "__main__":
    main()
