"""Turn what users hold (arrays, pandas, polars, columns in a dict) into numbers and codes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

MAX_CATEGORIES = 100
_DATES = ("Date", "Datetime", "Duration", "Time")
_CATEGORIES = ("Categorical", "Enum")

# which columns hold categories: "from_dtype", None, names, positions, or one bool for each
Categorical = str | Sequence[str | int | bool] | np.ndarray | None


@dataclass(frozen=True)
class Column:
    """What is known of one input column.

    Attributes
    ----------
    name : str
    categories : tuple or None
        Values of a categorical column, in code order; None for a numeric one.
    missing : bool
        Whether values were missing when the column was learned.
    lower, upper : float
        Range of the learned values (of the codes for a categorical column).
    """

    name: str
    categories: tuple[Any, ...] | None
    missing: bool
    lower: float
    upper: float

    @property
    def is_categorical(self) -> bool:
        """Whether the column holds categories."""
        return self.categories is not None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible description."""
        categories = None if self.categories is None else list(self.categories)
        return {
            "name": self.name,
            "categories": categories,
            "missing": self.missing,
            "lower": self.lower,
            "upper": self.upper,
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Column:
        """Rebuild a column from `to_dict`."""
        categories = description["categories"]
        return cls(
            str(description["name"]),
            None if categories is None else tuple(categories),
            bool(description["missing"]),
            float(description["lower"]),
            float(description["upper"]),
        )


def is_mapping(X: Any) -> bool:
    """Say whether X is columns in a dict; some sparse matrices are dicts too."""
    return isinstance(X, Mapping) and not issparse(X)


def column_names(X: Any) -> list[str] | None:
    """Return the names of a table's columns, None for a bare array.

    Raises
    ------
    ValueError
        If a name appears twice.
    TypeError
        If the table is a query that has not been run.
    """
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        raise TypeError(
            f"X is a {type(X).__module__}.{type(X).__name__}, a query that has not been run yet; "
            "call .collect() and pass the result"
        )
    if is_mapping(X):
        names = list(X)
    elif hasattr(X, "columns") and not isinstance(X, np.ndarray):
        names = list(X.columns)
    else:
        return None
    twice = sorted(str(name) for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"column names must be unique; these appear more than once: {twice}")
    return names


def columns_of(X: Any) -> list[np.ndarray]:
    """Return the columns of a table as arrays: float64 where numeric, else object.

    Missing entries are NaN in numeric columns and None in the others. A column whose type is
    categorical (pandas, polars, Arrow) is an array of objects whatever its categories are.

    Raises
    ------
    ValueError
        If a column holds dates or infinite numbers.
    """
    if is_mapping(X):
        return [_from_mapping(str(name), values) for name, values in X.items()]
    if isinstance(X, np.ndarray):
        return [_from_values(f"x{j}", X[:, j]) for j in range(X.shape[1])]
    import narwhals

    frame = narwhals.from_native(X, eager_only=True)
    found = []
    for series in frame.iter_columns():
        name = series.name
        kind = str(series.dtype)
        if kind.startswith(_DATES):
            raise ValueError(
                f"column {name!r} holds dates ({kind}); turn it into a number, such as days since "
                "a fixed day, first"
            )
        if series.dtype.is_numeric():
            values = np.asarray(series.to_numpy(), dtype=np.float64)
            found.append(_finite(str(name), values))
        elif kind.startswith(_CATEGORIES):
            found.append(_from_categories(str(name), series.to_list()))
        else:
            found.append(_from_values(str(name), np.array(series.to_list(), dtype=object)))
    return found


def learn_columns(
    names: Sequence[str],
    columns: Sequence[np.ndarray],
    categorical_features: Categorical = "from_dtype",
) -> list[Column]:
    """Describe the columns of a training table.

    Parameters
    ----------
    names : sequence of str
    columns : sequence of ndarray
        From `columns_of`.
    categorical_features : "from_dtype", None, or sequence of names, positions or bools
        Which columns hold categories; by default the ones that hold no numbers or whose type is
        categorical. Bools are a mask, one for each column.

    Raises
    ------
    ValueError
        If a column said to be numeric holds text, or `categorical_features` names a column that is
        not there or is a mask of another length.
    """
    chosen = _chosen(names, categorical_features)
    learned = []
    for j, (name, values) in enumerate(zip(names, columns, strict=True)):
        if j in chosen or (chosen.automatic and values.dtype == object):
            learned.append(_learn_categories(str(name), values))
        else:
            learned.append(_learn_numbers(str(name), values))
    return learned


def encode(learned: Sequence[Column], columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``(rows, columns)`` numbers: values, category codes, NaN if missing, -1 if unseen."""
    encoded = np.empty((len(columns[0]), len(columns)))
    for j, (column, values) in enumerate(zip(learned, columns, strict=True)):
        if column.categories is None:
            encoded[:, j] = _numbers(column.name, values)
        else:
            codes = {category: float(k) for k, category in enumerate(column.categories)}
            encoded[:, j] = [
                np.nan if _is_missing(v) else codes.get(_plain(v), -1.0) for v in values
            ]
    return encoded


class _Chosen(set[int]):
    automatic = False


def _chosen(names: Sequence[str], wanted: Categorical) -> _Chosen:
    chosen = _Chosen()
    if wanted is None:
        return chosen
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        if not isinstance(wanted, str) or wanted != "from_dtype":
            raise ValueError(
                "categorical_features must be 'from_dtype', None, or a list of columns, got "
                f"{wanted!r}"
            )
        chosen.automatic = True
        return chosen
    items = list(wanted)
    masks = [isinstance(item, bool | np.bool_) for item in items]
    if any(masks):
        if not all(masks) or len(items) != len(names):
            raise ValueError(
                f"categorical_features with True or False must have one of them for each of the "
                f"{len(names)} columns, got {len(items)} entries, {sum(masks)} of them True or "
                "False; otherwise pass names or positions of columns"
            )
        chosen.update(np.flatnonzero(items).tolist())
        return chosen
    for item in items:
        if isinstance(item, str) and item in names:
            chosen.add(list(names).index(item))
        elif isinstance(item, int | np.integer) and 0 <= item < len(names):
            chosen.add(int(item))
        else:
            raise ValueError(f"categorical_features names the column {item!r}, which X lacks")
    return chosen


def _from_mapping(name: str, values: Any) -> np.ndarray:
    if str(getattr(values, "dtype", "")) == "category":  # numpy would make numbers of them
        return _from_categories(name, list(values))
    return _from_values(name, np.asarray(values))


def _from_categories(name: str, values: list[Any]) -> np.ndarray:
    """Return objects, numbers too; other kinds of categories could not be stored."""
    known = bool | int | float | str
    found = [None if _is_missing(v) else v for v in map(_plain, values)]
    odd = next((v for v in found if not (v is None or isinstance(v, known))), None)
    if odd is not None:
        raise TypeError(
            f"column {name!r} holds categories that are {type(odd).__name__} objects, such as "
            f"{odd}; every category must be a string or a number: turn them into text"
        )
    return np.array([*found, None], dtype=object)[:-1]


def _from_values(name: str, values: np.ndarray) -> np.ndarray:
    """Make numbers of a column where every entry is one, else leave objects."""
    if values.dtype.kind in "fiu":
        return _finite(name, values.astype(np.float64))
    filled = np.array([None if _is_missing(v) else v for v in values.tolist()], dtype=object)
    if any(isinstance(v, bool | str) or v is None for v in filled):
        present = [v for v in filled if v is not None]
        if not present or any(isinstance(v, bool | str) for v in present):
            return filled
    try:
        numbers = np.array([np.nan if v is None else float(v) for v in filled])
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"column {name!r} holds {type(error.args and filled[0]).__name__} objects; every entry "
            "must be a string or a number (argument must be a string or a number)"
        ) from error
    return _finite(name, numbers)


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise ValueError(
            f"column {name!r} holds infinity in row {row}; Input X contains infinity. Remove or "
            "correct such rows"
        )
    return values


def _is_missing(value: Any) -> bool:
    # None, NaN, pandas.NA and NaT; only NA's comparison is not a bool
    if value is None:
        return True
    if isinstance(value, float):
        return bool(np.isnan(value))
    return type(value).__name__ in ("NAType", "NaTType")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values
    try:
        return np.array([np.nan if v is None else float(v) for v in values])
    except (TypeError, ValueError):
        row, bad = next((r, v) for r, v in enumerate(values) if not _parses(v))
        raise ValueError(
            f"column {name!r} is numeric but holds {bad!r} in row {row}; correct the value, or "
            "name the column in categorical_features"
        ) from None


def _parses(value: Any) -> bool:
    if value is None:
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _learn_numbers(name: str, values: np.ndarray) -> Column:
    numbers = _numbers(name, values)
    present = numbers[~np.isnan(numbers)]
    if len(present) == 0:
        return Column(name, None, True, -1.0, 1.0)
    lower, upper = float(present.min()), float(present.max())
    return Column(name, None, len(present) < len(numbers), lower, upper)


def _learn_categories(name: str, values: np.ndarray) -> Column:
    present = [_plain(v) for v in values.tolist() if not _is_missing(v)]
    counts: dict[Any, int] = {}
    for value in present:
        counts[value] = counts.get(value, 0) + 1
    kept = sorted(counts, key=lambda v: (str(type(v)), v))
    if len(kept) > MAX_CATEGORIES:
        kept = sorted(sorted(kept, key=lambda v: -counts[v])[:MAX_CATEGORIES], key=str)
        warnings.warn(
            f"column {name!r} has {len(counts)} categories; the {MAX_CATEGORIES} most frequent get "
            "a value of their own and the others contribute nothing",
            UserWarning,
            stacklevel=4,
        )
    missing = len(present) < len(values)
    return Column(name, tuple(kept) or ("",), missing, 0.0, float(max(len(kept) - 1, 0)))
