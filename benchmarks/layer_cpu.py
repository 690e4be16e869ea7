"""A layer on one CPU core beside its rivals.

    python benchmarks/layer_cpu.py [--rounds 15] [--quick]

All models of a comparison run in one process, one after the other in every round, on one thread;
times are CPU time. Rivals: pykan if it is installed, and textbook designs written out in
`layer_measure`: perceptrons of equal widths and of equal parameters, Gaussian bases and B-splines
on the whole basis. Results go to ``benchmarks/results/layer_cpu.json``; `layer_report.py` draws
the tables from there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from layer_measure import (
    UnfusedRadial,
    UnfusedSpline,
    count,
    equal_perceptron,
    interleaved,
    peak_memory,
    perceptron,
    stack,
    step,
    summary,
    write,
)

from kanx import KAN
from kanx.kernels import spline
from kanx.layers import BSpline

WIDTHS = [64, 64, 64, 1]
SMALL = [2, 5, 1]


def pykan(widths, bases, fast):
    """Build pykan's network, or None where it is not installed."""
    try:
        from kan import KAN as Rival
    except ImportError:
        return None
    model = Rival(width=list(widths), grid=bases - 3, k=3, auto_save=False, seed=0, device="cpu")
    return model.speed() if fast else model


def models(widths, bases):
    """Return the networks of one comparison by name."""
    ours = KAN(widths, edge="spline", intervals=bases - 3, random_state=0)
    return {
        "kanx spline": ours,
        "kanx piecewise linear": KAN(widths, edge="piecewise_linear", control_points=bases),
        "kanx polynomial": KAN(widths, edge="slaf", degree=bases - 1),
        "Gaussian basis, unfused": stack(UnfusedRadial, widths, bases),
        "B-splines, unfused": stack(UnfusedSpline, widths, bases),
        "perceptron, equal widths": perceptron(widths),
        "perceptron, equal parameters": equal_perceptron(widths, count(ours)),
    }


def compare(candidates, x, rounds, memory=True, **turns):
    """Measure networks on the same inputs: times, peak memory and sizes."""
    steps = {name: step(model, x) for name, model in candidates.items()}
    times = interleaved(steps, rounds, **turns)
    rows = {}
    for name, model in candidates.items():
        rows[name] = {"parameters": count(model), **summary(times[name])}
        if memory:
            rows[name]["peak_mb"] = peak_memory(steps[name])
    return rows


def large(batch, bases, rounds):
    """Compare networks with 64 inputs."""
    generator = torch.Generator().manual_seed(0)
    x = 0.5 * torch.randn(batch, WIDTHS[0], generator=generator)
    x.requires_grad_()
    return {
        "widths": WIDTHS,
        "batch": batch,
        "bases": bases,
        "models": compare(models(WIDTHS, bases), x, rounds),
    }


def small(rounds):
    """Compare small networks, pykan's among them."""
    x = torch.rand(1000, SMALL[0], generator=torch.Generator().manual_seed(0)) * 2 - 1
    candidates = models(SMALL, 8)
    fast = pykan(SMALL, 8, fast=True)
    if fast is not None:
        candidates["pykan 0.2.8, speed mode"] = fast
    return {
        "widths": SMALL,
        "batch": 1000,
        "bases": 8,
        "models": compare(candidates, x, rounds, memory=False, repeat=3, settle=1),
    }


def against_default_pykan(rounds):
    """Compare with pykan as it comes, at the large widths."""
    model = pykan(WIDTHS, 8, fast=False)
    if model is None:
        return None
    x = 0.5 * torch.randn(1024, WIDTHS[0], generator=torch.Generator().manual_seed(0))
    candidates = {"kanx spline": KAN(WIDTHS, edge="spline", intervals=5), "pykan 0.2.8": model}
    rows = compare(candidates, x, rounds, memory=False)
    return {"widths": WIDTHS, "batch": 1024, "bases": 8, "models": rows}


def accuracy():
    """Return the errors of one spline layer in float32 against plain tensor code in float64."""
    generator = torch.Generator().manual_seed(0)
    exact = BSpline(64, 64, intervals=5, generator=generator).double()
    single = BSpline(64, 64, intervals=5)
    single.load_stacked(exact.coefficients.detach().float())
    x = 0.5 * torch.randn(1024, 64, generator=generator)
    up = torch.randn(1024, 64, generator=generator)
    errors = {}
    for name in ("fused", "plain"):
        own = x.clone().requires_grad_()
        if name == "fused":
            y = single(own)
        else:
            y = single.expand(own).flatten(-2) @ single.coefficients.flatten(0, 1)
        found = [y, *torch.autograd.grad(y, [own, single.coefficients], up)]
        wide = x.double().requires_grad_()
        z = exact.expand(wide).flatten(-2) @ exact.coefficients.flatten(0, 1)
        wanted = [z, *torch.autograd.grad(z, [wide, exact.coefficients], up.double())]
        errors[name] = {
            label: ((a.double() - b).norm() / b.norm()).item()
            for label, a, b in zip(("value", "by_x", "by_coefficients"), found, wanted, strict=True)
        }
    return errors


def first_step():
    """Return the CPU seconds of a process's first step, the compiler's included."""
    code = (
        "import os, torch; from kanx import KAN; torch.set_num_threads(1);"
        "net = KAN([64, 64, 64, 1], edge='spline'); x = torch.randn(1024, 64);"
        "before = sum(os.times()[:4]); net(x).sum().backward();"  # children are the compiler
        "print(sum(os.times()[:4]) - before)"
    )
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, variables in (
            ("plain tensor code", {"KANX_KERNELS": "off"}),
            ("kernel is compiled", {}),
            ("kernel is in the cache", {}),
        ):
            environment = {**os.environ, "KANX_CACHE": folder, **variables}
            done = subprocess.run(
                [sys.executable, "-c", code],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            found[name] = round(float(done.stdout), 3)
    return found


def import_time():
    """Return the CPU seconds that ``import kanx`` takes, least of five processes."""
    code = (
        "import time, sys; start = time.process_time(); import kanx;"
        "print(time.process_time() - start, 'torch' in sys.modules)"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    pairs = [done.stdout.split() for done in outputs]
    return {"seconds": min(float(t) for t, _ in pairs), "imports_torch": pairs[0][1] == "True"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="batch 1024 only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shapes = [(1024, 8), (1024, 35)]
    if not arguments.quick:
        shapes += [(8192, 8), (8192, 35)]
    results = {
        "compiled_kernel": spline.available(torch.float32, 3),
        "large": [large(batch, bases, arguments.rounds) for batch, bases in shapes],
        "small": small(arguments.rounds * 5),
        "pykan": against_default_pykan(3),
        "accuracy": accuracy(),
        "first_step_cpu_s": first_step(),
        "import": import_time(),
    }
    write("layer_cpu", results)


if __name__ == "__main__":
    main()
