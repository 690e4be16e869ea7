"""`save` and `load`: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_arrays
from safetensors.numpy import save as format_arrays

import kanx
from kanx.atomic import write_bytes
from kanx.estimator_base import KANEstimator
from kanx.estimators import KANClassifier, KANRegressor
from kanx.header_check import check_estimator, check_evaluates, check_header
from kanx.memory import require_bytes
from kanx.network import KAN
from kanx.serialisation import network_from_arrays, network_to_arrays

if TYPE_CHECKING:
    from kanx.symbolic_record import SymbolicEstimator

FORMAT = 1
_HEADER = "kanx"
# what building a model from wrong numbers may raise; torch's errors are RuntimeErrors
_DAMAGE = (
    SafetensorError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
)
_SYMBOLIC = ("SymbolicRegressor", "SymbolicClassifier")  # loaded late: they import sympy
_ESTIMATORS = {cls.__name__: cls for cls in (KANRegressor, KANClassifier)}


def save(model: KANEstimator | KAN | SymbolicEstimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator or a network to one file, whole or not at all.

    Parameters
    ----------
    model : KANRegressor, KANClassifier, KAN, SymbolicRegressor or SymbolicClassifier
    path : path
        Such as ``"model.kanx"``; the folder must exist.

    Raises
    ------
    TypeError
        If the model is none of ours.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    OSError
        If the file cannot be written; what was there before stays.
    """
    if isinstance(model, KAN):
        described, arrays = network_to_arrays(model)
        header: dict[str, Any] = {"kind": "KAN", "network": described}
    elif isinstance(model, KANEstimator):
        described, arrays = model.to_arrays()
        header = {"kind": type(model).__name__, "estimator": described}
    elif type(model).__name__ in _SYMBOLIC:
        from kanx.symbolic_record import to_header

        header, arrays = {"kind": type(model).__name__, "estimator": to_header(model)}, {}
    else:
        raise TypeError(
            "save takes a KANRegressor, a KANClassifier, a KAN or a symbolic estimator, got "
            f"{type(model).__name__}"
        )
    header = {"format": FORMAT, "version": kanx.__version__, **header}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, format_arrays(contiguous, {_HEADER: json.dumps(header)}))


def load(path: str | os.PathLike[str]) -> KANEstimator | KAN | SymbolicEstimator:
    """Read a model that `save` wrote; nothing in the file is ever executed.

    Parameters
    ----------
    path : path

    Returns
    -------
    KANRegressor, KANClassifier, KAN, SymbolicRegressor or SymbolicClassifier
        It predicts bit for bit as the saved one.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no kanx model, is damaged, or was written by a newer format.
    MemoryError
        If it will not fit.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        # the bytes, the arrays and the model are in memory together
        require_bytes(3 * size, f"loading {os.fspath(path)!r}", "Load it on a larger machine.")
        data = file.read()
    header = _read_header(data, path)
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} has format {header.get('format')!r}, this version of kanx reads "
            f"format {FORMAT}; install the kanx that wrote it ({header.get('version')!r}) or newer"
        )
    try:
        arrays = parse_arrays(data)
        check_header(header, sum(array.size for array in arrays.values()))
        kind = header["kind"]
        if kind in _SYMBOLIC:
            from kanx.symbolic_record import from_header

            return from_header(kind, header["estimator"])
        if kind == "KAN":
            network = network_from_arrays(header["network"], arrays)
            check_evaluates(network)
            return network
        model = _ESTIMATORS[kind].from_arrays(header["estimator"], arrays)
        check_estimator(model)
        for member in model.model_.members:
            check_evaluates(member.network)
        return model
    except _DAMAGE as error:
        raise ValueError(f"{os.fspath(path)!r} is a damaged kanx model: {error}") from error


def _read_header(data: bytes, path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return our part of the safetensors header."""
    name = os.fspath(path)
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > len(data) - 8:
            raise ValueError("too short")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        header = json.loads(metadata[_HEADER])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{name!r} is no kanx model; pass a file written by kanx.save or kanx fit"
        ) from error
    if not isinstance(header, dict):
        raise ValueError(f"{name!r} is no kanx model; its header is no JSON object")
    return header
