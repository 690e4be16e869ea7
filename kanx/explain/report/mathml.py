"""Formulas as MathML, which browsers draw without any script."""

from __future__ import annotations

from xml.dom.minidom import Document, Element

import sympy as sp
from markupsafe import Markup
from sympy.printing.mathml import MathMLPresentationPrinter

from kanx.explain.formula import Formula

MOST_LINES = 80
MOST_OPERATIONS = 25  # on a line
MOST_TERMS_ON_A_LINE = 2
DIGITS = 4


class _Printer(MathMLPresentationPrinter):
    """Print names as they are, and floats rounded."""

    def _print_Symbol(self, sym: sp.Symbol, style: str = "plain") -> Element:
        return self._element("mi", sym.name)

    _print_Dummy = _print_Symbol

    def _print_Float(self, expr: sp.Float) -> Element:
        mantissa, _, exponent = f"{float(expr):.{DIGITS}g}".partition("e")
        number = self._element("mn", mantissa)
        if not exponent:
            return number
        power = self.dom.createElement("msup")
        power.appendChild(self._element("mn", "10"))
        power.appendChild(self._element("mn", str(int(exponent))))
        row = self.dom.createElement("mrow")
        for part in (number, self._element("mo", "·"), power):
            row.appendChild(part)
        return row

    def _element(self, name: str, text: str) -> Element:
        element = self.dom.createElement(name)
        # not self.dom's: sympy replaces its text nodes by ones that escape nothing
        element.appendChild(Document().createTextNode(text))
        return element


def mathml(formula: Formula) -> Markup | None:
    """Return ``target = formula`` as an element, a line for every term of a long sum.

    None where a line would be too long to be read, or hold conditions.
    """
    terms = _terms(formula)
    if len(terms) > MOST_LINES or any(term.count_ops() > MOST_OPERATIONS for term in terms):
        return None
    if formula.expr.has(sp.Piecewise):
        return None
    printer = _Printer({"mul_symbol": "dot"})
    target = printer._print(sp.Symbol(formula.target)).toxml()
    lines = []
    for k, term in enumerate(terms):
        is_negative = k > 0 and term.could_extract_minus_sign()
        sign = "=" if k == 0 else "−" if is_negative else "+"
        # exp(u) rather than e to the u: the exponents of a sum of curves are long
        shown = (-term if is_negative else term).replace(sp.exp, sp.Function("exp"))
        body = printer._print(shown).toxml()
        head = target if k == 0 else ""
        lines.append(
            f"<mtr><mtd>{head}</mtd><mtd><mo>{sign}</mo></mtd><mtd><mrow>{body}</mrow></mtd></mtr>"
        )
    return Markup('<math displaystyle="true"><mtable>' + "".join(lines) + "</mtable></math>")


def _terms(formula: Formula) -> list[sp.Expr]:
    """Return the terms of a long sum, constant first and then by column; else the whole."""
    if not isinstance(formula.expr, sp.Add) or len(formula.expr.args) <= MOST_TERMS_ON_A_LINE:
        return [formula.expr]
    place = {name: k for k, name in enumerate(formula.names)}

    def key(term: sp.Expr) -> tuple[int, float, int, str]:
        first = min((place.get(str(symbol), -1) for symbol in term.free_symbols), default=-1)
        powers = [float(power.exp) for power in term.atoms(sp.Pow) if power.exp.is_Number]
        return first, max(powers, default=1.0), term.count_ops(), str(term)

    return sorted(formula.expr.args, key=key)
