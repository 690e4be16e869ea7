"""A formula predicts, describes itself and survives a round trip through JSON unchanged."""

import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sympy as sp
import torch

from kanx.explain.complexity import complexity, description_bits, number_bits
from kanx.explain.constants import Constant
from kanx.explain.formula import Formula

x, y, t = sp.symbols("x y t")
X = np.random.default_rng(0).uniform(0.2, 2.0, (50, 3))
FRAME = pd.DataFrame(X, columns=["x", "y", "t"])
HOSTILE = '<b onload="x">we"ird $ \\name_1\n=cmd|\'; DROP TABLE--'

EXPRESSIONS = [
    sp.Float(2.5) * x**2 / y + sp.sin(sp.pi * t) / 3,
    sp.sqrt(x) - 1 / sp.sqrt(y) + x ** sp.Float(1.7) - y ** sp.Rational(-2, 3),
    sp.exp(-(x**2)) * sp.log(y) + sp.Abs(x - y) + sp.sign(x - 1),
    sp.Max(x, y, 1) + sp.Min(x, t) * sp.erf(y) + sp.atan(t),
    sp.Piecewise((x, x < 1), (x**3, sp.And(x >= 1, y < 1)), (sp.E, True)),
    sp.Piecewise((x, sp.Or(x < 1, y > 1)), (2 * x, sp.Ne(x, y))),
    sp.asin(x / 3) + sp.acos(y / 3) + sp.tan(t / 2) + sp.atanh(x / 3),
    sp.sinh(x) + sp.cosh(y) - sp.tanh(t) + sp.asinh(x) + sp.acosh(y + 1),
    sp.Integer(3),
    x,
]


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_predict_agrees_with_lambdify(expr):
    expected = sp.lambdify([x, y, t], expr, ["scipy", "numpy"])(*X.T) * np.ones(len(X))
    predicted = Formula(expr, ["x", "y", "t"]).predict(X)
    np.testing.assert_allclose(predicted, expected, rtol=1e-13)


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_tensors_give_what_arrays_give(expr):
    by_torch = Formula(expr, ["x", "y", "t"]).to_torch()(torch.from_numpy(X)).detach()
    by_numpy = Formula(expr, ["x", "y", "t"]).predict(X)
    np.testing.assert_allclose(by_torch.numpy(), by_numpy, rtol=1e-12)


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_json_round_trip_is_exact(expr):
    formula = Formula(
        expr,
        ["x", "y", "t"],
        constants=[Constant(2.5, 0.1), Constant(0.5, exact=sp.sqrt(sp.pi) / 3)],
        units={"x": "m/s"},
        ranges={"x": (0, 1)},
        target="force",
        scores={"r2_test": 0.1 + 0.2},
        status="exact",
        notes=["a note"],
        alternatives=[Formula(x + 1, ["x", "y", "t"])],
        front=[Formula(x, ["x", "y", "t"]), Formula(expr, ["x", "y", "t"])],
    )
    again = Formula.from_json(formula.to_json())
    assert again.expr == formula.expr
    assert again.to_json() == formula.to_json()
    assert np.array_equal(again.predict(X), formula.predict(X))
    assert str(again) == str(formula)


def test_columns_are_found_by_name_in_frames_and_by_order_in_arrays():
    formula = Formula(x - 2 * t, ["x", "y", "t"])
    expected = X[:, 0] - 2 * X[:, 2]
    shuffled = FRAME[["t", "y", "x"]].astype({"y": str})
    for table in (X, FRAME, shuffled, pl.from_pandas(FRAME), dict(FRAME), X.tolist()):
        assert np.array_equal(formula.predict(table), expected)
    numbered = Formula(sp.Symbol("0"), ["0", "1"])
    assert np.array_equal(numbered.predict(pd.DataFrame(X[:, :2])), X[:, 0])


def test_wrong_columns_are_named():
    formula = Formula(x - t, ["x", "y", "t"])
    with pytest.raises(ValueError, match=r"no column \['t'\]"):
        formula.predict(FRAME[["x", "y"]])
    with pytest.raises(ValueError, match=r"shape \(n_rows, 3\).*got shape \(50, 2\)"):
        formula.predict(X[:, :2])


def test_malformed_formulas_are_refused():
    with pytest.raises(ValueError, match="differ from one another"):
        Formula(x, ["x", "x"])
    with pytest.raises(ValueError, match="uses \\['y'\\]"):
        Formula(x + y, ["x"])
    with pytest.raises(ValueError, match="plain sympy"):
        Formula(sp.Symbol("x", positive=True), ["x"])
    with pytest.raises(ValueError, match="status must be one of"):
        Formula(x, ["x"], status="certain")
    with pytest.raises(sp.SympifyError):
        Formula("x + 1", ["x"])
    with pytest.raises(ValueError, match="gamma has no numerical form"):
        Formula(sp.gamma(x), ["x"]).predict(X[:, :1])


def test_outside_its_domain_a_formula_is_not_a_number_and_has_no_score():
    formula = Formula(sp.log(x) + 1 / y, ["x", "y"])
    predicted = formula.predict([[-1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert np.isnan(predicted[0]) and np.isinf(predicted[1]) and predicted[2] == 1
    assert formula.score([[-1.0, 1.0], [1.0, 1.0]], [1.0, 2.0]) == -np.inf
    assert np.isnan(Formula(sp.Float(-8.0) ** sp.Rational(1, 3), ["x"]).predict([[0.0]]))
    assert np.isinf(Formula(sp.Pow(sp.Float(0.0), -1, evaluate=False), ["x"]).predict([[0.0]]))


def test_formulas_can_be_pickled_and_copied():
    for expr in EXPRESSIONS:
        formula = Formula(expr, ["x", "y", "t"])
        for again in (pickle.loads(pickle.dumps(formula)), deepcopy(formula)):
            assert again.expr == expr and np.array_equal(again.predict(X), formula.predict(X))


def test_score_is_r2():
    formula = Formula(x, ["x", "y", "t"])
    assert formula.score(X, X[:, 0]) == 1.0
    assert formula.score(X, X[:, 0] + 1) < 1.0
    wrong_in_first = X[:, 0] + (np.arange(len(X)) == 0)
    assert formula.score(X, wrong_in_first, sample_weight=np.arange(len(X))) == 1.0


def test_text_says_what_is_known():
    formula = Formula(
        sp.Float(2.99792) * x + sp.Float(0.5),
        ["x", "y"],
        constants=[Constant(2.99792, 0.013), Constant(0.5, 0.01, sp.Rational(1, 2)), Constant(7.0)],
        units={"x": "m", "E": "J"},
        ranges={"x": (0, 1.5), "y": (0, 1)},
        target="E",
        scores={"r2_test": 0.99},
        alternatives=[Formula(sp.exp(x), ["x", "y"])],
        notes=["a linear model does as well"],
    )
    assert str(formula).splitlines() == [
        "E [J] = 2.998*x + 0.5000",
        "  approximate: r2_test 0.99",
        "  constants: 2.99792 ± 0.013, 1/2 (fitted 0.5), 7",
        "  checked on x [m] in [0, 1.5]",
        "  the data cannot exclude E = exp(x)",
        "  note: a linear model does as well",
    ]
    assert repr(formula) == "Formula(E = 2.998*x + 0.5000)"
    assert formula.used_names == ("x",)
    assert replace(formula, notes=()).expr == formula.expr


def test_latex_rounds_for_display_only():
    theta, hostile = sp.Symbol("theta_1"), sp.Symbol(HOSTILE)
    formula = Formula(
        sp.Float(0.0115612) * (sp.Float(9.3008) * theta + hostile) ** 2, ["theta_1", HOSTILE]
    )
    shown = formula.latex(digits=3)
    assert r"\theta_{1}" in shown and "0.0116" in shown and "9.30" in shown
    assert "<" not in shown and ">" not in shown and "\n" not in shown
    assert formula.expr.atoms(sp.Float) == {sp.Float(0.0115612), sp.Float(9.3008)}
    assert Formula(sp.Float(2.5e-8) * x, ["x"]).latex() == r"2.50 \cdot 10^{-8} x"
    assert Formula(x, ["x"])._repr_latex_() == r"$\displaystyle y = x$"


def test_names_cannot_break_the_text():
    name = "a\nb\x1b[31m"
    formula = Formula(sp.Symbol(name), [name], ranges={name: (0, 1)})
    assert str(formula).splitlines()[0] == "y = a?b?[31m"
    assert "\x1b" not in str(formula) + repr(formula) + formula.latex()


def test_complexity_and_bits():
    assert complexity(2 * x / y - 1) == 7
    assert complexity(x) == 1
    assert number_bits(sp.Rational(3, 4)) == 4.0
    assert number_bits(sp.Integer(0)) == 0.0
    assert number_bits(sp.pi / 2) > number_bits(sp.Rational(1, 2))
    cheap, dear = description_bits(x**2), description_bits(sp.asinh(x))
    assert cheap < dear < description_bits(sp.asinh(x) + y)
    vague = Formula(sp.Float(2.5) * x, ["x"], constants=[Constant(2.5, 1.0)])
    precise = Formula(sp.Float(2.5) * x, ["x"], constants=[Constant(2.5, 1e-6)])
    assert vague.bits < precise.bits
