"""Draw rows from a box, apply a law, add noise: what all generators of laws have in common."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kanx.datasets.dataset import Dataset, Law
from kanx.datasets.frame import make_frame
from kanx.datasets.seeding import RandomState, as_generator, check_count, check_noise

Ranges = Mapping[str, tuple[float, float]]

GENERATED = "made by kanx.datasets"
PUBLIC_DOMAIN = "none needed: generated numbers"


def add_noise(
    y: NDArray[np.float64], noise: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return y + noise * rms(y) * e with e standard normal, the convention of AI Feynman."""
    scale = check_noise(noise) * np.sqrt(np.mean(y**2))
    return y + scale * rng.standard_normal(y.shape) if scale > 0 else y


def merge_ranges(published: Ranges, changed: Ranges | None) -> dict[str, tuple[float, float]]:
    """Return the published ranges with the caller's own put in their place.

    Raises
    ------
    ValueError
        If a name is unknown or a range is not lower < upper.
    """
    merged = {name: (float(lo), float(hi)) for name, (lo, hi) in published.items()}
    for name, (lower, upper) in (changed or {}).items():
        if name not in merged:
            raise ValueError(f"unknown variable {name!r} in ranges; there are {list(merged)}.")
        if not -np.inf < lower < upper < np.inf:
            raise ValueError(f"the range of {name!r} must be lower < upper, got {lower}, {upper}.")
        merged[name] = (float(lower), float(upper))
    return merged


def describe_ranges(ranges: Ranges) -> str:
    """Return the ranges as one line of text, a shared range only once."""
    distinct = set(ranges.values())
    if len(distinct) == 1 and len(ranges) > 1:
        lower, upper = distinct.pop()
        return f"all in [{lower:g}, {upper:g}]"
    return ", ".join(f"{name} in [{lo:g}, {hi:g}]" for name, (lo, hi) in ranges.items())


def sample_law(
    law: Law,
    ranges: Ranges,
    *,
    name: str,
    title: str,
    target_name: str,
    source: str,
    n_samples: int,
    noise: float,
    random_state: RandomState,
    changed_ranges: Ranges | None = None,
    units: Mapping[str, str] | None = None,
) -> Dataset:
    """Return rows drawn uniformly from a box with the law's target and relative noise.

    Parameters
    ----------
    law : Law
        The noise-free target.
    ranges : mapping of str to (float, float)
        Lower and upper end of each variable, in the law's order.
    name, title, target_name, source : str
        Facts for the data set.
    n_samples : int
        Number of rows.
    noise : float
        Standard deviation of the added Gaussian noise, as a share of the root mean square of the
        noise-free target.
    random_state : int, numpy.random.Generator or None
        Seed.
    changed_ranges : mapping, optional
        Ranges that replace the published ones.
    units : mapping of str to str, optional
        Units of the columns.

    Raises
    ------
    ValueError
        If the law is undefined on some of the rows, which changed ranges can bring about.
    """
    rng = as_generator(random_state)
    n_samples = check_count("n_samples", n_samples)
    box = merge_ranges(ranges, changed_ranges)
    lower, upper = np.array(list(box.values())).T
    values = rng.uniform(lower, upper, (n_samples, len(box)))  # (n_samples, n_variables)
    y = law(values)
    undefined = int(np.sum(~np.isfinite(y)))
    if undefined:
        raise ValueError(
            f"{law.text} is undefined on {undefined} of {n_samples} rows drawn from "
            f"{describe_ranges(box)}; narrow the ranges."
        )
    return Dataset(
        name=name,
        X=make_frame(dict(zip(box, values.T, strict=True))),
        y=add_noise(y, noise, rng),
        feature_names=tuple(box),
        target_name=target_name,
        task="regression",
        description=(
            f"{title}. Rows drawn uniformly, {describe_ranges(box)}; Gaussian noise of {noise:g} "
            "times the root mean square of the target."
        ),
        source=source,
        licence=PUBLIC_DOMAIN,
        units=units or {},
        law=law,
        info={"ranges": box, "noise": float(noise)},
    )
