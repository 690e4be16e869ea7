"""One Levenberg-Marquardt iteration: 1892 parameters, 10 000 rows, one core.

    python benchmarks/training_core.py [--rounds 5]

The rival is the textbook way in the same process: the whole Jacobian by einsum, then ``J'J``.
Times are CPU time; results go to ``benchmarks/results/training_core.json``.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from layer_measure import interleaved, summary, write

from kanx import KAN
from kanx.training.coordinates import Coordinates
from kanx.training.levenberg_marquardt import solve_damped
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian
from kanx.training.normal_equations import assemble

ROWS = 10_000


def compensated(jacobian, rows=50):
    """Return ``J'J`` with what every addition of a block of rows rounds off carried along."""
    total = torch.zeros(jacobian.shape[1], jacobian.shape[1], dtype=jacobian.dtype)
    lost = torch.zeros_like(total)
    for block in jacobian.split(rows):
        own = block.T @ block - lost
        grown = total + own
        lost = (grown - total) - own
        total = grown
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    network = KAN([5, 31, 1], edge="gp", random_state=0).double()
    coordinates = Coordinates(network)
    x = 2 * torch.rand(ROWS, 5, generator=generator, dtype=torch.float64) - 1
    y = torch.randn(ROWS, 1, generator=generator, dtype=torch.float64)
    w = coordinates.read()
    coordinates.write(w)
    linearisation = Linearisation(coordinates, x)
    loss = Gaussian(torch.ones(1, dtype=torch.float64))
    weight = torch.ones(ROWS, dtype=torch.float64)
    living = torch.ones(coordinates.size, dtype=torch.bool)

    first, second = network.layers

    def einsum():
        with torch.no_grad():
            inner = first.bundles[0].expand(x)
            h = first(x)
            outer = second.bundles[0].expand(h)
            slopes = second.slopes(h)[..., 0]
            columns = [
                torch.einsum("bgi,bo->bgio", inner, slopes).flatten(1),
                outer.flatten(1),
                slopes,
                torch.ones(ROWS, 1, dtype=torch.float64),
            ]
            jacobian = torch.cat(columns, 1)
            residual = second(h) - y
            return jacobian.T @ jacobian, jacobian.T @ residual

    def structured():
        return assemble(linearisation, loss, w, y, weight, living)

    equations = structured()
    system = equations.curvature + torch.eye(coordinates.size, dtype=torch.float64)
    times = interleaved(
        {
            "einsum and J'J": einsum,
            "kanx": structured,
            "solve": lambda: solve_damped(system, -equations.gradient, 1e-3),
            "trial step": lambda: linearisation.outputs(w),
        },
        arguments.rounds,
        warm=1,
    )
    jacobian = linearisation.jacobian(w)[1].flatten(0, 1)
    exact = compensated(jacobian)
    errors = {
        name: ((found - exact).abs().max() / exact.abs().max()).item()
        for name, found in (("product", jacobian.T @ jacobian), ("kanx", equations.curvature))
    }
    write(
        "training_core",
        {
            "parameters": coordinates.size,
            "rows": ROWS,
            "times": {name: summary(own) for name, own in times.items()},
            "largest_relative_error": errors,
        },
    )


if __name__ == "__main__":
    main()
