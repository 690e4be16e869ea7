"""Laws from raw rows: toy laws of the KAN papers, examples from physics, FIND, and rivals.

    python benchmarks/laws.py toy --seeds 20
    python benchmarks/laws.py physics --seeds 5
    python benchmarks/laws.py find --seeds 100
    python benchmarks/laws.py --write docs/laws.md

Every run adds lines to ``--results`` and skips what is there already. *Exact* means: with the
floating-point constants of the formula fitted to fresh rows without noise, it agrees with the law
to 1e-7 of its standard deviation on further rows, and is at most twice as complex. Seconds are of
processor time, all on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sympy as sp
from law_cases import PHYSICS, TOYS, boyle, pendulum_field, rows_of, toy
from recovery_report import count_processor_time
from scipy.optimize import least_squares

import kanx
from kanx.explain.complexity import complexity
from kanx.explain.evaluate import evaluate

ROWS = 1000
TOY_NOISES = (0.0, 0.02)
PHYSICS_NOISES = (0.0, 0.05)


def polished_error(expr, names, X, y):
    """Return the error of a formula on half of some clean rows, fitted to the other half."""
    floats = sorted(expr.atoms(sp.Float), key=str)
    symbols = [sp.Symbol(f"\x00{k}") for k in range(len(floats))]
    free = expr.xreplace(dict(zip(floats, symbols, strict=True)))
    spread = y.std() + 1e-300
    halves = (slice(0, None, 2), slice(1, None, 2))

    def residual(point, rows):
        columns = dict(zip(names, X[rows].T, strict=True))
        known = {s.name: np.float64(v) for s, v in zip(symbols, point, strict=True)}
        values = np.broadcast_to(evaluate(free, {**columns, **known}), y[rows].shape)
        return np.nan_to_num((values - y[rows]) / spread, nan=1e6, posinf=1e6, neginf=-1e6)

    point = np.array([float(c) for c in floats])
    errors = [np.sqrt(np.mean(residual(point, halves[1]) ** 2))]
    if len(point):
        fitted = least_squares(
            residual, point, args=(halves[0],), x_scale=np.maximum(np.abs(point), 1e-6),
            xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=200,
        )  # fmt: skip
        errors.append(np.sqrt(np.mean(residual(fitted.x, halves[1]) ** 2)))
    return float(min(errors))


def search(case, noise, seed, max_time, fresh):
    """Search one case; return what came of it."""
    names, X, y, law = case
    rng = np.random.default_rng([seed, 1])
    target = y + noise * y.std() * rng.standard_normal(len(y))
    start = time.process_time()
    model = kanx.SymbolicRegressor(max_time=max_time, random_state=seed).fit(X, target)
    seconds = time.process_time() - start
    known = {sp.Symbol(f"x{k}"): sp.Symbol(name) for k, name in enumerate(names)}
    found = model.formula_.expr.xreplace(known)
    error = polished_error(found, names, *fresh)
    short = complexity(found) <= 2 * complexity(law)
    return {
        "seconds": round(seconds, 2), "formula": str(found)[:200], "error": error,
        "exact": bool(error < 1e-7 and short), "status": model.formula_.status,
    }  # fmt: skip


def toy_runs(seeds):
    """Yield (name, noise, seed, case, fresh rows) of the toy laws."""
    for name in TOYS:
        for noise in TOY_NOISES:
            for seed in range(seeds if noise == 0 else max(1, seeds // 4)):
                yield name, noise, seed, toy(name, ROWS, seed), toy(name, ROWS, 10_000 + seed)[1:3]


def physics_runs(seeds):
    """Yield the same of the examples from physics."""
    for name, (text, ranges) in PHYSICS.items():
        for noise in PHYSICS_NOISES:
            for seed in range(seeds):
                fresh = rows_of(text, ranges, ROWS, 10_000 + seed)[1:3]
                yield name, noise, seed, rows_of(text, ranges, ROWS, seed), fresh
    for seed in range(seeds):
        names, X, y, law = boyle(seed)
        volumes = np.linspace(10.0, 50.0, 200)
        yield "Boyle's law, measured", 0.01, seed, (names, X, y, law), (
            volumes[:, None], 1400.0 / volumes,
        )  # fmt: skip
        for noise in PHYSICS_NOISES:
            case = pendulum_field(seed)
            yield "damped pendulum", noise, seed, case, pendulum_field(10_000 + seed)[1:3]


def measure(kind, options):
    """Run what is not yet in the results."""
    count_processor_time()
    done = {(r["kind"], r["name"], r["noise"], r["seed"]) for r in read(options.results)}
    runs = toy_runs if kind == "toy" else physics_runs
    for name, noise, seed, case, fresh in runs(options.seeds):
        if (kind, name, noise, seed) in done or (options.only and name not in options.only):
            continue
        used = 0.0 if name.startswith("Boyle") else noise
        result = search(case, used, seed, options.max_time, fresh)
        line = {"kind": kind, "name": name, "noise": noise, "seed": seed, **result}
        with open(options.results, "a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


def read(path):
    return [json.loads(line) for line in open(path)] if Path(path).exists() else []


def table(results, kind):
    """Return a Markdown table of one kind."""
    groups = {}
    for r in results:
        if r["kind"] == kind:
            groups.setdefault((r["name"], r["noise"]), []).append(r)
    lines = [
        "| law | noise | exact | median s | longest s | a formula |",
        "|---|---|---|---|---|---|",
    ]
    for (name, noise), members in groups.items():
        exact = [r for r in members if r["exact"]]
        seconds = [r["seconds"] for r in members]
        shown = (exact or members)[0]["formula"][:70].replace("|", "\\|")
        lines.append(
            f"| {name} | {100 * noise:g} % | {len(exact)} of {len(members)} "
            f"| {np.median(seconds):.1f} | {max(seconds):.1f} | `{shown}` |"
        )
    return lines


def report(options):
    """Return everything that was measured as Markdown."""
    from law_find import find_lines
    from law_rivals import rival_lines

    results = read(options.results)
    lines = [
        "# Laws from rows",
        "",
        f"`python benchmarks/laws.py`, {platform.machine()}, {os.cpu_count()} cores shared with "
        f"other work, one thread each; Python {platform.python_version()}, numpy "
        f"{np.__version__}, sympy {sp.__version__}, kanx {kanx.__version__}. {options.note}",
        "",
        "*Exact*: with its constants fitted to fresh clean rows the formula is the law to 1e-7 on "
        "others, and at most twice as complex. Seconds are processor time.",
        "",
        f"## Toy laws of the KAN papers, {ROWS} rows",
        "",
        *table(results, "toy"),
        "",
        f"## Examples from physics, {ROWS} rows (pendulum 400 along one swing, Boyle 25)",
        "",
        *table(results, "physics"),
        "",
        *find_lines(results),
        "",
        *rival_lines(results),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", nargs="?", choices=["toy", "physics", "find", "rivals"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--max-time", type=float, default=30.0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--method", default="kanx", help="of rivals")
    parser.add_argument("--bench", default="../shared/bench", help="folder of recovery.py (rivals)")
    parser.add_argument("--results", default="laws_results.jsonl")
    parser.add_argument("--write")
    parser.add_argument("--note", default="", help="a sentence for the report")
    options = parser.parse_args()
    if options.kind in ("toy", "physics"):
        measure(options.kind, options)
    elif options.kind == "find":
        from law_find import measure_find

        measure_find(options)
    elif options.kind == "rivals":
        from law_rivals import measure_rivals

        measure_rivals(options)
    if options.write:
        Path(options.write).write_text(report(options))


if __name__ == "__main__":
    main()
