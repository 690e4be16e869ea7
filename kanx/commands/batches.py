"""Rows of a file in batches, as a model's columns; a file may be larger than memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kanx.csv_table import CsvError, Rows, numbers, open_csv, place_of, texts

ROWS = 4096


@contextlib.contextmanager
def open_batches(
    path: str, model: Any, header: str = "auto", drop: Sequence[str] = ()
) -> Iterator[Iterator[dict[str, np.ndarray]]]:
    """Open a CSV file, or a Parquet file by its ending.

    Parameters
    ----------
    path : str
    model : fitted estimator
        It says which columns there have to be.
    header : {"auto", "yes", "no"}
        Of a CSV file.
    drop : sequence of str
        Columns to leave out.

    Yields
    ------
    iterator of dict from column to values
        Batches of rows; only one is in memory at a time.

    Raises
    ------
    CsvError
        If the file cannot be read or its columns do not fit the model.
    """
    if path.lower().endswith((".parquet", ".pq")):
        yield _parquet(path, model, drop)
        return
    with open_csv(path, header) as reader:
        places = _places(path, reader.names, reader.has_header, model, drop)
        yield (_columns(path, rows, places, model) for rows in reader.chunks(ROWS))


def _parquet(path: str, model: Any, drop: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
    try:
        import polars
    except ImportError as error:
        raise CsvError(f"{path}: Parquet files need the package polars; pip install polars") from (
            error
        )
    try:
        frame = polars.scan_parquet(path, glob=False)
        names = frame.collect_schema().names()
        places = _places(path, names, True, model, drop)
        wanted = frame.select([names[place] for place in places])
        batches = wanted.collect_batches(chunk_size=ROWS, maintain_order=True)
        return (_typed(path, batch, model) for batch in batches)
    except (polars.exceptions.PolarsError, FileNotFoundError, IsADirectoryError) as error:
        raise CsvError(f"{path} cannot be read as Parquet: {error}") from error


def _typed(path: str, batch: Any, model: Any) -> dict[str, np.ndarray]:
    """Return a batch's columns: numbers with NaN, or objects with None."""
    found: dict[str, np.ndarray] = {}
    for column, series in zip(model.model_.columns, batch.iter_columns(), strict=True):
        if column.is_categorical:
            found[column.name] = _known(column.categories, series.to_list())
        elif series.dtype.is_numeric() or str(series.dtype) in ("Null", "Boolean"):
            values = np.array([np.nan if v is None else v for v in series.to_list()], dtype=float)
            if np.isinf(values).any():
                raise CsvError(f"{path}: column {column.name!r} holds an infinite value")
            found[column.name] = values
        else:
            raise CsvError(
                f"{path}: column {column.name!r} holds {series.dtype}, the model needs numbers"
            )
    return found


def _places(
    path: str, found: list[str], has_header: bool, model: Any, drop: Sequence[str]
) -> list[int]:
    """Return where the file holds each of the model's columns, by name or else in order."""
    dropped = {place_of(found, wanted) for wanted in drop}
    left = [j for j in range(len(found)) if j not in dropped]
    names = model.model_.names
    if has_header:
        place = {name: j for j, name in enumerate(found)}
        known = set(names)
        absent = [name for name in names if name not in place]
        extra = [found[j] for j in left if found[j] not in known]
        if absent or extra:
            problems = [f"lacks {_listed(absent)}"] if absent else []
            problems += [f"has {_listed(extra)}, which the model never saw"] if extra else []
            raise CsvError(
                f"{path} does not fit the model: it {' and '.join(problems)}"
                + (f"; leave columns out with --drop {','.join(extra[:3])}" if extra else "")
            )
        return [place[name] for name in names]
    if len(left) != len(names):
        hint = "; leave columns out with --drop" if len(left) > len(names) else ""
        raise CsvError(
            f"{path} does not fit the model: it has {len(left)} columns and no header, the model "
            f"needs {len(names)}: {_listed(names)}{hint}"
        )
    return left


def _columns(path: str, rows: Rows, places: list[int], model: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for column, place in zip(model.model_.columns, places, strict=True):
        cells = rows.column(place)
        if column.is_categorical:
            found[column.name] = _known(column.categories, texts(cells))
        else:
            found[column.name] = numbers(path, column.name, rows.lines, cells)
    return found


def _known(categories: Sequence[Any], values: Any) -> np.ndarray:
    """Return categories as the model has them, where the file has them as text."""
    by_text = {str(category): category for category in categories}
    known = [None if v is None else by_text.get(str(v), v) for v in values]
    return np.array([*known, None], dtype=object)[:-1]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
