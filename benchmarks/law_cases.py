"""The laws of laws.py: toy laws of the KAN papers, and examples from physics."""

from __future__ import annotations

import numpy as np

from kanx import datasets
from kanx.explain.formula_parser import parse_formula

TOYS = ("exp_sine", "product", "quotient", "velocity_addition", "distance", "phase_transition",
        "nested_4d")  # fmt: skip
PHYSICS = {
    "relativistic velocity addition": (
        "(u + v)/(1 + u*v/c**2)", {"u": (0.2, 2.5), "v": (0.2, 2.5), "c": (3.0, 6.0)},
    ),
    "Planck's law": (
        "nu**3/(exp(nu/T) - 1)", {"nu": (0.5, 8.0), "T": (0.5, 3.0)},
    ),
    "interference": (
        "I1 + I2 + 2*sqrt(I1*I2)*cos(delta)",
        {"I1": (1.0, 5.0), "I2": (1.0, 5.0), "delta": (0.0, 6.0)},
    ),
    "relativistic energy": (
        "m*c**2/sqrt(1 - v**2/c**2)", {"m": (1.0, 5.0), "v": (0.5, 2.5), "c": (3.0, 6.0)},
    ),
    "lens equation": (
        "1/(1/a + n/b)", {"a": (1.0, 5.0), "b": (1.0, 5.0), "n": (1.0, 2.0)},
    ),
}  # fmt: skip


def rows_of(text, ranges, rows, seed):
    """Return names, inputs (rows, columns), values without noise and the law."""
    names = list(ranges)
    law = datasets.Expression(text, tuple(names))
    rng = np.random.default_rng(seed)
    low, high = np.array(list(ranges.values())).T
    X = rng.uniform(low, high, (rows, len(names)))
    return names, X, law(*X.T), parse_formula(text, names)


def toy(name, rows, seed):
    """Return names, inputs, values and law of a toy law, with fresh rows for the test."""
    data = datasets.make_toy_law(name, rows, random_state=seed)
    names = list(data.feature_names)
    X = np.column_stack([np.asarray(data.X[column], float) for column in names])
    return names, X, np.asarray(data.y, float), parse_formula(data.law.text, names)


def boyle(seed):
    """Return a table as a student measures it: 25 volumes and pressures, each 1 % uncertain."""
    rng = np.random.default_rng(seed)
    volume = np.linspace(10.0, 50.0, 25)
    pressure = 1400.0 / volume * (1 + 0.01 * rng.standard_normal(25))
    measured = volume * (1 + 0.002 * rng.standard_normal(25))
    return ["V"], measured[:, None], pressure, parse_formula("1400/V", ["V"])


def pendulum_field(seed):
    """Return angle, velocity and acceleration along a swing of a damped pendulum (Strogatz)."""
    from scipy.integrate import solve_ivp

    start = np.random.default_rng(seed).uniform([1.0, 0.5], [2.5, 2.0])

    def field(_, state):
        return [state[1], -np.sin(state[0]) - 0.2 * state[1]]

    swing = solve_ivp(field, (0, 20), start, t_eval=np.linspace(0, 20, 400), rtol=1e-10, atol=1e-12)
    angle, speed = swing.y
    law = parse_formula("-sin(a) - w/5", ["a", "w"])
    return ["a", "w"], swing.y.T, -np.sin(angle) - 0.2 * speed, law
