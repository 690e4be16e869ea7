"""Turn the rows of a local file into a data set: names, categories, missing values, classes."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanx.datasets.dataset import Dataset
from kanx.datasets.folder import LocalFile, read_rows
from kanx.datasets.frame import make_frame

DataHome = str | os.PathLike[str] | None

UCI_LICENCE = "CC BY 4.0"
MISSING = "?"


class TableFacts(NamedTuple):
    """Hold what is known about a table whose last column is the target.

    Attributes
    ----------
    name, target_name, description, source : str
        Facts for the data set.
    files : tuple of LocalFile
        Files whose rows follow each other.
    feature_names : tuple of str
        Names of the columns in the files' order, without the target.
    units : mapping of str to str
        Units of columns and target where known.
    categorical : tuple of str
        Columns that hold categories.
    labels : mapping of str to str, optional
        Text of each class label in the file, in the order of the class numbers, to its meaning;
        None for regression.
    codes : mapping of str to mapping
        Meaning of the codes in categorical columns, by column.
    """

    name: str
    files: tuple[LocalFile, ...]
    feature_names: tuple[str, ...]
    target_name: str
    description: str
    source: str
    units: Mapping[str, str] = {}
    categorical: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    codes: Mapping[str, Mapping[str, str]] = {}


def load_table(facts: TableFacts, data_home: DataHome = None, **extra: Any) -> Dataset:
    """Read a table from the data folder.

    Parameters
    ----------
    facts : TableFacts
        Files and names.
    data_home : path, optional
        The data folder; the environment variable ``KANX_DATA`` by default.
    **extra
        Further fields of the data set.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`kanx.datasets.folder.read_rows`.
    """
    rows = [row for file in facts.files for row in read_rows(file, data_home)]
    *inputs, target = np.array(rows, dtype=object).T
    columns = {
        name: _as_categories(values, facts.codes.get(name, {}))
        if name in facts.categorical
        else as_numbers(values)
        for name, values in zip(facts.feature_names, inputs, strict=True)
    }
    return Dataset(
        name=facts.name,
        X=make_frame(columns, facts.categorical),
        y=as_numbers(target) if facts.labels is None else _as_classes(target, facts.labels),
        feature_names=facts.feature_names,
        target_name=facts.target_name,
        task="regression" if facts.labels is None else "classification",
        description=facts.description,
        source=facts.source,
        licence=UCI_LICENCE,
        units=dict(facts.units),
        classes=None if facts.labels is None else tuple(facts.labels.values()),
        **extra,
    )


def as_numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return text as floats, with NaN for the question mark that stands for a missing value."""
    return np.array([np.nan if value == MISSING else float(value) for value in values])


def _as_categories(values: NDArray[Any], codes: Mapping[str, str]) -> NDArray[Any]:
    meaning = [None if value == MISSING else codes.get(value, value) for value in values]
    return np.array(meaning, dtype=object)


def _as_classes(values: NDArray[Any], labels: Mapping[str, str]) -> NDArray[np.int64]:
    numbers = {label: number for number, label in enumerate(labels)}
    # the published test part of Adult ends its labels with a full stop
    return np.array([numbers[value.rstrip(".")] for value in values])
