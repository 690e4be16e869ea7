"""A law of which a part is known: ``m0*c**2 + f(v, m)`` with one unknown function ``f``.

The known part is undone row by row, which leaves a plain search for ``f`` on the values it must
have; the weights of the rows follow by the delta method, so that the constants of ``f`` are those
of a fit to the target itself to first order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.core.function import AppliedUndef

from kanx.explain.evaluate import evaluate
from kanx.explain.formula_parser import parse_formula
from kanx.explain.formula_text import plain_text
from kanx.functions import function_of

Array = NDArray[np.float64]
UNKNOWN = sp.Symbol("\x00f")  # no column has such a name
INVERSES: dict[str, Callable[[Array], Array]] = {
    "exp": np.log, "log": np.exp, "sin": np.arcsin, "cos": np.arccos, "tan": np.arctan,
    "asin": np.sin, "acos": np.cos, "atan": np.tan, "sinh": np.arcsinh, "cosh": np.arccosh,
    "tanh": np.arctanh, "asinh": np.sinh, "acosh": np.cosh, "atanh": np.tanh,
}  # fmt: skip
LEAST_USABLE = 0.5  # share of the rows on which the known part can be undone


class Required(NamedTuple):
    """Values that the unknown function must have, and the weights of the rows."""

    target: Array
    weight: Array


@dataclass(frozen=True)
class Template:
    """Hold the known part of a law.

    Parameters
    ----------
    expr : sympy.Expr
        The law, with ``UNKNOWN`` where the unknown function stands, once.
    arguments : tuple of sympy.Expr
        What the unknown function depends on, in the columns.
    """

    expr: sp.Expr
    arguments: tuple[sp.Expr, ...]

    @classmethod
    def of(cls, template: str | sp.Expr, names: Sequence[str]) -> Template:
        """Read a template.

        Parameters
        ----------
        template : str or sympy.Expr
            With one unknown function of columns, or of expressions of them, that occurs once.
        names : sequence of str
            The columns.

        Raises
        ------
        ValueError
            If it is no such formula, or cannot be solved for the unknown function.
        """
        if isinstance(template, str):
            expr = parse_formula(template, names, unknown=True)
        elif isinstance(template, sp.Expr):
            expr = template
        else:
            raise TypeError(
                "template must be text such as 'm*g + f(v)' or a sympy expression, got "
                f"{type(template).__name__}"
            )
        strangers = sorted(str(s) for s in expr.free_symbols if str(s) not in names)
        if strangers:
            raise ValueError(f"template has {strangers}, which are no columns of {list(names)}")
        unknown = expr.atoms(AppliedUndef)
        if len(unknown) != 1 or expr.count(next(iter(unknown))) != 1:
            raise ValueError(
                "template must hold one unknown function that occurs once, such as f(x, v); "
                f"{str(template)[:200]!r} holds {len(unknown)}"
            )
        found = cls(expr.xreplace({next(iter(unknown)): UNKNOWN}), next(iter(unknown)).args)
        found.steps()  # raises where it cannot be solved
        return found

    @property
    def names(self) -> list[str]:
        """Names of the arguments: a column's own, or the expression's text."""
        return [a.name if a.is_Symbol else plain_text(a) for a in self.arguments]

    def columns(self, values: Mapping[str, Array], n_rows: int) -> Array:
        """Return the values of the arguments, (rows, arguments)."""
        return np.column_stack(
            [np.broadcast_to(evaluate(a, values), (n_rows,)) for a in self.arguments]
        )

    def steps(self) -> list[tuple[sp.Expr, sp.Expr]]:
        """Return the operations from the outside in: (operation, its part that holds ``f``)."""
        found, node = [], self.expr
        while node != UNKNOWN:
            inner = [part for part in node.args if part.has(UNKNOWN)]
            if len(inner) != 1 or not _is_solvable(node, inner[0]):
                raise ValueError(f"template cannot be solved for its unknown function: {node.func}")
            found.append((node, inner[0]))
            node = inner[0]
        return found

    def solve(self, values: Mapping[str, Array], y: Array, weight: Array) -> Required:
        """Return what the unknown function must be on every row.

        Rows on which the known part cannot be undone get weight zero.

        Parameters
        ----------
        values : mapping of str to array of shape (rows,)
            Columns.
        y, weight : arrays of shape (rows,)
            Target and weights.

        Raises
        ------
        ValueError
            If fewer than half of the rows can be undone.
        """
        target, slope = y, np.ones_like(y)
        with np.errstate(all="ignore"):
            for operation, inner in self.steps():
                target, factor = _undo(operation, inner, target, values)
                slope = slope * factor
        fine = np.isfinite(target) & np.isfinite(slope) & (slope != 0)
        if fine[weight > 0].mean() < LEAST_USABLE:
            raise ValueError(
                f"the template can be solved for its unknown function on only "
                f"{int(fine[weight > 0].sum())} of {int((weight > 0).sum())} rows; check its known "
                "part and its units"
            )
        relative = slope[fine] / np.sqrt(np.mean(slope[fine] ** 2))
        new_weight = np.zeros_like(weight)
        new_weight[fine] = weight[fine] * relative**2
        return Required(np.where(fine, target, 0.0), new_weight)

    @property
    def is_affine(self) -> bool:
        """Whether the law is a multiple of the unknown function plus something known."""
        return all(operation.is_Add or operation.is_Mul for operation, _ in self.steps())

    def seen_from(self, f: Array, values: Mapping[str, Array], y: Array, weight: Array) -> Required:
        """Return values and weights that make least squares for ``f`` a step of Gauss and Newton.

        Parameters
        ----------
        f : array of shape (rows,)
            The unknown function as it is known so far.
        values, y, weight
            As in `solve`.
        """
        known = {**values, UNKNOWN.name: f}
        law = np.broadcast_to(evaluate(self.expr, known), f.shape)
        slope = np.broadcast_to(evaluate(sp.diff(self.expr, UNKNOWN), known), f.shape)
        with np.errstate(all="ignore"):
            target = f + (y - law) / slope
        fine = np.isfinite(target) & (slope != 0)
        return Required(
            np.where(fine, target, f), np.where(fine, weight * np.where(fine, slope, 0.0) ** 2, 0.0)
        )

    def compose(self, found: sp.Expr) -> sp.Expr:
        """Return the law with a formula of the arguments' names in place of the unknown."""
        symbols = {sp.Symbol(n): a for n, a in zip(self.names, self.arguments, strict=True)}
        return self.expr.xreplace({UNKNOWN: found.xreplace(symbols)})


def _is_solvable(operation: sp.Expr, inner: sp.Expr) -> bool:
    if operation.is_Add or operation.is_Mul:
        return True
    if operation.is_Pow:
        return bool(operation.exp.is_Rational) or inner is operation.exp
    entry = function_of(operation)
    return entry is not None and entry.name in INVERSES


def _undo(
    operation: sp.Expr, inner: sp.Expr, target: Array, values: Mapping[str, Array]
) -> tuple[Array, Array | float]:
    """Undo one operation; return the values of its part and the slope of the whole by it."""
    if operation.is_Add or operation.is_Mul:
        rest = evaluate(operation.func(*(a for a in operation.args if a is not inner)), values)
        return (target - rest, 1.0) if operation.is_Add else (target / rest, rest)
    if operation.is_Pow and inner is operation.exp:
        scale = np.log(evaluate(operation.base, values))
        return np.log(target) / scale, target * scale
    if operation.is_Pow:
        exponent = float(operation.exp)
        odd = operation.exp.p % 2 == 1
        root = np.abs(target) ** (1.0 / exponent)
        root = np.sign(target) * root if odd else np.where(target >= 0, root, np.nan)
        return root, exponent * np.abs(root) ** (exponent - 1.0)
    entry = function_of(operation)
    if entry is None:
        raise ValueError(f"template cannot be solved for its unknown function: {operation.func}")
    argument = INVERSES[entry.name](target)
    return argument, entry.derivative(argument)
