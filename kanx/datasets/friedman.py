"""Friedman's three regression problems, drawn by scikit-learn, with their laws."""

from typing import Any

from numpy.typing import NDArray

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression
from kanx.datasets.frame import make_frame
from kanx.datasets.sampling import GENERATED, PUBLIC_DOMAIN
from kanx.datasets.seeding import RandomState, as_integer_seed, check_count, check_noise

_LAWS = {
    1: "10*sin(pi*x1*x2) + 20*(x3 - 0.5)**2 + 10*x4 + 5*x5",
    2: "sqrt(x1**2 + (x2*x3 - 1/(x2*x4))**2)",
    3: "atan((x2*x3 - 1/(x2*x4))/x1)",
}
_TITLES = {
    1: "five relevant variables among irrelevant ones, all uniform on [0, 1]",
    2: "impedance of an alternating-current circuit",
    3: "phase of an alternating-current circuit",
}


def make_friedman1(
    n_samples: int = 1000,
    n_features: int = 10,
    *,
    noise: float = 0.0,
    random_state: RandomState = None,
) -> Dataset:
    """Draw Friedman's first problem: 10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_features : int
        Number of columns, at least 5, uniform on [0, 1]; those after the fifth are irrelevant.
    noise : float
        Standard deviation of the Gaussian noise in the target's own unit, as in scikit-learn.
    random_state : int, numpy.random.Generator or None
        Seed; an integer draws the same rows as scikit-learn.

    References
    ----------
    Friedman, "Multivariate adaptive regression splines", Annals of Statistics 19 (1991).
    """
    from sklearn.datasets import make_friedman1 as draw

    check_count("n_features", n_features, least=5)
    check_count("n_samples", n_samples)
    X, y = draw(
        n_samples, n_features, noise=check_noise(noise), random_state=as_integer_seed(random_state)
    )
    return _as_dataset(1, X, y, noise)


def make_friedman2(
    n_samples: int = 1000, *, noise: float = 0.0, random_state: RandomState = None
) -> Dataset:
    """Draw Friedman's second problem: sqrt(x1^2 + (x2 x3 - 1/(x2 x4))^2).

    Parameters are those of :func:`make_friedman1`; there are always four columns, uniform on
    [0, 100], [40 pi, 560 pi], [0, 1] and [1, 11].
    """
    from sklearn.datasets import make_friedman2 as draw

    check_count("n_samples", n_samples)
    X, y = draw(n_samples, noise=check_noise(noise), random_state=as_integer_seed(random_state))
    return _as_dataset(2, X, y, noise)


def make_friedman3(
    n_samples: int = 1000, *, noise: float = 0.0, random_state: RandomState = None
) -> Dataset:
    """Draw Friedman's third problem: arctan((x2 x3 - 1/(x2 x4)) / x1).

    Parameters are those of :func:`make_friedman1`; the columns are those of
    :func:`make_friedman2`.
    """
    from sklearn.datasets import make_friedman3 as draw

    check_count("n_samples", n_samples)
    X, y = draw(n_samples, noise=check_noise(noise), random_state=as_integer_seed(random_state))
    return _as_dataset(3, X, y, noise)


def _as_dataset(number: int, X: NDArray[Any], y: NDArray[Any], noise: float) -> Dataset:
    names = tuple(f"x{i}" for i in range(1, X.shape[1] + 1))
    expression = Expression(_LAWS[number], names)
    used = expression.names_used()
    return Dataset(
        name=f"friedman{number}",
        X=make_frame(dict(zip(names, X.T, strict=True))),
        y=y,
        feature_names=names,
        target_name="y",
        task="regression",
        description=f"Friedman {number}: {_TITLES[number]}; Gaussian noise of {noise:g}.",
        source=f"{GENERATED} by scikit-learn; Friedman, Annals of Statistics 19 (1991)",
        licence=PUBLIC_DOMAIN,
        law=Law(_LAWS[number], names, expression),
        info={"relevant": tuple(name for name in names if name in used), "noise": float(noise)},
    )
