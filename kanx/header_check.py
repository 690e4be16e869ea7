"""What a model file's header says, checked before anything is built from it.

A header of a few bytes may describe a network of any size. Whatever a network has is stored, so a
description that is larger than the numbers in the file is refused before memory is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

MOST_DEPTH = 50
FREE_NUMBERS = 1000  # options up to here are harmless, whatever is stored


def check_header(header: Mapping[str, Any], stored: int) -> None:
    """Refuse a header whose networks are larger than what is stored.

    Parameters
    ----------
    header : mapping
        Parsed JSON.
    stored : int
        Number of array elements in the file.

    Raises
    ------
    ValueError
        If it is too deep, or describes more edges or functions than the file has numbers for.
    """
    for found in _mappings(header, 0):
        if "widths" in found and "edges" in found:
            _check_network(found, stored)


def check_estimator(estimator: Any) -> None:
    """Refuse a rebuilt estimator whose parts do not belong together.

    Raises
    ------
    ValueError
        If columns, networks, targets and classes differ in number, or one is missing.
    """
    lacking = [name for name in estimator._fitted_values if not hasattr(estimator, name)]
    if lacking:
        raise ValueError(f"what was fitted lacks {lacking}")
    model = estimator.model_
    names = getattr(estimator, "feature_names_in_", None)
    inputs = {estimator.n_features_in_, len(model.columns)}
    inputs |= {member.network.in_features for member in model.members}
    inputs |= set() if names is None else {len(names)}
    outputs = {len(model.target_names)}
    outputs |= {member.network.out_features for member in model.members}
    outputs |= {t.numel() for t in (model.target_mean, model.target_scale)}
    classes = getattr(estimator, "classes_", None)
    if classes is not None:
        if classes.ndim != 1 or len({*classes.tolist()}) != len(classes):
            raise ValueError("its classes are no list of different labels")
        outputs.add(1 if len(classes) == 2 else len(classes))
    if not model.members or len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"columns and networks have {sorted(inputs)} inputs, targets and networks "
            f"{sorted(outputs)} outputs"
        )


def check_evaluates(network: Any) -> None:
    """Evaluate a rebuilt network on one row, so that a wrong index in it is found here.

    Raises
    ------
    IndexError, RuntimeError
        If it cannot be evaluated.
    """
    import torch

    with torch.no_grad():
        network(torch.zeros(1, network.in_features).to(next(network.parameters())))


def _mappings(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > MOST_DEPTH:
        raise ValueError(f"the header is nested more than {MOST_DEPTH} deep")
    if isinstance(value, Mapping):
        yield value
    children = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list):
        for child in children:
            yield from _mappings(child, depth + 1)


def _check_network(description: Mapping[str, Any], stored: int) -> None:
    widths = [_width(entry) for entry in description["widths"]]
    edges = sum(a * b for a, b in pairwise(widths))
    edges += widths[0] * widths[-1] if description.get("skip") and widths else 0
    if edges > max(stored, FREE_NUMBERS):
        raise ValueError(f"it describes {edges} edges but stores {stored} numbers")
    counts = [abs(n) for n in _numbers(description["edges"]) if isinstance(n, int)]
    largest = max(counts, default=0)
    if largest > max(stored, FREE_NUMBERS):
        raise ValueError(f"an edge option is {largest} but the file stores {stored} numbers")


def _width(entry: Any) -> int:
    """Return an upper bound of a layer's sums."""
    numbers = [abs(n) for n in _numbers(entry)]
    if not all(math.isfinite(n) for n in numbers):
        raise ValueError("the widths of a network must be finite")
    # a ratio node takes up to two sums more than its order
    return int(sum(numbers)) + (3 * len(numbers) if isinstance(entry, Mapping) else 0)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from _numbers(child)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
