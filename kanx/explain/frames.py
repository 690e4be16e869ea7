"""Tables out: a pandas frame where pandas is installed, else a dict of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def frame_of(columns: Mapping[str, Any]) -> Any:
    """Return columns as a `pandas.DataFrame`, or as a dict of arrays without pandas."""
    try:
        import pandas
    except ImportError:
        return {name: np.asarray(values) for name, values in columns.items()}
    return pandas.DataFrame({name: list(values) for name, values in columns.items()})
