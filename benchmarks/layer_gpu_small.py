"""The network [2, 5, 1] on a GPU: one, and many at once. Part of `layer_gpu.py`."""

from __future__ import annotations

import os

import torch
from layer_measure import perceptron
from torch import nn

from kanx import KAN, CapturedStep, Ensemble

WIDTHS, BATCH, MEMBERS = [2, 5, 1], 1000, (1, 64)
EDGES = {"kanx spline": {"edge": "spline", "intervals": 5}, "kanx gp": {"edge": "gp"}}


class Perceptrons(nn.Module):
    """Perceptrons of the same widths as one: products of stacks of matrices."""

    def __init__(self, members):
        super().__init__()
        layers = [module for module in perceptron(WIDTHS) if isinstance(module, nn.Linear)]
        self.weights = nn.ParameterList(
            layer.weight.detach().T.repeat(members, 1, 1) for layer in layers
        )
        self.biases = nn.ParameterList(
            layer.bias.detach().repeat(members, 1, 1) for layer in layers
        )

    def forward(self, x):
        h = x.expand(len(self.weights[0]), -1, -1)
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, nn.functional.silu(h) if depth else h, weight)
        return h


def loss(outputs, y):
    """Return the sum of the members' mean squared errors."""
    return ((outputs - y) ** 2).mean((-1, -2)).sum()


def adam(model):
    """Return the optimiser of a model, one that a graph can hold where there are graphs."""
    on_gpu = next(model.parameters()).is_cuda
    return torch.optim.Adam(model.parameters(), 1e-3, capturable=on_gpu, foreach=True)


def as_usual(model, x, y):
    """Return a function that takes a step of Adam."""
    optimizer = adam(model)

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss(model(x), y).backward()
        optimizer.step()

    return run


def captured(model, x, y):
    """Return a function that takes a step of Adam as a CUDA graph."""
    step = CapturedStep(model, adam(model), loss)
    return lambda: step(x, y)


def without_kernels(function):
    """Return a function that keeps to plain tensor code."""

    def run():
        before = os.environ.get("KANX_TRITON")
        os.environ["KANX_TRITON"] = "off"
        try:
            function()
        finally:
            del os.environ["KANX_TRITON"]
            if before is not None:
                os.environ["KANX_TRITON"] = before

    return run


def in_turn(functions):
    """Return a function that calls several one after the other."""

    def run():
        for function in functions:
            function()

    return run


def networks(options, members):
    """Return networks that differ in their starts."""
    return [KAN(WIDTHS, random_state=seed, **options) for seed in range(members)]


def steps(machine, members):
    """Return the ways of taking one step with every member, by name."""
    x = 2 * torch.rand(machine.size(BATCH), WIDTHS[0], device=machine.device) - 1
    y = (x[:, :1] * x[:, 1:]).sin()
    found = {}
    for name, options in EDGES.items():
        makes = {
            "": as_usual,
            ", CUDA graph": captured,
        }
        for suffix, make in makes.items():
            own = networks(options, members)
            found[f"{name}{suffix}"] = make(_together(own).to(machine.device), x, y)
            plain = make(_together(own).to(machine.device), x, y)
            found[f"{name}, plain code{suffix}"] = without_kernels(plain)
            if members > 1:
                alone = [make(network.to(machine.device), x, y) for network in own]
                found[f"{name}, one after the other{suffix}"] = in_turn(alone)
        model = machine.compiled(_together(networks(options, members)).to(machine.device),
                                 mode="reduce-overhead")  # fmt: skip
        found[f"{name}, torch.compile, reduce-overhead"] = as_usual(model, x, y)
    for suffix, make in (("", as_usual), (", CUDA graph", captured)):
        model = Perceptrons(members).to(machine.device)
        found[f"perceptron, equal widths{suffix}"] = make(model, x, y)
    return found


def small_rows(machine):
    """Time steps of Adam in every way; one row each."""
    rows = []
    for wanted in MEMBERS:
        members = machine.size(wanted)
        torch.compiler.reset()
        times = machine.timed(steps(machine, members))
        first = times["kanx spline, CUDA graph"]
        for name, own in times.items():
            row = {"members": members, "batch": machine.size(BATCH), "step of": name}
            row |= {"ms": round(own, 4), "us a member": round(1e3 * own / members, 2)}
            rows.append({**row, "kanx spline, CUDA graph / this": round(first / own, 3)})
    return rows


def _together(own):
    return own[0] if len(own) == 1 else Ensemble(own)
