"""`kanx predict`: stream a CSV or Parquet file through a saved model."""

from __future__ import annotations

import contextlib
import csv
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from kanx.atomic import open_text
from kanx.commands.batches import open_batches
from kanx.commands.models import as_input, load_estimator
from kanx.csv_table import CsvError
from kanx.new_rows import MissingValueWarning, OutOfRangeWarning

COVERAGE_Z = 1.959964  # standard deviations that hold 95 % of a normal distribution

STRANGE = (
    "numbers outside the range of the training rows: curves go on as straight lines",
    "categories that no training row had: they contribute nothing",
    "no value where every training row had one: curves take their mean there",
)


def run(arguments: Namespace) -> None:
    """Write a CSV file with one line of predictions per row."""
    model = load_estimator(arguments.model)
    strange, count = np.zeros(3, dtype=int), 0
    with (
        open_batches(arguments.file, model, arguments.header, arguments.drop) as batches,
        _output(arguments.out) as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_head(model))
        for X in batches:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OutOfRangeWarning)  # counted and said at the end
                warnings.simplefilter("ignore", MissingValueWarning)
                writer.writerows(_predictions(model, X))
            count += len(next(iter(X.values())))
            strange += _strange(model, X)
        if count == 0:
            raise CsvError(f"{arguments.file} has a header but no rows")
    for number, what in zip(strange.tolist(), STRANGE, strict=True):
        if number:
            sys.stderr.write(f"note: {number} of {count} rows hold {what}\n")


def _head(model: Any) -> list[str]:
    if hasattr(model, "classes_"):
        return ["prediction", *(f"probability of {label}" for label in model.classes_)]
    names = model.model_.target_names
    endings = ("", "_std", "_lower", "_upper")
    if len(names) == 1:
        return ["prediction", "std", "lower", "upper"]
    return [name + ending for name in names for ending in endings]


def _predictions(model: Any, X: dict[str, np.ndarray]) -> Iterator[list[str]]:
    table = as_input(model, X)
    if hasattr(model, "classes_"):
        probabilities = model.predict_proba(table)
        winners = model.classes_[probabilities.argmax(1)]
        for winner, row in zip(winners, probabilities, strict=True):
            yield [str(winner), *(f"{p:.6g}" for p in row)]
        return
    mean, std = (np.asarray(v).reshape(len(v), -1) for v in model.predict(table, return_std=True))
    half = COVERAGE_Z * std
    values = np.stack([mean, std, mean - half, mean + half], axis=2).reshape(len(mean), -1)
    for row in values:
        yield [f"{value:.10g}" for value in row]


def _strange(model: Any, X: dict[str, np.ndarray]) -> np.ndarray:
    """Count the rows of every kind of `STRANGE`."""
    outside, unseen, lacking = np.zeros((3, len(next(iter(X.values())))), bool)
    for column in model.model_.columns:
        values = X[column.name]
        if column.is_categorical:
            known = set(column.categories)
            unseen |= np.array([v is not None and v not in known for v in values], bool)
        else:
            outside |= (values < column.lower) | (values > column.upper)
        if not column.missing:
            lacking |= np.array([v is None or v != v for v in values], bool)
    return np.array([outside.sum(), unseen.sum(), lacking.sum()])


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
    else:
        with open_text(path) as file:
            yield file
