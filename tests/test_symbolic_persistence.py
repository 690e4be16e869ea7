"""Symbolic estimators are saved as JSON, load bit for bit, and damaged files are refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import save as format_arrays

import kanx
from kanx.symbolic_record import from_header, to_header


@pytest.fixture(scope="module")
def fitted():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.default_rng(0).uniform(1, 3, (200, 2)), columns=["mass", "v (m/s)"])
    y = X["mass"] * X["v (m/s)"] ** 2 / 2 + 0.1 * np.random.default_rng(1).normal(size=200)
    model = kanx.SymbolicRegressor(max_time=4, functions=("exp",), random_state=0)
    return X, y, model.fit(X, y)


def test_a_regressor_predicts_as_before_and_keeps_its_front(fitted, tmp_path):
    X, y, model = fitted
    kanx.save(model, tmp_path / "law.kanx")
    again = kanx.load(tmp_path / "law.kanx")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.formula_.notes == model.formula_.notes
    assert again.front_.equals(model.front_)
    assert list(again.feature_names_in_) == list(X.columns)
    assert again.get_params() == {**model.get_params(), "functions": ["exp"]}  # JSON has no tuples
    assert again.score(X, y) == model.score(X, y)


def test_several_targets_and_templates(tmp_path):
    X = np.random.default_rng(0).uniform(1, 3, (100, 2))
    model = kanx.SymbolicRegressor(max_time=4, template="x0 + f(x1)", random_state=0)
    model.fit(X, np.c_[X[:, 0] + X[:, 1] ** 2, X[:, 0] + 1 / X[:, 1]])
    kanx.save(model, tmp_path / "law.kanx")
    again = kanx.load(tmp_path / "law.kanx")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.template == "x0 + f(x1)"


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7], [False, True]])
def test_a_classifier(labels, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (300, 2))
    y = np.asarray(labels)[(rng.random(300) < 1 / (1 + np.exp(4 - 2 * X[:, 0]))).astype(int)]
    model = kanx.SymbolicClassifier(max_time=2, random_state=0).fit(X, y)
    kanx.save(model, tmp_path / "law.kanx")
    again = kanx.load(tmp_path / "law.kanx")
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(again.predict(X), model.predict(X))


def test_damaged_headers_are_refused(fitted, tmp_path):
    header = to_header(fitted[2])
    path = tmp_path / "law.kanx"
    for change in (
        {"formulas": []},
        {"formulas": ["__import__('os')"]},
        {"n_features_in": 3},
        {"feature_names_in": ["a", "b"]},
        {"options": {"max_tim": 3}},
        {"several": False, "formulas": header["formulas"] * 2},
    ):
        record = {"format": 1, "version": "0", "kind": "SymbolicRegressor",
                  "estimator": {**header, **change}}  # fmt: skip
        path.write_bytes(format_arrays({}, {"kanx": json.dumps(record)}))
        with pytest.raises(ValueError, match="damaged"):
            kanx.load(path)
    with pytest.raises(KeyError):
        from_header("KAN", header)


def test_what_is_not_fitted_is_not_saved(tmp_path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        kanx.save(kanx.SymbolicRegressor(), tmp_path / "law.kanx")
    assert not list(tmp_path.iterdir())
