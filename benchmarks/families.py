#!/usr/bin/env python
"""How well, how stably and at what cost does each edge family draw a curve?

    python benchmarks/families.py [--write docs/families.md]

Ten functions on [-1, 1], sampled without noise at 400 even places, are fitted by `refit` in double
precision with about 6, 12 and 24 parameters; the error is the root mean square at 3999 places
between, divided by the function's standard deviation. Conditioning is that of the derivative by
the parameters at 1000 even places, at the start. Cost is the CPU time of forward and backward of a
layer of 16 x 16 edges on 1024 rows, one thread, single precision, with about 12 parameters an edge,
per edge and relative to an equally large `torch.nn.Linear`.

With ``--write`` the tables replace the block between the two marker lines of that file.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import sympy
import torch
from scipy.special import j0

from kanx.layers import FAMILIES, KANLayer

TARGETS = {
    "line": lambda x: 1 + 2 * x,
    "exp(1.5x)": lambda x: np.exp(1.5 * x),
    "sin(3x)": lambda x: np.sin(3 * x),
    "tanh(8x)": lambda x: np.tanh(8 * x),
    "sqrt(x+1)": lambda x: np.sqrt(x + 1),
    "abs(x-0.2)": lambda x: np.abs(x - 0.2),
    "step": lambda x: np.sign(x - 0.1),
    "sin(12x)": lambda x: np.sin(12 * x),
    "J0(20x)": lambda x: j0(20 * x),
    "1/(1+25x²)": lambda x: 1 / (1 + 25 * x**2),
}
# label: (family, options for about p parameters)
CANDIDATES = {
    "gp, ℓ = 1.5": ("gp", lambda p: {"control_points": p}),
    "gp, ℓ = 2.5": ("gp", lambda p: {"control_points": p, "length_scale": 2.5}),
    "spline": ("spline", lambda p: {"intervals": p - 3}),
    "piecewise_linear": ("piecewise_linear", lambda p: {"control_points": p}),
    "slaf (Legendre)": ("slaf", lambda p: {"degree": p - 1}),
    "slaf (powers)": ("slaf", lambda p: {"degree": p - 1, "basis": "powers"}),
    "pade": ("pade", lambda p: {"numerator_degree": p // 2, "denominator_degree": p - p // 2 - 1}),
    "rbf": ("rbf", lambda p: {"centres": p - 2}),
    "fourier": ("fourier", lambda p: {"harmonics": (p - 2) // 2}),
    "fourier (SLAF's)": ("fourier", lambda p: {"harmonics": (p - 2) // 2, "variant": "slaf"}),
    "wavelet": ("wavelet", lambda p: {"terms": max((p - 2) // 3, 1)}),
    "cauchy": ("cauchy", lambda p: {"terms": max((p - 2) // 4, 1)}),
}
SIZES = (6, 12, 24)
BEGIN, END = "<!-- measured by benchmarks/families.py -->", "<!-- end of the measured part -->"


def build(label, parameters, shape=(1, 1)):
    name, options = CANDIDATES[label]
    generator = torch.Generator().manual_seed(0)
    return FAMILIES[name](*shape, generator=generator, **options(parameters))


def error(label, parameters, function):
    """Return the relative error of a fit and the number of parameters it used."""
    family = build(label, parameters).double()
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    family.refit(x, torch.from_numpy(function(x.numpy()))[..., None])
    fine = torch.linspace(-1, 1, 4001, dtype=torch.float64)[1:-1, None]
    truth = function(fine.numpy())
    with torch.no_grad():
        values = family(fine).numpy()
    return np.sqrt(((values - truth) ** 2).mean()) / truth.std(), family.parameters_per_edge


def condition(label, parameters):
    family = build(label, parameters).double()
    x = torch.linspace(-1, 1, 1000, dtype=torch.float64)[:, None]
    rows = family.gradients(x).detach()[:, :, 0, 0]
    return torch.linalg.cond(rows).item()


def seconds(module, repeats=7):
    x = 2 * torch.rand(1024, 16, generator=torch.Generator().manual_seed(0)) - 1
    x.requires_grad_()
    times = []
    for _ in range(repeats + 2):
        start = time.process_time()
        for _ in range(5):
            module(x).sum().backward()
        times.append(time.process_time() - start)
    return min(times[2:])


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(["---"] * len(header)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def accuracy_tables():
    for size in SIZES:
        rows = []
        for label in CANDIDATES:
            results = [error(label, size, f) for f in TARGETS.values()]
            rows.append([label, str(results[0][1]), *(f"{e:.0e}" for e, _ in results)])
        best = np.argmin([[float(v) for v in row[2:]] for row in rows], axis=0)
        for column, row in enumerate(best, 2):
            rows[row][column] = f"**{rows[row][column]}**"
        yield f"### About {size} parameters\n\n" + table(["family", "p", *TARGETS], rows)


def property_table():
    linear = seconds(torch.nn.Linear(16, 16))
    symbol = sympy.Symbol("x", real=True)
    rows = []
    for label, (name, options) in CANDIDATES.items():
        layer = KANLayer(16, 16, name, **options(12))
        family = build(label, 12)
        exact = family.sympy((0, 0), symbol) is not None
        conditions = [f"{condition(label, p):.0e}" for p in SIZES]
        cost = f"{seconds(layer) / linear:.0f}"
        rows.append([label, *conditions, cost, "yes" if exact else "no"])
    header = ["family", *(f"condition, {p}" for p in SIZES), "cost", "exact formula"]
    return "### Conditioning, cost and formula\n\n" + table(header, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = "\n\n".join([*accuracy_tables(), property_table()])
    print(text)
    if options.write:
        page = options.write.read_text()
        head, rest = page.split(BEGIN)
        options.write.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
