"""`save` and `load`: round trips bit for bit, and files that are no model."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch

import kanx
from kanx import KAN, KANClassifier, KANRegressor


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 3))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 0.05 * rng.standard_normal(80)


@pytest.fixture(scope="module")
def regressor(table):
    return KANRegressor(hidden=(2,), n_estimators=2, max_iter=8, random_state=0).fit(*table)


def test_regressor_round_trip(table, regressor, tmp_path):
    kanx.save(regressor, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    for first, second in zip(
        regressor.predict(table[0], return_std=True),
        again.predict(table[0], return_std=True),
        strict=True,
    ):
        assert np.array_equal(first, second)
    assert again.get_params() == {**regressor.get_params(), "hidden": [2]}  # JSON has no tuples


@pytest.mark.parametrize("labels", [np.array(["no", "yes"]), np.array([3, 7, 9]), [True, False]])
def test_classifier_round_trip(table, labels, tmp_path):
    X, y = table
    codes = np.digitize(y, np.quantile(y, [0.4, 0.7])) % len(labels)
    target = np.asarray(labels)[codes]
    model = KANClassifier(hidden="additive", max_iter=6, random_state=0).fit(X, target)
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert np.array_equal(again.classes_, model.classes_)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_categories_missing_values_and_names_survive(tmp_path):
    X = {"size": [1.0, 2.0, None, 4.0] * 10, "kind": ["a", "b", "b", None] * 10}
    y = np.arange(40.0)
    model = KANRegressor(random_state=0).fit(X, y)
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert list(again.feature_names_in_) == ["size", "kind"]
    assert np.array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("edge", ["gp", "slaf", "pade", "spline"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_network_round_trip(edge, dtype, tmp_path):
    net = KAN([2, 3, 1], edge, skip=True, random_state=0).to(dtype)
    kanx.save(net, tmp_path / "net.kanx")
    again = kanx.load(tmp_path / "net.kanx")
    x = torch.linspace(-1.5, 1.5, 10, dtype=dtype).reshape(5, 2)
    assert torch.equal(again(x), net(x))


def test_pickle_holds_plain_arrays(table, regressor):
    data = pickle.dumps(regressor)
    assert b"torch" not in data.replace(b"kanx", b"")
    assert np.array_equal(pickle.loads(data).predict(table[0]), regressor.predict(table[0]))


def test_an_unfitted_model_or_another_object_is_refused(tmp_path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        kanx.save(KANRegressor(), tmp_path / "model.kanx")
    with pytest.raises(TypeError, match="got dict"):
        kanx.save({}, tmp_path / "model.kanx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\xff" * 64, struct.pack("<Q", 2) + b"{}", b"<html></html>" * 20],
)
def test_a_file_that_is_no_model(content, tmp_path):
    path = tmp_path / "other.kanx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no kanx model"):
        kanx.load(path)


def _rewrite(path, change):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    own = json.loads(header["__metadata__"]["kanx"])
    change(own)
    header["__metadata__"]["kanx"] = json.dumps(own)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(format=99), "format 99"),
        (lambda h: h.update(kind="Unheard"), "damaged"),
        (lambda h: h["network"].update(widths=[2, 5, 1]), "damaged"),
        (lambda h: h["network"].update(widths=[]), "damaged"),
        (lambda h: h["network"]["edges"][0][0].update(family="gpp"), "damaged"),
        (lambda h: h.pop("network"), "damaged"),
    ],
)
def test_a_changed_header_is_refused(change, message, tmp_path):
    path = tmp_path / "net.kanx"
    kanx.save(KAN([2, 3, 1], random_state=0), path)
    _rewrite(path, change)
    with pytest.raises(ValueError, match=message):
        kanx.load(path)


def test_a_truncated_file_is_refused(regressor, tmp_path):
    path = tmp_path / "model.kanx"
    kanx.save(regressor, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        kanx.load(path)


def test_an_edited_model_keeps_what_it_was(table, tmp_path):
    model = KANRegressor(hidden="additive", max_iter=4, random_state=0).fit(*table)
    editor = kanx.edit(model, *table)
    editor.damp("x0", 0.5)
    editor.damp("x1", 0.5)
    path = tmp_path / "model.kanx"
    kanx.save(editor.model, path)
    for again in (kanx.load(path), pickle.loads(pickle.dumps(editor.model))):
        assert again.model_.history == editor.model.model_.history
        first = again.model_.previous.previous
        assert first.previous is None
        assert first.history == []
        x = torch.from_numpy(table[0])
        assert torch.equal(first.outputs(x), model.model_.outputs(x))
    size = path.stat().st_size
    editor.forget()
    kanx.save(editor.model, path)
    assert path.stat().st_size < size
    assert len(kanx.load(path).model_.history) == 2


def test_a_model_without_the_optional_keys_is_read(regressor, table, tmp_path):
    path = tmp_path / "model.kanx"
    kanx.save(regressor, path)
    _rewrite(path, lambda h: h["estimator"]["model"].pop("previous", None))
    assert np.array_equal(kanx.load(path).predict(table[0]), regressor.predict(table[0]))


def test_a_damaged_earlier_state_is_refused(table, tmp_path):
    model = KANRegressor(hidden="additive", max_iter=4, random_state=0).fit(*table)
    editor = kanx.edit(model, *table)
    editor.damp("x0", 0.5, refit=False)
    kanx.save(editor.model, tmp_path / "model.kanx")
    _rewrite(tmp_path / "model.kanx", lambda h: h["estimator"]["model"]["previous"].pop("members"))
    with pytest.raises(ValueError, match="damaged"):
        kanx.load(tmp_path / "model.kanx")
