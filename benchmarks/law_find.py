"""Functions of one variable after FIND: is the family named, and the corrupted part located?"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from kanx.datasets import make_find_suite
from kanx.explain.fitting import fit_edge

NAMES = {
    "linear": {"identity"},
    "polynomial": {"polynomial", "square", "cube", "fourth_power"},
    "absolute": {"abs"},
    "root": {"sqrt", "power"},
    "logarithm": {"log"},
    "step": {"sign"},
    "relu": {"relu"},
    "tanh": {"tanh", "sigmoid"},
    "constant": {"constant"},
    "sine": {"sin", "cos"},
    "cosine": {"sin", "cos"},
    "reciprocal": {"reciprocal"},
    "gaussian": {"gaussian"},
    "rational": {"rational"},
}
CLEAN = 1e-6  # relative error of a fit that leaves nothing to explain
BETTER = 0.05  # a part is called corrupted if leaving it out lowers the error to this share
WIDTH, STEP = 26, 8
FAR = 20.0  # medians of the clean residual that a corrupted point is off


def explained(x, y):
    """Return the best fit of a curve and the interval that it does not hold on, or None."""
    best = fit_edge(x, y).fits[0]
    error = np.sqrt(np.mean((best.predict(x) - y) ** 2)) / (y.std() + 1e-300)
    if error < CLEAN:
        return best, None
    trials = []
    for start in range(-WIDTH // 2, len(x), STEP):
        for first, last in ((start, start + WIDTH), (0, start), (start, len(x))):
            out = np.zeros(len(x), bool)
            out[max(first, 0) : max(last, 0)] = True
            if 4 < out.sum() < 0.6 * len(x):
                trials.append(left_out(x, y, out))
    least, fit, out = min(trials, key=lambda trial: trial[0])
    if not least < BETTER * error * y.std():
        return best, None
    residual = np.abs(fit.predict(x) - y)
    off = np.flatnonzero(residual > FAR * np.median(residual[~out]) + 1e-9 * y.std())
    near = off[(off >= np.flatnonzero(out)[0] - WIDTH) & (off <= np.flatnonzero(out)[-1] + WIDTH)]
    ends = (x[near[0]], x[near[-1]]) if len(near) else None
    return fit, ends


def left_out(x, y, out):
    """Return the error of the best fit to the other points, the fit, and the points left out."""
    fit = fit_edge(x[~out], y[~out]).fits[0]
    return float(np.sqrt(np.mean((fit.predict(x[~out]) - y[~out]) ** 2))), fit, out


def overlap(first, second):
    """Return the intersection of two intervals over their union."""
    inside = min(first[1], second[1]) - max(first[0], second[0])
    return max(inside, 0.0) / (max(first[1], second[1]) - min(first[0], second[0]))


def measure_find(options):
    """Explain every function of the suite; one line of results each."""
    results = Path(options.results)
    lines = results.read_text().splitlines() if results.exists() else []
    done = {r["seed"] for r in map(json.loads, lines) if r["kind"] == "find"}
    for position, data in enumerate(make_find_suite(options.seeds, random_state=0)):
        if position in done:
            continue
        x, y = np.asarray(data.X["x"], float), np.asarray(data.y, float)
        start = time.process_time()
        fit, interval = explained(x, y)
        seconds = time.process_time() - start
        truth = data.law(x[:, None])
        values = np.nan_to_num(fit.predict(x))
        spread = float(np.sum((truth - truth.mean()) ** 2))
        left, rounding = float(np.sum((truth - values) ** 2)), 1e-20 * float(np.sum(truth**2))
        family, actual = data.info["family"], data.info["corrupted_interval"]
        actual = actual and (max(actual[0], x[0]), min(actual[1], x[-1]))
        line = {
            "kind": "find", "name": family, "noise": 0.0, "seed": position,
            "seconds": round(seconds, 2), "found": fit.name, "formula": str(fit.expr)[:120],
            "hit": fit.name in NAMES[family] if family in NAMES else None,
            "r2": 1 - left / spread if spread > rounding else float(left <= rounding),
            "corrupted": actual is not None, "network": data.info["network_rmse"] is not None,
            "said": interval is not None,
            "overlap": float(overlap(interval, actual)) if interval and actual else 0.0,
        }  # fmt: skip
        with open(options.results, "a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


def find_lines(results):
    """Return the report of the suite as Markdown."""
    rows = [r for r in results if r["kind"] == "find"]
    if not rows:
        return []
    lines = [
        f"## FIND-style functions: {len(rows)} drawn by `kanx.datasets.make_find_suite(..., "
        "random_state=0)`",
        "",
        "`kanx.explain.fitting.fit_edge` on the 256 points; where no function explains them, the "
        "part whose omission makes one fit is called corrupted. Families outside the table of "
        "functions (square waves, leaky ramps, rectangles, sums and products) count for R2 only.",
        "",
        "| functions | count | family named | median R2 to the law | R2 > 0.99 |",
        "|---|---|---|---|---|",
    ]
    groups = {
        "as they are": [r for r in rows if not r["corrupted"] and not r["network"]],
        "through a ReLU network": [r for r in rows if r["network"] and not r["corrupted"]],
        "corrupted on an interval": [r for r in rows if r["corrupted"]],
    }
    for name, members in groups.items():
        known = [r for r in members if r["hit"] is not None]
        hits = sum(r["hit"] for r in known)
        r2 = [r["r2"] for r in members]
        lines.append(
            f"| {name} | {len(members)} | {hits} of {len(known)} | {np.median(r2):.4f} "
            f"| {sum(v > 0.99 for v in r2)} of {len(members)} |"
        )
    corrupted = groups["corrupted on an interval"]
    located = sum(r["overlap"] > 0.5 for r in corrupted)
    false = sum(r["said"] for r in rows if not r["corrupted"])
    lines += [
        "",
        f"Corrupted part located (intersection over union above 1/2): {located} of "
        f"{len(corrupted)}; said where there is none: {false} of {len(rows) - len(corrupted)}. "
        f"Median {np.median([r['seconds'] for r in rows]):.2f} s a function, longest "
        f"{max(r['seconds'] for r in rows):.1f} s.",
    ]
    return lines
