"""Accuracy on scikit-learn's bundled tables and on banknotes, beside a linear model.

    python benchmarks/tables.py [--write docs/tables.md]

Five folds (stratified for classes, duplicates of a banknote kept together), defaults everywhere,
one thread. Banknotes need KANX_DATA.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sklearn
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kanx
from kanx import datasets


def splits(data):
    if data.groups is not None:
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        return folds.split(data.X, data.y, data.groups)
    if data.task == "classification":
        return StratifiedKFold(5, shuffle=True, random_state=0).split(data.X, data.y)
    return KFold(5, shuffle=True, random_state=0).split(data.X)


def scores(model, X, y, classification):
    if not classification:
        return r2_score(y, model.predict(X)), float("nan")
    probability = model.predict_proba(X)
    own = probability[:, 1] if probability.shape[1] == 2 else probability
    return accuracy_score(y, model.predict(X)), roc_auc_score(y, own, multi_class="ovr")


def rivals(classification):
    if classification:
        linear = LogisticRegressionCV(
            max_iter=5000, scoring="neg_log_loss", use_legacy_attributes=False
        )
        return {
            "kanx": kanx.KANClassifier(random_state=0),
            "logistic": make_pipeline(StandardScaler(), linear),
        }
    return {
        "kanx": kanx.KANRegressor(random_state=0),
        "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
    }


def row(name, data):
    classification = data.task == "classification"
    X, y = np.asarray(data.X, float), np.asarray(data.y)
    found = {key: [] for key in rivals(classification)}
    seconds, curves = [], []
    for train, test in splits(data):
        for key, model in rivals(classification).items():
            start = time.process_time()
            fitted = clone(model).fit(X[train], y[train])
            found[key].append(scores(fitted, X[test], y[test], classification))
            if key == "kanx":
                seconds.append(time.process_time() - start)
                curves.append(fitted.network_.n_edges)
    cells = [name, f"{len(X)} x {X.shape[1]}", "accuracy, AUC" if classification else "R2"]
    for values in found.values():
        first, second = np.mean(values, axis=0)
        cells.append(f"{first:.4f}" + (f", {second:.4f}" if classification else ""))
    cells += [f"{np.median(curves):.0f}", f"{np.median(seconds):.1f}"]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write")
    parser.add_argument("--only", help="comma list of names")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    loaders = {
        "banknote": datasets.load_banknote,
        "breast cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "iris": datasets.load_iris,
        "diabetes": datasets.load_diabetes,
        "digits": datasets.load_digits,
    }
    lines = [
        "| data | rows x columns | score | kanx | linear model | curves | CPU-s a fit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, load in loaders.items():
        if options.only and name not in options.only.split(","):
            continue
        lines.append(row(name, load()))
        print(lines[-1], flush=True)
    machine = (
        f"Python {platform.python_version()}, torch {torch.__version__}, scikit-learn "
        f"{sklearn.__version__}, {platform.machine()}, {os.cpu_count()} cores, one thread."
    )
    text = "# Tables beside a linear model\n\n" + "\n".join(lines) + f"\n\n{machine}\n"
    text += "\nMade by `python benchmarks/tables.py --write docs/tables.md`.\n"
    if options.write:
        with open(options.write, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
