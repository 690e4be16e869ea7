"""A layer on a GPU beside linear layers: forward and backward pass, CUDA events.

    KANX_TRITON=on python benchmarks/layer_gpu.py

Shapes: batch 65536 with 64, 256 and 1024 features, 1000 to 1000 at batch 100, PolyKAN's three,
512 to 512 at batch 2**20, the network [2, 5, 1] at batch 1000 and [784, 256, 10]. Rivals in the
same process, in turn: nn.Linear of equal widths and of equal parameters, the unfused Gaussian
basis in eager mode and compiled. Between two calls the second-level cache is flushed. Results go
to ``benchmarks/results/layer_gpu.json``.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from layer_measure import UnfusedRadial, count, equal_perceptron, perceptron, stack, step, write

from kanx import KAN
from kanx.kernels import device
from kanx.layers import BSpline

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


def timed(functions, rounds, flush):
    """Return the median milliseconds of every function, measured in turn."""
    times = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(5):
            function()
    for _ in range(rounds):
        for name, function in functions.items():
            flush.zero_()
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            function()
            stop.record()
            torch.cuda.synchronize()
            times[name].append(start.elapsed_time(stop))
    return {name: statistics.median(own) for name, own in times.items()}


def accuracy(precision):
    """Return the largest relative error of a layer's sums against float64."""
    torch.set_float32_matmul_precision(precision)
    family = BSpline(256, 256, intervals=5).cuda()
    x = torch.rand(4096, 256, device="cuda") * 2 - 1
    with torch.no_grad():
        exact = family.expand(x).double().flatten(-2) @ family.coefficients.double().flatten(0, 1)
        return ((family(x).double() - exact).norm() / exact.norm()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args()
    if not torch.cuda.is_available() or not device.enabled():
        raise SystemExit("this needs a GPU, triton and the environment variable KANX_TRITON=on")
    torch.manual_seed(0)
    flush = torch.empty(2**28, dtype=torch.int8, device="cuda")
    rows = []
    for precision in ("highest", "high", "medium"):
        torch.set_float32_matmul_precision(precision)
        for batch, widths, bases in SHAPES:
            ours = KAN(widths, edge="spline", intervals=bases - 3)
            linear = perceptron(widths)
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
                "linear, equal widths": linear,
                "linear, equal parameters": wide,
                "Gaussian basis": unfused,
            }
            models = {name: model.cuda() for name, model in models.items()}
            models["Gaussian basis, compiled"] = torch.compile(unfused)
            x = (torch.rand(batch, widths[0], device="cuda") * 2 - 1).requires_grad_()
            steps = {name: step(model, x) for name, model in models.items()}
            times = timed(steps, arguments.rounds, flush)
            for name, own in times.items():
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                steps[name]()
                peak = (torch.cuda.max_memory_allocated() - before) / 2**20
                rows.append(
                    {
                        "precision": precision,
                        "batch": batch,
                        "widths": str(widths),
                        "bases": bases,
                        "network": name,
                        "ms": round(own, 4),
                        "kanx spline / this": round(times["kanx spline"] / own, 3),
                        "peak MB": round(peak, 1),
                    }
                )
    errors = {precision: accuracy(precision) for precision in ("highest", "high", "medium")}
    name = torch.cuda.get_device_name()
    write("layer_gpu", {"gpu": name, "errors": errors, "rows": rows})


if __name__ == "__main__":
    main()
