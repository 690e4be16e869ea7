"""Generators with a random truth: sparse polynomials; and the two spirals."""

import numpy as np
from numpy.typing import NDArray

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression
from kanx.datasets.frame import make_frame
from kanx.datasets.sampling import GENERATED, PUBLIC_DOMAIN, add_noise
from kanx.datasets.seeding import RandomState, as_generator, check_count, check_noise


def make_sparse_polynomial(
    n_samples: int = 1000,
    n_features: int = 100,
    *,
    n_terms: int = 10,
    degrees: tuple[int, int] = (3, 4),
    noise: float = 0.0,
    random_state: RandomState = None,
) -> Dataset:
    """Draw a random polynomial with few monomials of many standard normal variables.

    The task of the SLAF paper's support recovery: ``y = sum_t c_t prod_j x_j^(e_tj)``, where
    each monomial's variables are drawn with replacement and ``|c_t|`` is uniform on [1/2, 3/2].

    Parameters
    ----------
    n_samples, n_features : int
        Shape of the inputs.
    n_terms : int
        Number of different monomials.
    degrees : (int, int)
        Least and largest total degree of a monomial.
    noise : float
        Standard deviation of the Gaussian noise as a share of the target's root mean square.
    random_state : int, numpy.random.Generator or None
        Seed.

    Returns
    -------
    Dataset
        ``info["monomials"]`` is a tuple of ({name: exponent}, coefficient), ``info["relevant"]``
        the names that occur.

    Raises
    ------
    ValueError
        If a size is not positive, or there are fewer monomials than asked for.

    References
    ----------
    Goyal, Goyal and Lall, "Learning activation functions", arXiv:1906.09529.
    """
    rng = as_generator(random_state)
    check_count("n_samples", n_samples)
    check_count("n_features", n_features)
    check_count("n_terms", n_terms)
    lowest, highest = (check_count("degrees", degree) for degree in degrees)
    if lowest > highest:
        raise ValueError(f"degrees must be (least, largest), but got {degrees}.")
    names = tuple(f"x{i}" for i in range(1, n_features + 1))
    exponents = _draw_monomials(n_terms, n_features, lowest, highest, rng)
    size = rng.uniform(0.5, 1.5, n_terms) * rng.choice((-1.0, 1.0), n_terms)
    coefficients = [float(f"{value:.4g}") for value in size]
    monomials = tuple(
        ({names[j]: power for j, power in sorted(dict(term).items())}, coefficient)
        for term, coefficient in zip(exponents, coefficients, strict=True)
    )
    text = " + ".join(_monomial_text(*monomial) for monomial in monomials).replace("+ -", "- ")
    law = Law(text, names, Expression(text, names))
    values = rng.standard_normal((n_samples, n_features))
    used = {name for powers, _ in monomials for name in powers}
    return Dataset(
        name="sparse_polynomial",
        X=make_frame(dict(zip(names, values.T, strict=True))),
        y=add_noise(law(values), noise, rng),
        feature_names=names,
        target_name="y",
        task="regression",
        description=(
            f"A polynomial of {n_terms} monomials of degree {lowest} to {highest} in "
            f"{n_features} standard normal variables."
        ),
        source=f"{GENERATED} after the SLAF paper, arXiv:1906.09529",
        licence=PUBLIC_DOMAIN,
        law=law,
        info={
            "monomials": monomials,
            "relevant": tuple(name for name in names if name in used),
            "noise": float(noise),
        },
    )


def _draw_monomials(
    n_terms: int, n_features: int, lowest: int, highest: int, rng: np.random.Generator
) -> list[tuple[tuple[int, int], ...]]:
    """Return distinct monomials, each as ((variable, power), ...)."""
    drawn: dict[tuple[tuple[int, int], ...], None] = {}  # a set that keeps the order
    for _ in range(1000 * n_terms):
        if len(drawn) == n_terms:
            return list(drawn)
        factors = rng.integers(n_features, size=rng.integers(lowest, highest + 1))
        variables, powers = np.unique(factors, return_counts=True)
        drawn[tuple(zip(variables.tolist(), powers.tolist(), strict=True))] = None
    raise ValueError(
        f"found only {len(drawn)} different monomials of degree {lowest} to {highest} in "
        f"{n_features} variables, but {n_terms} were asked for; ask for fewer."
    )


def _monomial_text(powers: dict[str, int], coefficient: float) -> str:
    factors = [name if power == 1 else f"{name}**{power}" for name, power in powers.items()]
    return "*".join([repr(coefficient), *factors])


def make_two_spirals(
    n_samples: int = 1000,
    *,
    turns: float = 2.0,
    noise: float = 0.0,
    random_state: RandomState = None,
) -> Dataset:
    """Draw two interlocked spirals, one per class.

    Class c at radius r in [0, 1] has the angle 2 pi turns r + pi c; radii are drawn with density
    proportional to r, so that points are even along the arms.

    Parameters
    ----------
    n_samples : int
        Number of rows; the classes differ by at most one.
    turns : float
        Number of full turns of each arm.
    noise : float
        Standard deviation of Gaussian noise on both coordinates; neighbouring arms lie
        1 / (2 turns) apart.
    random_state : int, numpy.random.Generator or None
        Seed.

    References
    ----------
    Lang and Witbrock, "Learning to tell two spirals apart" (1988).
    """
    rng = as_generator(random_state)
    check_count("n_samples", n_samples, least=2)
    if not 0 < turns < np.inf:
        raise ValueError(f"turns must be positive and finite, but got {turns!r}.")
    label = np.arange(n_samples) % 2
    radius = np.sqrt(rng.uniform(size=n_samples))
    angle = 2 * np.pi * turns * radius + np.pi * label
    points: NDArray[np.float64] = radius * np.stack([np.cos(angle), np.sin(angle)])
    points += check_noise(noise) * rng.standard_normal(points.shape)
    return Dataset(
        name="two_spirals",
        X=make_frame({"x1": points[0], "x2": points[1]}),
        y=label,
        feature_names=("x1", "x2"),
        target_name="arm",
        task="classification",
        description=f"Two interlocked spirals of {turns:g} turns, one per class.",
        source=f"{GENERATED} after Lang and Witbrock (1988)",
        licence=PUBLIC_DOMAIN,
        classes=("first arm", "second arm"),
        info={"turns": float(turns), "noise": float(noise)},
    )
