"""Read tables from CSV files: header found, columns typed, every complaint with its line."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from kanx.memory import require_bytes

__all__ = [
    "CsvError",
    "Reader",
    "Rows",
    "Table",
    "numbers",
    "open_csv",
    "place_of",
    "read_table",
    "texts",
]

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})  # compared in lower case
DELIMITERS = ",;\t|"
SAMPLE_ROWS = 200
BYTES_PER_BYTE = 12  # of a file: a cell of six letters is an object of sixty bytes and more
# a column of at least this share of numbers is numeric, and the other entries are mistakes
NUMERIC_SHARE = 0.5


class CsvError(ValueError):
    """A CSV file cannot be read as a table; the message names the file, and the line if one."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a file as text.

    Attributes
    ----------
    lines : list of int
        Line of the file on which each row starts.
    cells : list of list of str
        Rows of stripped cells, all of the same length.
    """

    lines: list[int]
    cells: list[list[str]]

    def column(self, place: int) -> list[str]:
        """Return the cells of one column."""
        return [row[place] for row in self.cells]


@dataclass(frozen=True)
class Reader:
    """An open file: the names of its columns, and its rows in chunks.

    Attributes
    ----------
    names : list of str
        From the header; ``x0``, ``x1``, ... where there is none.
    has_header : bool
    """

    names: list[str]
    has_header: bool
    _rows: Iterator[tuple[int, list[str]]]

    def chunks(self, size: int = 4096) -> Iterator[Rows]:
        """Yield the rows that are left, ``size`` at a time; the last chunk may be shorter."""
        lines: list[int] = []
        cells: list[list[str]] = []
        for line, row in self._rows:
            lines.append(line)
            cells.append(row)
            if len(cells) == size:
                yield Rows(lines, cells)
                lines, cells = [], []
        if cells:
            yield Rows(lines, cells)


@dataclass(frozen=True)
class Table:
    """A whole file, typed.

    Attributes
    ----------
    columns : dict from str to ndarray
        float64 with NaN for missing where numeric, else objects (text, None for missing).
    has_header : bool
    """

    columns: dict[str, np.ndarray]
    has_header: bool

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


@contextlib.contextmanager
def open_csv(path: str | os.PathLike[str], header: str = "auto") -> Iterator[Reader]:
    """Open a CSV file and find its delimiter and header.

    Parameters
    ----------
    path : path
        UTF-8 text, delimited by comma, semicolon, tab or bar. Blank lines are skipped.
    header : {"auto", "yes", "no"}, default="auto"
        Whether the first row holds names. By default it does if none of its cells is a number
        and some column goes on with numbers or, in a file of text alone, without that cell.

    Yields
    ------
    Reader

    Raises
    ------
    CsvError
        If the file is missing, empty or no text, has names twice or rows of unequal length.
    """
    if header not in ("auto", "yes", "no"):
        raise ValueError(f"header must be 'auto', 'yes' or 'no', got {header!r}")
    with _opened(path) as file:
        rows = _rows(str(path), file)
        first = [row for _, row in zip(range(SAMPLE_ROWS), rows, strict=False)]
        if not first:
            raise CsvError(f"{path} is empty; expected a table with a row for every case")
        has_header = header == "yes" or (header == "auto" and _is_header(first))
        if has_header:
            names = _unique(str(path), first[0][1])
            first = first[1:]
        else:
            names = [f"x{j}" for j in range(len(first[0][1]))]
        yield Reader(names, has_header, itertools.chain(first, rows))


def read_table(
    path: str | os.PathLike[str], header: str = "auto", categorical: Collection[str | int] = ()
) -> Table:
    """Read a whole CSV file and decide for every column whether it is numeric.

    A column is numeric if at least half of its entries are numbers; then all must be.

    Parameters
    ----------
    path, header
        See `open_csv`.
    categorical : collection of names or positions
        Columns to keep as text even if they look like numbers.

    Raises
    ------
    CsvError
        As `open_csv`; if there are no rows, a numeric column holds text or infinity, or a column
        in `categorical` does not exist.
    MemoryError
        If the table will not fit.
    """
    _require_memory(path)
    with open_csv(path, header) as reader:
        kept = {reader.names[place_of(reader.names, wanted)] for wanted in categorical}
        rows = Rows([], [])
        for chunk in reader.chunks():
            rows.lines.extend(chunk.lines)
            rows.cells.extend(chunk.cells)
        if not rows.cells:
            raise CsvError(f"{path} has a header but no rows")
        columns: dict[str, np.ndarray] = {}
        for place, name in enumerate(reader.names):
            cells = rows.column(place)
            if name not in kept and _is_numeric(cells):
                columns[name] = numbers(str(path), name, rows.lines, cells)
            else:
                columns[name] = texts(cells)
        return Table(columns, reader.has_header)


def place_of(names: list[str], wanted: str | int) -> int:
    """Return the position of a column given by name or, if no column has it, by number.

    Negative numbers count from the end.

    Raises
    ------
    CsvError
        If there is no such column; the message lists the columns.
    """
    if wanted in names:
        return names.index(str(wanted))
    try:
        place = int(wanted)
    except ValueError:
        place = len(names)
    if -len(names) <= place < len(names):
        return place % len(names)
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    raise CsvError(f"there is no column {wanted!r}; the {len(names)} columns are {shown}")


def numbers(path: str, name: str, lines: list[int], cells: list[str]) -> np.ndarray:
    """Return a numeric column, ``(rows,)`` float64 with NaN for missing.

    Raises
    ------
    CsvError
        If an entry is no number or infinite.
    """
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        value = _number(cell)
        if value is None:
            raise CsvError(
                f"{path}, line {lines[row]}: column {name!r} is numeric but holds {_short(cell)}; "
                "correct it, leave it empty if it is missing, or declare the column categorical"
            )
        if np.isinf(value):
            raise CsvError(
                f"{path}, line {lines[row]}: column {name!r} holds the infinite value "
                f"{_short(cell)}; correct it or leave it empty"
            )
        values[row] = value
    return values


def texts(cells: list[str]) -> np.ndarray:
    """Return a categorical column, ``(rows,)`` objects with None for missing."""
    return np.array([None if _is_missing(cell) else cell for cell in cells], dtype=object)


def _is_missing(cell: str) -> bool:
    return cell.lower() in MISSING


def _number(cell: str) -> float | None:
    """Return the number a cell holds, NaN if missing, None if it is text."""
    if _is_missing(cell):
        return float("nan")
    if "_" in cell:  # Python reads 1_000 as a number, nobody else does
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _is_numeric(cells: list[str]) -> bool:
    present = [cell for cell in cells if not _is_missing(cell)]
    return sum(_number(cell) is not None for cell in present) >= NUMERIC_SHARE * len(present)


def _is_header(rows: list[tuple[int, list[str]]]) -> bool:
    names = rows[0][1]
    if any(_number(name) is not None and name for name in names) or not any(names):
        return False
    if len(rows) == 1:
        return True
    columns = list(zip(*(row for _, row in rows[1:]), strict=True))
    numeric = [
        any(not _is_missing(cell) for cell in column) and _is_numeric(list(column))
        for column in columns
    ]
    if any(numeric):
        return True
    # text alone: a name does not come back as an entry of its own column
    return not any(name in column for name, column in zip(names, columns, strict=True))


def _require_memory(path: str | os.PathLike[str]) -> None:
    """Refuse a file whose cells, as text and as numbers, will not fit."""
    with contextlib.suppress(OSError):  # a file that is not there has its own message
        needed = BYTES_PER_BYTE * os.stat(path).st_size
        advice = "Take fewer rows or columns; kanx predict reads files of any size."
        require_bytes(needed, f"reading {path}", advice)


def _opened(path: str | os.PathLike[str]) -> TextIO:
    try:
        return open(path, encoding="utf-8-sig", newline="")  # -sig drops the mark Excel writes
    except FileNotFoundError:
        raise CsvError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise CsvError(f"{path} is a folder, expected a CSV file") from None


def _rows(path: str, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield every row that is not blank with the line it starts on."""
    width = line = 0
    try:
        sample = [text for _, text in zip(range(SAMPLE_ROWS), file, strict=False)]
        lines = itertools.chain(sample, file)
        reader = csv.reader(lines, delimiter=_delimiter(sample), strict=True)
        line = 1
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if any(row):
                width = width or len(row)
                if len(row) != width:
                    raise CsvError(
                        f"{path}, line {line}: {len(row)} cells, but the rows before have {width}"
                    )
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"{path}, line {line}: not valid CSV ({error})") from None
    except UnicodeDecodeError:
        raise CsvError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from None


def _delimiter(sample: list[str]) -> str:
    """Return the delimiter that splits most lines into the same number of cells above one."""
    best, best_score = ",", 0
    for delimiter in DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:  # a wide row is too long for one cell: this is not its delimiter
            continue
        common = max(set(widths), key=widths.count, default=1)
        score = widths.count(common) if common > 1 else 0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _unique(path: str, names: list[str]) -> list[str]:
    filled = [name or f"x{j}" for j, name in enumerate(names)]
    twice = sorted(name for name, count in Counter(filled).items() if count > 1)
    if twice:
        raise CsvError(f"{path}: column names must differ, but {twice} appear more than once")
    return filled


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
