"""Tables that scikit-learn downloads, and only when one of these functions is called."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanx.datasets.dataset import Dataset
from kanx.datasets.frame import make_frame

_CALIFORNIA_COLUMNS = {
    "MedInc": ("median income", "10 000 US$"),
    "HouseAge": ("house age", "years"),
    "AveRooms": ("rooms per household", ""),
    "AveBedrms": ("bedrooms per household", ""),
    "Population": ("population", ""),
    "AveOccup": ("people per household", ""),
    "Latitude": ("latitude", "°"),
    "Longitude": ("longitude", "°"),
}


def fetch_california_housing(data_home: str | os.PathLike[str] | None = None) -> Dataset:
    """Fetch California housing: median house values of 20640 blocks in the census of 1990.

    Parameters
    ----------
    data_home : path, optional
        Where scikit-learn keeps its downloads; ``~/scikit_learn_data`` by default. A copy there
        is used without the network.

    Raises
    ------
    ConnectionError
        If there is neither a copy nor a network.
    """
    from sklearn.datasets import fetch_california_housing as fetch

    bunch = _fetch("California housing", fetch, data_home=data_home)
    names = tuple(name for name, _ in _CALIFORNIA_COLUMNS.values())
    # by name, because scikit-learn and the census order them differently
    position = {column: index for index, column in enumerate(bunch.feature_names)}
    values = [bunch.data[:, position[column]] for column in _CALIFORNIA_COLUMNS]
    units = {name: unit for name, unit in _CALIFORNIA_COLUMNS.values() if unit}
    return Dataset(
        name="california_housing",
        X=make_frame(dict(zip(names, values, strict=True))),
        y=bunch.target,
        feature_names=names,
        target_name="median house value",
        task="regression",
        description=(
            "20640 census blocks of California in 1990. Values are capped at 5, that is at "
            "500 000 dollars."
        ),
        source="Pace and Barry, Statistics and Probability Letters 33 (1997); StatLib",
        licence="public, from StatLib",
        units={**units, "median house value": "100 000 US$"},
    )


def fetch_openml(
    name: str | None = None,
    *,
    data_id: int | None = None,
    version: int | str = "active",
    data_home: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Fetch any table from OpenML, with its default target.

    A target of text or categories makes it a classification, one of numbers a regression.

    Parameters
    ----------
    name : str, optional
        Name on OpenML; give this or ``data_id``.
    data_id : int, optional
        Number on OpenML, which cannot be ambiguous.
    version : int or str
        Version of the name.
    data_home : path, optional
        Where scikit-learn keeps its downloads; ``~/scikit_learn_data`` by default. A copy there
        is used without the network.

    Raises
    ------
    ConnectionError
        If there is neither a copy nor a network.
    ValueError
        If neither or both of ``name`` and ``data_id`` are given, or OpenML has no single target.
    ImportError
        If pandas is not installed.
    """
    from sklearn.datasets import fetch_openml as fetch

    if (name is None) == (data_id is None):
        raise ValueError(f"give either name or data_id, but got {name!r} and {data_id!r}.")
    which = {"name": name, "version": version} if data_id is None else {"data_id": data_id}
    bunch = _fetch(f"OpenML {name or data_id}", fetch, **which, data_home=data_home, as_frame=True)
    target = bunch.target
    if target is None or getattr(target, "ndim", 1) != 1:
        raise ValueError(
            f"OpenML {name or data_id} has no single default target; use "
            "sklearn.datasets.fetch_openml and choose a column yourself."
        )
    y, classes = _target(target)
    details = bunch.details
    return Dataset(
        name=str(details.get("name", name or data_id)),
        X=bunch.data,
        y=y,
        feature_names=tuple(str(column) for column in bunch.data.columns),
        target_name=str(target.name),
        task="regression" if classes is None else "classification",
        description=str(bunch.DESCR),
        source=str(bunch.get("url") or f"OpenML {name or data_id}"),
        licence=str(details.get("licence", "unknown")),
        classes=classes,
    )


def _target(target: Any) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return numbers, and the class names if the target is not numeric already."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(target):
        return np.asarray(target, dtype=float), None
    labels, y = np.unique(np.asarray(target).astype(str), return_inverse=True)
    return y, tuple(str(label) for label in labels)


def _fetch(what: str, fetch: Any, **arguments: Any) -> Any:
    try:
        return fetch(**arguments)
    except OSError as error:  # urllib's URLError and every lower network error
        raise ConnectionError(
            f"cannot download {what}: {error}. Connect to the internet and call again, or put "
            "scikit-learn's cached copy into data_home."
        ) from error
