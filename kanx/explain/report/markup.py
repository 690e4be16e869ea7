"""Elements of HTML and SVG whose text and attributes are always escaped."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """Return an element.

    Parameters
    ----------
    name : str
    *children : Markup or any
        Markup is kept, anything else is escaped as text.
    **attributes
        A trailing underscore is dropped (``class_``) and others become hyphens; None is left out.
    """
    parts = [Markup("<"), Markup(name)]
    for key, value in attributes.items():
        if value is not None:
            written = key.rstrip("_").replace("_", "-")
            parts.append(Markup(' {}="{}"').format(Markup(written), value))
    parts.append(Markup(">"))
    parts.extend(escape(child) for child in children)
    parts.append(Markup("</{}>").format(Markup(name)))
    return Markup("").join(parts)


def joined(parts: Any) -> Markup:
    """Return several pieces one after the other."""
    return Markup("").join(parts)


def json_block(identifier: str, value: Any) -> Markup:
    """Return data for the page's script; no text in it can end the element.

    Raises
    ------
    ValueError
        If a number is not finite, which JSON cannot hold.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup('<script type="application/json" id="{}">').format(identifier) + Markup(
        text + "</script>"
    )


def packed(values: ArrayLike, dtype: str = "<f4") -> str:
    """Return numbers as base64 of little-endian bytes, float32 by default."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
