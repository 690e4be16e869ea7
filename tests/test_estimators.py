"""`KANRegressor` and `KANClassifier` on tables as users hold them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kanx import KANClassifier, KANRegressor

FAST = {"hidden": "additive", "max_iter": 15, "random_state": 0}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    count = 200
    frame = pd.DataFrame(
        {
            "age": rng.uniform(20, 70, count),
            "sex": rng.choice(["f", "m"], count),
            "income": rng.lognormal(10, 1, count),
        }
    )
    y = 0.1 * frame["age"] + (frame["sex"] == "m") * 2 + np.log(frame["income"])
    frame.loc[::9, "age"] = np.nan
    frame.loc[::13, "sex"] = None
    return frame, y + 0.1 * rng.standard_normal(count)


def test_pandas_polars_and_columns_in_a_dict_agree(frame):
    X, y = frame
    model = KANRegressor(**FAST).fit(X, y)
    columns = {name: X[name].to_list() for name in X}
    columns["sex"] = [None if v is None or v != v else v for v in columns["sex"]]
    polars = pl.DataFrame(columns)
    polars_model = KANRegressor(**FAST).fit(polars, y.to_numpy())
    dict_model = KANRegressor(**FAST).fit(columns, y)
    expected = model.predict(X)
    np.testing.assert_allclose(polars_model.predict(polars), expected, rtol=1e-9)
    np.testing.assert_allclose(dict_model.predict(columns), expected, rtol=1e-9)
    assert list(model.feature_names_in_) == ["age", "sex", "income"]
    assert model.score(X, y) > 0.9


def test_missing_values_get_their_own_value(frame):
    X, y = frame
    model = KANRegressor(**FAST).fit(X, y + 50 * X["age"].isna())
    one = X.iloc[[1]].copy()
    whole = model.predict(one)
    one["age"] = np.nan
    assert model.predict(one) - whole > 40


def test_unseen_category_and_new_missing_value_are_predicted(frame):
    X, y = frame
    model = KANRegressor(**FAST).fit(X, y)
    other = X.iloc[:2].copy()
    other["sex"] = "x"
    other["income"] = np.nan
    assert np.isfinite(model.predict(other)).all()


def test_too_many_categories_are_said():
    X = {"id": [f"n{k}" for k in range(150)], "x": np.linspace(0, 1, 150)}
    with pytest.warns(UserWarning, match="150 categories"):
        KANRegressor(**FAST).fit(X, X["x"])


def test_codes_can_be_declared_categories():
    X = np.array([[0.0, 1.0, 2.0] * 20]).T
    y = np.array([5.0, -3.0, 4.0] * 20)
    model = KANRegressor(categorical_features=[0], **FAST).fit(X, y)
    np.testing.assert_allclose(model.predict(X[:3]), y[:3], atol=0.05)
    assert model.network_.layers[0].specs()[0]["family"] == "lookup"


def test_several_targets(frame):
    X, y = frame
    both = np.column_stack([y, -2 * y + 1])
    model = KANRegressor(**FAST).fit(X, both)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == both.shape
    np.testing.assert_allclose(mean[:, 1], -2 * mean[:, 0] + 1, atol=0.1)


def test_standard_deviation_and_interval_cover(frame):
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (400, 2))
    y = np.sin(3 * X[:, 0]) + 0.3 * rng.standard_normal(400)
    model = KANRegressor(**FAST).fit(X[:200], y[:200])
    _, std = model.predict(X[200:], return_std=True)
    lower, upper = model.predict_interval(X[200:], coverage=0.9).T
    np.testing.assert_allclose((upper - lower) / 2, 1.6448536 * std, rtol=1e-6)
    inside = (y[200:] > lower) & (y[200:] < upper)
    assert 0.82 < inside.mean() < 0.97
    assert std.mean() == pytest.approx(0.3, rel=0.2)


@pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")
def test_uncertainty_grows_outside_the_data():
    X = np.linspace(0, 1, 60)[:, None]
    model = KANRegressor(**FAST).fit(X, np.sin(6 * X[:, 0]) + 0.1 * np.cos(50 * X[:, 0]))
    _, std = model.predict([[0.5], [2.0]], return_std=True)
    assert std[1] > 2 * std[0]


def test_interaction_is_found_and_additive_data_stay_additive():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 2))
    noise = 0.05 * rng.standard_normal(300)
    additive = KANRegressor(n_estimators=2, random_state=0).fit(X, X[:, 0] + X[:, 1] ** 2 + noise)
    assert len(additive.network_.layers) == 1
    product = KANRegressor(n_estimators=2, random_state=0).fit(X, X[:, 0] * X[:, 1] + noise)
    assert len(product.network_.layers) == 2
    assert product.score(X, X[:, 0] * X[:, 1]) > 0.99


@pytest.mark.parametrize("edge", ["gp", "slaf", "spline", "pade"])
@pytest.mark.parametrize("hidden", ["additive", (2,), ("kst", 2)])
def test_every_edge_and_topology_fits(edge, hidden):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 3, (120, 2))
    y = np.exp(X[:, 0] / 2) + np.abs(X[:, 1])
    model = KANRegressor(edge=edge, hidden=hidden, n_estimators=1, max_iter=12, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.93


def test_a_family_per_column(frame):
    X, y = frame
    slaf = {"family": "slaf", "degree": 3}
    model = KANRegressor(edge={"age": "spline", "income": slaf}, **FAST).fit(X, y)
    specs = model.network_.layers[0].specs()
    assert [spec["family"] for spec in specs] == ["spline", "lookup", "slaf"]
    assert specs[2]["degree"] == 3
    everywhere = KANRegressor(edge=slaf, **FAST).fit(X, y)
    assert everywhere.network_.layers[0].specs()[0]["degree"] == 3


def test_classes_of_any_kind_and_weights():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = KANClassifier(**FAST).fit(X, names)
    assert model.score(X, names) > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    balanced = KANClassifier(class_weight="balanced", **FAST).fit(X, names)
    assert balanced.score(X, names) > 0.95


def test_same_seed_same_model_bit_for_bit():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 2))
    y = X[:, 0] * X[:, 1]
    options = {"hidden": (2,), "n_estimators": 2, "max_iter": 6, "random_state": 3}
    first, second = (KANRegressor(**options).fit(X, y).predict(X) for _ in range(2))
    assert np.array_equal(first, second)


def test_pipeline_search_and_cross_validation(frame):
    X, y = frame[0][["age", "income"]], frame[1]
    pipeline = make_pipeline(StandardScaler(), KANRegressor(**FAST))
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.5
    search = GridSearchCV(pipeline, {"kanregressor__edge": ["gp", "slaf"]}, cv=2).fit(X, y)
    assert search.best_estimator_.predict(X).shape == (200,)
    assert clone(search.best_estimator_[-1]).edge in ("gp", "slaf")


def test_callbacks_see_every_round_and_can_stop():
    class Stop:
        seen = 0

        def setup(self, estimator, context):
            """Nothing to set up."""

        def teardown(self, estimator, context):
            """Nothing to tear down."""

        def on_fit_task_begin(self, estimator, context):
            """Nothing to do."""

        def on_fit_task_end(self, estimator, context, *, metadata=None):
            if context.task_name == "round":
                Stop.seen += 1
                return Stop.seen == 3
            return False

    X = np.linspace(0, 1, 50)[:, None]
    model = KANRegressor(**FAST).set_callbacks(Stop()).fit(X, X[:, 0] ** 2)
    assert Stop.seen == model.n_iter_ == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge": "gpp"}, "choose one of"),
        ({"edge": {"weight": "gp"}}, "which X lacks"),
        ({"hidden": "deep"}, "is not understood"),
        ({"hidden": (0,)}, "is not understood"),
        ({"n_estimators": 0}, "positive integer"),
        ({"max_iter": 0}, "positive integer"),
        ({"categorical_features": ["kind"]}, "which X lacks"),
    ],
)
def test_wrong_parameters_say_what_is_right(options, message):
    X = {"age": [1.0, 2.0, 3.0, 4.0], "size": [1.0, 1.0, 2.0, 2.0]}
    with pytest.raises(ValueError, match=message):
        KANRegressor(**options).fit(X, [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"a": [1.0, np.inf, 2.0]}, "infinity in row 1"),
        ({"a": [1.0, 2.0]}, "inconsistent numbers of samples"),
        ({"a": [1.0, 2.0, 3.0], "b": [1.0]}, "same length"),
        (pd.DataFrame([[1, 2], [3, 4], [5, 6]], columns=["a", "a"]), "more than once"),
        (pd.DataFrame({"day": pd.date_range("2020", periods=3)}), "dates"),
    ],
)
def test_wrong_tables_say_what_is_wrong(X, message):
    with pytest.raises(ValueError, match=message):
        KANRegressor().fit(X, [1.0, 2.0, 3.0])


def test_a_bad_table_leaves_the_fitted_model_alone(frame):
    X, y = frame
    model = KANRegressor(**FAST).fit(X, y)
    before = model.predict(X)
    for bad in (X.drop(columns="age"), X.assign(more=1.0), X.assign(age="old"), X[["sex", "age"]]):
        with pytest.raises(ValueError, match=r"age|feature|column"):
            model.predict(bad)
    assert np.array_equal(model.predict(X), before)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="only one class"):
        KANClassifier().fit([[1.0], [2.0]], ["a", "a"])


def test_constant_target_and_constant_column():
    X = np.column_stack([np.linspace(0, 1, 30), np.full(30, 7.0)])
    constant = KANRegressor(random_state=0).fit(X, np.full(30, 3.5))
    np.testing.assert_allclose(constant.predict(X), 3.5, atol=1e-6)
    model = KANRegressor(random_state=0).fit(X, 2 * X[:, 0])
    np.testing.assert_allclose(model.predict(X), 2 * X[:, 0], atol=1e-3)


def test_many_rows_are_tried_on_a_part_and_finished_on_all(monkeypatch):
    monkeypatch.setattr("kanx.training.task.MANY_ROWS", 200)
    monkeypatch.setattr("kanx.training.task.PART_OF_ROWS", 100)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 2))
    y = np.sin(3 * X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(600)
    model = KANRegressor(hidden="additive", random_state=0).fit(X, y)
    _, std = model.predict(X, return_std=True)
    assert std.mean() == pytest.approx(0.1, rel=0.1)
    assert model.score(X, y) > 0.97


def test_a_large_network_is_fitted_without_a_dense_curvature(monkeypatch):
    monkeypatch.setattr("kanx.training.evidence.DENSE_LIMIT", 20)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 3))
    y = np.digitize(np.sin(3 * X[:, 0]) + X[:, 1], [-0.5, 0.5])
    model = KANClassifier(**FAST).fit(X, y)
    assert model.model_.members[0].posterior.is_diagonal
    assert model.score(X, y) > 0.9
    assert np.isfinite(model.model_.variance(model._matrix(X), noise=False).numpy()).all()
