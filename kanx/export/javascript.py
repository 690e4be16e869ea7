"""The model as JavaScript without dependencies, for browsers and Node."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from kanx.export.exported import exported


def to_javascript(model: Any) -> str:
    """Write a fitted estimator as a script with a function ``predict(row)``.

    A row is an object by column or an array; missing values are null. The prediction is an array:
    the targets, or the probability of every class. The script may be loaded by a page, required by
    Node, or pasted: it defines ``MODEL``, ``encode`` and ``predict``.

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
    # ASCII; "<" escaped, so that no text of the model can end the page's script element
    data = json.dumps(found.to_dict(), allow_nan=False).replace("<", "\\u003c")
    code = files("kanx.export").joinpath("runtime.js").read_text(encoding="utf-8")
    return (
        f'"use strict";\n// A model written by kanx. {found.note}\nconst MODEL = {data};\n\n{code}'
    )
