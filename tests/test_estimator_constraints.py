"""Constraints of the estimators hold exactly on the fitted model's predictions."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone

import kanx
from kanx import KANClassifier, KANRegressor
from kanx.layers import Constraint

# the responses are looked at beyond the data, too
pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")

GRID = np.linspace(-3, 4, 3001)  # beyond the data, which lie in [-2, 3]


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-2, 3, (200, 3)), columns=["age", "dose", "other"])
    X["group"] = rng.choice(["a", "b"], 200)
    f = np.tanh(X.age) + 0.3 * X.dose**2 + X.other * (X.group == "a")
    return X, 5 + 3 * (f + 0.4 * rng.normal(size=200)), 5 + 3 * f


def response(model, X, column, rows=2):
    """Predictions over the grid of one column, the others as in some rows."""
    found = []
    for row in range(rows):
        moved = pd.concat([X.iloc[[row]]] * len(GRID), ignore_index=True)
        moved[column] = GRID
        classifies = isinstance(model, KANClassifier)
        values = model.decision_function(moved) if classifies else model.predict(moved)
        found.append(values)
    return np.array(found)


def assert_shape(values, kind):
    steps = np.diff(values, n=2 if kind in ("convex", "concave") else 1)
    sign = -1 if kind in ("decreasing", "concave") else 1
    assert (sign * steps).min() > -1e-9 * np.abs(values).max()


@pytest.mark.parametrize("edge", ["gp", "spline"])
@pytest.mark.parametrize("hidden", ["additive", (2,)])
def test_shapes_hold_and_cost_little(frame, edge, hidden):
    X, y, truth = frame
    wanted = {"age": "increasing", 1: ["convex"]}
    options = {"edge": edge, "hidden": hidden, "random_state": 0, "n_estimators": 2}
    model = KANRegressor(constraints=wanted, **options).fit(X, y)
    assert_shape(response(model, X, "age"), "increasing")
    assert_shape(response(model, X, "dose"), "convex")
    free = KANRegressor(**options).fit(X, y)
    assert np.diff(response(free, X, "age")).min() < 0  # the constraint was needed

    def error(m):
        return np.sqrt(np.mean((m.predict(X) - truth) ** 2))

    assert error(model) < 1.1 * error(free)
    assert np.ptp(response(model, X, "age")) > 3  # not flattened


@pytest.mark.parametrize("seed", [1, 3])
def test_the_way_to_a_constraint_does_not_throw_hidden_nodes_away(frame, seed):
    """A whole Gauss-Newton step to where the constraints hold may end far uphill."""
    X, y, truth = frame
    wanted = {"age": "increasing", 1: ["convex"]}
    options = {"hidden": (2,), "random_state": seed, "n_estimators": 2}
    model = KANRegressor(constraints=wanted, **options).fit(X, y)
    assert np.sqrt(np.mean((model.predict(X) - truth) ** 2)) < 0.1 * np.std(truth)


def test_the_other_curves_make_up_for_a_constraint(frame):
    """The result is the constrained minimum: moving all other curves gains nothing."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 2))
    X[:, 1] = 0.9 * X[:, 0] + 0.4 * X[:, 1]  # correlated, so that one can stand in for the other
    y = -X[:, 0] + X[:, 1] + 0.1 * rng.normal(size=150)
    model = KANRegressor(constraints={0: "increasing"}, random_state=0).fit(X, y)
    alone = KANRegressor(random_state=0).fit(X[:, 1:], y)
    assert np.diff(model.predict(np.c_[GRID, 0 * GRID])).max() == pytest.approx(0, abs=1e-9)
    error = np.std(y - model.predict(X))
    assert error < 1.02 * np.std(y - alone.predict(X[:, 1:]))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifiers_logits_keep_their_shape(frame, classes):
    X, y, _ = frame
    labels = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    model = KANClassifier(constraints={"age": "increasing"}, hidden="additive", random_state=0)
    values = response(model.fit(X, labels), X, "age")
    for logits in values.reshape(2, len(GRID), -1).transpose(2, 0, 1):
        assert_shape(logits, "increasing")
    assert model.score(X, labels) > 0.6


def test_a_curve_zero_at_a_point_and_increasing(frame):
    X, y, _ = frame
    wanted = {"age": [Constraint("zero_at", 0.5), "increasing"]}
    model = KANRegressor(constraints=wanted, hidden="additive", random_state=0).fit(X, y)
    layer = model.network_.layers[0]
    x = model._matrix(X.assign(age=0.5))
    assert layer.curves(x)[:, 0].abs().max() < 1e-9
    assert_shape(response(model, X, "age"), "increasing")
    # where a curve is zero is a matter of the constant, which the bias makes up for
    plain = clone(model).set_params(constraints={"age": "increasing"}).fit(X, y)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-9)


def test_a_periodic_response_repeats_itself():
    rng = np.random.default_rng(2)
    X = rng.uniform(0, 24, (300, 1))
    X[:2, 0] = 0, 24  # the range observed is the period
    y = np.cos(2 * np.pi * X[:, 0] / 24) + 0.1 * rng.normal(size=300)
    model = KANRegressor(edge="spline", constraints={0: "periodic"}, random_state=0).fit(X, y)
    hours = np.linspace(0, 23.9, 200)
    truth = np.cos(2 * np.pi * hours / 24)
    for days in (-3, 0, 2):
        assert np.abs(model.predict((hours + 24 * days)[:, None]) - truth).max() < 0.15
    ends = model.predict(np.array([[24 - 1e-6], [24 + 1e-6], [0], [1e-6]]))
    assert np.ptp(ends) < 1e-4


def test_a_fixed_function_is_what_the_response_is():
    rng = np.random.default_rng(3)
    X = rng.uniform(0.5, 4, (200, 2))
    signal = 2 + np.log(X[:, 0]) + np.sin(2 * X[:, 1])
    fixed = {0: {"kind": "fixed", "function": "log"}}
    model = KANRegressor(constraints=fixed, random_state=0)
    model.fit(X, signal + 0.05 * rng.normal(size=200))
    grid = np.linspace(0.1, 9, 50)
    values = model.predict(np.c_[grid, np.ones(50)])
    np.testing.assert_allclose(np.diff(values), np.diff(np.log(grid)), atol=1e-9)
    assert np.std(model.predict(X) - signal) < 0.05
    labels = rng.random(200) < expit(3 * (signal - 2.5))
    classifier = KANClassifier(constraints=fixed, random_state=0).fit(X, labels)
    logits = classifier.decision_function(np.c_[grid, np.ones(50)])
    np.testing.assert_allclose(np.diff(logits), np.diff(np.log(grid)), atol=1e-9)
    with pytest.raises(ValueError, match="two classes"):
        KANClassifier(constraints=fixed).fit(X, np.arange(200) % 3)


def test_clone_save_and_load_keep_constraints(frame, tmp_path):
    X, y, _ = frame
    wanted = {0: "increasing", "dose": ["convex", Constraint("zero_at", 1.0)]}
    model = KANRegressor(edge="spline", hidden="additive", constraints=wanted, random_state=0)
    twin = clone(model).fit(X, y)
    assert twin.get_params()["constraints"] == wanted
    kanx.save(twin, tmp_path / "model.kanx")
    loaded = kanx.load(tmp_path / "model.kanx")
    np.testing.assert_array_equal(loaded.predict(X), twin.predict(X))
    again = clone(loaded).fit(X, y)  # the parameters are still understood
    np.testing.assert_array_equal(again.predict(X), twin.predict(X))
    json.dumps(loaded.get_params())


def test_missing_values_and_large_networks_keep_constraints(frame, monkeypatch):
    X, y, _ = frame
    gaps = X.copy()
    gaps.loc[::7, "age"] = np.nan
    options = {"hidden": "additive", "random_state": 0, "constraints": {"age": "increasing"}}
    model = KANRegressor(**options).fit(gaps, y)
    assert_shape(response(model, X, "age"), "increasing")
    assert np.isfinite(model.predict(gaps, return_std=True)).all()
    monkeypatch.setattr("kanx.training.evidence.DENSE_LIMIT", 1)
    large = KANRegressor(**options).fit(X, y)
    assert_shape(response(large, X, "age"), "increasing")
    assert large.score(X, y) > 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"constraints": {"weight": "increasing"}}, "X lacks"),
        ({"constraints": {7: "increasing"}}, "X lacks"),
        ({"constraints": {"age": "monotone"}}, "choose one of"),
        ({"constraints": {"age": {"kind": "zero_at"}}}, "needs it"),
        ({"constraints": {"age": {"shape": "convex"}}}, "'age'"),
        ({"constraints": "increasing"}, "mapping from column"),
        ({"constraints": {"group": "increasing"}}, "holds categories"),
        ({"constraints": {"age": "increasing"}, "edge": "pade"}, "cannot be constrained"),
        (
            {"constraints": {"age": "increasing"}, "edge_options": {"residual": "silu"}},
            "residual branch",
        ),
        ({"constraints": {"age": "convex"}, "hidden": ("kst", 2)}, "straight to the output"),
        ({"constraints": {"age": Constraint("fixed", function=np.log)}}, "name of a function"),
        ({"constraints": {"age": {"kind": "fixed", "function": "ln"}}}, "choose one of"),
        ({"constraints": {"age": {"kind": "fixed", "function": "log"}}}, "not defined"),
    ],
)
def test_impossible_constraints_are_refused(frame, options, message):
    X, y, _ = frame
    with pytest.raises(ValueError, match=message):
        KANRegressor(**options).fit(X, y)


def test_a_residual_branch_is_an_option_of_the_edges(tmp_path):
    rng = np.random.default_rng(4)
    X = rng.uniform(-1, 1, (80, 2))
    y = X[:, 0] / (1 + np.exp(-6 * X[:, 0])) + X[:, 1] ** 2
    for options in (
        {"edge": "slaf", "edge_options": {"residual": "silu"}},
        {"edge": {0: {"family": "slaf", "residual": "silu"}, 1: "slaf"}},
    ):
        model = KANRegressor(hidden="additive", random_state=0, **options).fit(X, y)
        assert model.score(X, y) > 0.99
        assert "composite" in [spec["family"] for spec in model.network_.layers[0].specs()]
        kanx.save(model, tmp_path / "model.kanx")
        np.testing.assert_array_equal(
            kanx.load(tmp_path / "model.kanx").predict(X), model.predict(X)
        )
