"""The local rules of ``simplify``: constants that say the same thing twice become one."""

from collections import defaultdict
from collections.abc import Callable
from itertools import combinations

import sympy as sp

Rule = Callable[[sp.Expr], sp.Expr]


def drop_neutral(expr: sp.Expr) -> sp.Expr:
    """Drop the floats that do nothing: ``1.0*x``, ``x**1.0`` and ``x + 0.0``."""
    neutral = {sp.Add: 0.0, sp.Mul: 1.0}.get(expr.func)
    if expr.is_Pow and expr.exp.is_Float and float(expr.exp) == 1.0:
        return expr.base
    if neutral is not None and expr.args[0].is_Float and float(expr.args[0]) == neutral:
        return expr.func(*expr.args[1:])
    return expr


def merge_factors(expr: sp.Expr) -> sp.Expr:
    """Move the numbers inside powers, exponentials and sums of a product into one coefficient.

    ``5.0*(2.0*x + 3.0*y)**2 -> 45.0*(0.667*x + y)**2``, ``2.0*exp(x + 1.5) -> 8.96*exp(x)``.
    """
    if not (expr.is_Mul or expr.is_Pow or isinstance(expr, sp.exp)):
        return expr
    number, rest = _split_number(expr)
    return expr if number is sp.S.One else number * rest


def merge_logarithms(expr: sp.Expr) -> sp.Expr:
    """Move the numbers inside the logarithms of a sum into its constant.

    ``2.0*log(3.0*x) + 1.5 -> 2.0*log(x) + 3.70``.
    """
    if not (expr.is_Add and expr.has(sp.log)):
        return expr
    terms = []
    for term in expr.args:
        coefficient, factor = term.as_coeff_Mul()
        number, rest = (
            _split_number(factor.args[0]) if isinstance(factor, sp.log) else (sp.S.One, factor)
        )
        if number.is_Float and number.is_positive:
            terms += [coefficient * sp.log(rest), coefficient * sp.log(number)]
        else:
            terms.append(term)
    return sp.Add(*terms)


def merge_phases(expr: sp.Expr) -> sp.Expr:
    """Join sine and cosine of one argument: ``a*sin(u) + b*cos(u) -> r*sin(u + phase)``."""
    if not (expr.is_Add and expr.has(sp.sin) and expr.has(sp.cos)):
        return expr
    waves: defaultdict[sp.Expr, dict[type, sp.Expr]] = defaultdict(dict)
    for term in expr.args:
        coefficient, factor = term.as_coeff_Mul()
        if isinstance(factor, sp.sin | sp.cos):
            waves[factor.args[0]][factor.func] = coefficient
    for argument, coefficients in waves.items():
        if len(coefficients) == 2:
            a, b = coefficients[sp.sin], coefficients[sp.cos]
            joined = sp.sqrt(a**2 + b**2) * sp.sin(argument + sp.atan2(b, a))
            expr = expr - a * sp.sin(argument) - b * sp.cos(argument) + joined
    return expr


def fold_squares(expr: sp.Expr) -> sp.Expr:
    """Fold the squares hidden in a sum: ``x**2 - 2*x*y + y**2 + z -> (x - y)**2 + z``."""
    if not expr.is_Add:
        return expr
    coefficients = {rest: c for c, rest in (term.as_coeff_Mul() for term in expr.args)}
    roots = {rest: _root(rest) for rest, c in coefficients.items() if c.is_positive}
    for (one, u), (two, v) in combinations(((r, u) for r, u in roots.items() if u), 2):
        p, q, cross = coefficients[one], coefficients[two], coefficients.get(u * v)
        if cross is not None and cross**2 == 4 * p * q:
            square = p * (u + sp.sign(cross) * sp.sqrt(q / p) * v) ** 2
            return fold_squares(expr - p * one - q * two - cross * u * v) + square
    return expr


def _root(expr: sp.Expr) -> sp.Expr | None:
    """Return ``u`` if ``expr`` is ``u**2`` with integer powers inside, else None."""
    powers = expr.as_powers_dict()
    if any(not (power.is_Integer and power % 2 == 0) for power in powers.values()):
        return None
    return sp.Mul(*(base ** (power / 2) for base, power in powers.items()))


def join_powers(expr: sp.Expr) -> sp.Expr:
    """Write the factors of equal fractional power as one power: ``sqrt(x)*sqrt(y) -> sqrt(x*y)``.

    Where both roots are real, so is the root of the product, and it is the same number.
    """
    if not expr.is_Mul:
        return expr
    bases: defaultdict[sp.Expr, list[sp.Expr]] = defaultdict(list)
    others = []
    for factor in expr.args:
        if factor.is_Pow and factor.exp.is_Rational and not factor.exp.is_Integer:
            bases[factor.exp].append(factor.base)
        else:
            others.append(factor)
    return sp.Mul(*others, *(sp.Mul(*group) ** power for power, group in bases.items()))


def _split_number(expr: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Return ``(number, rest)`` whose product is ``expr``."""
    if expr.is_Number:
        return expr, sp.S.One
    if expr.is_Mul:
        numbers, rests = zip(*map(_split_number, expr.args), strict=True)
        return sp.Mul(*numbers), sp.Mul(*rests)
    if expr.is_Pow and expr.exp.is_Number:
        number, rest = _split_number(expr.base)
        if number.is_negative and not expr.exp.is_Integer:
            number, rest = -number, -rest
        power = number**expr.exp
        return (power, rest**expr.exp) if power.is_Number else (sp.S.One, expr)
    if isinstance(expr, sp.exp):
        shift, rest = expr.args[0].as_coeff_Add()
        return (sp.exp(shift), sp.exp(rest)) if shift.is_Float else (sp.S.One, expr)
    if expr.is_Add:
        return _split_sum(expr)
    return sp.S.One, expr


def _split_sum(expr: sp.Add) -> tuple[sp.Expr, sp.Expr]:
    """Return the content of a sum: its largest coefficient if that is a float, else the divisor."""
    coefficients = [term.as_coeff_Mul() for term in expr.args]
    number = max((c for c, _ in coefficients), key=abs)
    if not number.is_Float:
        return expr.primitive()
    scaled = (term if c == number else (c / number) * term for c, term in coefficients)
    return number, sp.Add(*scaled)
