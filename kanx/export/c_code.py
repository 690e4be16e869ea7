"""The model as C99 that needs only ``math.h`` and ``string.h``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from kanx.export.exported import Exported, ExportedLayer, exported
from kanx.export.pieces import Categories, Pieces

_LINKS = ("identity", "log", "logistic", "softmax")
_KINDS = ("product", "ratio A", "ratio S")
_TYPES = """typedef struct {
    int input, count, pieces, degree, periodic; /* without breaks: pieces categories */
    double middle, width;
    const int *outputs;
    const double *breaks, *coefficients, *tails, *missing;
} kanx_curve;
typedef struct {
    int curves, width, sums, combined;
    const kanx_curve *first;
    const double *bias;
    const int *kinds, *arities;
} kanx_layer;
"""


def to_c(model: Any) -> str:
    """Write a fitted estimator as C99.

    The code has two functions: ``void kanx_predict(const double *row, double *prediction)`` takes
    one row in the order of the columns, NaN where missing, and gives the targets or the
    probability of every class; ``double kanx_code(int column, const char *category)`` turns a
    category into the number that stands for it in a row.

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
    layers = found.layers + ([] if found.skip is None else [found.skip])
    widest = max(len(found.columns), *(len(layer.bias) for layer in layers))
    parts = [_head(found), "#include <math.h>\n#include <stddef.h>\n#include <string.h>\n"]
    for name, value in (
        ("COLUMNS", len(found.columns)),
        ("DEPTH", len(found.layers)),
        ("SKIP", int(found.skip is not None)),
        ("WIDEST", widest),
        ("OUTPUTS", len(found.mean)),
        ("LINK", _LINKS.index(found.link)),
    ):
        parts.append(f"#define KANX_{name} {value}")
    parts.append(_TYPES)
    parts += [_layer(depth, layer) for depth, layer in enumerate(layers)]
    rows = ",\n".join(f"    {_layer_row(d, layer)}" for d, layer in enumerate(layers))
    parts.append(f"static const kanx_layer kanx_layers[] = {{\n{rows}}};")
    parts.append(_numbers("kanx_mean", found.mean))
    parts.append(_numbers("kanx_scale", found.scale))
    parts.append(_categories(found))
    parts.append(files("kanx.export").joinpath("runtime.c").read_text(encoding="utf-8"))
    return "\n".join(parts)


def _head(found: Exported) -> str:
    lines = ["/* A model written by kanx.", found.note, "Columns of a row, in order:"]
    for column in found.columns:
        kind = "" if column.categories is None else " (category: a code of kanx_code)"
        lines.append(f"  {_shown(column.name)}{kind}")
    what = "Targets" if found.classes is None else "Probabilities of the classes"
    lines.append(f"{what}: {', '.join(_shown(name) for name in found.targets)} */\n")
    return "\n".join(lines)


def _shown(name: str) -> str:
    # ASCII without a comment's end or a trigraph, whatever the name holds
    return json.dumps(name).replace("*/", "*\\/").replace("??", "?\\?")


def _layer(depth: int, layer: ExportedLayer) -> str:
    lines = [_numbers(f"kanx_bias_{depth}", layer.bias)]
    kinds = [_KINDS.index(kind) for kind, _ in layer.combined]
    lines.append(_integers(f"kanx_kinds_{depth}", kinds))
    lines.append(_integers(f"kanx_arities_{depth}", [arity for _, arity in layer.combined]))
    rows = []
    for k, curve in enumerate(layer.curves):
        name = f"{depth}_{k}"
        lines.append(_integers(f"kanx_outputs_{name}", curve.outputs))
        missing = "NULL"
        if curve.missing is not None:
            missing = f"kanx_missing_{name}"
            lines.append(_numbers(missing, curve.missing))
        rows.append(_curve(name, curve, missing, lines))
    body = ",\n".join(f"    {row}" for row in rows) or "    {0}"
    lines.append(f"static const kanx_curve kanx_curves_{depth}[] = {{\n{body}}};")
    return "\n".join(lines)


def _curve(name: str, curve: Pieces | Categories, missing: str, lines: list[str]) -> str:
    """Add the arrays of one curve and return its row of the table."""
    if isinstance(curve, Categories):
        lines.append(_numbers(f"kanx_values_{name}", curve.values))
        return (
            f"{{{curve.input}, {len(curve.outputs)}, {len(curve.values)}, 0, 0, 0, 1, "
            f"kanx_outputs_{name}, NULL, kanx_values_{name}, NULL, {missing}}}"
        )
    lines.append(_numbers(f"kanx_breaks_{name}", curve.breaks))
    lines.append(_numbers(f"kanx_powers_{name}", curve.coefficients))
    lines.append(_numbers(f"kanx_tails_{name}", curve.tails))
    pieces, count, _ = curve.coefficients.shape
    return (
        f"{{{curve.input}, {len(curve.outputs)}, {pieces}, {count - 1}, {int(curve.periodic)}, "
        f"{curve.middle!r}, {curve.width!r}, kanx_outputs_{name}, kanx_breaks_{name}, "
        f"kanx_powers_{name}, kanx_tails_{name}, {missing}}}"
    )


def _layer_row(depth: int, layer: ExportedLayer) -> str:
    return (
        f"{{{len(layer.curves)}, {len(layer.bias)}, {layer.sums}, {len(layer.combined)}, "
        f"kanx_curves_{depth}, kanx_bias_{depth}, kanx_kinds_{depth}, "
        f"kanx_arities_{depth}}}"
    )


def _categories(found: Exported) -> str:
    lines, rows = [], []
    for j, column in enumerate(found.columns):
        if column.categories is None:
            rows.append("NULL")
            continue
        texts = ", ".join([*(_text(str(c)) for c in column.categories), "NULL"])
        lines.append(f"static const char *const kanx_categories_{j}[] = {{{texts}}};")
        rows.append(f"kanx_categories_{j}")
    lines.append(f"static const char *const *const kanx_categories[] = {{{', '.join(rows)}}};\n")
    return "\n".join(lines)


def _text(text: str) -> str:
    """Write a string literal in UTF-8; octal escapes end after three digits, unlike hexadecimal."""
    plain = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.,:;+=()")
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def _numbers(name: str, values: np.ndarray) -> str:
    text = ", ".join(repr(float(v)) for v in values.ravel())
    return f"static const double {name}[] = {{{text}}};"


def _integers(name: str, values: Sequence[int]) -> str:
    return f"static const int {name}[] = {{{', '.join(map(str, values)) or '0'}}};"
