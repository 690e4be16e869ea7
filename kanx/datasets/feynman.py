"""Physics laws: the 120 AI Feynman equations and 27 dimensionless forms from the KAN paper."""

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression
from kanx.datasets.sampling import Ranges, sample_law
from kanx.datasets.seeding import RandomState


class Equation(NamedTuple):
    """Hold one row of the tables: a law with its variables' published ranges."""

    id: str
    title: str
    output: str
    formula: str
    ranges: Mapping[str, tuple[float, float]]


def list_feynman(dimensionless: bool = False) -> tuple[str, ...]:
    """Return the ids that :func:`make_feynman` knows."""
    return tuple(_equations(dimensionless))


def make_feynman(
    id: str,
    n_samples: int = 1000,
    *,
    noise: float = 0.0,
    ranges: Ranges | None = None,
    random_state: RandomState = None,
    dimensionless: bool = False,
) -> Dataset:
    """Draw rows of a law from the Feynman Lectures on Physics.

    Parameters
    ----------
    id : str
        Number of the equation in the Lectures, such as ``"I.9.18"``, or ``"test_1"`` to
        ``"test_20"`` for the bonus equations; :func:`list_feynman` has them all.
    n_samples : int
        Number of rows, drawn uniformly from the ranges of AI Feynman.
    noise : float
        Standard deviation of the Gaussian noise as a share of the target's root mean square.
    ranges : mapping of str to (float, float), optional
        Ranges of some variables in place of the published ones.
    random_state : int, numpy.random.Generator or None
        Seed.
    dimensionless : bool
        Take the dimensionless form of Table 2 of the KAN paper instead. The paper prints no
        ranges; ours keep away from singularities.

    Raises
    ------
    ValueError
        If there is no such equation, or it is undefined on some of the drawn rows.

    References
    ----------
    Udrescu and Tegmark, "AI Feynman", Science Advances 6 (2020). Liu et al., "KAN:
    Kolmogorov-Arnold Networks", arXiv:2404.19756, Table 2.
    """
    equations = _equations(dimensionless)
    if id not in equations:
        raise ValueError(
            f"there is no Feynman equation {id!r}; the ids are {', '.join(equations)}."
        )
    equation = equations[id]
    variables = tuple(equation.ranges)
    return sample_law(
        Law(equation.formula, variables, Expression(equation.formula, variables)),
        equation.ranges,
        name=f"feynman_{id}" + ("_dimensionless" if dimensionless else ""),
        title=f"Feynman Lectures {id}: {equation.title}",
        target_name=equation.output,
        source="KAN paper, arXiv:2404.19756" if dimensionless else "AI Feynman, arXiv:1905.11481",
        n_samples=n_samples,
        noise=noise,
        random_state=random_state,
        changed_ranges=ranges,
    )


@cache
def _equations(dimensionless: bool) -> dict[str, Equation]:
    table = "feynman_dimensionless.csv" if dimensionless else "feynman.csv"
    with files("kanx.datasets").joinpath(table).open(encoding="utf-8") as lines:
        return {row["id"]: _read_equation(row) for row in csv.DictReader(lines)}


def _read_equation(row: Mapping[str, str]) -> Equation:
    ranges = {}
    for variable in row["variables"].split(";"):
        name, lower, upper = variable.split(":")
        ranges[name] = (float(lower), float(upper))
    return Equation(row["id"], row["title"], row["output"], row["formula"], ranges)
