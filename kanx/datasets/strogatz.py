"""Seven planar systems from Strogatz's book, integrated by scipy: rates against states."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.expression import Expression
from kanx.datasets.frame import make_frame
from kanx.datasets.sampling import GENERATED, PUBLIC_DOMAIN, add_noise
from kanx.datasets.seeding import RandomState, as_generator, check_count

STATES = ("x", "y")


class System(NamedTuple):
    """Hold dx/dt and dy/dt as text, with the box that starting points are drawn from."""

    title: str
    rates: tuple[str, str]
    start: tuple[tuple[float, float], tuple[float, float]]


_SYSTEMS: dict[str, System] = {
    "bacres": System(
        "bacterial respiration: nutrient x and oxygen y",
        ("20 - x - x*y/(1 + 0.5*x**2)", "10 - x*y/(1 + 0.5*x**2)"),
        ((3.0, 10.0), (9.0, 14.0)),
    ),
    "barmag": System(
        "two bar magnets with angles x and y",
        ("0.5*sin(x - y) - sin(x)", "0.5*sin(y - x) - sin(y)"),
        ((0.0, 2 * np.pi), (0.0, 2 * np.pi)),
    ),
    "glider": System(
        "a glider with speed x and angle y to the horizontal",
        ("-0.05*x**2 - sin(y)", "x - cos(y)/x"),
        ((2.0, 6.0), (-1.5, 2.5)),
    ),
    "lv": System(
        "two competing species x and y (Lotka and Volterra)",
        ("3*x - 2*x*y - x**2", "2*y - x*y - y**2"),
        ((0.5, 8.0), (0.5, 3.0)),
    ),
    "predprey": System(
        "prey x and predator y",
        ("x*(4 - x - y/(1 + x))", "y*(x/(1 + x) - 0.075*y)"),
        ((4.0, 7.0), (8.0, 12.0)),
    ),
    "shearflow": System(
        "a rod in a shear flow with azimuth x and elevation y",
        ("cot(y)*cos(x)", "(cos(y)**2 + 0.1*sin(y)**2)*sin(x)"),
        # the rate is infinite at y = 0
        ((-np.pi, np.pi), (0.5, 2.5)),
    ),
    "vdp": System(
        "Van der Pol's oscillator in Lienard's coordinates",
        ("10*(y - (x**3 - x)/3)", "-x/10"),
        ((0.0, 1.0), (0.0, 1.0)),
    ),
}


def list_strogatz() -> tuple[str, ...]:
    """Return the ids that :func:`make_strogatz` knows."""
    return tuple(f"{name}{component}" for name in _SYSTEMS for component in (1, 2))


def make_strogatz(
    id: str,
    *,
    n_trajectories: int = 4,
    n_points: int = 100,
    duration: float = 10.0,
    noise: float = 0.0,
    random_state: RandomState = None,
) -> Dataset:
    """Follow a planar system from random starting points; the target is one state's rate.

    Parameters
    ----------
    id : str
        Name of the system followed by 1 for dx/dt or 2 for dy/dt, as in ODE-Strogatz, such as
        ``"vdp1"``; :func:`list_strogatz` has them all.
    n_trajectories : int
        Number of starting points.
    n_points : int
        Number of equally spaced times on each trajectory, at least 2.
    duration : float
        Length of each trajectory in the system's unit of time.
    noise : float
        Standard deviation of the Gaussian noise on the rate as a share of its root mean square.
    random_state : int, numpy.random.Generator or None
        Seed.

    Returns
    -------
    Dataset
        ``groups`` numbers the trajectories, so that a split keeps each whole; ``info["time"]``
        is each row's time.

    Raises
    ------
    ValueError
        If there is no such system or a size is out of range.
    RuntimeError
        If the integration fails.

    References
    ----------
    Strogatz, "Nonlinear Dynamics and Chaos" (1994); La Cava et al., the ODE-Strogatz repository.
    """
    rng = as_generator(random_state)
    if id not in list_strogatz():
        raise ValueError(f"there is no system {id!r}; the ids are {', '.join(list_strogatz())}.")
    check_count("n_trajectories", n_trajectories)
    check_count("n_points", n_points, least=2)
    if not 0 < duration < np.inf:
        raise ValueError(f"duration must be positive and finite, but got {duration!r}.")
    system, component = _SYSTEMS[id[:-1]], int(id[-1]) - 1
    lower, upper = np.array(system.start).T
    starts = rng.uniform(lower, upper, (n_trajectories, 2))
    times = np.linspace(0.0, duration, n_points)
    states = np.concatenate([integrate(system.rates, start, times) for start in starts])
    text = system.rates[component]
    law = Law(text, STATES, Expression(text, STATES))
    return Dataset(
        name=f"strogatz_{id}",
        X=make_frame(dict(zip(STATES, states.T, strict=True))),
        y=add_noise(law(states), noise, rng),
        feature_names=STATES,
        target_name=f"d{STATES[component]}_dt",
        task="regression",
        description=(
            f"Rate of {STATES[component]} for {system.title}, on {n_trajectories} trajectories "
            f"of {n_points} points over a time of {duration:g}."
        ),
        source=f"{GENERATED}; Strogatz, Nonlinear Dynamics and Chaos (1994)",
        licence=PUBLIC_DOMAIN,
        law=law,
        groups=np.repeat(np.arange(n_trajectories), n_points),
        info={"time": np.tile(times, n_trajectories), "noise": float(noise)},
    )


def integrate(
    rates: tuple[str, str], start: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the states, (n_times, 2), of a planar system at the given times.

    Parameters
    ----------
    rates : (str, str)
        dx/dt and dy/dt as formulas in x and y.
    start : ndarray of shape (2,)
        State at the first time.
    times : ndarray of shape (n_times,)
        Increasing times.

    Raises
    ------
    RuntimeError
        If the integrator gives up, as on a singularity.
    """
    expressions = [Expression(text, STATES) for text in rates]
    solution = solve_ivp(
        lambda _, state: [expression(*state) for expression in expressions],
        (times[0], times[-1]),
        start,
        method="DOP853",  # gives up at a singularity, where LSODA would step for ever
        t_eval=times,
        rtol=1e-10,
        atol=1e-12,
    )
    if not solution.success:
        raise RuntimeError(
            f"cannot follow the system from {start.tolist()}: {solution.message} "
            "Try another random_state or a shorter duration."
        )
    return solution.y.T
