"""The constants of a formula: their errors, and when one may be given its exact name."""

from dataclasses import dataclass
from math import nan

import sympy as sp


@dataclass(frozen=True)
class Constant:
    """Hold one fitted constant.

    Parameters
    ----------
    value : float
        The value that stands in the formula.
    standard_error : float
        Its standard error; NaN where it is not known.
    exact : sympy.Expr or None
        The exact number it was recognised as, such as ``1/2`` or ``sqrt(2*pi)``.
    """

    value: float
    standard_error: float = nan
    exact: sp.Expr | None = None
