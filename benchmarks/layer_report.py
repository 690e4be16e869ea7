"""Draw docs/speed.md from the results of the speed benchmarks.

    python benchmarks/layer_report.py

Reads ``benchmarks/results/layer_cpu.json`` and ``training_core.json``, and ``layer_gpu.json``
where it exists.
"""

from __future__ import annotations

import json
from pathlib import Path

from layer_measure import RESULTS

DOCUMENT = Path(__file__).parents[1] / "docs" / "speed.md"
OURS = "kanx spline"


def table(head, rows):
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def records(rows):
    """Return rows that are dictionaries with the same keys as a Markdown table."""
    return table(list(rows[0]), [list(row.values()) for row in rows])


def ratio(ours, other):
    """Return how many times as long as the other ours takes."""
    return f"{ours / other:.3g}"


def comparison(result):
    """Return one comparison as a table."""
    models = result["models"]
    ours = models[OURS]
    memory = "peak_mb" in ours
    rows = []
    for name, model in models.items():
        row = [name, model["parameters"], f"{model['median_ms']:.4g}", f"{model['least_ms']:.4g}"]
        row.append(ratio(ours["median_ms"], model["median_ms"]))
        if memory:
            row.append(model["peak_mb"])
        rows.append(row)
    head = ["network", "parameters", "median, ms", "least, ms", "kanx spline / this"]
    title = f"`{result['widths']}`, batch {result['batch']}, {result['bases']} bases"
    return f"**{title}**\n\n" + table([*head, "peak memory, MB"] if memory else head, rows)


def machine(result):
    """Describe where something was measured."""
    own = result["machine"]
    return (
        f"{own['processor']} ({own['instructions']}), {own['threads']} thread, load {own['load']}, "
        f"Python {own['python']}, torch {own['torch']}"
    )


def layers():
    """Return the section on a layer on a CPU."""
    result = json.loads((RESULTS / "layer_cpu.json").read_text())
    parts = [
        "## A layer on a CPU",
        "Forward and backward pass in float32, CPU time; all networks of a table in one process, "
        "in turn in every round; at `[2, 5, 1]` each turn starts with a step that is not timed. "
        "Layers of splines run in one call (`kanx/kernels/chain.py`). The Gaussian basis is "
        "fast-kan's design without its layer normalisation and the B-splines are "
        "efficient-kan's, both written out in `benchmarks/layer_measure.py`. "
        "Peak memory is what a step adds at most to the resident "
        f"memory. Measured on {machine(result)}.",
        *(comparison(own) for own in [*result["large"], result["small"]]),
    ]
    if result["pykan"]:
        parts.append(comparison(result["pykan"]))
    kinds = ("value", "by_x", "by_coefficients")
    errors = [
        [name, *(f"{own[kind]:.1e}" for kind in kinds)] for name, own in result["accuracy"].items()
    ]
    head = ["float32, layer 64 to 64", "value", "derivative by x", "by the coefficients"]
    parts += ["Relative errors against plain tensor code in float64:", table(head, errors)]
    first = [[name, f"{seconds:.3g}"] for name, seconds in result["first_step_cpu_s"].items()]
    parts += [
        "The first step of a process in CPU seconds, the compiler's included; a kernel is compiled "
        "once per machine:",
        table(["first step of `[64, 64, 64, 1]`", "CPU seconds"], first),
        f"`import kanx` takes {result['import']['seconds']:.3f} s of CPU time and "
        f"{'imports' if result['import']['imports_torch'] else 'does not import'} torch.",
    ]
    return parts


def training():
    """Return the section on the training core."""
    result = json.loads((RESULTS / "training_core.json").read_text())
    times = result["times"]
    rows = [
        [name, f"{own['median_ms']:.4g}", f"{own['least_ms']:.4g}"] for name, own in times.items()
    ]
    share = ratio(times["kanx"]["median_ms"], times["einsum and J'J"]["median_ms"])
    errors = result["largest_relative_error"]
    return [
        "## One Levenberg-Marquardt iteration",
        f"{result['parameters']} parameters, {result['rows']} rows, float64, CPU time. The columns "
        "of a layer's Jacobian are products of features and upstream derivatives, so its part of "
        "`J'J` is one product of pairs of each, with a quarter of the multiplications "
        "(`kanx/training/gram.py`). A compiled matrix product multiplies the pairs where it packs "
        f"its panels (`kanx/kernels/products.cpp`). Ours takes {share} of the textbook's time. The "
        f"largest error is {errors['kanx']:.0e} of the largest entry, that of a plain product of "
        f"the same Jacobian {errors['product']:.0e}. Measured on "
        f"{machine(result)}.",
        table(["part", "median, ms", "least, ms"], rows),
    ]


def graphics():
    """Return the section on a GPU."""
    path = RESULTS / "layer_gpu.json"
    if not path.exists():
        return [
            "## A layer on a GPU",
            "Not measured: no GPU was at hand. `python benchmarks/layer_gpu.py` is ready to run; "
            "with `--dry-run` a test runs it at tiny sizes, without a GPU. It times the fused "
            "splines and polynomials (`kanx/kernels/tiles.py`) beside linear layers and the "
            "Gaussian basis; Padé edges, one quotient per edge, with shared poles, and grouped as"
            " in KAT (`kanx/kernels/rational_tiles.py`), beside torch.compile of their plain "
            "code; and the quotients of a grouped layer by themselves, as a share of the memory's"
            " bandwidth. The network `[2, 5, 1]`, one and 64 at once by one kernel "
            "(`kanx/kernels/network_tiles.py`), takes steps of Adam, as usual and as a CUDA "
            "graph, beside the perceptron, torch.compile and one network after the other. All "
            "kernels are tested against float64 by Triton's interpreter, and compiled for Hopper "
            "without spills; on a GPU each is compared with plain tensor code before it is used.",
        ]
    result = json.loads(path.read_text())
    errors = ", ".join(f"{name} {own:.1e}" for name, own in result["quotient_errors"].items())
    return [
        "## A layer on a GPU",
        f"Measured on {result['gpu']}, torch {result['machine']['torch']}.",
        records(result["rows"]),
        "Quotients of a grouped Padé layer by themselves, in float32; relative errors of the "
        f"operator against float64: {errors}.",
        records(result["quotients"]),
        "One step of Adam with every member of `[2, 5, 1]`, all members sharing the rows.",
        records(result["small"]),
        f"Kernels that failed their trial and were not used: {len(result['not used'])}.",
    ]


def main():
    text = "# Speed\n\nDrawn by `benchmarks/layer_report.py` from `benchmarks/results/`.\n\n"
    DOCUMENT.write_text(text + "\n\n".join([*layers(), *training(), *graphics()]) + "\n")
    print(f"wrote {DOCUMENT}")


if __name__ == "__main__":
    main()
