"""What an explanation says is what the model computes: curves, bands, importances, frames."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from processes import run_python
from sklearn.exceptions import NotFittedError

import kanx
from kanx import KAN, KANClassifier, KANRegressor


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "length": rng.uniform(-1, 1, 200),
            "mass": rng.uniform(0, 5, 200),
            "colour": rng.choice(["red", "green", "blue"], 200),
        }
    )
    X.loc[:24, "mass"] = np.nan
    step = X.colour.map({"red": 1.0, "green": -2.0, "blue": 0.0})
    y = 5 * np.sin(3 * X.length) + np.where(X.mass.isna(), 3, 0.3 * X.mass**2) + step
    return X, (y + 0.1 * rng.normal(size=200)).rename("energy")


@pytest.fixture(scope="module")
def additive(table):
    X, y = table
    return KANRegressor(hidden="additive", random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def deep(table):
    X, y = table
    return KANRegressor(hidden=(2,), n_estimators=3, max_iter=8, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(150, 2)), columns=["u", "v"])
    y = np.array(["low", "middle", "top"])[
        np.digitize(X.u + 0.3 * rng.normal(size=150), [-0.5, 0.5])
    ]
    return KANClassifier(hidden="additive", random_state=0).fit(X, y), X, y


def test_explain_can_be_called_before_and_after_its_module_was_imported():
    code = (
        "import kanx, numpy as np; f = kanx.explain\n"
        "import kanx.explain.curves\n"
        "from kanx import explain\n"
        "net = kanx.KAN([1, 1], random_state=0); X = np.zeros((3, 1)) + [[1], [2], [3]]\n"
        "assert f(net, X).n_rows == kanx.explain(net, X).n_rows == explain(net, X).n_rows == 3\n"
        "from kanx.explain import Explanation\n"
        "assert isinstance(kanx.explain(net, X), Explanation)\n"
    )
    done = run_python(code, afresh=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_explain_package_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, kanx.explain\nassert not {'torch', 'matplotlib', 'sympy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_curves_of_an_additive_model_add_up_to_its_predictions(table, additive):
    X, _ = table
    view = kanx.explain(additive, X)
    total = np.full(len(X), view.local(X[:1]).base[0])
    for curve in view.curves:
        own = X[curve.source]
        if curve.labels is not None:
            total += curve.value[[curve.labels.index(v) for v in own]]
        else:
            filled = np.interp(own.fillna(0), curve.grid, curve.value)
            assert curve.missing is not None or not own.isna().any()
            total += np.where(own.isna(), curve.missing[0] if curve.missing else 0, filled)
    np.testing.assert_allclose(total, additive.predict(X), atol=5e-3)  # linear interpolation


def test_curves_are_centred_over_the_rows_and_remember_what_was_taken_away(table, additive):
    X, _ = table
    view = kanx.explain(additive, X)
    layer = additive.network_.layers[0]
    with torch.no_grad():
        raw = layer.curves(view.subject.x) * view.subject.target_scale
    for curve in view.curves:
        i, o = curve.edge
        assert curve.offset == pytest.approx(raw[:, i, o].mean().item(), abs=1e-12)
        assert curve.deviation == pytest.approx(raw[:, i, o].std(correction=0).item(), abs=1e-12)


def test_the_band_of_a_one_input_model_is_the_deviation_of_its_centred_prediction():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 10, (80, 1))
    model = KANRegressor(random_state=0).fit(X, np.sin(X[:, 0]) + 0.1 * rng.normal(size=80))
    view = kanx.explain(model, X)
    curve = view.curves[0]
    member = model.model_.members[0]
    from kanx.training.linearisation import Linearisation

    grid = torch.from_numpy(curve.grid)[:, None]
    coordinates = member.posterior.coordinates
    w = coordinates.read()
    _, at_grid = Linearisation(coordinates, grid).jacobian(w)
    _, at_data = Linearisation(coordinates, view.subject.x).jacobian(w)
    variance = member.posterior.output_variance(at_grid - at_data.mean(0))[:, 0]
    wanted = variance.sqrt().numpy() * model.model_.target_scale.item()
    np.testing.assert_allclose(curve.std, wanted, rtol=1e-6)
    inside = (curve.grid > 0.5) & (curve.grid < 9.5)
    truth = np.sin(curve.grid) - np.sin(X[:, 0]).mean()
    covered = np.abs(curve.value - truth) < 3 * curve.std
    assert covered[inside].mean() > 0.9


def test_categories_and_missing_values_are_shown_by_name_and_value(table, additive):
    X, _ = table
    # the unit of a column that the model was not given is left alone
    view = kanx.explain(additive, X, units={"mass": "kg", "energy": "J", "dropped": "m"})
    colour = view.curves.select(source="colour")[0]
    assert colour.labels == ("blue", "green", "red")
    np.testing.assert_allclose(colour.value[2] - colour.value[1], 3.0, atol=0.1)
    np.testing.assert_array_equal(
        colour.support.counts, X.colour.value_counts()[list(colour.labels)]
    )
    mass = view.curves.select(source="mass")[0]
    assert mass.missing is not None and mass.missing[1] > 0
    assert mass.support.missing == 25
    assert mass.missing[0] + mass.offset == pytest.approx(
        3.0 - (0.3 * mass.grid[0] ** 2) + mass.value[0] + mass.offset, abs=0.15
    )
    assert (mass.source_label, mass.target_label) == ("mass [kg]", "energy [J]")
    assert (mass.source_unit, mass.target_unit) == ("kg", "J")
    frame = view.curves.to_frame().query("source == 'mass'")
    assert set(frame.unit) == {"kg"} and set(frame.value_unit) == {"J"}
    np.testing.assert_allclose(frame.upper - frame.lower, 3.92 * frame["std"])


def test_curves_of_a_network_are_in_the_targets_units_where_they_end_at_it(table, deep):
    X, _ = table
    view = kanx.explain(deep, X)
    total = np.zeros(len(X))
    for curve in view.curves:
        if not curve.ends_at_output:
            continue
        with torch.no_grad():
            entering = view.subject.entering(curve.layer)
            own = view.subject.network.all_layers[curve.layer].curves(entering)
        i, o = curve.edge
        total += (own[:, i, o] * view.subject.target_scale[o]).numpy() - curve.offset
    prediction = deep.predict(X)
    np.testing.assert_allclose(total, prediction - prediction.mean(), atol=1e-9)


def test_members_of_an_averaged_network_have_bands_of_their_own(table, deep):
    X, _ = table
    view = kanx.explain(deep, X)
    assert len(deep.model_.members) >= 2
    for curve in view.curves:
        assert np.isfinite(curve.std).all()
        assert (curve.std.max() > 0) == curve.is_alive


def test_shares_add_up_to_one_for_every_output(table, additive, deep, classifier):
    X, _ = table
    model, Z, _ = classifier
    for view in (kanx.explain(additive, X), kanx.explain(deep, X), kanx.explain(model, Z)):
        found = view.importances
        varies = (view.subject.activations[-1].std(0) > 0).numpy()
        assert varies.any()
        np.testing.assert_allclose(found.features.sum(0), varies)
        assert (found.features_std >= 0).all()
        depth = len(view.subject.network.layers)
        into_outputs = found.edges[depth - 1].sum((0, 1))
        if len(found.edges) > depth:
            into_outputs = into_outputs + found.edges[depth].sum((0, 1))
        np.testing.assert_allclose(into_outputs, varies)


def test_a_bare_network_is_explained_without_bands():
    X = np.random.default_rng(0).normal(size=(50, 3))
    view = kanx.explain(KAN([3, 2, 2], edge="spline", random_state=0), X)
    assert view.names == ["x0", "x1", "x2"] and view.target_names == ["y0", "y1"]
    assert len(view.curves) == 3 * 2 + 2 * 2
    assert np.isnan(view.curves[0].std).all() and np.isnan(view.importances.features_std).all()
    assert np.isnan(view.effects[0].std).all()


def test_multiplication_nodes_share_what_reaches_them():
    net = KAN([3, [1, [2]], 1], edge="slaf", random_state=0).double()
    X = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    view = kanx.explain(net, X)
    np.testing.assert_allclose(view.importances.features.sum(), 1)
    assert {curve.target for curve in view.curves.select(layer=0)} == {
        "h1",
        "h2 (factor 1)",
        "h2 (factor 2)",
    }


def test_one_set_per_class_and_log_odds_as_unit(classifier):
    model, X, _ = classifier
    view = kanx.explain(model, X)
    assert view.link == "softmax" and view.target_names == ["low", "middle", "top"]
    assert view.curves[0].target_label == "logit of low"
    local = view.local(X[:5])
    np.testing.assert_allclose(
        local.base + local.values.sum(1), model.decision_function(X[:5]), atol=1e-10
    )


def test_frames_hold_the_same_numbers(table, additive):
    X, _ = table
    view = kanx.explain(additive, X)
    frame = view.curves.to_frame()
    assert set(frame.source) == {"length", "mass", "colour"}
    own = frame[frame.source == "colour"]
    assert list(own.input) == ["blue", "green", "red"]
    np.testing.assert_array_equal(own.value, view.curves.select(source="colour")[0].value)
    shares = view.importances.to_frame()
    assert shares.share.is_monotonic_decreasing and shares.share.sum() == pytest.approx(1)
    assert len(view.importances.edges_to_frame()) == 3
    assert set(view.to_frames()) == {"curves", "effects", "importances", "edges", "interactions"}
    terms = view.interactions.to_frame()
    assert terms.share.sum() == pytest.approx(1)
    assert {"base", "mass", "prediction", "outside"} <= set(view.local(X[:2]).to_frame().columns)


def test_rows_beyond_the_data_are_marked(table, additive):
    X, _ = table
    far = X.iloc[[30, 31, 32]].copy()
    far.iloc[0, 0] = 1.5
    far.iloc[1, 2] = "purple"
    outside = kanx.explain(additive, X).out_of_range(far)
    np.testing.assert_array_equal(
        outside, [[True, False, False], [False, False, True], [False, False, False]]
    )


def test_large_tables_are_thinned_reproducibly():
    X = np.random.default_rng(0).normal(size=(300, 1))
    net = KAN([1, 1], random_state=0)
    first, second = (kanx.explain(net, X, max_rows=100) for _ in range(2))
    assert first.n_rows == 100
    assert torch.equal(first.subject.x, second.subject.x)


@pytest.mark.parametrize(
    ("model", "X", "options", "error", "message"),
    [
        (object(), np.zeros((2, 1)), {}, TypeError, "cannot explain a object"),
        (KAN([2, 1]), np.zeros((2, 3)), {}, ValueError, "2 inputs, X has 3"),
        (KAN([1, 1]), np.zeros(3), {}, ValueError, "rows and columns"),
        (KAN([1, 1]), np.zeros((0, 1)), {}, ValueError, "no rows"),
        (KAN([1, 1]), np.array([[np.nan], [1.0]]), {}, ValueError, r"missing values in \['x0'\]"),
        (KAN([1, 1]), np.zeros((2, 1)), {"units": {"z": "m"}}, ValueError, r"names \['z'\]"),
        (KAN([1, 1]), np.zeros((2, 1)), {"units": "m"}, TypeError, "must be a mapping"),
        (KAN([1, 1]), np.zeros((2, 1)), {"max_rows": 0}, ValueError, "at least 1, got 0"),
        (KANRegressor(), np.zeros((2, 1)), {}, NotFittedError, "call fit first"),
    ],
)
def test_what_cannot_be_explained_is_refused(model, X, options, error, message):
    with pytest.raises(error, match=message):
        kanx.explain(model, X, **options)


def test_units_of_named_columns_do_not_hinder_a_model_of_a_plain_array():
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = KANRegressor(hidden="additive", max_iter=3, random_state=0).fit(X, X[:, 0])
    assert kanx.explain(model, X, units={"age": "years"}).curves[0].source_unit is None


def test_a_single_row_must_be_a_table(table, additive):
    X, _ = table
    view = kanx.explain(additive, X)
    with pytest.raises(ValueError, match=r"X\.iloc\[\[0\]\]"):
        view.local(X.iloc[0])
    with pytest.raises(IndexError, match="no row 5; the contributions are those of 2 rows"):
        view.plot_local(X[:2], row=5)


def test_explaining_leaves_the_model_as_it_was(table, deep):
    X, _ = table
    before = deep.predict(X)
    view = kanx.explain(deep, X)
    view.curves, view.importances, view.effects, view.interactions, view.local(X[:3])
    np.testing.assert_array_equal(deep.predict(X), before)


def test_the_report_is_written_whole(tmp_path, table, additive):
    X, _ = table
    path = tmp_path / "report.html"
    kanx.explain(additive, X).to_html(path, title="What drives energy")
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "What drives energy" in page


def test_odd_columns_are_explained(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=80),
            "constant": 1.0,
            "absent": np.nan,
            "flag": rng.random(80) > 0.5,
            "kind": rng.choice(["x", "y", None], 80),
        }
    )
    y = X.number**2 + 2 * X.flag + 0.1 * rng.normal(size=80)
    model = KANRegressor(hidden=(2,), n_estimators=1, max_iter=6, random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    assert len(view.effects) == 5
    np.testing.assert_allclose(view.importances.features.sum(), 1)
    local = view.local(X[:3])
    assert local.shown[0][1:4] == ["1", "missing", str(X.flag[0])]
    assert view.surface("absent", "kind").joint.shape[1] == 2
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.explain(kanx.load(tmp_path / "model.kanx"), X)
    for old, new in zip(view.curves, again.curves, strict=True):
        np.testing.assert_array_equal(old.value, new.value)
        np.testing.assert_allclose(old.std, new.std)
    alone = kanx.explain(model, X[:1])
    np.testing.assert_array_equal(alone.importances.features, 0)  # one row varies in nothing
    assert len(alone.effects) == 5


@pytest.mark.slow
def test_a_fitted_network_tells_the_share_of_an_interaction():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 3))
    y = 3 * X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2]) + 0.02 * rng.normal(size=400)
    model = KANRegressor(hidden=(2,), n_estimators=4, max_iter=25, random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    pair, wave = 9 / 9, 0.5 - np.sin(6) / 12  # variances over the uniform square
    assert model.score(X, y) > 0.999
    assert view.interactions.pairs[0] == (0, 1)
    assert view.interactions.share[0, 0] == pytest.approx(pair / (pair + wave), abs=0.04)
    assert view.interactions.main[2, 0] == pytest.approx(wave / (pair + wave), abs=0.04)
    assert view.interactions.higher[0] < 0.01
    effect = view.effects.select(source="x2")[0]
    np.testing.assert_allclose(effect.value, np.sin(3 * effect.grid), atol=0.1)
    assert np.isfinite(effect.std).all() and effect.std.max() < 0.5
