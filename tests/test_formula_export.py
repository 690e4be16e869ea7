"""Exported code computes, in its own runtime, what the formula predicts."""

import ctypes
import re
import runpy
import sqlite3
import subprocess
from math import nan
from typing import ClassVar

import numpy as np
import pytest
import sympy as sp
import torch

from kanx.explain.formula import Formula
from kanx.explain.formula_export import _excel_column, safe_identifiers

HOSTILE = [
    "x",
    "exp",
    'say "hi"; DROP TABLE t; --',
    "=1+1",
    "<img src=x onerror=alert(1)>",
    "\\frac{1}{2} $",
    "line\nbreak */ \\",
    "int",
    "lambda",
    "np",
    "1st",
    "größe",
    "",
]
NAMES = HOSTILE[:]
a, b, c, d = (sp.Symbol(name) for name in ("x", "exp", HOSTILE[2], "=1+1"))
EXPRESSIONS = [
    -sp.Float(2.99792458) * a**2 / b + sp.sin(sp.pi * c) / -3,
    sp.sqrt(a) - 1 / sp.sqrt(b) + a ** sp.Float(1.7) - b ** sp.Rational(-2, 3) - (b + c) ** -3,
    -((a - b) ** 2) + (-a) ** 3 - (1 - a) / (b * c) * 1.5e-7 + 2**a / 3**b,
    sp.exp(-(a**2)) * sp.log(b) + sp.Abs(a - b) + sp.sign(a - 1),
    sp.Max(a, b, 1) + sp.Min(a, c) + sp.atan(d) - (a - (b - (c - d))),
    sp.Piecewise((a, a < 1), (a**3, sp.And(a >= 1, b < 1)), (sp.E, True)) * b,
    sp.Piecewise((a, sp.Or(a < 1, b > 1, sp.Ne(a, c))), (-2 * a, True)) / b,
    sp.asin(a / 3) + sp.acos(b / 3) + sp.tan(c / 2) + sp.atanh(a / 3),
    sp.sinh(a) + sp.cosh(b) - sp.tanh(c) + sp.asinh(a) + sp.acosh(b + 1),
    sp.Add(*(sp.Symbol(name) * (k + 1) / 7 for k, name in enumerate(NAMES))),
    sp.Mul(2, sp.Rational(3, 2), a, sp.Add(a, -b, evaluate=False), evaluate=False),
    sp.Integer(3),
    sp.Rational(1, 3),
    a,
    -a,
]
WITH_ERF = sp.erf(a) * b
X = np.random.default_rng(0).uniform(0.2, 2.0, (20, len(NAMES)))


def assert_close(found, formula):
    expected = formula.predict(X)
    np.testing.assert_allclose(np.broadcast_to(found, expected.shape), expected, rtol=1e-12)


def used_columns(formula):
    return [X[:, NAMES.index(name)] for name in formula.used_names]


@pytest.mark.parametrize("expr", [*EXPRESSIONS, WITH_ERF], ids=str)
def test_python(expr, tmp_path):
    formula = Formula(expr, NAMES)
    path = tmp_path / "exported.py"
    path.write_text(formula.to_python("law"), encoding="utf-8")
    law = runpy.run_path(str(path))["law"]
    assert_close(law(*used_columns(formula)), formula)
    assert law(*(float(column[0]) for column in used_columns(formula))) == pytest.approx(
        formula.predict(X)[0], rel=1e-12
    )


def test_c(tmp_path):
    formulas = [Formula(expr, NAMES) for expr in [*EXPRESSIONS, WITH_ERF]]
    source, library = tmp_path / "formulas.c", tmp_path / "formulas.so"
    code = [formula.to_c(f"law_{k}") for k, formula in enumerate(formulas)]
    source.write_text("".join(code), encoding="utf-8")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O0"]
    subprocess.run(["gcc", *strict, "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    for k, formula in enumerate(formulas):
        law = loaded[f"law_{k}"]
        law.restype = ctypes.c_double
        law.argtypes = [ctypes.c_double] * len(formula.used_names)
        rows = zip(*used_columns(formula), strict=True) if formula.used_names else [()] * len(X)
        assert_close([law(*row) for row in rows], formula)


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_sql(expr):
    formula = Formula(expr, NAMES)
    connection = sqlite3.connect(":memory:")
    try:
        quoted = ['"' + name.replace('"', '""') + '"' for name in formula.used_names] or ["unused"]
        connection.execute(f"CREATE TABLE t ({', '.join(quoted)})")
        columns = used_columns(formula) or [X[:, 0]]
        slots = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO t VALUES ({slots})", np.array(columns).T.tolist())
        rows = connection.execute(f"SELECT {formula.to_sql()} FROM t").fetchall()
        assert_close([row[0] for row in rows], formula)
    finally:
        connection.close()


def test_sql_does_not_divide_integers():
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE t (x INTEGER, exp INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, 2)")
        (row,) = connection.execute(f"SELECT {Formula(a / b, NAMES).to_sql()} FROM t")
        assert row == (0.5,)
    finally:
        connection.close()


@pytest.mark.parametrize("expr", [*EXPRESSIONS, WITH_ERF], ids=str)
def test_excel(expr):
    formula = Formula(expr, NAMES)
    code = formula.to_excel(row=7)
    assert_close([Sheet(row, 7).value(code) for row in X], formula)
    assert re.fullmatch(r"[-=A-Z0-9.,()+*/<> ]+", code), "no column name may enter the formula"


def test_excel_columns_and_limits():
    assert [_excel_column(k) for k in (0, 25, 26, 701, 702, 16383)] == [
        "A",
        "Z",
        "AA",
        "ZZ",
        "AAA",
        "XFD",
    ]
    with pytest.raises(ValueError, match="16384 columns"):
        _excel_column(16384)
    long = sp.Add(*(sp.Float(k + 0.123456789) * a**k for k in range(500)))
    with pytest.raises(ValueError, match="Excel allows 8192"):
        Formula(long, NAMES).to_excel()


@pytest.mark.parametrize("expr", [*EXPRESSIONS, WITH_ERF], ids=str)
def test_torch(expr):
    formula = Formula(expr, NAMES)
    module = formula.to_torch()
    assert_close(module(torch.from_numpy(X)).detach().numpy(), formula)
    single = module(torch.from_numpy(X).float().reshape(4, 5, -1))
    assert single.shape == (4, 5) and single.dtype == torch.float32


def test_torch_constants_can_be_trained_and_saved():
    module = Formula(sp.Float(2.0) * a + sp.Float(2.0) * b + sp.Float(0.5), NAMES).to_torch()
    assert module.constants.numel() == 2
    module(torch.from_numpy(X)).sum().backward()
    assert module.constants.grad.abs().min() > 0
    assert module.state_dict().keys() == {"constants"}
    with pytest.raises(ValueError, match="last dimension of x must be 13"):
        module(torch.zeros(3, 2))


def test_torch_module_compiles_and_exports():
    module = Formula(EXPRESSIONS[5] + EXPRESSIONS[3], NAMES).to_torch()
    x = torch.from_numpy(X)
    expected = module(x)
    assert torch.equal(torch.compile(module, fullgraph=True, backend="eager")(x), expected)
    assert torch.equal(torch.export.export(module, (x,)).module()(x), expected)


def test_what_a_language_lacks_is_said():
    with pytest.raises(ValueError, match="SQL has no erf"):
        Formula(WITH_ERF, NAMES).to_sql()
    with pytest.raises(ValueError, match="C has no gamma"):
        Formula(sp.gamma(a), NAMES).to_c()
    with pytest.raises(ValueError, match="NUL"):
        Formula(sp.Symbol("a\0b"), ["a\0b"]).to_sql()
    for name in ("not a name", "class", "größe"):
        with pytest.raises(ValueError, match="function_name must be"):
            Formula(a, NAMES).to_python(name)
    with pytest.raises(ValueError, match="function_name must be"):
        Formula(a, NAMES).to_c("exp")


def test_identifiers_are_safe_different_and_recognisable():
    found = safe_identifiers(NAMES, {"np", "lambda", "int", "exp"})
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in found.values())
    assert len(set(found.values())) == len(NAMES)
    assert not {"np", "lambda", "int", "exp"} & set(found.values())
    assert found["x"] == "x" and found["1st"] == "column_1st"


def test_front_as_a_frame():
    front = [Formula(a, NAMES, scores={"r2": 0.5}), Formula(a**2 + b, NAMES)]
    frame = Formula(a, NAMES, front=front).to_frame()
    assert list(frame["formula"]) == ["x", "exp + x**2"]
    assert frame["r2"][0] == 0.5 and np.isnan(frame["r2"][1])
    assert list(Formula(a, NAMES).to_frame()["complexity"]) == [1]


class Sheet:
    """Evaluate the formulas of one row of cells by Excel's grammar, in which minus binds first."""

    FUNCTIONS: ClassVar = {
        "LN": np.log, "EXP": np.exp, "SQRT": np.sqrt, "POWER": np.power, "ABS": np.abs,
        "SIGN": np.sign, "MAX": np.maximum, "MIN": np.minimum, "SIN": np.sin, "COS": np.cos,
        "TAN": np.tan, "ASIN": np.arcsin, "ACOS": np.arccos, "ATAN": np.arctan, "SINH": np.sinh,
        "COSH": np.cosh, "TANH": np.tanh, "ASINH": np.arcsinh, "ACOSH": np.arccosh,
        "ATANH": np.arctanh, "ERF": lambda v: float(sp.erf(float(v))),
        "IF": lambda condition, value, otherwise: value if condition else otherwise,
        "AND": lambda p, q: p and q, "OR": lambda p, q: p or q, "NA": lambda: nan,
    }  # fmt: skip
    TOKEN = re.compile(r"\s*(\d+\.?\d*(?:E[-+]?\d+)?|[A-Z]+\d+|[A-Z]+|<=|>=|<>|[-+*/(),<>=])")

    def __init__(self, cells, row):
        self.cells = {f"{_excel_column(k)}{row}": value for k, value in enumerate(cells)}

    def value(self, code):
        assert code.startswith("=")
        self.tokens = self.TOKEN.findall(code[1:])
        assert "".join(self.tokens) == code[1:].replace(" ", ""), "not Excel"
        result = self.comparison()
        assert not self.tokens
        return result

    def chain(self, operators, inner):
        left = inner()
        while self.tokens and self.tokens[0] in operators:
            operator = operators[self.tokens.pop(0)]
            left = operator(left, inner())
        return left

    def comparison(self):
        return self.chain(
            {
                "<": lambda p, q: p < q, "<=": lambda p, q: p <= q, ">": lambda p, q: p > q,
                ">=": lambda p, q: p >= q, "=": lambda p, q: p == q, "<>": lambda p, q: p != q,
            },
            self.sum,
        )  # fmt: skip

    def sum(self):
        return self.chain({"+": lambda p, q: p + q, "-": lambda p, q: p - q}, self.product)

    def product(self):
        return self.chain({"*": lambda p, q: p * q, "/": lambda p, q: p / q}, self.signed)

    def signed(self):
        if self.tokens[0] == "-":
            self.tokens.pop(0)
            return -self.signed()
        return self.atom()

    def atom(self):
        token = self.tokens.pop(0)
        if token == "(":
            result = self.comparison()
            assert self.tokens.pop(0) == ")"
            return result
        if token in self.cells:
            return self.cells[token]
        if token in self.FUNCTIONS:
            assert self.tokens.pop(0) == "("
            arguments = []
            while self.tokens[0] != ")":
                arguments.append(self.comparison())
                if self.tokens[0] == ",":
                    self.tokens.pop(0)
            self.tokens.pop(0)
            return self.FUNCTIONS[token](*arguments)
        return float(token)
