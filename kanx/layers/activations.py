"""Published activation functions with trained shapes, in tensors and in symbols."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

SMALLEST = 1e-4  # least lambda of APA, as in its authors' code


class Activation(NamedTuple):
    """An activation function ``g(t, *shape)``.

    Parameters
    ----------
    torch : callable
        ``t (..., in)`` and shapes ``(in,)`` each to ``(..., in)``.
    sympy : callable
        The same for expressions.
    start : tuple of float
        Start of every shape parameter.
    """

    torch: Callable[..., Tensor]
    sympy: Callable[..., Any]
    start: tuple[float, ...] = ()


_TORCH = SimpleNamespace(
    exp=torch.exp,
    sigmoid=torch.sigmoid,
    arctan=torch.atan,
    normal_cdf=torch.special.ndtr,
    softplus=lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    sinc=lambda x: torch.sinc(x / math.pi),
    bounded=lambda x, low, high: x.clamp(low, high),
    pi=math.pi,
)


@cache
def _symbols() -> SimpleNamespace:
    import sympy as sp

    return SimpleNamespace(
        exp=sp.exp,
        sigmoid=lambda x: 1 / (1 + sp.exp(-x)),
        arctan=sp.atan,
        normal_cdf=lambda x: (1 + sp.erf(x / sp.sqrt(2))) / 2,
        softplus=lambda x: sp.log(1 + sp.exp(x)),
        sinc=lambda x: sp.sin(x) / x if x != 0 else sp.Integer(1),
        bounded=lambda x, low, high: sp.Float(min(max(float(x), low), high), 17),
        pi=sp.pi,
    )


def _swish(m: Any, t: Any, beta: Any) -> Any:
    return t * m.sigmoid(beta * t)


def _snake(m: Any, t: Any, a: Any) -> Any:
    return t + a * t**2 * m.sinc(a * t) ** 2  # sin(at)^2 / a without the division by a


def _apa(m: Any, t: Any, kappa: Any, log_lambda: Any) -> Any:
    # (1 + lambda exp(-kappa t)) ** (-1 / lambda), in logarithms
    size = m.bounded(log_lambda, math.log(SMALLEST), 10.0)
    return m.exp(-m.softplus(size - kappa * t) * m.exp(-size))


def _aglu(m: Any, t: Any, kappa: Any, log_lambda: Any) -> Any:
    return t * _apa(m, t, kappa, log_lambda)


def _expanded(t: Any, gate: Any, alpha: Any) -> Any:
    return t * (gate * (1 + 2 * alpha) - alpha)


def _elephant(m: Any, t: Any, log_width: Any) -> Any:
    return 1 / (1 + (t * m.exp(-m.bounded(log_width, -7.0, 7.0))) ** 4)


# name: (function, start of its shapes). Swish: Ramachandran et al. 1710.05941. Snake: Liu et al.
# 2006.08195. APA and AGLU = t APA: 2407.08567. Expanded gates: Huang 2405.20768. Elephant: Lan and
# Mahmood 2310.01365 with d = 4, its height being the edge's weight.
_TABLE: dict[str, tuple[Callable[..., Any], tuple[float, ...]]] = {
    "identity": (lambda m, t: t, ()),
    "silu": (lambda m, t: t * m.sigmoid(t), ()),
    "swish": (_swish, (1.0,)),
    "snake": (_snake, (0.5,)),
    "apa": (_apa, (1.0, 0.0)),
    "aglu": (_aglu, (1.0, 0.0)),
    "xatlu": (lambda m, t, alpha: _expanded(t, m.arctan(t) / m.pi + 0.5, alpha), (0.0,)),
    "xgelu": (lambda m, t, alpha: _expanded(t, m.normal_cdf(t), alpha), (0.0,)),
    "xsilu": (lambda m, t, alpha: _expanded(t, m.sigmoid(t), alpha), (0.0,)),
    "elephant": (_elephant, (-1.0,)),
}


def _in_symbols(written: Callable[..., Any], *arguments: Any) -> Any:
    return written(_symbols(), *arguments)


ACTIVATIONS: dict[str, Activation] = {
    name: Activation(partial(written, _TORCH), partial(_in_symbols, written), start)
    for name, (written, start) in _TABLE.items()
}


def find_activation(name: str) -> Activation:
    """Return an activation by name: one of this table, or a function of the whole real line.

    Raises
    ------
    ValueError
        If no such function has this name.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    from kanx.functions import FUNCTIONS, REAL_LINE  # it imports sympy

    fixed = {f.name: f for f in FUNCTIONS.values() if f.arity == 1 and f.domain == REAL_LINE}
    if name not in fixed:
        known = sorted({*ACTIVATIONS, *fixed})
        raise ValueError(f"activation {name!r} is unknown; choose one of {known}")
    return Activation(fixed[name].torch, fixed[name].sympy)
