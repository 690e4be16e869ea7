"""Sources of rows that do not fit into memory: arrays on disk, Parquet files, any iterable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np

# a table, its targets, and weights or None
Batch = tuple[Any, Any, Any]
ROWS = 2**15
LARGE = 2**30


class Batches:
    """Batches of rows from an iterable that can be gone through again and again.

    Parameters
    ----------
    source : iterable, or callable returning one
        Of ``(X, y)`` or ``(X, y, sample_weight)``, in the same order every time. Batches without
        rows, which readers that filter rows produce, are left out.

    Raises
    ------
    TypeError
        If the source is a generator, which can be gone through only once.
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        if isinstance(source, Iterator):
            raise TypeError(
                f"a {type(source).__name__} can be gone through only once, and training needs "
                "several passes; pass a function that returns a new one"
            )
        self._source = source

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._source() if callable(self._source) else self._source:
            if not isinstance(batch, tuple) or len(batch) not in (2, 3):
                raise ValueError(
                    f"every batch must be (X, y) or (X, y, sample_weight), got "
                    f"{type(batch).__name__}"
                )
            if _is_empty(batch[0]) and _is_empty(batch[1]):
                continue
            yield (*batch, None) if len(batch) == 2 else batch


class ArrayBatches(Batches):
    """Batches of arrays that are sliced, such as memory-mapped ones.

    Parameters
    ----------
    X : array, (rows, features)
    y : array, (rows,) or (rows, targets)
    sample_weight : array, (rows,), optional
    rows : int
        Of a batch.
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any = None, *, rows: int = ROWS) -> None:
        if len(X) != len(y):
            raise ValueError(f"X and y have inconsistent numbers of samples: {len(X)} and {len(y)}")
        super().__init__(self._slices)
        self._arrays, self._rows = (X, y, sample_weight), rows

    def _slices(self) -> Iterator[Batch]:
        X, y, weight = self._arrays
        for start in range(0, len(X), self._rows):
            own = slice(start, start + self._rows)
            # copies: what is kept of a slice must not keep pages of the file in memory
            yield np.array(X[own]), np.array(y[own]), None if weight is None else weight[own]


class ParquetBatches(Batches):
    """Batches of a Parquet file or of several, read in pieces (needs pyarrow).

    Parameters
    ----------
    path : path or sequence of paths
    target : str or sequence of str
        Columns to predict.
    columns : sequence of str, optional
        Columns to predict from; all others by default.
    weight : str, optional
        Column of sample weights.
    rows : int
        Of a batch.

    Raises
    ------
    ValueError
        If the file lacks a column.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        target: str | Sequence[str],
        *,
        columns: Sequence[str] | None = None,
        weight: str | None = None,
        rows: int = ROWS,
    ) -> None:
        super().__init__(self._read)
        self._paths = [path] if isinstance(path, str | os.PathLike) else list(path)
        self._targets = [target] if isinstance(target, str) else list(target)
        self._single = isinstance(target, str)
        self._weight, self._rows = weight, rows
        known = self._open(self._paths[0]).schema_arrow.names
        aside = {*self._targets, weight}
        self._columns = [c for c in known if c not in aside] if columns is None else list(columns)
        wanted = [*self._columns, *self._targets, *([] if weight is None else [weight])]
        absent = [name for name in wanted if name not in known]
        if absent:
            raise ValueError(f"{os.fspath(self._paths[0])!r} lacks the columns {absent}: {known}")
        self._wanted = list(dict.fromkeys(wanted))

    @staticmethod
    def _open(path: Any) -> Any:
        try:
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise ImportError("reading Parquet needs pyarrow: pip install pyarrow") from error
        return ParquetFile(path)

    def _read(self) -> Iterator[Batch]:
        for path in self._paths:
            with self._open(path) as file:
                for piece in file.iter_batches(batch_size=self._rows, columns=self._wanted):
                    yield self._batch(piece)

    def _batch(self, piece: Any) -> Batch:
        def values(name: str) -> Any:
            return piece.column(name).to_numpy(zero_copy_only=False)

        X = {name: values(name) for name in self._columns}
        targets = [values(name) for name in self._targets]
        y = targets[0] if self._single else np.column_stack(targets)
        return X, y, None if self._weight is None else values(self._weight)


def _is_empty(table: Any) -> bool:
    """Say whether a table, columns in a dict, or targets are known to have no rows."""
    if hasattr(table, "shape"):
        return len(table.shape) > 0 and table.shape[0] == 0
    if isinstance(table, Mapping):
        return len(table) > 0 and all(_is_empty(values) for values in table.values())
    return isinstance(table, Sized) and len(table) == 0


def as_batches(X: Any, y: Any, sample_weight: Any, first_order: bool) -> Batches | None:
    """Return the batches that an estimator's ``fit(X, y)`` was given, None for a table.

    Batches are passed as `X` alone. A memory-mapped array is gone through in slices where a
    first-order optimiser is asked for, or where it is larger than `LARGE` bytes.
    """
    if isinstance(X, np.memmap) and y is not None and (first_order or X.nbytes > LARGE):
        return ArrayBatches(X, y, sample_weight)
    if y is not None:
        return None
    if isinstance(X, Batches):
        return X
    listed = isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(b, tuple) for b in X)
    is_table = isinstance(X, Mapping | list | tuple | str) or any(
        hasattr(X, name) for name in ("shape", "columns", "__array__", "__dataframe__")
    )
    if listed or callable(X) or (isinstance(X, Iterable) and not is_table):
        return Batches(X)
    return None
