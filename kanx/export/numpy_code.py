"""The model as one Python file that needs only numpy."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from kanx.export.exported import exported

_USE = '''

def read(text):
    """Return the model of this file; JSON, so that nothing of it is ever executed."""
    return json.loads(text)


def predict_columns(columns):
    """Predict by the model of this file; see `predict`."""
    return predict(MODEL, columns)


MODEL = read(
'''


def to_numpy(model: Any) -> str:
    """Write a fitted estimator as a Python module that needs only numpy.

    Its function ``predict_columns(columns)`` takes a mapping from column name to values, or an
    array of rows, and returns ``(rows, targets)`` or ``(rows, classes)``.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If it is no fitted estimator.
    """
    found = exported(model)
    code = files("kanx.export").joinpath("runtime.py").read_text(encoding="utf-8")
    head, body = code.split("import numpy as np\n", 1)
    del head
    data = json.dumps(found.to_dict(), allow_nan=False)
    lines = [f"    {data[k : k + 90]!r}\n" for k in range(0, len(data), 90)]
    text = f'"""A model written by kanx. {found.note}"""\n\nimport json\n\nimport numpy as np\n'
    return text + body + _USE + "".join(lines) + ")\n"
