"""Canonical forms that a curve may have: a table function of ``slope * (s - centre)``.

The general ``a*f(b*x + c) + d`` is redundant for most functions: the scale of a power, the shift
of an exponential and the scale inside a logarithm can all be moved into ``a`` and ``d``. A form
keeps only the parameters that its function needs, so that they are determined by the data and
counted rightly.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.functions import FUNCTIONS, REAL_LINE, Function

Array = NDArray[np.float64]

POWER = "power"  # x**p with a free p: the exponential of p * log(x)
RATIONAL = "rational"  # a quotient of polynomials: see rational_fit

_POWER_BITS = 4.0


class Free(Enum):
    """Say which inner parameters of a form are fitted: slope, centre."""

    SLOPE_AND_CENTRE = (True, True)  # f(b*x + c)
    CENTRE = (False, True)  # f(±x + c): the scale is absorbed by the amplitude and the offset
    SLOPE = (True, False)  # f(b*x), with x measured from its own zero


_CENTRE_ONLY = (
    "cube fourth_power reciprocal inverse_square sqrt inverse_sqrt log abs relu"
).split()
_SLOPE_ONLY = "exp bose planck langevin sinc x_exp x_log".split()
_PERIODIC = ("sin", "cos")
_REPEATS = {"cos": "sin", "acos": "asin"}  # the same curve with another centre
_NO_FORM = ("identity", "square", "sign")  # fitted as polynomials, or not fitted at all

# On t in [-1, 1]. Slopes from nearly straight to steps; centres inside, at the ends and far
# outside; frequencies to a dozen periods, so close that each falls into the basin of a start.
_STEEPEST = 200.0
_SLOPES = np.geomspace(0.4, 40.0, 14)
_CENTRES = np.concatenate([np.linspace(-1.2, 1.2, 11), [-2.5, 2.5]])
_FINE_SLOPES = np.geomspace(0.1, 60.0, 40)
_FREQUENCIES = np.concatenate([np.geomspace(0.4, 2.0, 5), np.arange(2.8, 40.0, 0.8)])
_PHASES = np.linspace(0.0, np.pi, 5)[:-1]
_OUTSIDE = 1 + np.concatenate([[0.0], np.geomspace(0.003, 30.0, 14)])
_WIDE_CENTRES = np.concatenate([-_OUTSIDE, np.linspace(-0.9, 0.9, 10), _OUTSIDE])
_POWERS = np.geomspace(0.3, 6.0, 10)


@dataclass(frozen=True)
class Form:
    """Hold a function of ``slope * (s - centre)`` and say which of the two are free.

    Parameters
    ----------
    name : str
        Name of the function, or ``power``.
    function : Function
        A one-argument function of the table; the exponential for a power.
    free : Free
        Which inner parameters are fitted.
    """

    name: str
    function: Function
    free: Free

    @property
    def is_periodic(self) -> bool:
        """Whether the function repeats itself every 2 pi."""
        return self.name in _PERIODIC

    @property
    def n_constants(self) -> int:
        """Number of fitted constants: amplitude, offset and the free inner ones."""
        return 2 + sum(self.free.value)

    @property
    def price_bits(self) -> float:
        """Price of choosing this form."""
        return _POWER_BITS if self.name == POWER else self.function.price_bits

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the function is even or odd, so that the sign of the slope is free to choose."""
        there, back = self.function.numpy(_PROBES), self.function.numpy(-_PROBES)
        return bool(np.allclose(there, back, 1e-12, 0) or np.allclose(there, -back, 1e-12, 0))

    def coordinate(self, x: Array, origin: float) -> Array:
        """Return s: the points themselves, or for a power their logarithms."""
        return np.log(np.abs(x - origin)) if self.name == POWER else x

    def starts(self, origin: float) -> Array:
        """Return starting points ``(slope, centre)`` on t in [-1, 1], shape (n_starts, 2).

        Parameters
        ----------
        origin : float
            Where the user's ``x = 0`` lies on the t axis.
        """
        if self.is_periodic:
            slopes, phases = np.meshgrid(_FREQUENCIES, _PHASES, indexing="ij")
            return np.stack([slopes, phases / slopes], axis=-1).reshape(-1, 2)
        if self.name == POWER:
            slopes, centres = (_POWERS, np.zeros(1)) if abs(origin) > 1 else (_POWERS[:0], _POWERS)
        else:
            slopes, centres = {
                Free.SLOPE_AND_CENTRE: (_SLOPES, _CENTRES),
                Free.CENTRE: (np.ones(1), _WIDE_CENTRES),
                Free.SLOPE: (_FINE_SLOPES / max(1.0, abs(origin)), np.array([origin])),
            }[self.free]
        if not self.is_symmetric:
            slopes = np.concatenate([slopes, -slopes])
        grid = np.stack(np.meshgrid(slopes, centres, indexing="ij"), axis=-1).reshape(-1, 2)
        return grid[self.is_legal(grid)]

    def is_legal(self, inner: Array) -> NDArray[np.bool_]:
        """Return whether the function is defined on all of [-1, 1], for each row of ``inner``."""
        slope, centre = inner[..., 0], inner[..., 1]
        gentle = np.abs(slope) < _STEEPEST
        if self.function.domain == REAL_LINE:
            return gentle
        left, right = slope * (-1 - centre), slope * (1 - centre)
        low, high = np.minimum(left, right), np.maximum(left, right)
        return gentle & self.function.domain.covers(low, high)

    def constants(self, inner: Array) -> Array:
        """Return the fitted inner constants as they are written: slope and shift."""
        slope, centre = inner
        return np.array([slope, -slope * centre])[np.array(self.free.value)]

    def gradient_by_constants(self, s: Array, inner: Array) -> Array:
        """Return the derivative by each of ``constants``, (n_constants, n_points)."""
        slope, centre = inner
        with np.errstate(all="ignore"):
            by_shift = finite(self.function.derivative(slope * (s - centre)))
        return np.stack([s * by_shift, by_shift])[np.array(self.free.value)]

    def expr(self, symbol: sp.Expr, inner: Array) -> sp.Expr:
        """Return the form as an expression; what was not fitted is exact."""
        slope, centre = (float(value) for value in inner)
        if self.name == POWER:
            return symbol ** sp.Float(slope)
        slope_is_free, centre_is_free = self.free.value
        scaled = (sp.Float(slope) if slope_is_free else sp.Integer(int(slope))) * symbol
        return self.function.sympy(scaled + sp.Float(-slope * centre) if centre_is_free else scaled)


_PROBES = np.array([0.3, 0.7, 1.1])


def finite(values: Array) -> Array:
    """Return values with 0 for what is not finite, as the derivative of a root at its end."""
    return np.where(np.isfinite(values), values, 0.0)


def forms(functions: Collection[str] | None = None) -> list[Form]:
    """Return the forms of the allowed functions; of all in the table by default.

    Raises
    ------
    ValueError
        If a name is not in the table.
    """
    known = {*FUNCTIONS, POWER, RATIONAL}
    allowed = known if functions is None else set(functions)
    if not allowed <= known:
        raise ValueError(
            f"unknown functions {sorted(allowed - known)}; the table has {sorted(known)}"
        )
    found: list[Form] = []
    for name, function in FUNCTIONS.items():
        if name not in allowed or function.arity != 1 or name in _NO_FORM:
            continue
        if _REPEATS.get(name) in allowed:
            continue
        found.append(_form_of(function))
    if POWER in allowed:
        found.append(_POWER_FORM)
    return found


@lru_cache(maxsize=512)
def _form_of(function: Function) -> Form:
    """Return the form of a function; those that are not listed above need both parameters."""
    free = Free.SLOPE_AND_CENTRE
    free = Free.CENTRE if function.name in _CENTRE_ONLY else free
    free = Free.SLOPE if function.name in _SLOPE_ONLY else free
    return Form(function.name, function, free)


_POWER_FORM = Form(POWER, FUNCTIONS["exp"], Free.SLOPE)
