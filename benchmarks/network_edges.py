#!/usr/bin/env python
"""How often are the curves of a trained network given the right names?

    python benchmarks/network_edges.py [--families gp,spline,pade] [--seeds 5]

The target is a sum of eight functions of eight columns plus noise of 0 to 5 % of its standard
deviation (three times that of a single term); an additive ``KANRegressor`` is trained on 500 rows.
``edge_evidence`` takes the prior out of every edge's posterior before ``fit_edge`` names it; the
second column names the learned curve itself, with its standard deviation as noise. A name is right
if it is the best one, and found if it is the best or one of the reported ties.
"""

import argparse

import numpy as np

import kanx
from kanx.explain.edge_evidence import edge_evidence
from kanx.explain.fitting import fit_edge

ROWS = 500
NOISES = (0.0, 0.01, 0.05)
SAME = {"sigmoid": "tanh"}


def draw(rng):
    """Return columns (rows, 8) and the terms of the target by name."""
    X = rng.uniform(-1, 1, (ROWS, 8))
    X[:, 3] = rng.uniform(0.1, 2, ROWS)
    X[:, 4] = rng.uniform(0.02, 3, ROWS)
    X[:, 6] = rng.uniform(0.3, 3, ROWS)
    terms = {
        "sin": np.sin(4 * X[:, 0]),
        "square": X[:, 1] ** 2,
        "exp": np.exp(1.5 * X[:, 2]) / 2,
        "log": np.log(X[:, 3]),
        "sqrt": np.sqrt(X[:, 4]),
        "tanh": np.tanh(3 * X[:, 5]),
        "reciprocal": 1 / X[:, 6],
        "gaussian": np.exp(-((2.5 * X[:, 7]) ** 2)),
    }
    return X, terms


def judge(found, truth):
    """Return whether the best name is right, and whether it is right or among the ties."""
    names = [SAME.get(fit.name, fit.name) for fit in (found.fits[0], *found.ties)]
    return np.array([names[0] == truth, truth in names])


def trial(rng, family, noise):
    """Return counts (right, found) with the evidence and with the curves alone, and of edges."""
    X, terms = draw(rng)
    y = sum(terms.values())
    y = y + noise * y.std() * rng.standard_normal(ROWS)
    model = kanx.KANRegressor(edge=family, hidden="additive", random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    curves = {curve.edge[0]: curve for curve in view.curves}
    by_evidence, by_curve = np.zeros(2), np.zeros(2)
    for column, truth in enumerate(terms):
        member, entering = view.subject.members[0], view.subject.x
        evidence = edge_evidence(member, entering, 0, (column, 0))
        if evidence is None:
            continue
        x, y, basis, information = evidence
        by_evidence += judge(fit_edge(x, y, basis=basis, information=information), truth)
        curve = curves[column]
        by_curve += judge(fit_edge(curve.grid, curve.value, standard_deviation=curve.std), truth)
    return by_evidence, by_curve, len(terms)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", default="gp,spline,pade")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for family in options.families.split(","):
        for noise in NOISES:
            results = [
                trial(np.random.default_rng([seed, int(1e4 * noise)]), family, noise)
                for seed in range(options.seeds)
            ]
            by_evidence, by_curve, n_edges = (sum(part) for part in zip(*results, strict=True))
            texts = [
                "{}: right {:5.1f} %, found {:5.1f} %".format(name, *(100 * counts / n_edges))
                for name, counts in (("evidence", by_evidence), ("curve", by_curve))
            ]
            print(
                f"{family:8s} noise {noise:4.2f}  {'  '.join(texts)}  ({n_edges} edges)", flush=True
            )


if __name__ == "__main__":
    main()
