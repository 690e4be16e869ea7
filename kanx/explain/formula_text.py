"""Write an expression for people: rounded constants, any column name, the value left alone."""

import re
from math import isfinite
from typing import TYPE_CHECKING

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

if TYPE_CHECKING:
    from kanx.explain.constants import Constant
    from kanx.explain.formula import Formula

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
).split()
_SHORT_NAME = re.compile(rf"([A-Za-z]|{'|'.join(_GREEK)})(?:_?(\d{{1,3}})|_([A-Za-z]))?")
# Inside \text{...}; < > & as words, because the result may be placed in a web page.
_TEXT_ESCAPES = {
    "\\": r"}\backslash\text{",
    "<": r"}\lt\text{",
    ">": r"}\gt\text{",
    "&": r"\&",
    "^": r"}{\wedge}\text{",
    "~": r"}{\sim}\text{",
    "`": r"'",
    **{character: "\\" + character for character in "#$%_{}"},
}


class _Text(StrPrinter):
    """Print floats with a number of significant digits and symbols by their own names."""

    def __init__(self, digits: int):
        super().__init__()
        self.digits = digits

    def _print_Float(self, expr: sp.Float) -> str:
        return _rounded(float(expr), self.digits)

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return _printable(expr.name)


class _Latex(LatexPrinter):
    """Print floats with a number of significant digits, as a times 10 to the n where short."""

    def __init__(self, digits: int, symbol_names: dict[sp.Symbol, str]):
        super().__init__({"symbol_names": symbol_names})
        self.digits = digits

    def _print_Float(self, expr: sp.Float) -> str:
        return latex_number(float(expr), self.digits)


def plain_text(expr: sp.Expr, digits: int = 4) -> str:
    """Return ``expr`` on one line, its floats shown with ``digits`` significant digits."""
    return _Text(digits).doprint(expr)


def latex_text(expr: sp.Expr, digits: int = 3) -> str:
    """Return ``expr`` in LaTeX, its floats shown with ``digits`` significant digits."""
    names = {symbol: latex_name(symbol.name) for symbol in expr.free_symbols}
    return _Latex(digits, names).doprint(expr)


def latex_number(value: float, digits: int = 3) -> str:
    """Return a number in LaTeX, such as ``2.5 \\cdot 10^{-8}``."""
    mantissa, _, exponent = _rounded(value, digits).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _rounded(value: float, digits: int) -> str:
    """Return a number with its trailing zeros, which say that it was fitted: 3.00, not 3."""
    return f"{value:#.{digits}g}".replace(".e", "e").rstrip(".")


def _printable(name: str) -> str:
    """Return a name without line breaks and terminal codes."""
    return "".join(character if character.isprintable() else "?" for character in name)


def latex_name(name: str) -> str:
    """Return a column's name in LaTeX: short names as symbols, any other as escaped text."""
    short = _SHORT_NAME.fullmatch(name)
    if not short:
        return r"\text{" + "".join(_TEXT_ESCAPES.get(c, c) for c in _printable(name)) + "}"
    letter, number, letters = short.groups()
    stem = "\\" + letter if letter in _GREEK else letter
    index = number or letters
    return rf"{stem}_{{{index}}}" if index else stem


def describe(formula: "Formula") -> str:
    """Return what is known about a formula, as lines of text."""
    lines = [f"{_with_unit(formula.target, formula)} = {plain_text(formula.expr)}"]
    scores = ", ".join(f"{name} {score:.6g}" for name, score in formula.scores.items())
    lines.append(f"  {formula.status}" + (f": {scores}" if scores else ""))
    if formula.constants:
        lines.append("  constants: " + constants_text(formula))
    used = formula.used_names
    ranges = [
        f"{_with_unit(name, formula)} in [{low:.6g}, {high:.6g}]"
        for name, (low, high) in formula.ranges.items()
        if name in used
    ]
    if ranges:
        lines.append("  checked on " + ", ".join(ranges))
    for other in formula.alternatives:
        lines.append(f"  the data cannot exclude {formula.target} = {plain_text(other.expr)}")
    lines.extend(f"  note: {note}" for note in formula.notes)
    return "\n".join(lines)


def constants_text(formula: "Formula") -> str:
    """Return the fitted constants with their standard errors, on one line."""
    return ", ".join(map(_constant_text, formula.constants))


def _with_unit(name: str, formula: "Formula") -> str:
    unit = formula.units.get(name)
    return _printable(f"{name} [{unit}]" if unit else name)


def _constant_text(constant: "Constant") -> str:
    if constant.exact is not None:
        return f"{plain_text(constant.exact)} (fitted {constant.value:.6g})"
    if not isfinite(constant.standard_error):
        return f"{constant.value:.6g}"
    return f"{constant.value:.6g} ± {constant.standard_error:.2g}"
