"""Operon, gplearn and pykan's auto_symbolic beside kanx, on ten equations fixed beforehand."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import sympy as sp
from recovery_report import draw, in_a_process, judged, load_recovery, search, table_of

# stratified in ../shared/notes/symbolic.md before any of this was written
EQUATIONS = ("II.11.20", "II.8.7", "II.15.5", "I.13.12", "II.13.23", "II.21.32", "I.11.19",
             "I.18.4", "I.50.26", "test_15")  # fmt: skip
PACKAGES = {"kanx": "kanx", "operon": "pyoperon", "gplearn": "gplearn", "pykan": "pykan"}
ROWS = 1000
LIBRARY = [
    "x",
    "x^2",
    "x^3",
    "1/x",
    "1/x^2",
    "sqrt",
    "1/sqrt(x)",
    "exp",
    "log",
    "sin",
    "cos",
    "tanh",
]


def fit_pykan(X, y, seed):
    """Return pykan's formula: a [n, 5, 1] network, pruned, every edge named by auto_symbolic."""
    import torch
    from kan import KAN

    folder = tempfile.mkdtemp()
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    inputs, target = (torch.tensor(a, dtype=torch.float32) for a in (scaled, y[:, None] / y.std()))
    data = {"train_input": inputs, "train_label": target,
            "test_input": inputs, "test_label": target}  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model = KAN(width=[X.shape[1], 5, 1], grid=5, k=3, seed=seed, auto_save=False,
                    ckpt_path=folder)  # fmt: skip
        model.fit(data, opt="LBFGS", steps=40, lamb=0.002)
        model = model.prune()
        model.fit(data, opt="LBFGS", steps=40)
        model.auto_symbolic(lib=LIBRARY)
        model.fit(data, opt="LBFGS", steps=40)
        names = [sp.Symbol(f"x{k}") for k in range(X.shape[1])]
        expr = model.symbolic_formula(var=names)[0][0]
    raw = {s: (s - m) / d for s, m, d in zip(names, X.mean(axis=0), X.std(axis=0), strict=True)}
    return sp.sympify(expr).xreplace(raw) * y.std()


def search_pykan(bench, row, noise, seed, out):
    """Search one equation with pykan; write the result."""
    recovery = load_recovery(bench)
    truth, names, X, target, fresh = draw(recovery, row, noise, ROWS, seed)
    start = time.process_time()
    result = {"id": row["id"], "found": False}
    try:
        found = fit_pykan(X, target, seed)
        result["s"] = round(time.process_time() - start, 1)
        symbols = {sp.Symbol(f"x{k}"): sp.Symbol(name) for k, name in enumerate(names)}
        result |= judged(recovery, found.xreplace(symbols), truth, names, fresh)
    except Exception as error:
        result |= {"s": round(time.process_time() - start, 1),
                   "error": f"{type(error).__name__}: {error}"[:200]}  # fmt: skip
    Path(out).write_text(json.dumps(result))


def measure_rivals(options):
    """Run one method on the ten equations, without and with 1 % noise."""
    path = Path(options.results)
    done = {
        (r["name"], r["method"], r["noise"])
        for r in map(json.loads, path.read_text().splitlines() if path.exists() else [])
        if r["kind"] == "rivals"
    }
    rows = {row["id"]: row for row in table_of(options.bench, "feynman")}
    for noise in (0.0, 0.01):
        for name in EQUATIONS:
            if (name, options.method, noise) in done:
                continue
            if options.method == "pykan":
                arguments = (options.bench, rows[name], noise, 0)
                result = in_a_process(search_pykan, arguments, 10 * options.max_time + 60)
            else:
                arguments = (options.bench, "feynman", options.method, rows[name], noise, ROWS,
                             options.max_time, 0)  # fmt: skip
                result = in_a_process(search, arguments, 10 * options.max_time + 60)
            line = {"kind": "rivals", "name": name, "method": options.method, "noise": noise,
                    "seed": 0, "max_time": options.max_time,
                    **(result or {"found": False, "error": "stopped"})}  # fmt: skip
            with open(path, "a") as file:
                file.write(json.dumps(line) + "\n")
            print(line, flush=True)


def rival_lines(results):
    """Return the comparison as Markdown."""
    rows = [r for r in results if r["kind"] == "rivals"]
    if not rows:
        return []
    limits = sorted({r["max_time"] for r in rows})
    lines = [
        "## Beside other searches, on ten Feynman equations",
        "",
        f"Fixed in advance: {', '.join(EQUATIONS)}. {ROWS} rows, at most {limits} s of processor "
        "time each (pykan ends by itself), one thread, one seed. Found: by value after polishing, "
        "as in [recovery.md](recovery.md).",
        "",
        "| method | version | noise | found | of | failed with an error | median s |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, package in PACKAGES.items():
        for noise in (0.0, 0.01):
            members = [r for r in rows if r["method"] == method and r["noise"] == noise]
            if members:
                seconds = [r["s"] for r in members if "s" in r] or [np.nan]
                lines.append(
                    f"| {method} | {_version(package)} | {100 * noise:g} % "
                    f"| {sum(r['found'] for r in members)} | {len(members)} "
                    f"| {sum('error' in r for r in members)} | {np.median(seconds):.1f} |"
                )
    return lines


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
