"""Models and rows that every export target is compared on."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import torch
from contract import example
from numpy.typing import NDArray

from kanx import KAN, KANClassifier, KANRegressor

NAMES = ['a "b"', "it's */ <kind>", "z"]
EDGES = [0.0, -0.0, 5e-324, -2.2e-308, 1e300, -1e300, 1e-300]


def table(count: int = 120) -> dict[str, Any]:
    """Return a table with a text column, missing values and awkward names."""
    rng = np.random.default_rng(0)
    kind = rng.choice(np.array(["u", 'v"', "w é\\n"], dtype=object), count)
    kind[::11] = None
    z = rng.normal(size=count)
    z[::9] = np.nan
    return dict(zip(NAMES, (rng.uniform(0, 3, count), kind, z), strict=True))


def hard_rows(count: int = 1000) -> dict[str, Any]:
    """Return random rows: out of range, unknown and missing values, and the edges of doubles."""
    rng = np.random.default_rng(1)
    kinds = np.array(["u", 'v"', "w é\\n", "never seen", None], dtype=object)
    size, z = rng.uniform(-1, 4, count), 3 * rng.normal(size=count)
    z[::7] = np.nan
    size[: len(EDGES)] = EDGES
    z[-len(EDGES) :] = EDGES
    return dict(zip(NAMES, (size, rng.choice(kinds, count), z), strict=True))


def as_rows(columns: dict[str, Any]) -> list[list[Any]]:
    """Return rows with None where missing, as databases and JSON have them."""

    def plain(value: Any) -> Any:
        if value is None or value != value:
            return None
        return value if isinstance(value, str) else float(value)

    return [[plain(v) for v in row] for row in zip(*columns.values(), strict=True)]


def _target(X: dict[str, Any]) -> NDArray[np.float64]:
    size, kind, z = X.values()
    z = np.nan_to_num(z)
    return np.sin(2 * size) + (kind == "u") + 0.1 * z**2 + 0.3 * size * z


@cache
def fitted(kind: str) -> Any:
    """Return one of the estimators, by its name in `KINDS`."""
    X = table()
    y = _target(X)
    shared = {"max_iter": 6, "random_state": 0}
    if kind == "regressor":
        return KANRegressor(hidden=(2,), n_estimators=1, **shared).fit(X, y)
    if kind == "targets":
        return KANRegressor(hidden="additive", **shared).fit(X, np.stack([y, -2 * y], axis=1))
    if kind == "counts":
        counts = np.random.default_rng(0).poisson(np.exp(0.5 * y))
        return KANRegressor(hidden="additive", loss="poisson", **shared).fit(X, counts)
    if kind == "binary":
        return KANClassifier(hidden="additive", **shared).fit(X, y > 1)
    labels = np.array(["low", "mid", "high"])[np.digitize(y, [0.5, 1.5])]
    return KANClassifier(hidden=(2,), n_estimators=1, **shared).fit(X, labels)


KINDS = ("regressor", "targets", "counts", "binary", "classes")


def truth(model: Any, X: Any) -> NDArray[np.float64]:
    """Return what an export must predict, ``(rows, targets)`` or ``(rows, classes)``."""
    if hasattr(model, "classes_"):
        return model.predict_proba(X)
    return np.asarray(model.predict(X)).reshape(-1, len(model.model_.target_names))


@cache
def _on_two_columns(seed: int) -> Any:
    X = np.random.default_rng(seed).uniform(-1, 1, (40, 2))
    X[:4, 1] = np.nan
    return KANRegressor(hidden="additive", max_iter=2, random_state=0).fit(X, X[:, 0])


def of_family(case: tuple[str, int], seed: int = 0) -> Any:
    """Return a regressor whose network has random edges of one family.

    Two inputs, a hidden layer with a product and ratios, and direct curves from the inputs.
    """
    name, _ = case
    options = {**example(case).options, "missing": True}
    if name == "lookup":
        return fitted("targets")  # the estimators use it for categories alone
    model = copy.deepcopy(_on_two_columns(seed))
    spec = {"family": name, **options}
    nodes = {"sums": 1, "products": [2], "ratios": [["S", 1], ["S", 2], ["A", 2]]}
    network = KAN([2, nodes, 1], spec, hidden_edge=spec, skip=True, random_state=seed).double()
    generator = torch.Generator().manual_seed(seed)
    for _, bundle, _ in network.bundles():
        values = bundle.stacked_parameters().detach()
        noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        bundle.load_stacked(values + 0.3 * noise)
    model.model_.__dict__["network"] = network.eval()
    return model


def family_rows(count: int = 1000) -> NDArray[np.float64]:
    """Return rows for `of_family` models; products of 1e300 would be infinite."""
    rng = np.random.default_rng(2)
    X = rng.uniform(-2, 2, (count, 2))
    X[::9, 1] = np.nan
    X[: len(EDGES), 0] = np.clip(EDGES, -1e100, 1e100)
    return X


def assert_close(own: Any, wanted: NDArray[np.float64], tolerance: float = 1e-6) -> None:
    """Compare within the tolerance, relative for large numbers; NaN and infinity as wanted."""
    own = np.asarray(own, dtype=float)
    assert own.shape == wanted.shape
    finite = np.isfinite(wanted)
    assert np.array_equal(own[~finite], wanted[~finite], equal_nan=True)
    error = np.abs(own[finite] - wanted[finite]) / (1 + np.abs(wanted[finite]))
    assert error.max() <= tolerance
