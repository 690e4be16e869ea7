"""The model as a `torch.export` program."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from kanx.export.serving import ORDERS, Serving, serving


def to_program(model: Any, X: Any = None, orders: int = ORDERS) -> ExportedProgram:
    """Export a fitted estimator's computation on encoded rows.

    The program maps ``(rows, columns)`` in float64, category codes in place of categories and NaN
    in place of missing values, to predictions and contributions; see `kanx.export.serving`.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted
    X : table, optional
        Rows that contributions are relative to.
    orders : int, default=16
        Orders of the inputs that contributions of interacting models are averaged over.

    Returns
    -------
    torch.export.ExportedProgram

    Raises
    ------
    TypeError
        If it is no fitted estimator.
    """
    return exported_program(serving(model, X, orders))


def exported_program(module: Serving) -> ExportedProgram:
    """Export a serving module with any number of rows."""
    example = module.background[:1].expand(3, -1).clone()
    with torch.no_grad():
        return torch.export.export(module, (example,), dynamic_shapes=({0: Dim("rows")},))
