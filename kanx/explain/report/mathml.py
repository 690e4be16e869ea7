"""Formulas as MathML, which browsers draw without any script."""

from __future__ import annotations

from xml.dom.minidom import Element

import sympy as sp
from markupsafe import Markup
from sympy.printing.mathml import MathMLPresentationPrinter

from kanx.explain.formula import Formula

MOST_OPERATIONS = 600  # a longer formula is shown as text alone
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
        element.appendChild(self.dom.createTextNode(text))
        return element


def mathml(formula: Formula) -> Markup | None:
    """Return ``target = formula`` as an element; None where it is too long to be read so."""
    if formula.expr.count_ops() > MOST_OPERATIONS:
        return None
    printer = _Printer({"disable_split_super_sub": True})
    # the document object escapes every text in it
    body = printer._print(sp.Eq(sp.Symbol(formula.target), formula.expr, evaluate=False)).toxml()
    return Markup('<math display="block">' + body + "</math>")
