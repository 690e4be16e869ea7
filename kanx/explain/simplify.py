"""Shorten a formula by rules that keep its value, in milliseconds.

``sympy.simplify`` is slow and unstable on fitted floats. A formula found by a search or composed
from edges needs less: constants that can be merged, powers and logarithms folded, phases of one
frequency joined, common factors taken out. A rule is applied to every part of the formula, from
the inside out, and its result kept where it is shorter in bits.
"""

from collections.abc import Collection
from functools import lru_cache
from math import comb, prod

import numpy as np
import sympy as sp
from sympy.core.traversal import bottom_up
from sympy.simplify.fu import TR5, TR6, TR7, TR10i

from kanx.explain.complexity import complexity, description_bits
from kanx.explain.evaluate import evaluate
from kanx.explain.simplify_rules import (
    Rule,
    drop_neutral,
    fold_squares,
    join_powers,
    merge_factors,
    merge_logarithms,
    merge_phases,
)

_LARGEST_FOR_ALGEBRA = 80  # operations and leaves; longer formulas get the local rules only
_MOST_EXPANDED_TERMS = 200
_MOST_ROUNDS = 6


def simplify(expr: sp.Expr, positive: Collection[str] = ()) -> sp.Expr:
    """Return a shorter formula with the same value for real arguments.

    Parameters
    ----------
    expr : sympy.Expr
        A formula in plain symbols.
    positive : collection of str
        Names of the columns known to be positive, which lets ``sqrt(x**2)`` become ``x``.

    Returns
    -------
    sympy.Expr
        Equal to ``expr`` up to rounding wherever ``expr`` is finite, which is checked on random
        points; ``expr`` itself where no rule makes it shorter.
    """
    known = {symbol: _with_sign(symbol, positive) for symbol in expr.free_symbols}
    best = expr.xreplace(known)
    rules = (*_LOCAL_RULES, *_ALGEBRA_RULES)
    for _ in range(_MOST_ROUNDS):
        before = best
        for rule in rules if complexity(best) <= _LARGEST_FOR_ALGEBRA else _LOCAL_RULES:
            best = bottom_up(best, _kept_if_shorter(rule))
        if best == before:
            break
    best = best.xreplace({symbol: plain for plain, symbol in known.items()})
    best = bottom_up(best, join_powers)
    is_shorter = description_bits(best) < description_bits(expr)
    return best if is_shorter and same_values(expr, best, positive) else expr


def same_values(first: sp.Expr, second: sp.Expr, positive: Collection[str] = ()) -> bool:
    """Return whether two formulas agree on random points wherever the first is finite."""
    rng = np.random.default_rng(0)
    columns = {}
    for symbol in sorted(first.free_symbols | second.free_symbols, key=str):
        sign = 1.0 if symbol.name in positive else rng.choice([-1.0, 1.0], 64, p=[0.25, 0.75])
        columns[symbol.name] = sign * np.exp(rng.normal(size=64))
    a, b = (np.broadcast_to(evaluate(expr, columns), 64) for expr in (first, second))
    finite = np.isfinite(a)
    scale = np.abs(a[finite]) + np.abs(a[finite]).mean() if finite.any() else 1.0
    return bool(np.all(np.abs(a - b)[finite] <= 1e-9 * scale))


def _with_sign(symbol: sp.Symbol, positive: Collection[str]) -> sp.Symbol:
    """Return the symbol with what is known of its sign, on which sympy's own folding relies."""
    if symbol.name in positive:
        return sp.Symbol(symbol.name, positive=True)
    return sp.Symbol(symbol.name, real=True)


def _kept_if_shorter(rule: Rule) -> Rule:
    def applied(expr: sp.Expr) -> sp.Expr:
        changed = rule(expr)
        return changed if changed != expr and _cost(changed) < _cost(expr) else expr

    return applied


@lru_cache(maxsize=4096)
def _cost(expr: sp.Expr) -> float:
    """Return the bits of ``expr`` as it will be written, roots of products in one piece.

    With positive symbols sympy splits ``sqrt(x*y)`` into two roots, so they are joined as one.
    """
    plain = {symbol: sp.Dummy() for symbol in expr.free_symbols}
    return description_bits(bottom_up(expr.xreplace(plain), join_powers))


def _algebra(rule: Rule, *heads: type[sp.Basic]) -> Rule:
    """Let an exact rule of sympy see floats as symbols, on small expressions of some kinds.

    Equal floats are the same symbol, so ``2.5*x + 2.5*y`` has a common factor, and no sum of
    floats is ever taken for zero.
    """

    def applied(expr: sp.Expr) -> sp.Expr:
        if not isinstance(expr, heads) or _expanded_terms(expr) > _MOST_EXPANDED_TERMS:
            return expr
        symbols = {number: sp.Dummy(positive=True) for number in expr.atoms(sp.Float)}
        floats = {symbol: number for number, symbol in symbols.items()}
        try:
            return rule(expr.xreplace(symbols)).xreplace(floats)
        except sp.PolynomialError:  # piecewise parts are no polynomials
            return expr

    return applied


def _expanded_terms(expr: sp.Expr) -> float:
    """Return how many terms ``expr`` would have when multiplied out."""
    if expr.is_Add:
        return sum(map(_expanded_terms, expr.args))
    if expr.is_Mul:
        return prod(map(_expanded_terms, expr.args))
    if expr.is_Pow and expr.exp.is_Integer:
        terms, power = _expanded_terms(expr.base), abs(int(expr.exp))
        return 1 if terms == 1 else comb(int(terms) + min(power, 64) - 1, min(power, 64))
    return 1


def _trigonometric(rule: Rule) -> Rule:
    """Apply a trigonometric rule where both it and its expansion may show a cancellation."""

    def applied(expr: sp.Expr) -> sp.Expr:
        return sp.expand_mul(rule(expr)) if expr.has(sp.sin, sp.cos) else expr

    return _algebra(applied, sp.Add)


_LOCAL_RULES: tuple[Rule, ...] = (
    drop_neutral,
    merge_factors,
    merge_logarithms,
    merge_phases,
    fold_squares,
)
_ALGEBRA_RULES: tuple[Rule, ...] = (
    _algebra(sp.expand_mul, sp.Add),
    _algebra(sp.powdenest, sp.Pow),
    _algebra(sp.powsimp, sp.Mul),
    _algebra(sp.factor_terms, sp.Add),
    _algebra(sp.together, sp.Add),
    _algebra(sp.cancel, sp.Add, sp.Mul),
    _algebra(sp.factor, sp.Add),
    _trigonometric(TR5),
    _trigonometric(TR6),
    _trigonometric(lambda expr: TR7(TR5(expr))),
    _trigonometric(TR10i),
)
