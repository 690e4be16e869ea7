"""What the speed benchmarks share: interleaved timing, peak memory, the machine, rivals."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import silu

RESULTS = Path(__file__).parent / "results"


class UnfusedRadial(nn.Module):
    """fast-kan's design: Gaussian basis, one product, SiLU beside it; no layer normalisation."""

    def __init__(self, inputs, outputs, bases):
        super().__init__()
        self.register_buffer("centres", torch.linspace(-2, 2, bases))
        self.width = 4 / (bases - 1)
        self.spline = nn.Linear(inputs * bases, outputs, bias=False)
        self.base = nn.Linear(inputs, outputs)

    def forward(self, x):
        basis = torch.exp(-(((x[..., None] - self.centres) / self.width) ** 2))
        return self.spline(basis.flatten(-2)) + self.base(silu(x))


class UnfusedSpline(nn.Module):
    """efficient-kan's design: Cox-de Boor on the whole basis, one product, SiLU beside it."""

    def __init__(self, inputs, outputs, bases, degree=3):
        super().__init__()
        self.degree = degree
        step = 2 / (bases - degree)
        knots = torch.arange(-degree, bases + 1) * step - 1
        self.register_buffer("knots", knots.expand(inputs, -1).contiguous())
        self.spline = nn.Linear(inputs * bases, outputs, bias=False)
        self.base = nn.Linear(inputs, outputs)

    def forward(self, x):
        u, t = x[..., None], self.knots
        basis = ((u >= t[:, :-1]) & (u < t[:, 1:])).to(x)
        for k in range(1, self.degree + 1):
            left = (u - t[:, : -k - 1]) / (t[:, k:-1] - t[:, : -k - 1]) * basis[..., :-1]
            right = (t[:, k + 1 :] - u) / (t[:, k + 1 :] - t[:, 1:-k]) * basis[..., 1:]
            basis = left + right
        return self.spline(basis.flatten(-2)) + self.base(silu(x))


def stack(layer, widths, *arguments):
    """Build a network of layers of one kind."""
    return nn.Sequential(*(layer(a, b, *arguments) for a, b in itertools.pairwise(widths)))


def perceptron(widths):
    """Build a multilayer perceptron with SiLU between its layers."""
    layers = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def count(model):
    """Return the number of trained numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def equal_perceptron(widths, parameters):
    """Build the perceptron whose hidden layers are wide enough for about as many parameters."""
    hidden = len(widths) - 2
    width = 1
    while True:
        model = perceptron([widths[0], *[width] * hidden, widths[-1]])
        if count(model) >= parameters:
            return model
        width += 1


def step(model, x):
    """Return a function that does a forward and a backward pass."""

    def run():
        model.zero_grad(set_to_none=True)
        model(x).sum().backward()

    return run


def interleaved(functions, rounds, warm=2, repeat=1, settle=0):
    """Time functions in turn: per function the CPU seconds of every round.

    ``settle`` calls that are not timed come before every turn: a call of microseconds would else
    pay for the caches that the function before it left behind.
    """
    times = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(warm):
            function()
    for _ in range(rounds):
        for name, function in functions.items():
            for _ in range(settle):
                function()
            start = time.process_time()
            for _ in range(repeat):
                function()
            times[name].append((time.process_time() - start) / repeat)
    return times


def summary(times, digits=4):
    """Return the median and the smallest time in milliseconds."""
    return {
        "median_ms": round(1e3 * statistics.median(times), digits),
        "least_ms": round(1e3 * min(times), digits),
    }


def peak_memory(function):
    """Return by how much the resident memory grows during a call at most, in MB (Linux)."""
    function()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    function()
    return round((_status("VmHWM") - before) / 1024, 1)


def _status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def write(name, results):
    """Write results with the machine and the versions they were measured on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    machine = {
        "processor": cpu,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine, **results}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)
