"""Editing by an expert: every edit holds, is scored, recorded, stored and can be undone."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

import kanx
from kanx import KANClassifier, KANRegressor, edits

NAMES = ["size", "age"]


def frame(X):
    return {name: X[:, j] for j, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (90, 2))
    y = 4 * np.log(X[:, 0]) - 3 * (X[:, 1] - 2) ** 2 + 0.05 * rng.standard_normal(90) + 7
    return frame(X), y


@pytest.fixture(scope="module")
def model(data):
    return KANRegressor(hidden="additive", random_state=0, max_iter=10).fit(*data)


@pytest.fixture
def editor(model, data):
    return kanx.edit(model, *data)


def curve(model, data, name):
    (found,) = kanx.explain(model, data[0]).curves.select(source=name)
    return found


def test_a_formula_in_the_users_units_holds_through_later_edits(editor, data):
    constants = {"a": 1.0, "b": 0.0, "c": 4.0, "d": 0.0}
    edit = editor.set_formula("size", "log", constants)
    assert edit.details == "log with a = 1, b = 0, c = 4, d = 0"
    assert edit.after["R2"] > 0.99
    editor.smooth("age", 0.5)
    found = curve(editor.model, data, "size")
    truth = 4 * np.log(found.grid)
    spread = found.value - truth
    assert np.ptp(spread) < 1e-9


def test_fitted_constants_and_the_change_of_the_predictions(editor, model, data):
    edit = editor.set_formula("size", "log")
    change = np.abs(editor.model.predict(data[0]) - model.predict(data[0])).max()
    assert edit.change == pytest.approx(change)
    assert edit.before == pytest.approx({"R2": model.score(*data), "RMSE": edit.before["RMSE"]})
    assert edit.after["R2"] == pytest.approx(editor.model.score(*data))
    assert editor.scores == edit.after


def test_a_curve_is_monotone_and_stays_so(editor, data):
    editor.constrain("age", "decreasing")
    editor.damp("size", 0.9)
    found = curve(editor.model, data, "age")
    assert (np.diff(found.value) <= 1e-12).all()
    assert np.ptp(found.value) > 0.1


def test_a_dropped_input_has_no_effect(editor, data):
    edit = editor.drop("age")
    X, _ = data
    other = {**X, "age": X["age"][::-1]}
    assert np.array_equal(editor.model.predict(X), editor.model.predict(other))
    assert edit.after["R2"] < edit.before["R2"]
    with pytest.raises(ValueError, match="no curves left"):
        editor.drop("age")
    with pytest.raises(ValueError, match="0 curves leave 'age'"):
        editor.damp("age", 0.5)


def test_damping_without_a_refit_touches_nothing_else(editor, model, data):
    editor.damp("size", 0.5, refit=False)
    before, after = (curve(m, data, "size") for m in (model, editor.model))
    assert np.allclose(after.value, 0.5 * before.value, atol=1e-9)
    before, after = (curve(m, data, "age") for m in (model, editor.model))
    assert np.allclose(after.value, before.value, atol=1e-9)
    _, deviation = editor.model.predict(data[0], return_std=True)
    assert (deviation > 0).all()


def test_smoothing_leads_to_a_straight_line(editor, data):
    editor.smooth("age", 0.0)
    found = curve(editor.model, data, "age")
    assert np.abs(np.diff(found.value, 2)).max() < 1e-9


def test_everything_else_is_fitted_again(editor, data):
    refitted = editor.damp("size", 0.5).after["R2"]
    editor.undo()
    assert refitted >= editor.damp("size", 0.5, refit=False).after["R2"]


def test_undo_goes_back_step_by_step(editor, model, data):
    editor.damp("size", 0.5)
    middle = editor.model.predict(data[0])
    editor.drop("age")
    assert [edit.edit for edit in editor.history] == ["damp", "drop"]
    assert editor.undo().edit == "drop"
    assert np.array_equal(editor.model.predict(data[0]), middle)
    editor.undo()
    assert np.array_equal(editor.model.predict(data[0]), model.predict(data[0]))
    assert editor.history == []
    with pytest.raises(ValueError, match="no edit to undo"):
        editor.undo()


def test_the_estimator_that_was_passed_is_untouched(model, data):
    before = model.predict(data[0])
    editor = kanx.edit(model, *data)
    editor.drop("age")
    assert model.model_.history == []
    assert np.array_equal(model.predict(data[0]), before)
    assert type(editor.model) is KANRegressor


def test_history_survives_saving_and_can_be_undone_afterwards(editor, model, data, tmp_path):
    editor.set_formula(("size", "y"), "log")
    editor.constrain("age", ["concave"])
    kanx.save(editor.model, tmp_path / "model.kanx")
    again = kanx.edit(kanx.load(tmp_path / "model.kanx"), *data)
    assert again.history == editor.history
    assert np.array_equal(again.model.predict(data[0]), editor.model.predict(data[0]))
    again.undo()
    again.undo()
    assert np.array_equal(again.model.predict(data[0]), model.predict(data[0]))


def test_scores_on_rows_that_were_held_out(model, data):
    X, y = data
    test = {name: values[:30] for name, values in X.items()}
    editor = kanx.edit(model, X, y, X_test=test, y_test=y[:30])
    edit = editor.damp("size", 0.9)
    assert (edit.rows, edit.held_out) == (30, True)
    assert edit.after["R2"] == pytest.approx(editor.model.score(test, y[:30]))


def test_the_report_shows_the_edits(editor, data):
    from kanx.explain.report import render
    from kanx.explain.report.sections import edits as section

    assert section(kanx.explain(editor.model, data[0])) is None
    editor.damp("size", 0.5)
    editor.set_formula("size", "log")
    page = render(kanx.explain(editor.model, data[0]))
    assert 'id="edits"' in page
    assert "set formula" in page
    assert "size → y" in page
    assert "Scores on 90 training rows" in page


@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers_are_edited_too(data, classes):
    X, y = data
    labels = np.array(["low", "mid", "top"])[np.digitize(y, np.quantile(y, [0.4, 0.7]))]
    if classes == 2:
        labels = np.where(labels == "low", "low", "top")
    model = KANClassifier(hidden="additive", max_iter=5, random_state=0).fit(X, labels)
    editor = kanx.edit(model, X, labels)
    edit = editor.drop("age")
    assert set(edit.before) == {"accuracy", "log loss"}
    assert edit.after["log loss"] > edit.before["log loss"]
    assert editor.model.score(X, labels) == pytest.approx(edit.after["accuracy"])
    with pytest.raises(ValueError, match="the model knows"):
        kanx.edit(model, X, np.where(labels == "low", "new", labels))


def test_networks_are_averaged_into_one_and_edges_are_named(data):
    X, y = data
    target = y * X["size"]
    model = KANRegressor(hidden=(2,), n_estimators=3, max_iter=4, random_state=0).fit(X, target)
    editor = kanx.edit(model, X, target)
    with pytest.raises(ValueError, match="curves leave 'size'; name one"):
        editor.damp("size", 0.5)
    edit = editor.damp((0, 0, 1), 0.5)
    assert edit.term == "size → sum 2 of layer 1"
    assert len(editor.model.model_.members) == 1
    first = next(c for c in kanx.explain(editor.model, X).curves if c.is_alive)
    assert editor.damp(first, 1.0).edges == [(first.layer, *first.edge)]
    assert np.isfinite(editor.model.predict(X, return_std=True)).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda e: e.drop("weight"), ValueError, "no input 'weight'"),
        (lambda e: e.damp(("size", "z"), 0.5), ValueError, "no target 'z'"),
        (lambda e: e.damp((0, 7, 0), 0.5), IndexError, "no edge"),
        (lambda e: e.damp(3.5, 0.5), ValueError, "a term is"),
        (lambda e: e.damp("size", np.nan), ValueError, "finite number"),
        (lambda e: e.smooth("size", 2), ValueError, "between 0 and 1"),
        (lambda e: e.set_formula("size", "logarithm"), ValueError, "choose one of"),
        (lambda e: e.constrain("size", "upwards"), ValueError, "unknown"),
        (lambda e: e.set_formula("size", "log", {"a": 1}), ValueError, "constants must hold"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(editor, change, error, message):
    before = editor.model
    with pytest.raises(error, match=message):
        change(editor)
    assert editor.model is before
    assert editor.history == []


def test_formulas_cannot_be_smoothed(editor):
    editor.set_formula("size", "log", refit=False)
    with pytest.raises(TypeError, match="cannot be smoothed"):
        editor.smooth("size")


def test_only_fitted_estimators_and_matching_rows(model, data):
    X, y = data
    with pytest.raises(TypeError, match="fitted KANRegressor"):
        kanx.edit(KANRegressor(), X, y)
    with pytest.raises(ValueError, match="90 rows, y has 3"):
        kanx.edit(model, X, y[:3])
    with pytest.raises(ValueError, match="belong together"):
        kanx.edit(model, X, y, X_test=X)
    with pytest.raises(ValueError, match="finite numbers"):
        kanx.edit(model, X, np.where(y > 5, np.nan, y))
    with pytest.raises(ValueError, match="sample_weight"):
        kanx.edit(model, X, y, sample_weight=-np.ones(90))


def test_everything_public_is_exported():
    assert kanx.edit is edits.edit


def test_constraints_of_the_fit_are_kept(data):
    X, y = data
    options = {"hidden": "additive", "random_state": 0, "max_iter": 5}
    model = KANRegressor(constraints={"age": "increasing"}, **options).fit(X, y)
    editor = kanx.edit(model, X, y)
    editor.damp("size", 0.8)
    assert (np.diff(curve(editor.model, data, "age").value) >= -1e-12).all()


def test_counts_are_edited_on_their_logarithm(data):
    X, y = data
    counts = np.round(np.exp(y / 4))
    model = KANRegressor(loss="poisson", hidden="additive", random_state=0, max_iter=4)
    editor = kanx.edit(model.fit(X, counts), X, counts)
    edit = editor.drop("age")
    assert edit.after["R2"] == pytest.approx(r2_score(counts, editor.model.predict(X)))
    assert edit.after["R2"] < edit.before["R2"]
    with pytest.raises(ValueError, match="not negative"):
        kanx.edit(model, X, -counts)
