"""Write a formula as Python, C, SQL or Excel code that computes what ``Formula.predict`` computes.

Column names may be anything. Python and C get safe identifiers, and a comment says which column
each one is; SQL gets quoted identifiers; Excel gets cells.
"""

import keyword
import re
from collections.abc import Collection, Sequence

import sympy as sp

from kanx.explain.formula_writer import Dialect, write

_CALLS = "exp log sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sqrt".split()
_RELATIONS = {sp.Lt: "<", sp.Le: "<=", sp.Gt: ">", sp.Ge: ">=", sp.Eq: "==", sp.Ne: "!="}
_SQL_RELATIONS = _RELATIONS | {sp.Eq: "=", sp.Ne: "<>"}
_MOST_EXCEL_CHARACTERS = 8192
_MOST_EXCEL_COLUMNS = 16_384

_NUMPY_NAMES = {
    name: name.replace("asin", "arcsin").replace("acos", "arccos").replace("atan", "arctan")
    for name in _CALLS
}


def _plain_number(value: float) -> str:
    """Write whole numbers without a point, for languages whose division is exact."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


PYTHON = Dialect(
    "Python",
    {
        **{name: f"np.{called}({{0}})" for name, called in _NUMPY_NAMES.items()},
        "power": "np.power({0}, {1})",
        "integer_power": "{0}**{1}",
        "abs": "np.abs({0})",
        "sign": "np.sign({0})",
        "erf": "special.erf({0})",
        "maximum": "np.maximum({0}, {1})",
        "minimum": "np.minimum({0}, {1})",
        "choice": "np.where({0}, {1}, {2})",
    },
    _RELATIONS,
    {sp.And: "{0} & {1}", sp.Or: "{0} | {1}"},
    ("np.False_", "np.True_"),
    "np.nan",
    _plain_number,
)
C = Dialect(
    "C",
    {
        **{name: f"{name}({{0}})" for name in _CALLS},
        "power": "pow({0}, {1})",
        "abs": "fabs({0})",
        "sign": "(double)(({0} > 0) - ({0} < 0))",
        "erf": "erf({0})",
        "maximum": "fmax({0}, {1})",
        "minimum": "fmin({0}, {1})",
        "choice": "({0} ? {1} : {2})",
    },
    _RELATIONS,
    {sp.And: "{0} && {1}", sp.Or: "{0} || {1}"},
    ("0", "1"),
    "NAN",
)
SQL = Dialect(
    "SQL",
    {
        **{name: f"{name.upper()}({{0}})" for name in _CALLS},
        "log": "LN({0})",
        "power": "POWER({0}, {1})",
        "abs": "ABS({0})",
        "sign": "SIGN({0})",
        "maximum": "CASE WHEN {0} > {1} THEN {0} ELSE {1} END",
        "minimum": "CASE WHEN {0} < {1} THEN {0} ELSE {1} END",
        "choice": "CASE WHEN {0} THEN {1} ELSE {2} END",
    },
    _SQL_RELATIONS,
    {sp.And: "{0} AND {1}", sp.Or: "{0} OR {1}"},
    ("1 = 0", "1 = 1"),
    "NULL",
)
EXCEL = Dialect(
    "Excel",
    {
        **{name: f"{name.upper()}({{0}})" for name in _CALLS},
        "log": "LN({0})",
        "power": "POWER({0},{1})",
        "abs": "ABS({0})",
        "sign": "SIGN({0})",
        "erf": "ERF({0})",
        "maximum": "MAX({0},{1})",
        "minimum": "MIN({0},{1})",
        "choice": "IF({0},{1},{2})",
    },
    _SQL_RELATIONS,
    {sp.And: "AND({0},{1})", sp.Or: "OR({0},{1})"},
    ("FALSE", "TRUE"),
    "NA()",
    lambda value: _plain_number(value).upper(),
)


def to_python(expr: sp.Expr, names: Sequence[str], function_name: str = "formula") -> str:
    """Return a Python module with one function of arrays or numbers that needs only numpy.

    The error function also needs scipy.

    Parameters
    ----------
    expr : sympy.Expr
    names : sequence of str
        Names of the columns that become arguments, in order.
    function_name : str
        Name of the function, a Python identifier.
    """
    identifiers = safe_identifiers(names, {*keyword.kwlist, "np", "special", function_name})
    body = write(expr, PYTHON, identifiers)
    return "\n".join(
        [
            "import numpy as np",
            *(["from scipy import special"] if expr.has(sp.erf) else []),
            "",
            "",
            f"def {_checked_identifier(function_name)}({', '.join(identifiers.values())}):",
            *(
                f"    {identifier} = np.asarray({identifier}, dtype=float)  # column {name!a}"
                for name, identifier in identifiers.items()
            ),
            f"    return {body}",
            "",
        ]
    )


def to_c(expr: sp.Expr, names: Sequence[str], function_name: str = "formula") -> str:
    """Return a C99 function of doubles that needs only ``math.h``.

    Parameters
    ----------
    expr : sympy.Expr
    names : sequence of str
        Names of the columns that become arguments, in order.
    function_name : str
        Name of the function, an identifier.
    """
    identifiers = safe_identifiers(names, {*_C_WORDS, function_name})
    body = write(expr, C, identifiers)
    arguments = ", ".join(f"double {identifier}" for identifier in identifiers.values())
    return "\n".join(
        [
            "#include <math.h>",
            "",
            *(f"// {identifier} is column {name!a}" for name, identifier in identifiers.items()),
            f"double {_checked_identifier(function_name, _C_WORDS)}({arguments or 'void'}) {{",
            f"    return {body};",
            "}",
            "",
        ]
    )


def to_sql(expr: sp.Expr, names: Sequence[str]) -> str:
    """Return an expression for a SELECT list, in standard SQL with quoted column names.

    Columns are cast to floating point, so that integer columns are not divided as integers.

    Parameters
    ----------
    expr : sympy.Expr
    names : sequence of str
        Names of the columns.
    """
    if any("\0" in name for name in names):
        raise ValueError("SQL identifiers cannot hold the character NUL; rename the column")
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    columns = {name: f"CAST({column} AS DOUBLE PRECISION)" for name, column in quoted.items()}
    return write(expr, SQL, columns)


def to_excel(expr: sp.Expr, names: Sequence[str], row: int = 2) -> str:
    """Return an Excel formula in which the columns of X are A, B, C, ... of one row.

    Names never enter the formula, so none of them can act as one.

    Parameters
    ----------
    expr : sympy.Expr
    names : sequence of str
        Names of all columns of X, in order.
    row : int
        Row of the sheet; 2 is the first below a header.

    Raises
    ------
    ValueError
        If the formula is longer than Excel allows.
    """
    cells = {name: f"{_excel_column(index)}{row}" for index, name in enumerate(names)}
    formula = "=" + write(expr, EXCEL, cells)
    if len(formula) > _MOST_EXCEL_CHARACTERS:
        raise ValueError(
            f"the formula has {len(formula)} characters; Excel allows {_MOST_EXCEL_CHARACTERS}"
        )
    return formula


def safe_identifiers(names: Sequence[str], reserved: Collection[str] = ()) -> dict[str, str]:
    """Return a different identifier of ASCII letters, digits and underscores for every name."""
    identifiers: dict[str, str] = {}
    taken = set(reserved)
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:40] or "column"
        stem = f"column_{stem}" if stem[0].isdigit() else stem
        candidate, number = stem, 1
        while candidate in taken:
            number += 1
            candidate = f"{stem}_{number}"
        taken.add(candidate)
        identifiers[name] = candidate
    return identifiers


def _checked_identifier(name: str, reserved: Collection[str] = keyword.kwlist) -> str:
    if not (name.isidentifier() and name.isascii()) or name in reserved:
        raise ValueError(f"function_name must be an identifier that is not in use, got {name!r}")
    return name


def _excel_column(index: int) -> str:
    """Return the letters of a column counted from 0: A, B, ..., Z, AA, AB, ..."""
    if index >= _MOST_EXCEL_COLUMNS:
        raise ValueError(f"Excel has {_MOST_EXCEL_COLUMNS} columns; the formula needs more")
    letters = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


# Keywords of C, and every name that math.h may define.
_C_WORDS = set(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while main NAN INFINITY HUGE_VAL errno
    acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 expm1 frexp ilogb
    ldexp log log10 log1p log2 logb modf scalbn scalbln cbrt fabs hypot pow sqrt erf erfc lgamma
    tgamma ceil floor nearbyint rint lrint llrint round lround llround trunc fmod remainder remquo
    copysign nan nextafter nexttoward fdim fmax fmin fma j0 j1 jn y0 y1 yn gamma drem significand
    finite isinf isnan signgam exp10 pow10 scalb""".split()
)
