"""What strangers' bytes reach: every target takes bytes and may raise nothing but what it says."""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import kanx
from kanx.csv_table import CsvError, open_csv, read_table
from kanx.persistence import load

MOST_BYTES = 1 << 16


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="kanx-fuzz-"))


def load_model(data: bytes) -> None:
    """Load a model file; what loads must predict."""
    path = _folder() / "model.kanx"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        model = load(path)
        if hasattr(model, "model_"):
            empty: dict[str, list[Any]] = {name: [None] for name in model.model_.names}
            with contextlib.suppress(ValueError):
                model.predict(empty)


def read_csv(data: bytes) -> None:
    """Read a CSV file whole and in chunks; both see the same rows."""
    path = _folder() / "data.csv"
    path.write_bytes(data)
    try:
        table = read_table(path)
    except CsvError:
        return
    with open_csv(path) as reader:
        assert sum(len(rows.cells) for rows in reader.chunks(3)) == table.n_rows
    assert all(not np.isinf(v).any() for v in table.columns.values() if v.dtype != object)


def read_formula(data: bytes) -> None:
    """Read a formula's JSON; what is read is written back the same."""
    from kanx.explain.formula_json import from_tree, loads, to_tree

    try:
        tree = loads(data.decode("utf-8", errors="replace"))
    except ValueError:
        return
    with contextlib.suppress(ValueError):
        expression = from_tree(tree)
        again = from_tree(to_tree(expression))
        assert again == expression or "nan" in str(expression)


@cache
def _model() -> Any:
    X = {"size": np.linspace(0, 1, 20), "kind": ["u", "v"] * 10}
    return kanx.KANRegressor(hidden="additive", max_iter=3).fit(X, np.linspace(0, 1, 20))


def predict(data: bytes) -> None:
    """Predict rows made of the bytes: any doubles, any text, any number of columns."""
    model = _model()
    count = len(data) // 8
    numbers = np.array(struct.unpack(f"<{count}d", data[: 8 * count]), dtype=float)
    text = data.decode("utf-8", errors="replace")
    words: list[Any] = [*text.split("\n"), None][: max(count, 1)]
    words = words + [None] * (count - len(words))
    tables: list[Any] = [
        {"size": numbers, "kind": words[:count]},
        {text[:20]: numbers},
        np.resize(numbers, (2, max(1, count // 2))),
        {"size": words, "kind": words},
    ]
    for table in tables:
        with warnings.catch_warnings(), contextlib.suppress(ValueError, TypeError):
            warnings.simplefilter("ignore")
            found = model.predict(table)
            assert found.ndim == 1


def predict_csv(data: bytes) -> None:
    """Predict a file of the bytes by the command line."""
    from kanx.cli import main

    path, saved = _folder() / "rows.csv", _folder() / "saved.kanx"
    path.write_bytes(data)
    if not saved.exists():
        kanx.save(_model(), saved)
    out, complaints = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
        status = main(["predict", str(saved), str(path)])
    assert status in (0, 2)
    assert "Traceback" not in complaints.getvalue()


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (load_model, read_csv, read_formula, predict, predict_csv)
}


def seeds(name: str) -> list[bytes]:
    """Return inputs to start from: well-formed ones, and all that ever failed."""
    folder = Path(__file__).parent / "corpus" / name
    found = [path.read_bytes() for path in sorted(folder.glob("*"))]
    if name == "load_model":
        golden = Path(__file__).parents[1] / "golden"
        found += [path.read_bytes() for path in sorted(golden.glob("*/*.kanx"))]
    elif name in ("read_csv", "predict_csv"):
        found += [
            b"size,kind\n0.5,u\n,\n1e300,v\n",
            b'a;"b ""c"""\r\n1;2\r\n',
            b"\xef\xbb\xbfa\n1\n",
        ]
    elif name == "read_formula":
        found += [
            b'["+", 1, ["*", 2.5, ["variable", "x"]], ["sin", ["variable", "x"]]]',
            b'["piecewise", [["variable", "x"], ["<", ["variable", "x"], 0]], [0, ["true"]]]',
        ]
    else:
        found += [struct.pack("<6d", 0.5, -0.0, 5e-324, 1e300, float("nan"), float("inf")), b"u\nv"]
    return found
