#!/usr/bin/env python
"""How often is a learned curve given the right name?

    python benchmarks/edge_families.py [--edges 300] [--seed 0] [--rival-edges 36]

Twelve families with random parameters on random intervals, 200 rows, noise from 0 to 5 % of the
standard deviation. The curve is a cubic spline with 5 or 10 intervals fitted to the rows by least
squares; ``kanx.explain.fitting.fit_edge`` sees only the spline, its basis and its standard
deviation as estimated from the residuals, and may answer with any function of the table. A second
table gives it the rows themselves. The family is right if the best fit is the true one, or the
same curve under another name (sigmoid and tanh).

With ``--rival-edges`` and pykan installed, its rule for edges (``fit_params`` and the score of
``suggest_symbolic``, with its default weight of simplicity 0.8 and with 0) chooses among the
twelve true families only, on the same curves moved to [-1, 1].
"""

import argparse
import time
from collections import Counter

import numpy as np
from scipy.interpolate import BSpline

from kanx.explain.fitting import fit_edge

ROWS = 200
NOISES = (0.0, 1e-3, 1e-2, 5e-2)


def shifted(function, low, high):
    """Return a sampler of ``function(u)`` where u runs from about ``low`` to about ``high``."""

    def sample(rng, t):  # t in [0, 1]
        a, b = rng.uniform(*low), rng.uniform(*high)
        return function(a + (b - a) * (t if rng.random() < 0.5 else 1 - t))

    return sample


# name -> sampler of values at t in [0, 1]; the ranges keep each family in its characteristic part
FAMILIES = {
    "identity": shifted(lambda u: u, (-1, 0), (0.5, 1)),
    "square": shifted(np.square, (-1.2, -0.3), (0.8, 1.2)),
    "cube": shifted(lambda u: u**3, (-1.2, -0.6), (0.8, 1.2)),
    "reciprocal": shifted(lambda u: 1 / u, (0.15, 0.4), (1.5, 4)),
    "sqrt": shifted(np.sqrt, (0.005, 0.05), (1, 3)),
    "exp": shifted(np.exp, (-3, -1), (0.5, 2)),
    "log": shifted(np.log, (0.03, 0.2), (2, 4)),
    "sin": shifted(np.sin, (-3, 0), (4, 12)),
    "abs": shifted(np.abs, (-1.5, -0.6), (0.6, 1.5)),
    "tanh": shifted(np.tanh, (-4, -1.8), (1.8, 4)),
    "gaussian": shifted(lambda u: np.exp(-(u**2)), (-2.5, -1.4), (1.4, 2.5)),
    "atan": shifted(np.arctan, (-8, -4), (4, 8)),
}
SAME = {"sigmoid": "tanh"}


def cubic_basis(x, intervals):
    """Return the cubic B-splines on equal intervals of the data's range, (n, intervals + 3)."""
    step = (x.max() - x.min()) / intervals
    knots = x.min() + step * np.arange(-3, intervals + 4)
    return BSpline.design_matrix(np.clip(x, x.min(), x.max() - 1e-12 * step), knots, 3).toarray()


def draw(rng, family, noise):
    """Return the rows (x, y) of one random edge."""
    t = np.sort(rng.random(ROWS))
    y = FAMILIES[family](rng, t)
    y = y * rng.choice([-1, 1]) * np.exp(rng.uniform(-2, 2)) + rng.normal()
    y = y + noise * y.std() * rng.standard_normal(ROWS)
    width, low = np.exp(rng.uniform(-1.5, 1.5)), rng.uniform(-2, 2)
    return low + width * t, y


def spline_edge(x, y, intervals):
    """Return values, standard deviation and basis of the least-squares spline."""
    basis = cubic_basis(x, intervals)
    values = basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    size = basis.shape[1]
    variance = np.sum((y - values) ** 2) / (len(y) - size)
    leverage = np.einsum("np,pn->n", basis, np.linalg.pinv(basis))
    return values, np.sqrt(variance * leverage), basis


PYKAN = {
    "identity": "x",
    "square": "x^2",
    "cube": "x^3",
    "reciprocal": "1/x",
    "atan": "arctan",
}  # our names of pykan's functions, where they differ


def pykan_choices(x, y):
    """Return the families that pykan chooses with weights 0.8 and 0."""
    import torch
    from kan.utils import SYMBOLIC_LIB, fit_params

    t = torch.tensor(2 * (x - x.min()) / (x.max() - x.min()) - 1, dtype=torch.float32)
    values = torch.tensor(y, dtype=torch.float32)
    scores = {}
    for family in FAMILIES:
        function, _, complexity, _ = SYMBOLIC_LIB[PYKAN.get(family, family)]
        try:
            _, r2 = fit_params(t, values, function, verbose=False)
        except UnboundLocalError:  # its least squares failed and was passed over
            continue
        misfit = np.log2(1 + 1e-5 - float(r2))
        scores[family] = [weight * complexity + (1 - weight) * misfit for weight in (0.8, 0.0)]
    return [min(scores, key=lambda family: scores[family][k]) for k in (0, 1)]


def rival(names, seed, edges, noise, intervals):
    """Print how often pykan's rule is right."""
    rng = np.random.default_rng([seed, intervals or 0, int(noise * 1e6)])
    right, start = np.zeros(2), time.process_time()
    for i in range(edges):
        x, y = draw(rng, names[i % len(names)], noise)
        y = spline_edge(x, y, intervals)[0] if intervals else y
        right += [choice == names[i % len(names)] for choice in pykan_choices(x, y)]
    seconds = (time.process_time() - start) / edges
    print(
        f"{'':28s} pykan: right {100 * right[0] / edges:5.1f} % (weight 0.8), "
        f"{100 * right[1] / edges:5.1f} % (weight 0), CPU s an edge {seconds:.2f}",
        flush=True,
    )


def trial(rng, family, noise, intervals):
    """Return the name found for one random edge and the CPU seconds it took."""
    x, y = draw(rng, family, noise)
    arguments = {}
    if intervals:
        y, sd, basis = spline_edge(x, y, intervals)
        arguments = {"standard_deviation": sd, "basis": basis}
    start = time.process_time()
    found = fit_edge(x, y, **arguments).fits[0].name
    return SAME.get(found, found), time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edges", type=int, default=300, help="edges per level")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rival-edges", type=int, default=0, help="edges per level for pykan")
    options = parser.parse_args()
    names = list(FAMILIES)
    trial(np.random.default_rng(0), "sin", 0.0, 5)  # compile the derivatives once
    for intervals in (5, 10, None):
        for noise in NOISES:
            rng = np.random.default_rng([options.seed, intervals or 0, int(noise * 1e6)])
            mistakes, seconds = Counter(), []
            for i in range(options.edges):
                family = names[i % len(names)]
                found, cpu = trial(rng, family, noise, intervals)
                seconds.append(cpu)
                if found != family:
                    mistakes[f"{family} -> {found}"] += 1
            right = 100 * (1 - sum(mistakes.values()) / options.edges)
            what = f"cubic spline, {intervals} intervals" if intervals else "raw rows"
            print(
                f"{what:28s} noise {noise:5.3f}  right {right:5.1f} %  CPU s an edge: "
                f"median {np.median(seconds):.3f}, mean {np.mean(seconds):.3f}  "
                + ", ".join(f"{k} ({n})" for k, n in mistakes.most_common(6)),
                flush=True,
            )
            if options.rival_edges:
                rival(names, options.seed, options.rival_edges, noise, intervals)


if __name__ == "__main__":
    main()
