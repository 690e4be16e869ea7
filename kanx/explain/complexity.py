"""How long a formula is: counted in operations and symbols, and in bits."""

from collections.abc import Mapping
from math import isfinite, log2

import sympy as sp

from kanx.functions import FUNCTIONS, function_of

_OPERATOR_BITS = 2.0  # one of add, multiply, power, or a function from the table
_NAMED_NUMBER_BITS = 3.0  # one of pi, e and a few others
_UNKNOWN_FLOAT_BITS = 24.0  # a fitted number of unknown error is taken as single precision


def complexity(expr: sp.Expr) -> int:
    """Return the number of operations plus the number of variables and constants.

    A sum or product of k terms has k - 1 operations; a difference, a quotient and a square root
    are one operation each, so ``2*x/y - 1`` counts 3 operations and 4 leaves: 7.
    """
    tree = list(sp.preorder_traversal(expr))
    leaves = sum(node.is_Atom for node in tree)
    signs = sum((node.is_Mul or node.is_Pow) and sp.S.NegativeOne in node.args for node in tree)
    return int(sp.count_ops(expr)) + leaves - signs


def number_bits(number: sp.Expr) -> float:
    """Return the description length of an exact number.

    ``log2((1 + |p|) q)`` for a rational p/q (Udrescu et al., AI Feynman 2.0, 2020); powers and
    named numbers such as ``3*sqrt(pi)/4`` add the bits of their factors.
    """
    if number.is_Rational:
        return log2((1 + abs(int(number.p))) * int(number.q))
    if number.is_NumberSymbol:
        return _NAMED_NUMBER_BITS
    return sum(number_bits(part) for part in number.args if part is not sp.S.One)


def description_bits(
    expr: sp.Expr, standard_errors: Mapping[float, float] | None = None, n_variables: int = 0
) -> float:
    """Return the description length of a formula, the sum of the bits of its parts.

    Operators cost 2 bits, functions their price in ``kanx.functions``, a variable the logarithm
    of the number of variables, an exact number ``number_bits`` and a fitted constant
    ``log2(1 + (value / standard error)^2) / 2`` (Rissanen 1983; Udrescu et al. 2020).

    Parameters
    ----------
    expr : sympy.Expr
        The formula.
    standard_errors : mapping of float to float, optional
        Standard error of each floating-point constant, by its value.
    n_variables : int
        Number of variables to choose from; at least those that occur.
    """
    errors = standard_errors or {}
    variable_bits = log2(max(2, n_variables, len(expr.free_symbols)))

    def bits(node: sp.Basic) -> float:
        if node.is_Symbol:
            return variable_bits
        if node.is_Float:
            return _float_bits(float(node), errors.get(float(node)))
        if node.is_Rational or node.is_NumberSymbol:
            return 1.0 if node is sp.S.NegativeOne else number_bits(node)
        if node.is_Pow:
            return bits(node.base) + _power_bits(node.exp, bits)
        own = function_of(node)
        arguments = sum(bits(argument) for argument in node.args)
        return arguments + (own.price_bits if own else _OPERATOR_BITS * max(1, len(node.args) - 1))

    return bits(expr)


def _float_bits(value: float, standard_error: float | None) -> float:
    if standard_error is None or not isfinite(standard_error) or standard_error <= 0:
        return _UNKNOWN_FLOAT_BITS
    return 0.5 * log2(1 + (value / standard_error) ** 2)


_POWERS = {
    sp.Integer(2): "square",
    sp.Integer(3): "cube",
    sp.Integer(4): "fourth_power",
    sp.Integer(-1): "reciprocal",
    sp.Integer(-2): "inverse_square",
    sp.S.Half: "sqrt",
    -sp.S.Half: "inverse_sqrt",
}


def _power_bits(exponent: sp.Expr, bits) -> float:  # type: ignore[no-untyped-def]
    if exponent in _POWERS:
        return FUNCTIONS[_POWERS[exponent]].price_bits
    return _OPERATOR_BITS + bits(exponent)
