"""Interpretable Kolmogorov-Arnold networks: every learned thing is a curve you can read.

The public names are loaded on first use, so that ``import kanx`` is fast and does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> module that defines it; None marks a public subpackage
_HOMES: dict[str, str | None] = {
    "CapturedStep": "kanx.training.captured",
    "Ensemble": "kanx.ensemble",
    "KAN": "kanx.network",
    "KANClassifier": "kanx.estimators",
    "KANRegressor": "kanx.estimators",
    "SymbolicClassifier": "kanx.symbolic_classifier",
    "MissingValueWarning": "kanx.new_rows",
    "OutOfRangeWarning": "kanx.new_rows",
    "ParquetBatches": "kanx.training.batches",
    "SymbolicRegressor": "kanx.symbolic_regressor",
    "TrainingOptions": "kanx.training.options",
    "datasets": None,
    "edit": "kanx.edits",
    "edits": None,
    "explain": None,  # a module that can be called
    "layers": None,
    "load": "kanx.persistence",
    "save": "kanx.persistence",
    "symbolify": "kanx.explain",
}

__all__ = [
    "KAN",
    "CapturedStep",
    "Ensemble",
    "KANClassifier",
    "KANRegressor",
    "MissingValueWarning",
    "OutOfRangeWarning",
    "ParquetBatches",
    "SymbolicClassifier",
    "SymbolicRegressor",
    "TrainingOptions",
    "datasets",
    "edit",
    "edits",
    "explain",
    "layers",
    "load",
    "save",
    "symbolify",
]

if TYPE_CHECKING:
    from kanx import datasets, edits, layers
    from kanx.edits import edit
    from kanx.explain import explain


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kanx' has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        return importlib.import_module(f"kanx.{name}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
