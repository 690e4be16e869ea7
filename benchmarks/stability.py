"""How far importances and effects move with the seed, and with the rows that a fit sees."""

import argparse
import os
import platform
import warnings

import numpy as np
import torch

import kanx
from kanx import datasets

MARKS = "<!-- measured by benchmarks/stability.py -->", "<!-- end of the measured part -->"


def cases():
    """Return a name, an estimator and a data set each."""
    friedman = datasets.make_friedman1(400, noise=1.0, random_state=0)
    one = {"hidden": (2,), "n_estimators": 1}
    return (
        ("Friedman 1, additive", kanx.KANRegressor(hidden="additive"), friedman),
        ("Friedman 1, two hidden nodes, one start", kanx.KANRegressor(**one), friedman),
        ("diabetes, additive", kanx.KANRegressor(hidden="additive"), datasets.load_diabetes()),
        (
            "breast cancer, additive",
            kanx.KANClassifier(hidden="additive"),
            datasets.load_breast_cancer(),
        ),
    )


def row(name, estimator, data, repeats, share):
    found = kanx.explain.stability(estimator, data.X, data.y, n_repeats=repeats, share=share)
    mean, std = found.importances.mean(0), found.importances.std(0, ddof=1)
    first = found.importances.argmax(1)
    top = np.bincount(first).max()
    cells = [
        name,
        "all" if share == 1 else f"{100 * share:.0f} %",
        f"{found.agreement:.2f}",
        f"{top} of {repeats}",
        f"{100 * mean.max():.0f} ± {100 * std[mean.argmax()]:.1f} %",
        f"{found.effects_error.max():.1f} %",
    ]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", help="page whose measured part is replaced")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    lines = [
        "| model | rows seen | rank correlation | same first input | its share | largest move of "
        "an effect |",
        "|---|---|---|---|---|---|",
    ]
    for name, estimator, data in cases():
        for share in (1.0, 0.8):
            lines.append(row(name, estimator, data, options.repeats, share))
            print(lines[-1], flush=True)
    lines += [
        "",
        f"{options.repeats} fits each. The move is the standard deviation of an effect between "
        "fits, in percent of the largest effect's.",
        "Shares are those along the paths: with hidden nodes they move far more than effects do.",
        f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, one thread;",
        "made by `python benchmarks/stability.py --write docs/trust.md`.",
    ]
    if options.write:
        with open(options.write, encoding="utf-8") as file:
            before, rest = file.read().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        text = "\n".join([before + MARKS[0], "", *lines, "", MARKS[1] + after])
        with open(options.write, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
