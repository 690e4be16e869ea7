"""Random states that never touch a global generator, and the checks every generator shares."""

import math
from typing import TypeAlias

import numpy as np

RandomState: TypeAlias = int | np.integer | np.random.Generator | None


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Return a numpy Generator of its own for an integer seed, a Generator or None.

    Raises
    ------
    TypeError
        If ``random_state`` is anything else.
    """
    valid = random_state is None or isinstance(random_state, int | np.integer | np.random.Generator)
    if not valid or isinstance(random_state, bool):
        raise TypeError(
            "random_state must be an integer, a numpy.random.Generator or None, "
            f"but got {random_state!r}."
        )
    return np.random.default_rng(random_state)


def as_integer_seed(random_state: RandomState) -> int:
    """Return an integer seed for scikit-learn, which would read the global generator for None."""
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return int(random_state)
    return int(as_generator(random_state).integers(2**31))


def check_count(name: str, value: int, least: int = 1) -> int:
    """Return ``value`` if it is an integer of at least ``least``.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, but got {value!r}.")
    return int(value)


def check_noise(noise: float) -> float:
    """Return ``noise`` if it is a finite number of at least zero.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not math.isfinite(noise) or noise < 0:
        raise ValueError(f"noise must be a finite number of at least 0, but got {noise!r}.")
    return float(noise)
