"""Functions of one variable to be recognised, after the numeric part of the FIND benchmark."""

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression
from kanx.datasets.find_families import draw_family, draw_formula
from kanx.datasets.frame import make_frame
from kanx.datasets.sampling import GENERATED, PUBLIC_DOMAIN
from kanx.datasets.seeding import RandomState, as_generator, as_integer_seed, check_count

NoiseKind = Literal["normal", "uniform", "poisson"]

_N_POINTS = 256
_CORRUPTION_SD = 0.1
_POSITIVE_ONLY = ("root", "logarithm")


def make_find(
    family: str | None = None,
    *,
    corrupted: bool = False,
    approximated: bool = False,
    noise: NoiseKind | None = None,
    random_state: RandomState = None,
) -> Dataset:
    """Draw one function of one variable on the benchmark's grid of 256 points.

    The grid is x = i + 1/2 with i from -128 to 127, and from 1 to 256 for roots and logarithms.

    Parameters
    ----------
    family : str, optional
        Kind of function, see :func:`kanx.datasets.list_find_families`. None draws one as FIND
        does: 85 % single functions, otherwise a sum or product of two.
    corrupted : bool
        Replace the values on an interval 5 to 25 wide, or beyond a point, by Gaussian noise of
        standard deviation 0.1 about the function's mean. ``info["corrupted_interval"]`` has it.
    approximated : bool
        Replace the function by a ReLU network with 64 hidden units that was fitted to it;
        ``info["network_rmse"]`` says how far it is from the function.
    noise : {"normal", "uniform", "poisson"}, optional
        Add noise from N(0, 1), U(-1, 1) or Poisson(1).
    random_state : int, numpy.random.Generator or None
        Seed.

    Returns
    -------
    Dataset
        ``law`` is the function itself, without corruption, network or noise; ``info["family"]``
        its kind.

    Raises
    ------
    ValueError
        If the family or the kind of noise is unknown.

    References
    ----------
    Schwettmann et al., "FIND: a function description benchmark", arXiv:2309.03886.
    """
    rng = as_generator(random_state)
    if family is None:
        family = draw_family(rng)
    text = draw_formula(family, rng)
    law = Law(text, ("x",), Expression(text, ("x",)))
    first = 1 if family in _POSITIVE_ONLY else -_N_POINTS // 2
    x: NDArray[np.float64] = np.arange(first, first + _N_POINTS, dtype=float) + 0.5
    y = law(x[:, None])
    info: dict[str, Any] = {
        "family": family,
        "noise": noise,
        "corrupted_interval": None,
        "network_rmse": None,
    }
    if approximated:
        exact, y = y, _approximate(x, y, rng)
        info["network_rmse"] = float(np.sqrt(np.mean((y - exact) ** 2)))
    if corrupted:
        lower, upper = _draw_interval(x, rng)
        inside = (x >= lower) & (x <= upper)
        y = np.where(inside, rng.normal(y.mean(), _CORRUPTION_SD, _N_POINTS), y)
        info["corrupted_interval"] = (lower, upper)
    return Dataset(
        name=f"find_{family}",
        X=make_frame({"x": x}),
        y=y + _draw_noise(noise, rng),
        feature_names=("x",),
        target_name="y",
        task="regression",
        description=_describe(family, corrupted, approximated, noise),
        source=f"{GENERATED} after FIND, arXiv:2309.03886",
        licence=PUBLIC_DOMAIN,
        law=law,
        info=info,
    )


def make_find_suite(
    n_functions: int = 100,
    *,
    corrupted_share: float = 0.15,
    approximated_share: float = 0.15,
    random_state: RandomState = None,
) -> list[Dataset]:
    """Draw many functions, some of them corrupted and some approximated by a network.

    Parameters
    ----------
    n_functions : int
        Number of functions. Function i is the same whatever the number.
    corrupted_share, approximated_share : float
        Probability of either, in [0, 1].
    random_state : int, numpy.random.Generator or None
        Seed.
    """
    check_count("n_functions", n_functions)
    for name, share in (("corrupted", corrupted_share), ("approximated", approximated_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}_share must lie in [0, 1], but got {share!r}.")
    suite = []
    for rng in as_generator(random_state).spawn(n_functions):
        corrupted, approximated = rng.uniform(size=2) < (corrupted_share, approximated_share)
        suite.append(
            make_find(corrupted=bool(corrupted), approximated=bool(approximated), random_state=rng)
        )
    return suite


def _describe(family: str, corrupted: bool, approximated: bool, noise: NoiseKind | None) -> str:
    parts = [f"A function of one variable to be recognised, of the family {family}"]
    if approximated:
        parts.append("as approximated by a ReLU network with 64 units")
    if corrupted:
        parts.append("with the values of one interval replaced by noise")
    if noise:
        parts.append(f"with {noise} noise")
    return ", ".join(parts) + "."


def _draw_interval(x: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return an interval 5 to 25 wide inside the grid, or one that reaches an end of the grid."""
    middle = x[len(x) // 2]
    match rng.integers(3):
        case 0:
            lower, upper = x[0], rng.uniform(x[0] + 5, middle)
        case 1:
            lower, upper = rng.uniform(middle, x[-1] - 5), x[-1]
        case _:
            width = rng.uniform(5, 25)
            lower = rng.uniform(x[0], x[-1] - width)
            upper = lower + width
    return float(lower), float(upper)


def _draw_noise(noise: NoiseKind | None, rng: np.random.Generator) -> NDArray[np.float64]:
    match noise:
        case None:
            return np.zeros(_N_POINTS)
        case "normal":
            return rng.standard_normal(_N_POINTS)
        case "uniform":
            return rng.uniform(-1, 1, _N_POINTS)
        case "poisson":
            return rng.poisson(1.0, _N_POINTS).astype(float)
    raise ValueError(f"noise must be 'normal', 'uniform', 'poisson' or None, but got {noise!r}.")


def _approximate(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the values of a 1-64-1 ReLU network fitted to the function."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    inputs = ((x - x.mean()) / x.std())[:, None]
    scale = float(y.std()) or 1.0
    network = MLPRegressor(
        hidden_layer_sizes=(64,), solver="lbfgs", max_iter=500, random_state=as_integer_seed(rng)
    )
    with warnings.catch_warnings():
        # an imperfect approximation is what the benchmark asks for
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(inputs, (y - y.mean()) / scale)
    return y.mean() + scale * network.predict(inputs)
