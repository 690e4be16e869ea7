"""A formula: an expression in the user's columns, with what is known about its truth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Self

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score

from kanx.explain import formula_export, formula_record
from kanx.explain.complexity import complexity, description_bits
from kanx.explain.constants import Constant
from kanx.explain.evaluate import evaluate
from kanx.explain.formula_json import loads
from kanx.explain.formula_module import FormulaModule
from kanx.explain.formula_text import describe, latex_name, latex_text, plain_text
from kanx.explain.frames import frame_of

STATUSES = ("approximate", "exact")


@dataclass(repr=False, eq=False)
class Formula:
    """Hold a formula in the user's own names, its constants' errors and its fidelity.

    Treat it as immutable; ``dataclasses.replace(formula, notes=...)`` makes a changed copy.

    Parameters
    ----------
    expr : sympy.Expr
        The formula. Its symbols are plain ``sympy.Symbol(name)``, fitted constants are
        ``sympy.Float`` and every other constant is exact.
    names : sequence of str
        Name of every column of X, used or not, in order.
    constants : sequence of Constant
        The fitted constants with their standard errors.
    units : mapping of str to str, optional
        Units of the columns and of the target.
    ranges : mapping of str to (float, float), optional
        Interval of each column on which the formula was checked.
    target : str
        Name of the predicted quantity.
    scores : mapping of str to float, optional
        Fidelity, such as ``r2_train``, ``r2_test``, ``nrmse_test``, ``r2_network``.
    status : {"approximate", "exact"}
        Whether the formula is thought to be the law itself.
    alternatives : sequence of Formula
        Formulas that the data cannot tell apart from this one.
    front : sequence of Formula, optional
        The accuracy/complexity front that this formula was chosen from.
    notes : sequence of str
        What the reader must know, such as that a linear model does as well.

    Raises
    ------
    ValueError
        If names repeat, the expression has other symbols than them, or the status is unknown.
    """

    expr: sp.Expr
    names: Sequence[str]
    _: KW_ONLY
    constants: Sequence[Constant] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    target: str = "y"
    scores: Mapping[str, float] = field(default_factory=dict)
    status: str = "approximate"
    alternatives: Sequence["Formula"] = ()
    front: Sequence["Formula"] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.names = tuple(self.names)
        self.constants = tuple(self.constants)
        self.units = dict(self.units or {})
        self.ranges = {name: (float(a), float(b)) for name, (a, b) in (self.ranges or {}).items()}
        self.scores = {name: float(score) for name, score in (self.scores or {}).items()}
        self.alternatives = tuple(self.alternatives)
        self.front = tuple(self.front or ())
        self.notes = tuple(self.notes)
        self.expr = sp.sympify(self.expr, strict=True)  # strict: never parses text
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {STATUSES}, got {self.status!r}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"names must differ from one another, got {self.names}")
        strangers = self.expr.free_symbols - {sp.Symbol(name) for name in self.names}
        if strangers:
            raise ValueError(
                f"the formula uses {sorted(map(str, strangers))}; its symbols must be plain "
                f"sympy.Symbol(name) with the names {self.names}"
            )

    @property
    def used_names(self) -> tuple[str, ...]:
        """Names of the columns that occur in the formula, in the order of the columns."""
        used = {symbol.name for symbol in self.expr.free_symbols}
        return tuple(name for name in self.names if name in used)

    @property
    def complexity(self) -> int:
        """Number of operations plus number of variables and constants."""
        return complexity(self.expr)

    @property
    def bits(self) -> float:
        """Description length of the formula in bits; see ``complexity.description_bits``."""
        errors = {constant.value: constant.standard_error for constant in self.constants}
        return description_bits(self.expr, errors, len(self.names))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Compute the formula.

        Parameters
        ----------
        X : data frame, mapping or array, shape (n_rows, n_columns)
            A frame or mapping is read by column name, an array in the order of ``names``.

        Returns
        -------
        numpy.ndarray, shape (n_rows,)
            NaN or infinite in rows where the formula is not defined.

        Raises
        ------
        ValueError
            If a column is missing or the number of columns is wrong.
        """
        columns, n_rows = self._columns(X)
        values = evaluate(self.expr, columns)
        return np.broadcast_to(np.asarray(values, dtype=float), (n_rows,)).copy()

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the R2 of the formula; minus infinity where it is undefined on some row."""
        predicted = self.predict(X)
        if not np.isfinite(predicted).all():
            return -np.inf
        return float(r2_score(y, predicted, sample_weight=sample_weight))

    def _columns(self, X: Any) -> tuple[dict[str, NDArray[np.float64]], int]:
        """Return the used columns by name, each of shape (n_rows,), and the number of rows."""
        if isinstance(X, Mapping) or hasattr(X, "columns"):
            labels = {str(label): label for label in getattr(X, "columns", X)}
            used = self.used_names
            missing = [name for name in used if name not in labels]
            if missing:
                raise ValueError(f"X has no column {missing}; its columns are {list(labels)}")
            columns = {name: np.asarray(X[labels[name]], float) for name in used}
            n_rows = len(next(iter(X.values()))) if isinstance(X, Mapping) else len(X)
            return columns, n_rows
        table = np.asarray(X, dtype=float)
        if table.ndim != 2 or table.shape[1] != len(self.names):
            raise ValueError(
                f"X must have shape (n_rows, {len(self.names)}), one column for each of "
                f"{self.names}; got shape {table.shape}"
            )
        return {name: table[:, self.names.index(name)] for name in self.used_names}, len(table)

    def __str__(self) -> str:
        return describe(self)

    def __repr__(self) -> str:
        return f"Formula({self.target} = {plain_text(self.expr)})"

    def latex(self, digits: int = 3) -> str:
        """Return the formula in LaTeX, its constants shown with ``digits`` significant digits."""
        return latex_text(self.expr, digits)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {latex_name(self.target)} = {self.latex()}$"

    def to_python(self, function_name: str = "formula") -> str:
        """Return the source of a Python function of the used columns; see `formula_export`."""
        return formula_export.to_python(self.expr, self.used_names, function_name)

    def to_c(self, function_name: str = "formula") -> str:
        """Return the source of a C function of the used columns; see `formula_export`."""
        return formula_export.to_c(self.expr, self.used_names, function_name)

    def to_sql(self) -> str:
        """Return an SQL expression with quoted column names; see `formula_export`."""
        return formula_export.to_sql(self.expr, self.used_names)

    def to_excel(self, row: int = 2) -> str:
        """Return an Excel formula for one row of cells A, B, C, ...; see `formula_export`."""
        return formula_export.to_excel(self.expr, self.names, row)

    def to_torch(self) -> FormulaModule:
        """Return a `torch.nn.Module` of ``(..., n_columns)`` with trainable constants."""
        return FormulaModule(self.expr, self.names)

    def to_frame(self) -> Any:
        """Return the front, or this formula alone, as a frame of formulas and their scores."""
        rows = self.front or (self,)
        scores = {name: None for row in rows for name in row.scores}
        return frame_of(
            {
                "complexity": [row.complexity for row in rows],
                "bits": [row.bits for row in rows],
                **{name: [row.scores.get(name, np.nan) for row in rows] for name in scores},
                "formula": [plain_text(row.expr) for row in rows],
            }
        )

    def to_json(self) -> str:
        """Return the formula and all that is known about it as JSON text."""
        return json.dumps(formula_record.to_record(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote, without running any of it.

        Raises
        ------
        ValueError
            If the text is not a formula, or holds operations this version does not know.
        """
        return formula_record.from_record(loads(text), cls)
