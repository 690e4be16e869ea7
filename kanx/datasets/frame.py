"""Named columns as a pandas frame, or as an array where pandas is not installed."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def make_frame(columns: Mapping[str, NDArray[Any]], categorical: Collection[str] = ()) -> Any:
    """Return the columns as a pandas frame, or as a two-dimensional array without pandas.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n_rows,)
        Values of each column; a missing category is None, a missing number NaN.
    categorical : collection of str
        Columns that hold categories; they get pandas' category type. Without pandas they make
        the whole array one of Python objects.
    """
    try:
        import pandas as pd
    except ImportError:
        return np.column_stack(
            [column.astype(object) if categorical else column for column in columns.values()]
        )
    return pd.DataFrame(
        {
            name: pd.Categorical(column) if name in categorical else column
            for name, column in columns.items()
        }
    )


def make_series(values: NDArray[Any], name: str) -> Any:
    """Return the values as a named pandas series, or as they are where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return values
    return pd.Series(values, name=name)


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return the given rows of a frame or an array, in the given order."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def columns_of(X: Any, names: tuple[str, ...]) -> list[NDArray[np.float64]]:
    """Return the named columns of a frame, or the columns of an array by position, as floats.

    Raises
    ------
    ValueError
        If a frame lacks a name, or an array has another number of columns.
    """
    if hasattr(X, "columns"):
        missing = [name for name in names if name not in X.columns]
        if missing:
            raise ValueError(f"X lacks the columns {missing}; the law needs {list(names)}.")
        return [np.asarray(X[name], dtype=float) for name in names]
    array = np.asarray(X, dtype=float)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ValueError(
            f"X has shape {array.shape}, but the law takes (n_rows, {len(names)}) with the "
            f"columns {list(names)}."
        )
    return list(array.T)
