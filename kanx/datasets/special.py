"""The fifteen special functions of two variables in the KAN paper."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.sampling import Ranges, sample_law
from kanx.datasets.seeding import RandomState

Array = NDArray[np.float64]


class SpecialFunction(NamedTuple):
    """Hold a special function with the box it is sampled on."""

    title: str
    text: str
    function: Callable[[Array, Array], Array]
    ranges: dict[str, tuple[float, float]]


def _legendre_value(order: int, degree: Array, x: Array) -> Array:
    """Evaluate the associated Legendre function with the Condon-Shortley phase."""
    return special.lpmv(order, degree, x)


def _harmonic_value(m: int, n: int, azimuth: Array, polar: Array) -> Array:
    """Evaluate the real part of the spherical harmonic of order m and degree n."""
    ratio = math.factorial(n - m) / math.factorial(n + m)
    norm = math.sqrt((2 * n + 1) / (4 * math.pi) * ratio)
    return norm * special.lpmv(m, n, np.cos(polar)) * np.cos(m * azimuth)


def _jacobi_sn(u: Array, m: Array) -> Array:
    return special.ellipj(u, m)[0]


def _legendre(order: int) -> SpecialFunction:
    return SpecialFunction(
        f"Associated Legendre function of order {order}",
        f"lpmv({order}, v, x)",
        partial(_legendre_value, order),
        # a fractional degree has a logarithmic singularity at x = -1
        {"v": (0.0, 5.0), "x": (-0.9, 0.9)},
    )


def _harmonic(order: int, degree: int) -> SpecialFunction:
    return SpecialFunction(
        f"Real part of the spherical harmonic of order {order} and degree {degree}",
        f"re(Ynm({degree}, {order}, polar, azimuth))",
        partial(_harmonic_value, order, degree),
        {"azimuth": (0.0, 2 * math.pi), "polar": (0.0, math.pi)},
    )


_FUNCTIONS: dict[str, SpecialFunction] = {
    "ellipj": SpecialFunction(
        "Jacobi's elliptic sine sn(u | m)",
        "ellipj(u, m)[0]",
        _jacobi_sn,
        {"u": (0.0, 5.0), "m": (0.0, 0.99)},
    ),
    "ellipkinc": SpecialFunction(
        "Incomplete elliptic integral of the first kind",
        "ellipkinc(phi, m)",
        special.ellipkinc,
        {"phi": (0.0, 1.5), "m": (0.0, 0.95)},
    ),
    "ellipeinc": SpecialFunction(
        "Incomplete elliptic integral of the second kind",
        "ellipeinc(phi, m)",
        special.ellipeinc,
        {"phi": (0.0, 1.5), "m": (0.0, 1.0)},
    ),
    "jv": SpecialFunction(
        "Bessel function of the first kind",
        "jv(v, x)",
        special.jv,
        {"v": (0.0, 5.0), "x": (0.1, 10.0)},
    ),
    "yv": SpecialFunction(
        "Bessel function of the second kind",
        "yv(v, x)",
        special.yv,
        {"v": (0.0, 2.0), "x": (1.0, 10.0)},
    ),
    "kv": SpecialFunction(
        "Modified Bessel function of the second kind",
        "kv(v, x)",
        special.kv,
        {"v": (0.0, 2.0), "x": (0.5, 5.0)},
    ),
    "iv": SpecialFunction(
        "Modified Bessel function of the first kind",
        "iv(v, x)",
        special.iv,
        {"v": (0.0, 5.0), "x": (0.1, 5.0)},
    ),
    **{f"lpmv_{order}": _legendre(order) for order in (0, 1, 2)},
    **{
        f"sph_harm_{order}_{degree}": _harmonic(order, degree)
        for order, degree in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
    },
}


def list_special() -> tuple[str, ...]:
    """Return the names that :func:`make_special` knows."""
    return tuple(_FUNCTIONS)


def make_special(
    name: str,
    n_samples: int = 1000,
    *,
    noise: float = 0.0,
    ranges: Ranges | None = None,
    random_state: RandomState = None,
) -> Dataset:
    r"""Draw rows of a special function of two variables.

    Parameters
    ----------
    name : str
        Name in scipy, such as ``"jv"``; ``"lpmv_1"`` has the order and ``"sph_harm_1_2"`` the
        order and the degree in the name. :func:`list_special` has them all.
    n_samples : int
        Number of rows, drawn uniformly. The paper prints no ranges; ours keep away from
        singularities.
    noise : float
        Standard deviation of the Gaussian noise as a share of the target's root mean square.
    ranges : mapping of str to (float, float), optional
        Ranges of some variables in place of ours.
    random_state : int, numpy.random.Generator or None
        Seed.

    Raises
    ------
    ValueError
        If there is no such function, or it is undefined on some of the drawn rows.

    Notes
    -----
    The ranges are ellipj: u 0 to 5, m 0 to 0.99; ellipkinc: phi 0 to 1.5, m 0 to 0.95; ellipeinc:
    phi 0 to 1.5, m 0 to 1; jv: v 0 to 5, x 0.1 to 10; yv: v 0 to 2, x 1 to 10; kv: v 0 to 2, x 0.5
    to 5; iv: v 0 to 5, x 0.1 to 5; lpmv: v 0 to 5, x -0.9 to 0.9; spherical harmonics: the whole
    sphere. None has a pole or a kink inside. Near ``x = 0.1``, jv of a small fractional order is
    steep, as :math:`x^v`, and so is lpmv near ``x = -0.9``, as :math:`\sin(\pi v) \log(1 + x)`.

    References
    ----------
    Liu et al., "KAN: Kolmogorov-Arnold Networks", arXiv:2404.19756, Table 1.
    """
    if name not in _FUNCTIONS:
        raise ValueError(
            f"there is no special function {name!r}; the names are {', '.join(_FUNCTIONS)}."
        )
    entry = _FUNCTIONS[name]
    return sample_law(
        Law(entry.text, tuple(entry.ranges), entry.function),
        entry.ranges,
        name=f"special_{name}",
        title=entry.title,
        target_name="f",
        source="KAN paper, arXiv:2404.19756, Table 1; computed by scipy.special",
        n_samples=n_samples,
        noise=noise,
        random_state=random_state,
        changed_ranges=ranges,
    )
