"""Rows per second and single-row latency, beside gradient boosting, in process and exported.

Run ``python benchmarks/latency.py [--rows 200000] [--calls 2000]``; one thread. The same table
(5 numeric columns with an interaction, 500 training rows) for all models. Times are CPU times of
the process, which other processes on the machine do not count into; the C code is called through
ctypes.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from kanx import KANRegressor
from kanx.export import exported, runtime, to_c, to_onnx

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


def measured(predict: Predict, X: np.ndarray, calls: int) -> tuple[float, float, float]:
    """Return rows per second, and the median and 99th percentile of one row, in ms."""
    predict(X[:1000])
    start = time.process_time()
    predict(X)
    rate = len(X) / (time.process_time() - start)
    times = []
    for k in range(calls):
        start = time.process_time()
        predict(X[k : k + 1])
        times.append(1e3 * (time.process_time() - start))
    return rate, *np.percentile(times, [50, 99])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--calls", type=int, default=2000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    X, y = table(500, 0)
    test, wanted = table(arguments.rows, 1)
    additive = KANRegressor(hidden="additive", max_iter=15, random_state=0).fit(X, y)
    deep = KANRegressor(hidden=(4,), n_estimators=1, max_iter=15, random_state=0).fit(X, y)
    boosting = HistGradientBoostingRegressor(random_state=0).fit(X, y)
    plain = exported(deep).to_dict()
    predictors: dict[str, Predict] = {
        "gradient boosting (sklearn)": boosting.predict,
        "kanx additive": additive.predict,
        "kanx 4 hidden nodes": deep.predict,
        "the same, numpy alone": lambda X: runtime.predict(plain, X),
        "the same, onnxruntime": onnx_predictor(deep, False),
        "the same, onnxruntime, contributions too": onnx_predictor(deep, True),
    }
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        if shutil.which("gcc"):
            predictors["the same, C"] = c_predictor(deep, Path(folder))
        print("| model | rows / s | one row, median (ms) | p99 (ms) | RMSE |")
        print("|---|---|---|---|---|")
        for name, predict in predictors.items():
            rate, median, worst = measured(predict, test, arguments.calls)
            error = np.sqrt(np.mean((np.ravel(predict(test)) - wanted) ** 2))
            print(f"| {name} | {rate:,.0f} | {median:.3f} | {worst:.3f} | {error:.4f} |")


if __name__ == "__main__":
    main()
