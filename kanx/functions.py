"""The table of elementary functions: how each is computed, written, restricted and priced.

Everything that speaks of symbols reads this one table: symbolic edges compute with ``torch``,
searches compute with ``numpy``, formulas are written with ``sympy``, and a choice between two
symbols is paid for in ``price_bits``. A user adds a function with one line::

    register(Function("airy", torch.special.airy_ai, airy_numpy, sp.airyai, price_bits=8))
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from math import inf, pi, sqrt
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special


class Domain(NamedTuple):
    """Hold the real numbers at which a function is defined: an interval, with or without its ends.

    Parameters
    ----------
    low, high : float
        Ends of the interval; infinite ends are always open.
    low_open, high_open : bool
        Whether an end is excluded.
    hole : float or None
        One interior point that is excluded, such as 0 for the reciprocal.
    """

    low: float = -inf
    high: float = inf
    low_open: bool = False
    high_open: bool = False
    hole: float | None = None

    def contains(self, x: ArrayLike) -> NDArray[np.bool_]:
        """Return, element by element, whether finite ``x`` lies in the domain."""
        x = np.asarray(x, dtype=float)
        above = x > self.low if self.low_open else x >= self.low
        below = x < self.high if self.high_open else x <= self.high
        inside = above & below & np.isfinite(x)
        return inside if self.hole is None else inside & (x != self.hole)

    def covers(self, low: ArrayLike, high: ArrayLike) -> NDArray[np.bool_]:
        """Return, element by element, whether the interval ``[low, high]`` lies in the domain."""
        inside = self.contains(low) & self.contains(high)
        if self.hole is None:
            return inside
        return inside & ((np.asarray(low) > self.hole) | (np.asarray(high) < self.hole))


REAL_LINE = Domain()
POSITIVE = Domain(0.0, low_open=True)
NON_NEGATIVE = Domain(0.0)
NON_ZERO = Domain(hole=0.0)


@dataclass(frozen=True)
class Function:
    """Describe one elementary function in every form the package needs.

    The numerical forms are never protected: outside ``domain`` they give NaN or infinity, so that
    the curve, the formula and the exported code are the same function.

    Parameters
    ----------
    name : str
        Unique name, a Python identifier.
    torch, numpy, sympy : callable
        The function of tensors, of arrays and of expressions; each takes ``arity`` arguments.
    domain : Domain
        Where the function of a real argument is real and finite; with two arguments, of each.
    price_bits : float
        Description length of choosing this function: small for the functions of school books.
    arity : {1, 2}
        Number of arguments.
    group : str or None
        Name shared by functions so alike that noisy data seldom tell them apart.
    """

    name: str
    torch: Callable[..., torch.Tensor]
    numpy: Callable[..., Any]
    sympy: Callable[..., sp.Expr]
    domain: Domain = REAL_LINE
    price_bits: float = 6.0
    arity: int = 1
    group: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"name must be a Python identifier, got {self.name!r}")
        if self.arity not in (1, 2):
            raise ValueError(f"arity must be 1 or 2, got {self.arity!r} for {self.name!r}")

    @cached_property
    def derivative(self) -> Callable[..., Any]:
        """The derivative of a one-argument function, for arrays, from its symbolic form.

        At the jump of a step, such as ``sign``, it is taken to be 0.
        """
        if self.arity != 1:
            raise TypeError(f"{self.name!r} takes {self.arity} arguments: it has no one derivative")
        x = sp.Symbol("x", real=True)
        slope = sp.diff(self.sympy(x), x).replace(sp.DiracDelta, lambda *_: sp.Integer(0))
        compiled = sp.lambdify(x, slope, ["scipy", "numpy"])
        return lambda values: compiled(np.asarray(values, dtype=float)) + 0.0 * np.asarray(values)


FUNCTIONS: dict[str, Function] = {}
_BY_HEAD: dict[Any, Function] = {}


def register(function: Function) -> Function:
    """Add a function to the table and return it.

    Raises
    ------
    ValueError
        If the table already has a function of this name.
    """
    if function.name in FUNCTIONS:
        raise ValueError(f"a function named {function.name!r} exists already; choose another name")
    FUNCTIONS[function.name] = function
    if isinstance(function.sympy, sp.FunctionClass):
        _BY_HEAD.setdefault(function.sympy, function)
    return function


def function_of(expr: sp.Expr) -> Function | None:
    """Return the table's entry for the outermost sympy function of ``expr``, or None.

    Functions written with others, such as the sigmoid, are found as what they are written with.
    """
    return _BY_HEAD.get(expr.func)


# What composite functions are written with, in the three kinds of arithmetic.
_TORCH = SimpleNamespace(
    exp=torch.exp,
    expm1=torch.expm1,
    log=torch.log,
    sqrt=torch.sqrt,
    sin=torch.sin,
    tanh=torch.tanh,
    sigmoid=torch.sigmoid,
    softplus=lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    normal_cdf=torch.special.ndtr,
    normal_peak=1 / sqrt(2 * pi),
)
_NUMPY = SimpleNamespace(
    exp=np.exp,
    expm1=np.expm1,
    log=np.log,
    sqrt=np.sqrt,
    sin=np.sin,
    tanh=np.tanh,
    sigmoid=special.expit,
    softplus=lambda x: np.logaddexp(x, 0.0),
    normal_cdf=special.ndtr,
    normal_peak=1 / sqrt(2 * pi),
)
_SYMPY = SimpleNamespace(
    exp=sp.exp,
    expm1=lambda x: sp.exp(x) - 1,
    log=sp.log,
    sqrt=sp.sqrt,
    sin=sp.sin,
    tanh=sp.tanh,
    sigmoid=lambda x: 1 / (1 + sp.exp(-x)),
    softplus=lambda x: sp.log(1 + sp.exp(x)),
    normal_cdf=lambda x: (1 + sp.erf(x / sp.sqrt(2))) / 2,
    normal_peak=1 / sp.sqrt(2 * sp.pi),
)


def _composite(
    name: str,
    written: Callable[[Any, Any], Any],
    domain: Domain = REAL_LINE,
    price_bits: float = 6.0,
    group: str | None = None,
) -> Function:
    """Build a function from one definition ``written(library, x)`` for all three arithmetics."""
    by_torch, by_numpy, by_sympy = (partial(written, m) for m in (_TORCH, _NUMPY, _SYMPY))
    return Function(name, by_torch, by_numpy, by_sympy, domain, price_bits, group=group)


# Prices follow how often a function occurs in tables of physical laws: powers, exp, log, sin and
# cos are cheap, special shapes dear; on average about log2 of the number of entries.
for _function in (
    _composite("identity", lambda m, x: x, price_bits=0),
    _composite("square", lambda m, x: x**2, price_bits=2),
    _composite("cube", lambda m, x: x**3, price_bits=3),
    _composite("fourth_power", lambda m, x: x**4, price_bits=4),
    _composite("reciprocal", lambda m, x: 1 / x, NON_ZERO, price_bits=2),
    _composite("inverse_square", lambda m, x: 1 / x**2, NON_ZERO, price_bits=3),
    _composite("sqrt", lambda m, x: m.sqrt(x), NON_NEGATIVE, price_bits=3),
    _composite("inverse_sqrt", lambda m, x: 1 / m.sqrt(x), POSITIVE, price_bits=4),
    Function("exp", torch.exp, np.exp, sp.exp, price_bits=3),
    Function("log", torch.log, np.log, sp.log, POSITIVE, price_bits=3),
    Function("sin", torch.sin, np.sin, sp.sin, price_bits=3),
    Function("cos", torch.cos, np.cos, sp.cos, price_bits=3),
    Function("tan", torch.tan, np.tan, sp.tan, Domain(-pi / 2, pi / 2, True, True), 5),
    Function("asin", torch.asin, np.arcsin, sp.asin, Domain(-1.0, 1.0), 5),
    Function("acos", torch.acos, np.arccos, sp.acos, Domain(-1.0, 1.0), 5),
    Function("atan", torch.atan, np.arctan, sp.atan, price_bits=5),
    Function("sinh", torch.sinh, np.sinh, sp.sinh, price_bits=5),
    Function("cosh", torch.cosh, np.cosh, sp.cosh, price_bits=5),
    Function("tanh", torch.tanh, np.tanh, sp.tanh, price_bits=4, group="sigmoidal"),
    Function("asinh", torch.asinh, np.arcsinh, sp.asinh, price_bits=6),
    Function("acosh", torch.acosh, np.arccosh, sp.acosh, Domain(1.0), 6),
    Function("atanh", torch.atanh, np.arctanh, sp.atanh, Domain(-1.0, 1.0, True, True), 6),
    Function("abs", torch.abs, np.abs, sp.Abs, price_bits=4),
    Function("sign", torch.sign, np.sign, sp.sign, price_bits=5),
    Function("erf", torch.erf, special.erf, sp.erf, price_bits=6),
    Function("maximum", torch.maximum, np.maximum, sp.Max, price_bits=5, arity=2),
    Function("minimum", torch.minimum, np.minimum, sp.Min, price_bits=5, arity=2),
    _composite("gaussian", lambda m, x: m.exp(-(x**2)), price_bits=4),
    _composite("hyperbola", lambda m, x: m.sqrt(1 + x**2), price_bits=5),
    _composite("lorentzian", lambda m, x: 1 / (1 + x**2), price_bits=5),
    _composite("sinc", lambda m, x: m.sin(x) / x, NON_ZERO, price_bits=5),
    _composite("bose", lambda m, x: 1 / m.expm1(x), NON_ZERO, price_bits=6),
    _composite("planck", lambda m, x: x / m.expm1(x), NON_ZERO, price_bits=6),
    _composite("langevin", lambda m, x: 1 / m.tanh(x) - 1 / x, NON_ZERO, price_bits=7),
    _composite("x_exp", lambda m, x: x * m.exp(x), price_bits=5),
    _composite("x_log", lambda m, x: x * m.log(x), POSITIVE, price_bits=5),
    _composite("sigmoid", lambda m, x: m.sigmoid(x), price_bits=4, group="sigmoidal"),
    _composite("relu", lambda m, x: (x + abs(x)) / 2, price_bits=5),
    _composite("softplus", lambda m, x: m.softplus(x), price_bits=6, group="smooth ramp"),
    _composite(
        "sau",
        lambda m, x: x * m.normal_cdf(x) + m.exp(-(x**2) / 2) * m.normal_peak,
        price_bits=7,
        group="smooth ramp",
    ),
    _composite("silu", lambda m, x: x * m.sigmoid(x), price_bits=6, group="gated ramp"),
    _composite("gelu", lambda m, x: x * m.normal_cdf(x), price_bits=6, group="gated ramp"),
    _composite("mish", lambda m, x: x * m.tanh(m.softplus(x)), price_bits=7, group="gated ramp"),
):
    register(_function)
