"""Read a fitted model: its curves, what matters in it, and the formula it has found.

The module can be called: ``kanx.explain(model, X)`` is `kanx.explain.explain`. Its public names
are loaded on first use.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Explanation": "kanx.explain.explanation",
    "Formula": "kanx.explain.formula",
    "explain": "kanx.explain.explanation",
    "stability": "kanx.explain.repeats",
    "structure": "kanx.explain.pair_tests",
    "symbolify": "kanx.explain.symbols",
}

__all__ = ["Explanation", "Formula", "explain", "stability", "structure", "symbolify"]

if TYPE_CHECKING:
    from kanx.explain.explanation import Explanation, explain
    from kanx.explain.formula import Formula
    from kanx.explain.pair_tests import structure
    from kanx.explain.repeats import stability
    from kanx.explain.symbols import symbolify


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kanx.explain' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _CallableModule(ModuleType):
    """Importing any submodule sets ``kanx.explain`` to this module, which must stay callable."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.explain(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
