"""`kanx export`: write a saved model as code or a file for another system."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from kanx.atomic import write_bytes, write_text
from kanx.commands.models import load_estimator

# target: ending of the file's name by default
TARGETS = {
    "c": ".c",
    "javascript": ".js",
    "numpy": ".py",
    "onnx": ".onnx",
    "sql": ".sql",
    "torch": ".pt2",
}


def run(arguments: Namespace) -> None:
    """Write the model in the form that was asked for."""
    model = load_estimator(arguments.model)
    path = arguments.out or f"model{TARGETS[arguments.to]}"
    if arguments.to == "onnx":
        write_bytes(path, _onnx(model))
    elif arguments.to == "torch":
        write_bytes(path, _program(model))
    else:
        write_text(path, _code(model, arguments.to, arguments.table))
    sys.stdout.write(f"wrote {path}\n")


def _code(model: Any, target: str, table: str) -> str:
    from kanx import export

    if target == "sql":
        return export.to_sql(model, table)
    writers = {"c": export.to_c, "javascript": export.to_javascript, "numpy": export.to_numpy}
    return writers[target](model)


def _onnx(model: Any) -> bytes:
    from kanx.export import to_onnx

    try:
        return to_onnx(model).SerializeToString()
    except ImportError as error:
        raise ValueError(str(error)) from error


def _program(model: Any) -> bytes:
    import io

    import torch

    from kanx.export import to_program

    file = io.BytesIO()
    torch.export.save(to_program(model), file)
    return file.getvalue()
