"""How often is the true law found, beside Operon and gplearn? Writes docs/recovery.md.

    python benchmarks/recovery_report.py BENCH --run --noise 0 0.01 0.1 --every 4
    python benchmarks/recovery_report.py BENCH --run --method operon --every 10
    python benchmarks/recovery_report.py BENCH --write docs/recovery.md

BENCH is the folder with recovery.py, whose rule decides, and its tables. Every run adds lines to
``--results`` and skips what is there already, so a long table can be measured in pieces. Each
equation is searched in a process of its own, on one thread; imports are not counted. The second
rule is SRBench's: after rounding to three decimals and sympy.simplify, the difference from the
truth is a constant or the ratio is one.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib.util
import json
import multiprocessing
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sympy as sp

OPERON_SYMBOLS = "add,sub,mul,div,exp,log,sin,cos,sqrt,square,constant,variable"
GPLEARN_FUNCTIONS = ("add", "sub", "mul", "div", "sqrt", "log", "sin", "cos", "neg", "inv")
SRBENCH_SECONDS = 30.0
LIMITS = (
    "A rate from n equations has a standard error of about 100 sqrt(p (1 - p) / n) %: 15 points at "
    "ten equations. Of forms that noisy data cannot tell apart the shortest is chosen, which is "
    "not always the law: at 10 % noise `rho/cos(v/c)` fits as well as `rho/sqrt(1 - v**2/c**2)`."
)


def load_recovery(bench):
    spec = importlib.util.spec_from_file_location("recovery", Path(bench) / "recovery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_of(bench, name):
    """Return the equations of a table in the columns that recovery.py reads."""
    with open(Path(bench) / f"{name}.csv") as file:
        rows = list(csv.DictReader(file))
    for position, row in enumerate(rows):
        row["half"] = "even" if position % 2 == 0 else "odd"
        if name == "strogatz":
            row["variables"], row["half"] = row["data_range"], "all"
        if name == "nguyen":
            low, high, _ = json.loads(row["train"].removeprefix("all:U:"))
            count = int(row["variables"])
            row["variables"] = ";".join(f"x{k + 1}:{low}:{high}" for k in range(count))
            row |= {"id": row["name"], "formula": row["sympy"], "half": "all"}
    return rows


def use_measured_rows(recovery, bench, equation):
    """Replace the sampling of a Strogatz equation by its published trajectory."""
    path = Path(bench) / "strogatz_data" / f"d_{equation.removeprefix('strogatz_')}.txt"
    data = np.loadtxt(path, delimiter=",", skiprows=1)
    recovery.sample = lambda *_: (data[:, 1:], data[:, 0])


def count_processor_time():
    """Let ``max_time`` count processor seconds: on a shared machine wall clock measures others."""
    from kanx.discovery import task

    task.Deadline = functools.partial(task.Deadline, clock=time.process_time)


def fit_rival(method, X, y, max_time, seed):
    """Return the formula of a rival as sympy text in x0, x1, ..."""
    if method == "operon":
        from pyoperon.sklearn import SymbolicRegressor

        model = SymbolicRegressor(
            allowed_symbols=OPERON_SYMBOLS, population_size=1000, max_length=50,
            optimizer_iterations=10, max_time=int(max_time), n_threads=1, generations=10**6,
            max_evaluations=10**9, random_state=seed,
        ).fit(X, y)  # fmt: skip
        least = min(member["mean_squared_error"] for member in model.pareto_front_)
        near = [m for m in model.pareto_front_ if m["mean_squared_error"] <= 1.5 * least]
        chosen = min(near, key=lambda member: member["complexity"])
        names = [f"x{k}" for k in range(X.shape[1])]
        return model.get_model_string(chosen["tree"], 16, names).replace("^", "**")
    from gplearn.genetic import SymbolicRegressor

    start, model = time.process_time(), None
    generations = 0
    while time.process_time() - start < max_time:
        generations += 5
        if model is None:
            model = SymbolicRegressor(
                population_size=1000, generations=5, function_set=GPLEARN_FUNCTIONS,
                parsimony_coefficient=1e-3, warm_start=True, random_state=seed,
            )  # fmt: skip
        model.set_params(generations=generations).fit(X, y)
    return str(model._program)


def expression(text, names):
    """Return a rival's formula in the names of the table."""
    words = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b, "neg": lambda a: -a, "inv": lambda a: 1 / a,
        "square": lambda a: a**2,
    }  # fmt: skip
    words |= {f"{x}{k}": sp.Symbol(name) for k, name in enumerate(names) for x in "xX"}
    return sp.sympify(text, locals=words)


def draw(recovery, row, noise, rows, seed):
    """Draw rows of an equation as ``recovery.one`` does: law, names, rows, clean new rows."""
    truth, names, low, high = recovery.truth_of(row)
    rng = np.random.default_rng([seed, sum(map(ord, row["id"]))])
    X, y = recovery.sample(truth, names, low, high, rows, rng)
    fresh = recovery.sample(truth, names, low, high, 1000, rng)
    target = y + noise * np.sqrt(np.mean(y**2)) * rng.standard_normal(len(y))
    return truth, names, X, target, fresh


def judged(recovery, found, truth, names, fresh):
    """Judge an expression by recovery.py's rule: exact once polished, and not much longer."""
    operations, allowed = int(sp.count_ops(found)), int(sp.count_ops(truth))
    before, after = recovery.polish(found, names, *fresh)
    short = operations <= max(2 * allowed, allowed + 6)
    return {
        "formula": str(found)[:200], "ops": operations, "true_ops": allowed, "as_is": before,
        "polished": after, "found": bool(after < 1e-7 and short),
    }  # fmt: skip


def search_with_rival(recovery, method, row, noise, rows, max_time, seed):
    """Do for a rival what ``recovery.one`` does for kanx."""
    truth, names, X, target, fresh = draw(recovery, row, noise, rows, seed)
    start = time.process_time()
    found = expression(fit_rival(method, X, target, max_time, seed), names)
    seconds = time.process_time() - start
    verdict = judged(recovery, found, truth, names, fresh)
    return {"id": row["id"], "s": round(seconds, 1), **verdict}


def search(bench, table, method, row, noise, rows, max_time, seed, out):
    """Search one equation and write the result; runs in a process of its own."""
    recovery = load_recovery(bench)
    if table == "strogatz":
        use_measured_rows(recovery, bench, row["id"])
    if method == "kanx":
        count_processor_time()
        recovery.one(row, noise, rows, max_time, seed, out)
        return
    try:
        result = search_with_rival(recovery, method, row, noise, rows, max_time, seed)
    except Exception as error:
        result = {
            "id": row["id"],
            "found": False,
            "error": f"{type(error).__name__}: {error}"[:200],
        }
    Path(out).write_text(json.dumps(result))


def srbench_rule(bench, row, formula, out):
    """Write whether a formula solves the equation by SRBench's rule."""
    truth, names, _, _ = load_recovery(bench).truth_of(row)
    found = sp.sympify(formula, locals={name: sp.Symbol(name) for name in names})
    rounded = found.xreplace({c: sp.Float(round(float(c), 3)) for c in found.atoms(sp.Float)})
    model = sp.simplify(rounded, ratio=1)
    is_solved = not model.is_number and bool(
        sp.simplify(model - truth).is_number or sp.simplify(model / truth).is_number
    )
    Path(out).write_text(json.dumps({"srbench": is_solved}))


def in_a_process(function, arguments, seconds):
    """Return what a function wrote to a JSON file, or nothing if it ran too long."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "result.json")
        process = multiprocessing.get_context("fork").Process(
            target=function, args=(*arguments, out)
        )
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
        return json.loads(Path(out).read_text()) if Path(out).exists() else {}


def measure(options):
    import pandas  # noqa: F401  (imported before the fork, so that no search pays for it)

    import kanx.discovery.engine
    import kanx.discovery.report
    import kanx.symbolic_regressor  # noqa: F401

    rows = table_of(options.bench, options.table)
    done = {key(r) for r in read(options.results)}
    for noise in options.noise:
        for row in rows[options.first :: options.every]:
            label = {
                "table": options.table, "method": options.method, "noise": noise,
                "seed": options.seed, "id": row["id"], "half": row["half"],
                "max_time": options.max_time,
            }  # fmt: skip
            if key(label) in done:
                continue
            count = 20 if options.table == "nguyen" else options.rows
            arguments = (options.bench, options.table, options.method, row, noise, count,
                         options.max_time, options.seed)  # fmt: skip
            result = in_a_process(search, arguments, 20 * options.max_time + 60)
            result = result or {"found": False, "error": "stopped"}
            formula = result.get("formula", "")
            if 0 < len(formula) < 200:
                arguments = (options.bench, row, formula)
                result |= in_a_process(srbench_rule, arguments, SRBENCH_SECONDS)
            with open(options.results, "a") as file:
                file.write(json.dumps(label | result) + "\n")
            print("found" if result["found"] else "     ", label["id"], noise, result, flush=True)


def key(result):
    return tuple(result[name] for name in ("table", "method", "noise", "seed", "id"))


def read(path):
    return [json.loads(line) for line in open(path)] if Path(path).exists() else []


def report(results, options):
    """Return the table as Markdown."""
    groups = {}
    for r in results:
        groups.setdefault((r["table"], r["half"], r["method"], r["noise"]), []).append(r)
    lines = [
        "# How often the law is found",
        "",
        f"`python benchmarks/recovery_report.py`, {platform.machine()}, one thread, "
        f"`max_time` {sorted({r['max_time'] for r in results})} s of processor time, "
        f"seeds {sorted({r['seed'] for r in results})}; 2000 rows (Nguyen 20, Strogatz "
        "the 400 published ones). *Equations* says how many were run: the first ones or every n-th "
        "of the table, not chosen by result. The table of elementary functions was chosen on the "
        "even rows of feynman.csv; the odd rows are the test.",
        "",
        "| table | rows | method | noise | equations | found | rate | SRBench rule "
        "| median CPU s | 90 % CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (table, half, method, noise), members in sorted(groups.items()):
        found = sum(r["found"] for r in members)
        solved = sum(r.get("srbench", False) for r in members)
        seconds = [r["s"] for r in members if "s" in r]
        middle, high = np.quantile(seconds, [0.5, 0.9]) if seconds else (np.nan, np.nan)
        lines.append(
            f"| {table} | {half} | {method} | {noise:g} | {len(members)} | {found} "
            f"| {100 * found / len(members):.0f} % | {solved} | {middle:.1f} | {high:.1f} |"
        )
    lines += ["", LIMITS, *([options.note] if options.note else [])]
    failures = [r for r in results if not r["found"] and r["method"] == "kanx"]
    if failures:
        lines += ["", "Not found by kanx:", "", "| equation | noise | formula or error |",
                  "|---|---|---|"]  # fmt: skip
        for r in failures:
            text = (r.get("formula") or r.get("error", "")).replace("|", "\\|")
            lines.append(f"| {r['id']} | {r['noise']:g} | `{text[:120]}` |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("bench")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--write")
    parser.add_argument("--note", default="", help="a sentence for the report")
    parser.add_argument("--results", default="recovery_results.jsonl")
    parser.add_argument("--table", default="feynman", choices=["feynman", "strogatz", "nguyen"])
    parser.add_argument("--method", default="kanx", choices=["kanx", "operon", "gplearn"])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--max-time", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.run:
        measure(options)
    if options.write:
        Path(options.write).write_text(report(read(options.results), options))


if __name__ == "__main__":
    main()
