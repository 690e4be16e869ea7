"""The data that `kanx fit` is given: a file or a built-in set, its target, its held-out rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from kanx.csv_table import CsvError, place_of, read_table

BUILTIN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
BUILTIN_PREFIX = "builtin:"
MAX_NUMERIC_CLASSES = 10  # whole numbers with more distinct values than this are quantities
MIN_ROWS = 10
TASKS = ("auto", "regression", "classification")


@dataclass
class Data:
    """A table and its target.

    Attributes
    ----------
    name : str
    columns : dict from str to ndarray
        The inputs: float64 with NaN, or objects with None, where missing.
    target : ndarray, (rows,)
        Numbers for regression, labels for classification.
    target_name : str
    task : {"regression", "classification"}
    units : mapping of str to str
    notes : list of str
        What was decided or left out while reading.
    """

    name: str
    columns: dict[str, np.ndarray]
    target: np.ndarray
    target_name: str
    task: str
    units: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.target)

    def take(self, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the inputs and the target of some rows."""
        return {name: values[rows] for name, values in self.columns.items()}, self.target[rows]


def read_data(
    source: str,
    target: str | None,
    task: str = "auto",
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    header: str = "auto",
) -> Data:
    """Read ``builtin:NAME`` or a CSV file, and split the target off.

    Parameters
    ----------
    source : str
    target : str or None
        Name or number of the target's column; needed for a file.
    task : {"auto", "regression", "classification"}
        By default: classification for text, two distinct values or up to ten distinct whole
        numbers, else regression.
    categorical, drop : collection of names or numbers of columns
        Columns to read as categories, and columns to leave out.
    header : {"auto", "yes", "no"}

    Raises
    ------
    ValueError
        If there is nothing to learn: no such column, one column, a constant target, too few rows.
    """
    if source.startswith(BUILTIN_PREFIX):
        data = _builtin(source.removeprefix(BUILTIN_PREFIX), target, task)
        names = [*data.columns]
    else:
        if target is None:
            raise ValueError("--target is missing; give the name or number of the target's column")
        table = read_table(source, header, categorical)
        names = [*table.columns]
        if len(names) < 2:
            raise CsvError(
                f"{source} has one column; expected the target and at least one input (is the "
                "delimiter a comma, semicolon, tab or bar?)"
            )
        target_name = names[place_of(names, target)]
        columns = dict(table.columns)
        values = columns.pop(target_name)
        data = Data(source, columns, values, target_name, task)
    for name in {names[place_of(names, wanted)] for wanted in drop}:
        if name == data.target_name:
            raise ValueError(f"--drop names the target {name!r}; name another column")
        del data.columns[name]
    if not data.columns:
        raise ValueError("--drop leaves no input; keep at least one column beside the target")
    _leave_out_rows_without_target(data)
    _settle_task(data)
    _check(data)
    return data


def split(data: Data, seed: int, share: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of training and held-out rows.

    Rows with the same inputs stay together, classes keep their shares, and a class with one
    distinct row is learned rather than tested.

    Returns
    -------
    train, test : ndarray of int
    """
    from sklearn.model_selection import train_test_split

    group = _groups(data.columns)
    first = np.unique(group, return_index=True)[1]
    members = np.arange(len(first))
    labels = data.target[first]
    if data.task == "regression":
        held = train_test_split(members, test_size=share, random_state=seed)[1]
    else:
        _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        common = members[counts[codes] > 1]
        enough = share * len(common) >= len(counts)
        held = train_test_split(
            common,
            test_size=share,
            random_state=seed,
            stratify=codes[common] if enough else None,
        )[1]
    is_held = np.isin(group, held)
    if data.task == "classification":
        is_held &= np.isin(data.target, data.target[~is_held])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _builtin(name: str, target: str | None, task: str) -> Data:
    if name not in BUILTIN:
        raise ValueError(f"there is no built-in set {name!r}; choose one of {', '.join(BUILTIN)}")
    from kanx import datasets
    from kanx.tables import columns_of

    dataset = getattr(datasets, f"load_{name}")()
    if target is not None and target != dataset.target_name:
        raise ValueError(
            f"the target of builtin:{name} is {dataset.target_name!r}; leave --target out"
        )
    if task not in ("auto", dataset.task):
        raise ValueError(f"builtin:{name} is for {dataset.task}; leave --task out")
    columns = dict(zip(dataset.feature_names, columns_of(dataset.X), strict=True))
    y = np.asarray(dataset.y)
    y = y if dataset.classes is None else np.array(dataset.classes, object)[y]
    return Data(name, columns, y, dataset.target_name, dataset.task, dict(dataset.units))


def _leave_out_rows_without_target(data: Data) -> None:
    if data.target.dtype == object:
        absent = np.array([value is None for value in data.target])
    else:
        absent = np.isnan(data.target.astype(float))
    if absent.all():
        raise ValueError(f"the target {data.target_name!r} is missing in every row")
    if absent.any():
        data.notes.append(
            f"{int(absent.sum())} rows without a value of {data.target_name} were left out"
        )
        data.columns, data.target = data.take(np.flatnonzero(~absent))


def _settle_task(data: Data) -> None:
    """Decide the task, and turn the target into numbers or labels."""
    is_text = data.target.dtype == object
    if data.task == "auto":
        distinct = np.unique(data.target)
        whole = not is_text and bool((distinct == np.round(distinct)).all())
        few = len(distinct) == 2 or (whole and 2 < len(distinct) <= MAX_NUMERIC_CLASSES)
        data.task = "classification" if is_text or few else "regression"
        if few and not is_text and len(distinct) > 2:
            data.notes.append(
                f"{data.target_name} has {len(distinct)} distinct whole numbers, taken for "
                "classes; use --task regression to predict a quantity"
            )
    if data.task == "regression" and is_text:
        raise ValueError(
            f"the target {data.target_name!r} holds text such as {data.target[0]!r}, which cannot "
            "be regressed on; use --task classification"
        )
    if data.task == "classification":
        data.target = np.array([_label(value) for value in data.target], dtype=object)


def _label(value: object) -> str:
    if isinstance(value, float) and value == round(value):
        return str(int(value))
    return str(value)


def _check(data: Data) -> None:
    distinct = np.unique(data.target)
    if len(distinct) == 1:
        kind = "a single class" if data.task == "classification" else "the same value in every row"
        raise ValueError(
            f"the target {data.target_name!r} has {kind}, {distinct[0]}; there is nothing to learn"
        )
    if data.task == "classification" and len(distinct) > data.n_rows / 2:
        raise ValueError(
            f"the target {data.target_name!r} has {len(distinct)} classes in {data.n_rows} rows; "
            "choose another target, or --task regression if it is a number"
        )
    if data.n_rows < MIN_ROWS:
        raise ValueError(
            f"{data.name} has {data.n_rows} rows with a target; at least {MIN_ROWS} are needed to "
            "fit and to test"
        )


def _groups(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Number the distinct rows, ``(rows,)``."""
    codes = []
    for values in columns.values():
        comparable = values if values.dtype != object else values.astype(str)
        codes.append(np.unique(comparable, return_inverse=True)[1])
    return np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].ravel()
