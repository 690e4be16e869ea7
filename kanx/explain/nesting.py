"""Write a curve of an expression without conditions on it.

A piecewise expression of a piecewise expression makes sympy compare all cases of both, which takes
minutes. A continuous curve in pieces needs no conditions: with the knots :math:`k_1 < k_2 < \\dots`
and :math:`[t]_a^b` for ``t`` limited to the interval,

.. math:: f(t) = p_0([t]^{k_1}) + \\sum_j \\big(p_j([t]_{k_j}^{k_{j+1}}) - p_j(k_j)\\big) .
"""

from __future__ import annotations

import sympy as sp
from sympy.core.function import Application

from kanx.layers import EdgeFamily


def nested(bundle: EdgeFamily, edge: tuple[int, int], value: sp.Expr) -> sp.Expr | None:
    """Return the exact expression of an edge at an expression; None without a closed form.

    Parameters
    ----------
    bundle : EdgeFamily
    edge : (int, int)
        Input and output of the bundle.
    value : sympy.Expr
        What enters the edge.
    """
    t = sp.Dummy("t", real=True)
    inside = bundle.sympy_inside(edge, t)
    if inside is None:
        return None
    lower, upper = (bound[edge[0]].double().item() for bound in (bundle.lower, bundle.upper))
    scale = sp.Float(2 / (upper - lower), 17)
    at = scale * (value - sp.Float((upper + lower) / 2, 17))
    if bundle.extrapolate == "family":
        return _without_conditions(inside, t, at)
    total = _without_conditions(inside, t, _limited(at, -sp.S.One, sp.S.One))
    if bundle.extrapolate == "linear":
        slope = inside.diff(t)
        below, above = (slope.subs(t, end).doit() for end in (-1, 1))
        total += below * sp.Min(at + 1, 0, evaluate=False)
        total += above * sp.Max(at - 1, 0, evaluate=False)
    return total


def _without_conditions(curve: sp.Expr, t: sp.Symbol, at: sp.Expr) -> sp.Expr:
    """Evaluate a continuous curve at an expression."""
    if not isinstance(curve, sp.Piecewise):
        return _placed(curve, t, at)
    pieces = [piece for piece, _ in curve.args]
    knots = [condition.gts for _, condition in curve.args[:-1]]  # every one reads t < knot
    total = _placed(pieces[0], t, _limited(at, None, knots[0] if knots else None))
    for j, piece in enumerate(pieces[1:], 1):
        upper = knots[j] if j < len(knots) else None
        total += _placed(piece, t, _limited(at, knots[j - 1], upper)) - piece.subs(t, knots[j - 1])
    return total


def _limited(value: sp.Expr, lower: sp.Expr | None, upper: sp.Expr | None) -> sp.Expr:
    if upper is not None:
        value = sp.Min(value, upper, evaluate=False)
    return value if lower is None else sp.Max(value, lower, evaluate=False)


def _placed(expr: sp.Expr, symbol: sp.Symbol, value: sp.Expr) -> sp.Expr:
    """Put a value in the place of a symbol, without a search for simpler forms."""
    known: dict[sp.Basic, sp.Basic] = {symbol: value}

    def rebuilt(node: sp.Basic) -> sp.Basic:
        if node not in known:
            arguments = [rebuilt(argument) for argument in node.args]
            if list(node.args) == arguments:
                known[node] = node
            elif isinstance(node, Application):
                known[node] = node.func(*arguments, evaluate=False)
            else:
                known[node] = node.func(*arguments)
        return known[node]

    return rebuilt(expr)
