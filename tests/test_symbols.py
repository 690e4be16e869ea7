"""`kanx.symbolify`: the right functions, constants within their errors, and honest notes."""

import numpy as np
import pandas as pd
import pytest
import sympy as sp

import kanx
from kanx.explain.formula import Formula
from kanx.explain.symbol_likelihood import Normal
from kanx.explain.symbol_refit import Draft, Rows, refit

A, B, C = sp.symbols("a b c")


def table(rows, columns, seed=0, low=-2.0, high=2.0):
    values = np.random.default_rng(seed).uniform(low, high, (rows, columns))
    return pd.DataFrame(values, columns=list("abc")[:columns])


@pytest.fixture(scope="module")
def additive():
    """An additive law with 1 % noise, its model and its formula."""
    X = table(400, 3)
    law = 1.5 * np.sin(3 * X["a"]) + 0.7 * X["b"] ** 2
    y = law + 0.01 * law.std() * np.random.default_rng(1).normal(size=400)
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    return X, law, y, model, kanx.symbolify(model, X, y, units={"a": "m"})


def test_the_functions_and_constants_of_an_additive_law_are_found(additive):
    X, law, _, _, formula = additive
    assert formula.expr.atoms(sp.sin) and C not in formula.expr.free_symbols
    assert sp.Poly(formula.expr.subs(A, 0), B).degree() == 2
    assert np.abs(formula.predict(X) - law).max() < 0.02 * law.std()
    square = next(c for c in formula.constants if abs(c.value - 0.7) < 0.05)
    assert abs(square.value - 0.7) < 4 * square.standard_error < 0.02
    assert {sp.Rational(3, 2), sp.Integer(3)} <= formula.expr.atoms(sp.Rational)


def test_scores_are_those_of_the_formula(additive):
    X, _, y, model, formula = additive
    residual = model.predict(X) - formula.predict(X)
    share = 1 - np.sum(residual**2) / np.sum((model.predict(X) - model.predict(X).mean()) ** 2)
    assert formula.scores["r2_network"] == pytest.approx(share, abs=1e-9)
    assert formula.scores["r2_test"] > 0.999
    parts = 0.75 * formula.scores["r2_train"] + 0.25 * formula.scores["r2_test"]
    assert formula.score(X, y) == pytest.approx(parts, abs=1e-4)
    assert formula.units == {"a": "m"} and formula.names == ("a", "b", "c")
    assert set(formula.ranges) == {"a", "b", "c"}


def test_formula_survives_json_and_its_front_is_in_order(additive):
    X, _, _, _, formula = additive
    again = Formula.from_json(formula.to_json())
    np.testing.assert_array_equal(again.predict(X), formula.predict(X))
    lengths = [row.complexity for row in formula.front]
    assert lengths == sorted(lengths) and lengths[-1] == formula.complexity


def test_without_a_target_constants_follow_the_network(additive):
    X, _, _, model, _ = additive
    formula = kanx.symbolify(model, X)
    assert formula.scores["r2_network"] > 0.999 and formula.expr.atoms(sp.sin)
    assert any("fitted to the network" in note for note in formula.notes)


def test_the_same_call_gives_the_same_formula(additive):
    X, _, y, model, formula = additive
    assert kanx.symbolify(model, X, y).expr == formula.expr


def test_only_allowed_functions_are_used(additive):
    X, _, y, model, _ = additive
    formula = kanx.symbolify(model, X, y, functions=["square", "identity"])
    assert not formula.expr.atoms(sp.Function) - formula.expr.atoms(sp.Piecewise)


@pytest.mark.slow
def test_a_product_is_found_behind_a_hidden_layer():
    X = table(400, 2, low=-1, high=1)
    y = X["a"] * X["b"] + 0.003 * np.random.default_rng(1).normal(size=400)
    model = kanx.KANRegressor(hidden=[2], n_estimators=2, random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    assert np.abs(formula.predict(X) - X["a"] * X["b"]).max() < 0.01
    assert formula.scores["r2_network"] > 0.999


def test_a_curve_that_no_function_explains_is_kept_and_said_so():
    X = table(500, 2)
    steps = np.random.default_rng(3).normal(size=9)
    y = np.interp(X["a"], np.linspace(-2, 2, 9), steps) + X["b"]
    model = kanx.KANRegressor(edge="piecewise_linear", hidden="additive", random_state=0)
    model.fit(X, y)
    formula = kanx.symbolify(model, X, y)
    assert any("No formula for the curve a" in note for note in formula.notes)
    assert formula.scores["r2_network"] > 0.99


def test_a_target_without_a_law_is_called_that():
    X = table(200, 2)
    y = np.random.default_rng(5).normal(size=200) + 0.5 * X["a"]
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    text = " ".join(formula.notes)
    assert "left unexplained" in text and "linear model does as well" in text


def test_a_formula_that_is_worse_than_the_network_says_by_how_much():
    X = table(300, 1)
    y = np.sin(12 * X["a"]) + 0.05 * np.random.default_rng(1).normal(size=300)
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y, functions=["identity"])
    assert formula.scores["r2_test"] < formula.scores["network_r2_test"] - 0.1
    text = " ".join(formula.notes)
    assert "worse than the network" in text and "not what the network has learned" in text


def test_a_classifier_gives_log_odds():
    X = table(600, 2)
    odds = 3 * X["a"] ** 2 - 3
    y = np.where(np.random.default_rng(2).uniform(size=600) < 1 / (1 + np.exp(-odds)), "yes", "no")
    model = kanx.KANClassifier(hidden="additive", random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    assert formula.target == "logit(yes)"
    assert formula.scores["accuracy_test"] > 0.7
    network = formula.scores["network_log_loss_test"]
    assert formula.scores["log_loss_test"] < 1.1 * network


def test_categories_become_cases_and_missing_rows_are_not_covered():
    X = table(300, 2)
    X["c"] = pd.Categorical(np.random.default_rng(0).choice(["low", "high"], 300))
    y = X["a"] ** 2 + np.where(X["c"] == "low", 1.0, -1.0)
    X.loc[:4, "b"] = np.nan
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    text = " ".join(formula.notes)
    assert "c is a code" in text and "b is missing" in text
    codes = X.assign(c=X["c"].cat.codes)[5:]
    np.testing.assert_allclose(formula.predict(codes), y[5:], atol=0.05)


def test_a_bare_network_is_read_too():
    x = np.linspace(-1, 1, 200)[:, None]
    network = kanx.KAN([1, 1], edge="spline", random_state=0)
    network.layers[0].bundles[0].start_from("tanh")
    formula = kanx.symbolify(network, x)
    assert formula.scores["r2_network"] > 0.999


def test_wrong_calls_are_explained(additive):
    X, _, y, model, _ = additive
    with pytest.raises(ValueError, match="rows"):
        kanx.symbolify(model, X, y[:-1])
    with pytest.raises(ValueError, match="output must be"):
        kanx.symbolify(model, X, y, output=2)
    with pytest.raises(ValueError, match="finite"):
        kanx.symbolify(model, X, np.where(np.arange(400) == 3, np.nan, y))
    with pytest.raises(ValueError, match="unknown functions"):
        kanx.symbolify(model, X, y, functions=["sine"])
    with pytest.raises(TypeError, match="cannot explain"):
        kanx.symbolify("model", X)


def test_separable_classes_leave_the_constants_finite():
    X = table(300, 2)
    y = (X["a"] + X["b"] ** 2 > 1).astype(int)
    model = kanx.KANClassifier(hidden="additive", random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    assert formula.scores["accuracy_test"] > 0.9
    assert formula.scores["log_loss_test"] < 0.3
    assert max(abs(c.value) for c in formula.constants) < 1000
    assert any("log-odds of 1" in note for note in formula.notes)


def test_a_model_of_counts_gives_the_logarithm_of_their_mean():
    X = table(500, 2, low=-1, high=1)
    y = np.random.default_rng(2).poisson(np.exp(2 + X["a"] + X["b"] ** 2))
    model = kanx.KANRegressor(hidden="additive", loss="poisson", random_state=0).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    assert formula.target == "log(E[y])"
    assert any("exp(formula) is the count" in note for note in formula.notes)
    assert np.abs(formula.predict(X) - (2 + X["a"] + X["b"] ** 2)).mean() < 0.05
    assert formula.scores["d2_test"] > formula.scores["network_d2_test"] - 0.02
    with pytest.raises(ValueError, match="must not be negative"):
        kanx.symbolify(model, X, y - 5)


@pytest.mark.slow
def test_a_law_whose_outer_curve_is_bent_by_the_inner_ones_is_found():
    X = table(500, 2, seed=3, low=-1, high=1)
    law = np.exp(np.sin(np.pi * X["a"]) + X["b"] ** 2)
    y = law + 0.02 * law.std() * np.random.default_rng(4).normal(size=500)
    model = kanx.KANRegressor(hidden=[1], random_state=3).fit(X, y)
    formula = kanx.symbolify(model, X, y)
    assert formula.expr.atoms(sp.exp) and formula.expr.atoms(sp.sin)
    assert np.abs(formula.predict(X) - law).max() < 0.02 * law.std()


def test_constants_whose_squared_errors_are_no_number_are_refused():
    x = np.linspace(1, 2, 20)
    rows = Rows({"x": x}, x, Normal(), 1e-12, 20.0)
    far = Draft.of(sp.exp(sp.Float(300.0) * sp.Symbol("x")), {})  # finite up to e^600
    assert np.isfinite(far.predict(far.point, rows.columns)).all()
    assert refit(far, rows) is None
