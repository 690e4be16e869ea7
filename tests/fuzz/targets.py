"""What strangers' bytes reach: every target takes bytes and says what became of them.

A target may raise nothing: what is refused by the errors that the documentation promises is an
outcome, anything else is a failure.
"""

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
import torch

import kanx
from kanx import KAN
from kanx.cli import main
from kanx.csv_table import CsvError, open_csv, read_table
from kanx.explain.formula_json import from_tree, loads, to_tree
from kanx.persistence import load

MOST_BYTES = 1 << 14
REFUSED, READ, PREDICTED = "refused", "read", "predicted"


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="kanx-fuzz-"))


def load_model(data: bytes) -> str:
    """Load a model file; what loads must predict a row of missing values or refuse it."""
    path = _folder() / "model.kanx"
    path.write_bytes(data)
    try:
        model = load(path)
    except ValueError:
        return REFUSED
    try:
        if isinstance(model, KAN):
            with torch.no_grad():
                row = torch.zeros(1, model.in_features, dtype=next(model.parameters()).dtype)
                found = model(row).numpy()
        else:
            found = model.predict({name: [None] for name in model.model_.names})
    except ValueError:
        return READ
    assert len(found) == 1
    return PREDICTED


def read_csv(data: bytes) -> str:
    """Read a CSV file whole and in chunks; both see the same rows."""
    path = _folder() / "data.csv"
    path.write_bytes(data)
    try:
        table = read_table(path)
    except CsvError:
        return REFUSED
    with open_csv(path) as reader:
        assert sum(len(rows.cells) for rows in reader.chunks(3)) == table.n_rows
    assert all(not np.isinf(v).any() for v in table.columns.values() if v.dtype != object)
    return READ


def read_formula(data: bytes) -> str:
    """Read a formula's JSON; what is read is written back the same."""
    try:
        expression = from_tree(loads(data.decode("utf-8", errors="replace")))
        written = to_tree(expression)
    except ValueError:
        return REFUSED
    again = from_tree(written)
    assert again == expression or "nan" in str(expression)
    return READ


@cache
def _model() -> Any:
    X = {"size": np.linspace(0, 1, 20), "kind": ["u", "v"] * 10}
    return kanx.KANRegressor(hidden="additive", max_iter=3).fit(X, np.linspace(0, 1, 20))


def predict(data: bytes) -> str:
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
    outcome = REFUSED
    for table in tables:
        with warnings.catch_warnings(), contextlib.suppress(ValueError, TypeError):
            warnings.simplefilter("ignore")
            assert model.predict(table).ndim == 1
            outcome = PREDICTED
    return outcome


def predict_csv(data: bytes) -> str:
    """Predict a file of the bytes by the command line."""
    path, saved = _folder() / "rows.csv", _folder() / "saved.kanx"
    path.write_bytes(data)
    if not saved.exists():
        kanx.save(_model(), saved)
    out, complaints = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
        status = main(["predict", str(saved), str(path)])
    assert "Traceback" not in complaints.getvalue()
    return {0: PREDICTED, 2: REFUSED}[status]


TARGETS: dict[str, Callable[[bytes], str]] = {
    target.__name__: target for target in (load_model, read_csv, read_formula, predict, predict_csv)
}
# parts of kanx that a target is meant to try
TRIED = {
    "load_model": ["persistence", "header_check", "serialisation"],
    "read_csv": ["csv_table"],
    "read_formula": ["explain/formula_json"],
    "predict": ["tables", "model"],
    "predict_csv": ["commands/predict", "commands/batches"],
}
CORPUS = Path(__file__).parent / "corpus"


def good(name: str) -> list[bytes]:
    """Return well-formed inputs, none of which is refused."""
    if name == "load_model":
        golden = Path(__file__).parents[1] / "golden"
        return [path.read_bytes() for path in sorted(golden.glob("*/*.kanx"))]
    if name == "read_csv":
        return [
            b"size,kind\n0.5,u\n,\n1e300,v\n",
            b'a;"b ""c"""\r\n1;2\r\n',
            b"\xef\xbb\xbfa\n1\n",
        ]
    if name == "predict_csv":
        return [b"size,kind\n0.5,u\n,\n1e300,v\n", b"kind;size\r\n=1+1;-0.0\r\n", b"0.5,u\n2,v\n"]
    if name == "read_formula":
        return [
            b'["+", 1, ["*", 2.5, ["variable", "x"]], ["sin", ["variable", "x"]]]',
            b'["piecewise", [["variable", "x"], ["<", ["variable", "x"], 0]], [0, ["true"]]]',
        ]
    return [struct.pack("<5d", 0.5, -0.0, 5e-324, 1e300, float("nan")), b"u\nv\n    "]


def kept(name: str) -> list[bytes]:
    """Return the inputs of the corpus: all that ever failed, and those that reach most code."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
