"""A layer on a GPU beside linear layers: forward and backward pass, CUDA events.

    python benchmarks/layer_gpu.py

Shapes: batch 65536 with 64, 256 and 1024 features, 1000 to 1000 at batch 100, PolyKAN's three,
512 to 512 at batch 2**20, the network [2, 5, 1] at batch 1000 and [784, 256, 10]. Rivals in the
same process, in turn: nn.Linear of equal widths and of equal parameters, the unfused Gaussian
basis in eager mode and compiled. Padé edges (per edge, with shared poles, grouped as in KAT) stand
beside torch.compile of their plain code and nn.Linear; the quotients of a grouped layer by
themselves also as a share of the memory's bandwidth, that of the data sheet and that of a copy.
Between two calls the second-level cache is flushed. The network [2, 5, 1], one and 64 at once,
takes steps of Adam, as usual and as a CUDA graph, beside the perceptron and beside one network
after the other (`layer_gpu_small.py`). Results go to ``benchmarks/results/layer_gpu.json``. With
``--dry-run`` everything runs once at tiny sizes, without a GPU where ``TRITON_INTERPRET=1`` is set,
and nothing is written.
"""

from __future__ import annotations

import argparse
import json

import torch
from gpu_measure import Machine
from layer_gpu_small import small_rows
from layer_measure import UnfusedRadial, count, equal_perceptron, perceptron, stack, step, write

from kanx import KAN
from kanx.kernels import device, verified
from kanx.layers import BSpline
from kanx.layers.denominators import DENOMINATORS
from kanx.layers.polynomials import horner

SHAPES = [
    (65536, [64, 64], 8),
    (65536, [256, 256], 8),
    (65536, [1024, 1024], 8),
    (100, [1000, 1000, 1], 8),
    (128, [40, 256], 8),
    (64, [256, 512], 15),
    (32, [512, 1024], 24),
    (2**20, [512, 512], 8),
    (1000, [2, 5, 1], 8),
    (1024, [784, 256, 10], 8),
]
KAT = {"numerator_degree": 5, "denominator_degree": 4}
SHARED = {**KAT, "edge": "shared_pade"}
GROUPED = {**SHARED, "numerator": "shared", "groups": 8}
# the plain code of Padé edges keeps tensors of size (batch, in, out): smaller batches
PADE = [
    (65536, [64, 64], {"Padé per edge": {**KAT, "edge": "pade"}, "Padé, shared poles": SHARED}),
    (4096, [256, 256], {"Padé per edge": {**KAT, "edge": "pade"}, "Padé, shared poles": SHARED}),
    (65536, [768, 768], {"Padé, grouped": GROUPED}),
]
QUOTIENTS = (65536, 768)  # rows and inputs
PRECISIONS = ("highest", "high", "medium")


def accuracy(precision, machine):
    """Return the largest relative error of a layer's sums against float64."""
    torch.set_float32_matmul_precision(precision)
    width = machine.size(256)
    family = BSpline(width, width, intervals=5).to(machine.device)
    x = torch.rand(machine.size(4096), width, device=machine.device) * 2 - 1
    with torch.no_grad():
        exact = family.expand(x).double().flatten(-2) @ family.coefficients.double().flatten(0, 1)
        return ((family(x).double() - exact).norm() / exact.norm()).item()


def polynomial_models(widths, bases, machine):
    """Return our networks of linear families and their rivals."""
    ours = KAN(widths, edge="spline", intervals=bases - 3)
    # one linear map has no hidden layer to widen: equal parameters by a wider output
    wide = (
        equal_perceptron(widths, count(ours))
        if len(widths) > 2
        else torch.nn.Linear(widths[0], widths[1] * bases)
    )
    unfused = stack(UnfusedRadial, widths, bases)
    models = {
        "kanx spline": ours,
        "kanx polynomial": KAN(widths, edge="slaf", degree=bases - 1),
        "linear, equal widths": perceptron(widths),
        "linear, equal parameters": wide,
        "Gaussian basis": unfused,
    }
    models = {name: model.to(machine.device) for name, model in models.items()}
    return {**models, "Gaussian basis, compiled": machine.compiled(unfused)}


def pade_models(widths, kinds, machine):
    """Return networks of Padé edges, their plain code compiled, and a linear layer."""
    models = {name: KAN(widths, **options).to(machine.device) for name, options in kinds.items()}
    compiled = {f"{name}, compiled": machine.compiled(model) for name, model in models.items()}
    return {**models, **compiled, "linear, equal widths": perceptron(widths).to(machine.device)}


def compared(models, batch, widths, machine):
    """Time forward and backward passes of several networks in turn; one row each."""
    torch.compiler.reset()  # it gives up after a few versions of one class
    x = (torch.rand(batch, widths[0], device=machine.device) * 2 - 1).requires_grad_()
    steps = {name: step(model, x) for name, model in models.items()}
    times = machine.timed(steps)
    first = next(iter(times))
    rows = []
    for name, own in times.items():
        row = {"batch": batch, "widths": str(widths), "network": name, "ms": round(own, 4)}
        ratio = round(times[first] / own, 3)
        rows.append(
            {**row, "first of its kind / this": ratio, "peak MB": machine.peak_mb(steps[name])}
        )
    return rows


def quotients(machine):
    """Return inputs and coefficients of quotients per input."""
    rows, inputs = (machine.size(size) for size in QUOTIENTS)
    degrees = KAT["numerator_degree"] + 1, KAT["denominator_degree"]
    return [torch.randn(size, inputs, device=machine.device) for size in (rows, *degrees)]


def plain_quotient(t, above, below):
    """Evaluate quotients per input in plain tensor code."""
    return horner(above, t)[0] / DENOMINATORS["smooth"].evaluate(below, t)[0]


def quotient_rows(machine):
    """Time quotients per input by themselves, beside the bandwidth of the memory."""
    from triton.testing import get_dram_gbps

    from kanx.kernels import rational

    promised = 1.0 if machine.dry else get_dram_gbps()
    t, above, below = quotients(machine)
    upstream = torch.randn_like(t)
    inputs = [value.requires_grad_() for value in (t, above, below)]
    compiled = machine.compiled(plain_quotient)
    graphs = {"operator": rational.quotient(*inputs), "compiled": compiled(*inputs)}
    target = torch.empty_like(t)

    def backward(y):
        return lambda: torch.autograd.grad(y, inputs, upstream, retain_graph=True)

    @torch.no_grad()
    def copy():
        target.copy_(t)

    functions = {"copy": (copy, 2)}  # with the number of times that an array is read or written
    for name, function in (("operator", rational.quotient), ("compiled", compiled)):
        functions[f"{name}, forward"] = (torch.no_grad()(lambda f=function: f(*inputs)), 2)
        functions[f"{name}, backward"] = (backward(graphs[name]), 3)
    calls = {name: function for name, (function, _) in functions.items()}
    times = machine.timed(calls)
    rates = {
        name: passes * t.numel() * 4 / times[name] / 1e6 for name, (_, passes) in functions.items()
    }
    return [
        {
            "quotients": name,
            "shape": str(tuple(t.shape)),
            "ms": round(times[name], 4),
            "GB/s": round(rate, 1),
            "of the data sheet": round(rate / promised, 3),
            "of a copy": round(rate / rates["copy"], 3),
        }
        for name, rate in rates.items()
    ]


def quotient_accuracy(machine):
    """Return relative errors of quotients and their gradients against float64."""
    from kanx.kernels import rational

    tensors = quotients(machine)
    results = []
    for function, dtype in ((rational.quotient, torch.float32), (plain_quotient, torch.float64)):
        own = [value.to(dtype).requires_grad_() for value in tensors]
        y = function(*own)
        results.append([y, *torch.autograd.grad(y.sum(), own)])
    names = ("value", "by t", "by the numerator", "by the denominator")
    errors = [((a - b).norm() / b.norm()).item() for a, b in zip(*results, strict=True)]
    return dict(zip(names, errors, strict=True))


def layer_rows(machine):
    """Time all layers and larger networks; one row each."""
    rows = []
    for precision in PRECISIONS:
        torch.set_float32_matmul_precision(precision)
        for wanted, shape, bases in SHAPES:
            batch, widths = machine.size(wanted), [machine.size(width) for width in shape]
            models = polynomial_models(widths, bases, machine)
            for row in compared(models, batch, widths, machine):
                rows.append({"precision": precision, "bases": bases, **row})
        for wanted, shape, kinds in PADE:
            batch, widths = machine.size(wanted), [machine.size(width, 8) for width in shape]
            models = pade_models(widths, kinds, machine)
            for row in compared(models, batch, widths, machine):
                rows.append({"precision": precision, "bases": "", **row})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--dry-run", action="store_true", help="run everything once, tiny")
    arguments = parser.parse_args()
    if not arguments.dry_run and not (torch.cuda.is_available() and device.enabled()):
        raise SystemExit("this needs a GPU and triton, and KANX_TRITON not to be off")
    torch.manual_seed(0)
    machine = Machine(arguments.dry_run, arguments.rounds)
    results = {
        "gpu": "none, a dry run" if machine.dry else torch.cuda.get_device_name(),
        "rows": layer_rows(machine),
        "errors": {precision: accuracy(precision, machine) for precision in PRECISIONS},
        "small": small_rows(machine),
        "quotients": quotient_rows(machine),
        "quotient_errors": quotient_accuracy(machine),
        "not used": [str(key) for key, verdict in verified._verdicts.items() if not verdict],
    }
    if machine.dry:
        print(json.dumps(results))
    else:
        write("layer_gpu", results)


if __name__ == "__main__":
    main()
