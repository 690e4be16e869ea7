"""Predictions outside the range of the training data say so, once, and behave as stated."""

import warnings

import numpy as np
import pandas as pd
import pytest

from kanx import KANClassifier, KANRegressor
from kanx.new_rows import MissingValueWarning, OutOfRangeWarning, warn_unlike
from kanx.tables import Column


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.uniform(0, 1, 60), "dose": rng.uniform(5, 9, 60)})
    X["kind"] = rng.choice(["a", "b"], 60)
    y = np.sin(3 * X.age) + X.dose
    options = {"hidden": "additive", "edge": "spline", "random_state": 0}
    return X, KANRegressor(**options).fit(X, y), KANClassifier(**options).fit(X, y > y.median())


def outside(X):
    moved = X.iloc[:10].copy()
    moved.loc[:2, "age"] = [1.5, -0.2, np.nan]
    moved.loc[1, "dose"] = 4.0
    moved.loc[5, "kind"] = "unheard of"
    return moved


def test_one_warning_counts_the_rows_and_names_the_columns(fitted):
    X, regressor, classifier = fitted
    for method in (
        regressor.predict,
        regressor.predict_interval,
        classifier.predict,
        classifier.predict_proba,
        classifier.decision_function,
    ):
        with pytest.warns(OutOfRangeWarning) as caught:
            method(outside(X))
        (warning,) = (own for own in caught if own.category is OutOfRangeWarning)
        message = str(warning.message)
        assert message.startswith("2 of 10 rows lie outside the range of the training data, 2 of")
        assert "'age' (2, range 0." in message and "'dose' (1, range 5." in message
        assert "kind" not in message
        assert warning.filename == __file__


def test_nothing_is_said_of_rows_inside_or_near_and_the_usual_filter_silences(fitted):
    X, regressor, _ = fitted
    near = X.iloc[:3].copy()
    near.loc[0, "age"] = 1.05  # a twentieth of the width
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutOfRangeWarning)
        regressor.predict(X)
        regressor.predict(near)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfRangeWarning)
        values = regressor.predict(outside(X))
    assert np.isfinite(values).all()


@pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")
@pytest.mark.parametrize("extrapolate", ["linear", "constant", "family", "periodic"])
@pytest.mark.parametrize("edge", ["gp", "slaf", "spline"])
def test_the_continuation_is_the_one_asked_for(edge, extrapolate):
    x = np.linspace(0, 2, 41)
    options = {"extrapolate": extrapolate, **({"degree": 3} if edge == "slaf" else {})}
    model = KANRegressor(edge=edge, edge_options=options, hidden="additive", random_state=0)
    model.fit(x[:, None], 0.3 * x**3 - x)
    step = 1e-6
    at, near, far = (model.predict(np.array([[2 + d]]))[0] for d in (0, step, 3.0))
    below = model.predict(np.array([[2 - step]]))[0]
    if extrapolate == "linear":
        assert far == pytest.approx(at + 3 * (at - below) / step, rel=1e-3)
    elif extrapolate == "constant":
        assert far == pytest.approx(at, rel=1e-12)
    elif extrapolate == "periodic":
        assert far == pytest.approx(model.predict(np.array([[1.0]]))[0], rel=1e-9)
    elif edge == "slaf":  # a polynomial's own formula goes on
        assert far == pytest.approx(0.3 * 125 - 5, rel=0.1)
    else:
        assert np.isfinite(far)
    assert near == pytest.approx(at, abs=1e-4) or extrapolate == "periodic"


def test_of_many_columns_the_warning_names_those_with_most_rows():
    count = 200
    learned = [Column(f"column {j}", None, False, 0.0, 1.0) for j in range(count)]
    rows = np.zeros((20, count))
    rows[0] = 2.0
    rows[:9, 70:74] = 2.0
    with pytest.warns(OutOfRangeWarning) as caught:
        warn_unlike(learned, rows)
    message = str(caught[0].message)
    for j in (70, 71, 72, 73):
        assert f"'column {j}' (9, range 0 to 1)" in message
    assert message.count("'column ") == 5
    assert "and 195 other columns" in message
    assert len(message) < 500


def test_values_that_only_new_rows_lack_are_named():
    X = pd.DataFrame({"a {braces}": [0.0, 1, 2, 3], "b": [1.0, np.nan, 0, 1]})
    model = KANRegressor(hidden="additive", max_iter=3, random_state=0).fit(X, [0.0, 1, 2, 3])
    X.iloc[:2, 0] = np.nan
    with pytest.warns(MissingValueWarning, match=r"2 of 4 rows lack .* in 'a \{braces\}' \(2\)"):
        model.predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MissingValueWarning)
        model.predict(X.assign(**{"a {braces}": 1.0}))
