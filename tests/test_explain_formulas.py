"""The exact formula of a network is the network, and every edge's formula is its curve."""

import numpy as np
import pandas as pd
import pytest
import sympy as sp
import torch

import kanx
from kanx import KAN, KANClassifier, KANRegressor
from kanx.explain.evaluate import evaluate

FAMILIES = {
    "slaf": {"family": "slaf"},
    "chebyshev": {"family": "slaf", "basis": "chebyshev", "degree": 4},
    "powers": {"family": "slaf", "basis": "powers"},
    "pade": {"family": "pade"},
    "pade product": {"family": "pade", "form": "product", "denominator_degree": 4},
    "pade A": {"family": "pade", "form": "A"},
    "spline": {"family": "spline", "intervals": 4},
    "piecewise linear": {"family": "piecewise_linear"},
    "fourier": {"family": "fourier"},
    "rbf": {"family": "rbf", "centres": 4},
}


def network(spec, widths=(3, 2, 1), **options):
    """Build a random network whose inputs have ranges of their own, negative numbers included."""
    net = KAN(list(widths), edge=spec, random_state=0, **options).double()
    lower, upper = torch.tensor([-3.0, 10.0, -0.2]), torch.tensor([-1.0, 50.0, 0.7])
    for layer in [net.layers[0], net.skip]:
        if layer is not None:
            layer.set_domain(lower, upper)
    generator = torch.Generator().manual_seed(1)
    for _, bundle, _ in net.bundles():
        noise = torch.randn(bundle.stacked_parameters().shape, generator=generator)
        bundle.load_stacked(bundle.stacked_parameters() + 0.3 * noise.double())
    for layer in net.layers:
        with torch.no_grad():
            layer.bias.copy_(torch.randn(layer.out_features, generator=generator))
    return net


def rows(count=60):
    """Draw rows inside the ranges and, one in four, beyond them."""
    rng = np.random.default_rng(0)
    lower, upper = np.array([-3.0, 10.0, -0.2]), np.array([-1.0, 50.0, 0.7])
    return lower + (upper - lower) * rng.uniform(-0.3, 1.3, (count, 3))


@pytest.mark.parametrize("spec", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_formula_is_the_network(spec):
    net, x = network(spec, skip=True), rows()
    formula = kanx.explain(net, x).formula
    wanted = net(torch.tensor(x)).detach().numpy()[:, 0]
    np.testing.assert_allclose(formula.predict(x), wanted, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize("spec", FAMILIES.values(), ids=FAMILIES.keys())
def test_every_edges_formula_is_its_curve(spec):
    net, x = network(spec, skip=True), rows()
    view = kanx.explain(net, x)
    curves = {(c.layer, c.edge): c for c in view.curves}
    assert len(view.edge_formulas) == len(curves)
    for edge in view.edge_formulas:
        curve = curves[edge.layer, edge.edge]
        assert (edge.source, edge.target) == (curve.source, curve.target)
        found = evaluate(edge.expr, {edge.source: curve.grid})
        np.testing.assert_allclose(found, curve.value + curve.offset, atol=1e-9)


def test_multiplication_nodes_are_products_in_the_formula():
    net, x = network("slaf", widths=(3, [1, [2, 3]], 2)), rows()
    formulas = kanx.explain(net, x).formulas
    wanted = net(torch.tensor(x)).detach().numpy()
    for k, formula in enumerate(formulas):
        np.testing.assert_allclose(
            formula.predict(x), wanted[:, k], atol=1e-9 * np.abs(wanted).max()
        )


@pytest.mark.parametrize("edge", ["slaf", "pade", "spline"])
def test_the_formula_of_a_fitted_regressor_predicts_in_the_users_units(edge):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"side a": rng.uniform(-5, 5, 120), "b": rng.uniform(100, 200, 120)})
    y = pd.Series(1000 + 30 * X["side a"] ** 2 - 2 * X["b"], name="area")
    model = KANRegressor(edge=edge, hidden="additive", random_state=0, max_iter=15).fit(X, y)
    formula = kanx.explain(model, X, units={"b": "m"}).formula
    wild = X * rng.uniform(-2, 2, X.shape)
    np.testing.assert_allclose(formula.predict(wild), model.predict(wild), rtol=1e-9)
    assert formula.target == "area" and formula.units == {"b": "m"}
    assert formula.expr.free_symbols <= {sp.Symbol("side a"), sp.Symbol("b")}


def test_the_formula_of_a_classifier_is_its_log_odds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = X[:, 0] + 0.5 * rng.normal(size=150) > 0
    model = KANClassifier(edge="slaf", hidden="additive", random_state=0).fit(X, y)
    formula = kanx.explain(model, X).formula
    np.testing.assert_allclose(formula.predict(X), model.decision_function(X), atol=1e-9)
    assert formula.target == "logit(True)"


def test_categories_enter_by_their_codes_and_the_notes_say_so():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"kind": rng.choice(["p", "q"], 80), "u": rng.normal(size=80)})
    y = np.where(X.kind == "p", 1.0, -1.0) + X.u**2
    model = KANRegressor(edge="slaf", hidden="additive", random_state=0).fit(X, y)
    formula = kanx.explain(model, X).formula
    coded = X.assign(kind=(X.kind == "q").astype(float))
    np.testing.assert_allclose(formula.predict(coded), model.predict(X), atol=1e-9)
    assert "kind is a code: 0 = p, 1 = q." in formula.notes


def test_pruned_edges_are_not_in_the_formula():
    net = network("slaf")
    mask = net.layers[0].mask.clone()
    mask[1] = 0
    net.layers[0].set_mask(mask)
    view = kanx.explain(net, rows())
    assert view.formula.used_names == ("x0", "x2")
    assert {e.edge[0] for e in view.edge_formulas if e.layer == 0} == {0, 2}


def test_several_outputs_have_a_formula_each():
    view = kanx.explain(network("slaf", widths=(3, 2)), rows())
    assert [formula.target for formula in view.formulas] == ["y0", "y1"]
    with pytest.raises(ValueError, match="2 outputs"):
        view.formula  # noqa: B018


def test_formulas_read_back_from_text():
    formula = kanx.explain(network("pade"), rows()).formula
    again = type(formula).from_json(formula.to_json())
    np.testing.assert_array_equal(again.predict(rows()), formula.predict(rows()))
