"""Regression and classification tables: error, intervals, likelihood and seconds beside rivals.

    KANX_DATA=... python benchmarks/tabular.py [--sets yacht energy] [--models kanx gp ebm]
    python benchmarks/tabular.py --sets kin40k protein --models kanx-two-processes
    python benchmarks/tabular.py --sets --write docs/tabular.md

Defaults everywhere, no setting for any table. Regression: the first three of the usual ten splits,
the first alone of tables with more than 20 000 rows; root mean square error in standard deviations
of the training target, share of the test rows inside the 95 % interval, mean negative log
likelihood of the standardised target, CPU seconds of a fit.
Classification: five stratified folds; area under the ROC curve and mean log loss. Rivals are fitted
in the same process, on the same rows, in turn: InterpretML's EBM (``pip install interpret-core``;
left out where it is not installed), scikit-learn's exact Gaussian process with a length-scale for
every input (up to 2500 rows) and a linear model. Results are kept in
``benchmarks/results/tabular.json``, one entry a split, and are not measured twice, so that a page
may hold several runs; delete the file to start anew. ``kanx-two-processes`` is kanx with
``n_jobs=2``, of which the page tells the wall seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kanx

RESULTS = Path(__file__).parent / "results" / "tabular.json"
REGRESSION = ("yacht", "energy", "concrete", "airfoil", "autompg", "kin40k", "protein")
CLASSIFICATION = ("banknote_authentication", "pima-indians-diabetes", "mammography")
SPLITS, FOLDS = 3, 5
MOST_ROWS_GP, MANY_ROWS = 2500, 20_000
NAMES = {"kanx": "kanx", "ebm": "EBM", "gp": "exact GP", "linear": "linear"}
TWO = "kanx-two-processes"  # of which wall seconds are reported


def regression_splits(folder, name):
    """Yield training and test rows of the first splits."""
    data = np.loadtxt(folder / "uci" / name / "data.csv.gz", delimiter=",")
    tests = np.loadtxt(folder / "uci" / name / "test_mask.csv.gz", delimiter=",").astype(bool)
    for test in tests.T[: 1 if len(data) > MANY_ROWS else SPLITS]:
        yield data[~test, :-1], data[~test, -1], data[test, :-1], data[test, -1]


def classification_folds(folder, name):
    """Yield training and test rows of stratified folds."""
    path = folder / "csv" / f"{name}.csv"
    data = np.genfromtxt(path, delimiter=",", dtype=str)
    X = data[:, :-1].astype(float)
    y = np.unique(np.char.strip(data[:, -1], "' "), return_inverse=True)[1]
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, y):
        yield X[train], y[train], X[test], y[test]


def gaussian_process(inputs, regression):
    """Return scikit-learn's exact Gaussian process."""
    kernel = ConstantKernel(1.0) * RBF(np.ones(inputs))
    if regression:
        kernel = kernel + WhiteKernel(0.1)
        model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    else:
        model = GaussianProcessClassifier(kernel + ConstantKernel(1e-3), random_state=0)
    return make_pipeline(StandardScaler(), model)


def build(model, inputs, regression):
    """Return an unfitted model with its defaults."""
    if model in ("kanx", TWO):
        jobs = 2 if model == TWO else None
        own = kanx.KANRegressor if regression else kanx.KANClassifier
        return own(random_state=0, n_jobs=jobs)
    if model == "gp":
        return gaussian_process(inputs, regression)
    if model == "ebm":
        from interpret import glassbox

        name = f"ExplainableBoosting{'Regressor' if regression else 'Classifier'}"
        return getattr(glassbox, name)(random_state=0, n_jobs=1)
    own = (
        RidgeCV()
        if regression
        else LogisticRegressionCV(max_iter=2000, use_legacy_attributes=False)
    )
    return make_pipeline(StandardScaler(), own)


def regression_scores(model, X, y, scale):
    """Return the error, and coverage and likelihood where the model has standard deviations."""
    try:
        mean, std = model.predict(X, return_std=True)
    except TypeError:
        mean, std = model.predict(X), None
    scores = {"error": float(np.sqrt(np.mean((mean - y) ** 2)) / scale)}
    if std is None:
        return scores
    if hasattr(model, "predict_interval"):
        lower, upper = model.predict_interval(X).T
    else:
        lower, upper = mean - norm.ppf(0.975) * std, mean + norm.ppf(0.975) * std
    scores["coverage"] = float(np.mean((lower <= y) & (y <= upper)))
    scores["nll"] = float(-np.mean(norm.logpdf(y, mean, std)) - np.log(scale))
    return scores


def measure(name, model, folder):
    """Fit a model to every split of a table; return its scores, one entry a split."""
    regression = name in REGRESSION
    results = []
    for X, y, X_test, y_test in (regression_splits if regression else classification_folds)(
        folder, name
    ):
        if model == "gp" and len(X) > MOST_ROWS_GP:
            return None
        begun, wall = time.process_time(), time.perf_counter()
        fitted = build(model, X.shape[1], regression).fit(X, y)
        spent = {"seconds": time.process_time() - begun, "wall": time.perf_counter() - wall}
        if regression:
            scores = regression_scores(fitted, X_test, y_test, y.std())
        else:
            p = fitted.predict_proba(X_test)
            scores = {"auc": float(roc_auc_score(y_test, p[:, 1]))}
            scores["nll"] = float(log_loss(y_test, p))
        if model == "kanx":
            scores["curves"] = fitted.network_.n_edges
        results.append({**scores, **spent})
        print(name, model, {key: round(value, 4) for key, value in results[-1].items()}, flush=True)
    return results


def cell(results, key, digits):
    """Write the mean of a score over splits, or a dash where there is none."""
    if not results or key not in results[0]:
        return "-"
    return f"{np.mean([entry[key] for entry in results]):.{digits}f}"


def tables(found):
    """Write both tables as lines of Markdown."""
    lines = [
        "| table | model | error | in 95 % interval | negative log likelihood | CPU s | curves |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = {"error": 4, "coverage": 3, "nll": 3, "seconds": 1, "curves": 0}
    lines += _rows(found, REGRESSION, keys)
    lines += [
        "",
        "| table | model | AUC | log loss | CPU s | curves |",
        "|---|---|---|---|---|---|",
    ]
    keys = {"auc": 4, "nll": 4, "seconds": 1, "curves": 0}
    return [*lines, *_rows(found, CLASSIFICATION, keys)]


def two_processes(found):
    """Write the wall seconds of fits that take two cores."""
    return [
        f"With `n_jobs=2` on two cores, {name} takes {cell(found[name][TWO], 'wall', 0)} s of wall "
        f"time and reaches {cell(found[name][TWO], 'error', 4)}."
        for name in REGRESSION
        if TWO in found.get(name, {})
    ]


def _rows(found, names, keys):
    rows = []
    for name in names:
        for model, label in NAMES.items():
            results = found.get(name, {}).get(model)
            if results:
                cells = [cell(results, key, digits) for key, digits in keys.items()]
                rows.append("| " + " | ".join([name, label, *cells]) + " |")
    return rows


def main():
    """Measure what is missing, print it and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=[*REGRESSION, *CLASSIFICATION])
    parser.add_argument("--models", nargs="+", default=[*NAMES], choices=[*NAMES, TWO])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    folder = Path(os.environ["KANX_DATA"])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # rivals say that they did not converge
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.sets:
        for model in options.models:
            known = found.setdefault(name, {})
            missing = model == "ebm" and importlib.util.find_spec("interpret") is None
            if model in known or missing:
                continue
            known[model] = measure(name, model, folder)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    if options.write:
        machine = (
            f"{platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
        )
        page = [
            "# Accuracy and error bars on tables",
            "",
            "Defaults everywhere. Regression: mean of the first three of the usual ten splits (of",
            "kin40k and protein the first alone); the errors are in standard deviations of the",
            "training target, and the likelihood is that of the target in these units.",
            "Classification: mean of five stratified folds. All models saw the same rows. The",
            "seconds of kanx and EBM are of one run for energy and kin40k; all others are of",
            "several runs on the same machine, whose load differed. A dash is what a model does",
            "not offer.",
            "",
            *tables(found),
            "",
            *two_processes(found),
            "",
            "Made by `python benchmarks/tabular.py`; one thread but where two processes are named, "
            f"{machine}, two shared cores.",
            "",
        ]
        options.write.write_text("\n".join(page))


if __name__ == "__main__":
    main()
