"""Small laws in closed form: the toy examples of the KAN papers and Nguyen's regressions."""

from collections.abc import Mapping
from typing import NamedTuple

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression
from kanx.datasets.sampling import Ranges, sample_law
from kanx.datasets.seeding import RandomState


class ToyLaw(NamedTuple):
    """Hold a law in closed form with the box it is sampled on."""

    title: str
    text: str
    ranges: Mapping[str, tuple[float, float]]


def _box(lower: float, upper: float, *names: str) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(names, (lower, upper))


_HUNDRED = tuple(f"x{i}" for i in range(1, 101))

_TOY_LAWS: dict[str, ToyLaw] = {
    "bessel": ToyLaw("Fast Bessel function", "j0(20*x)", _box(-1, 1, "x")),
    "exp_sine": ToyLaw(
        "Exponential of a sum of two curves", "exp(sin(pi*x) + y**2)", _box(-1, 1, "x", "y")
    ),
    "product": ToyLaw("Product of two variables", "x*y", _box(-1, 1, "x", "y")),
    "quotient": ToyLaw("Quotient of two variables", "x/y", {"x": (-1, 1), "y": (0.5, 2)}),
    "exp_bessel": ToyLaw(
        "Exponential of a fast Bessel function and a square",
        "exp(j0(20*x) + y**2)",
        _box(-1, 1, "x", "y"),
    ),
    "velocity_addition": ToyLaw(
        "Relativistic addition of velocities, in units of the speed of light",
        "(u + v)/(1 + u*v)",
        _box(-0.9, 0.9, "u", "v"),
    ),
    "distance": ToyLaw(
        "Distance of two points in the plane",
        "sqrt((x1 - x2)**2 + (x3 - x4)**2)",
        _box(-1, 1, "x1", "x2", "x3", "x4"),
    ),
    "nested_4d": ToyLaw(
        "Three nested layers of curves",
        "exp((sin(pi*(x1**2 + x2**2)) + sin(pi*(x3**2 + x4**2)))/2)",
        _box(-1, 1, "x1", "x2", "x3", "x4"),
    ),
    "phase_transition": ToyLaw(
        "Steep boundary of a phase",
        "tanh(5*(x1**4 + x2**4 + x3**4 - 1))",
        _box(-1, 1, "x1", "x2", "x3"),
    ),
    "gaussian_peaks": ToyLaw(
        "Five narrow peaks side by side",
        " + ".join(f"exp(-300*(x - ({centre}))**2)" for centre in (-0.8, -0.4, 0.0, 0.4, 0.8)),
        _box(-1, 1, "x"),
    ),
    "mean_sine_100d": ToyLaw(
        "Exponential of a mean over a hundred variables",
        f"exp(({' + '.join(f'sin(pi*{name}/2)**2' for name in _HUNDRED)})/100)",
        _box(-1, 1, *_HUNDRED),
    ),
}

_NGUYEN: dict[str, ToyLaw] = {
    "1": ToyLaw("Nguyen 1", "x1**3 + x1**2 + x1", _box(-1, 1, "x1")),
    "2": ToyLaw("Nguyen 2", "x1**4 + x1**3 + x1**2 + x1", _box(-1, 1, "x1")),
    "3": ToyLaw("Nguyen 3", "x1**5 + x1**4 + x1**3 + x1**2 + x1", _box(-1, 1, "x1")),
    "4": ToyLaw("Nguyen 4", "x1**6 + x1**5 + x1**4 + x1**3 + x1**2 + x1", _box(-1, 1, "x1")),
    "5": ToyLaw("Nguyen 5", "sin(x1**2)*cos(x1) - 1", _box(-1, 1, "x1")),
    "6": ToyLaw("Nguyen 6", "sin(x1) + sin(x1**2 + x1)", _box(-1, 1, "x1")),
    "7": ToyLaw("Nguyen 7", "log(x1 + 1) + log(x1**2 + 1)", _box(0, 2, "x1")),
    "8": ToyLaw("Nguyen 8", "sqrt(x1)", _box(0, 4, "x1")),
    "9": ToyLaw("Nguyen 9", "sin(x1) + sin(x2**2)", _box(0, 1, "x1", "x2")),
    "10": ToyLaw("Nguyen 10", "2*sin(x1)*cos(x2)", _box(0, 1, "x1", "x2")),
    "11": ToyLaw("Nguyen 11", "x1**x2", _box(0, 1, "x1", "x2")),
    "12": ToyLaw("Nguyen 12", "x1**4 - x1**3 + x2**2/2 - x2", _box(0, 1, "x1", "x2")),
    "12a": ToyLaw("Nguyen 12, wide", "x1**4 - x1**3 + x2**2/2 - x2", _box(0, 10, "x1", "x2")),
}


def list_toy_laws() -> tuple[str, ...]:
    """Return the names that :func:`make_toy_law` knows."""
    return tuple(_TOY_LAWS)


def make_toy_law(
    name: str,
    n_samples: int = 1000,
    *,
    noise: float = 0.0,
    ranges: Ranges | None = None,
    random_state: RandomState = None,
) -> Dataset:
    """Draw rows of one of the toy laws of the KAN papers.

    Parameters
    ----------
    name : str
        Such as ``"exp_sine"`` for exp(sin(pi x) + y^2); :func:`list_toy_laws` has them all.
    n_samples : int
        Number of rows, drawn uniformly.
    noise : float
        Standard deviation of the Gaussian noise as a share of the target's root mean square.
    ranges : mapping of str to (float, float), optional
        Ranges of some variables in place of the usual ones.
    random_state : int, numpy.random.Generator or None
        Seed.

    Raises
    ------
    ValueError
        If there is no such law, or it is undefined on some of the drawn rows.

    References
    ----------
    Liu et al., "KAN: Kolmogorov-Arnold Networks", arXiv:2404.19756, section 3, and "KAN 2.0",
    arXiv:2408.10205.
    """
    if name not in _TOY_LAWS:
        raise ValueError(f"there is no toy law {name!r}; the names are {', '.join(_TOY_LAWS)}.")
    source = "KAN papers, arXiv:2404.19756 and arXiv:2408.10205"
    return _draw(name, _TOY_LAWS[name], source, n_samples, noise, ranges, random_state)


def list_nguyen() -> tuple[str, ...]:
    """Return the numbers that :func:`make_nguyen` knows."""
    return tuple(_NGUYEN)


def make_nguyen(
    number: int | str,
    n_samples: int = 20,
    *,
    noise: float = 0.0,
    ranges: Ranges | None = None,
    random_state: RandomState = None,
) -> Dataset:
    """Draw rows of one of Nguyen's symbolic regression problems.

    Parameters
    ----------
    number : int or str
        1 to 12, or ``"12a"`` for the twelfth on the wider box [0, 10]^2.
    n_samples : int
        Number of rows, drawn uniformly; 20 is the usual number.
    noise : float
        Standard deviation of the Gaussian noise as a share of the target's root mean square.
    ranges : mapping of str to (float, float), optional
        Ranges of some variables in place of the usual ones.
    random_state : int, numpy.random.Generator or None
        Seed.

    Raises
    ------
    ValueError
        If there is no such problem, or it is undefined on some of the drawn rows.

    References
    ----------
    Uy et al., "Semantically-based crossover in genetic programming", Genetic Programming and
    Evolvable Machines 12 (2011).
    """
    key = str(number)
    if key not in _NGUYEN:
        raise ValueError(f"there is no Nguyen problem {number!r}; there are {', '.join(_NGUYEN)}.")
    source = "Uy et al. 2011"
    return _draw(f"nguyen_{key}", _NGUYEN[key], source, n_samples, noise, ranges, random_state)


def _draw(
    name: str,
    entry: ToyLaw,
    source: str,
    n_samples: int,
    noise: float,
    ranges: Ranges | None,
    random_state: RandomState,
) -> Dataset:
    variables = tuple(entry.ranges)
    return sample_law(
        Law(entry.text, variables, Expression(entry.text, variables)),
        entry.ranges,
        name=name,
        title=entry.title,
        target_name="f",
        source=source,
        n_samples=n_samples,
        noise=noise,
        random_state=random_state,
        changed_ranges=ranges,
    )
