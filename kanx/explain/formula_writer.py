"""Write an expression in a programming language, given how that language spells each operation.

One walk serves every language; a `Dialect` holds the spellings. Division is written as such,
integers are written so that they never divide as integers, and everything that binds more loosely
than its surroundings is put in parentheses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from typing import NamedTuple

import sympy as sp
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from kanx.functions import function_of

CONDITION, SUM, PRODUCT, ATOM = range(4)  # how tightly a piece of text binds


class Written(NamedTuple):
    """Hold a piece of code and how tightly its outermost operation binds."""

    text: str
    level: int

    def within(self, level: int) -> str:
        """Return the text, in parentheses where it would otherwise bind more loosely."""
        return self.text if self.level >= level else f"({self.text})"


@dataclass(frozen=True)
class Dialect:
    """Say how a language spells numbers, operations and functions.

    Parameters
    ----------
    name : str
        Name of the language, for messages.
    functions : mapping of str to str
        Template of each function of ``kanx.functions``, and of ``sqrt``, ``power``,
        ``integer_power`` (of a base that binds tightly) and ``choice`` (condition, value,
        otherwise). Add an entry to export a function of your own.
    relations : mapping of type to str
        Spelling of comparisons.
    logic : mapping of type to str
        Template of "and" and "or" of two conditions.
    truth : tuple of str
        Spelling of false and true.
    number : callable
        Writes a float.
    undefined : str
        What a choice gives if no condition holds.
    """

    name: str
    functions: Mapping[str, str]
    relations: Mapping[type[sp.Basic], str]
    logic: Mapping[type[sp.Basic], str]
    truth: tuple[str, str]
    undefined: str
    number: Callable[[float], str] = repr


def write(expr: sp.Expr, dialect: Dialect, variables: Mapping[str, str]) -> str:
    """Return an expression as code.

    Parameters
    ----------
    expr : sympy.Expr
    dialect : Dialect
    variables : mapping of str to str
        Code for each symbol, by its name; it must bind as tightly as a name.

    Raises
    ------
    ValueError
        If the language has no spelling of a part.
    """
    return _Writer(dialect, variables).write(expr).text


class _Writer:
    """Walk an expression; every method returns the code of one kind of node."""

    def __init__(self, dialect: Dialect, variables: Mapping[str, str]):
        self.dialect = dialect
        self.variables = variables

    def write(self, node: sp.Basic) -> Written:
        if node.is_Symbol:
            return Written(self.variables[node.name], ATOM)
        if node.is_Number or node.is_NumberSymbol:
            return self._fraction([], node)
        if node.is_Add:
            return self._sum(node)
        if node.is_Mul or node.is_Pow:
            return self._product(node)
        if isinstance(node, sp.Piecewise):
            return self._choice(node)
        if isinstance(node, BooleanTrue | BooleanFalse):
            return Written(self.dialect.truth[bool(node)], ATOM)
        if node.func in self.dialect.relations:
            left, right = (self.write(side).within(SUM) for side in node.args)
            return Written(f"{left} {self.dialect.relations[node.func]} {right}", CONDITION)
        if node.func in self.dialect.logic:
            return reduce(self._both(node.func), map(self.write, node.args))
        return self._call(node)

    def _both(self, head: type[sp.Basic]) -> Callable[[Written, Written], Written]:
        template = self.dialect.logic[head]
        return lambda a, b: Written(template.format(a.within(ATOM), b.within(ATOM)), CONDITION)

    def _sum(self, node: sp.Add) -> Written:
        text = ""
        for term in node.args:
            negative = term.could_extract_minus_sign() and not term.is_Add
            written = self.write(-term if negative else term).within(PRODUCT)
            if text:
                text += f" {'-' if negative else '+'} {written}"
            else:
                text = f"-{written}" if negative else written
        return Written(text, SUM)

    def _product(self, node: sp.Expr) -> Written:
        """Write factors over divisors, the numerical coefficient first."""
        coefficient, factors, divisors = sp.S.One, [], []
        for factor in sp.Mul.make_args(node):
            if factor.is_Number:
                coefficient *= factor
            elif factor.is_Pow and factor.exp.is_Rational and factor.exp.is_negative:
                divisors.append(self._power(factor.base, -factor.exp))
            elif factor.is_Pow:
                factors.append(self._power(factor.base, factor.exp))
            else:
                factors.append(self.write(factor))
        return self._fraction(factors, coefficient, divisors)

    def _fraction(
        self, factors: list[Written], number: sp.Expr, divisors: list[Written] | None = None
    ) -> Written:
        """Write ``number * factors / divisors``; a rational number goes on both sides."""
        sign = "-" if number.is_negative else ""
        number, below = abs(number), list(divisors or [])
        if number.is_Rational and not number.is_Integer:
            below.insert(0, Written(self._number(sp.Integer(number.q)), ATOM))
            number = sp.Integer(number.p)
        above = list(factors)
        if number is not sp.S.One or not above:
            above.insert(0, Written(self._number(number), ATOM))
        text = "*".join(factor.within(PRODUCT) for factor in above)
        if below:
            divisor = "*".join(factor.within(PRODUCT) for factor in below)
            text += f"/({divisor})" if len(below) > 1 else f"/{below[0].within(ATOM)}"
        is_atom = len(above) == 1 and not below and above[0].level == ATOM
        return Written(sign + text, SUM if sign else ATOM if is_atom else PRODUCT)

    def _number(self, number: sp.Expr) -> str:
        value = float(number)
        if not isfinite(value):
            raise ValueError(f"{number} is not a number that {self.dialect.name} code can hold")
        return self.dialect.number(value)

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> Written:
        if exponent is sp.S.One:
            return self.write(base)
        if exponent is sp.S.Half:
            return self._from_template("sqrt", [self.write(base)])
        if exponent.is_Integer and "integer_power" in self.dialect.functions:
            atom = Written(self.write(base).within(ATOM), ATOM)
            return self._from_template("integer_power", [atom, self.write(exponent)])
        return self._from_template("power", [self.write(base), self.write(exponent)])

    def _choice(self, node: sp.Piecewise) -> Written:
        result = Written(self.dialect.undefined, ATOM)
        for value, condition in reversed(node.args):
            written = self.write(value)
            if condition == sp.true:
                result = written
            else:
                result = self._from_template("choice", [self.write(condition), written, result])
        return result

    def _call(self, node: sp.Basic) -> Written:
        function = function_of(node)
        name = function.name if function else node.func.__name__
        arguments = [self.write(argument) for argument in node.args]
        if function is not None and function.arity == 2:
            return reduce(lambda a, b: self._from_template(name, [a, b]), arguments)
        return self._from_template(name, arguments)

    def _from_template(self, name: str, arguments: list[Written]) -> Written:
        if name not in self.dialect.functions:
            raise ValueError(f"{self.dialect.name} has no {name}: the formula cannot be exported")
        texts = [argument.within(CONDITION) for argument in arguments]
        return Written(self.dialect.functions[name].format(*texts), ATOM)
