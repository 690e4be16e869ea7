"""ONNX in onnxruntime, and torch.export programs: predictions and contributions as the model's."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from contract import CASES, label
from export_cases import (
    KINDS,
    NAMES,
    assert_close,
    family_rows,
    fitted,
    hard_rows,
    of_family,
    table,
    truth,
)

import kanx
from kanx import KANClassifier, KANRegressor
from kanx.export import serving, to_onnx, to_program

pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def session(model, **options):
    data = to_onnx(model, **options).SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def feed(X):
    texts = np.array(["" if v is None else v for v in X[NAMES[1]]], dtype=object)
    return {
        NAMES[0]: X[NAMES[0]][:, None],
        NAMES[1]: texts[:, None],
        NAMES[2]: X[NAMES[2]][:, None],
    }


def assert_contributions(own, wanted):
    """Compare relative to a row's largest one: huge ones cancel."""
    size = 1 + np.abs(wanted).max(axis=(1, 2), keepdims=True)
    assert np.abs((own - wanted) / size).max() <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_whole_estimators(kind):
    model, X = fitted(kind), hard_rows()
    found = session(model, X=table()).run(None, feed(X))
    assert_close(found[0], truth(model, X))
    wanted = serving(model, table())(model._matrix(X))[1].numpy()
    assert_contributions(found[1], wanted)
    if kind in ("binary", "classes"):
        assert found[3].tolist() == model.predict(X).astype(str).tolist()


@pytest.mark.parametrize("case", CASES, ids=label)
def test_every_family(case):
    if case[0] == "lookup":
        pytest.skip("categories are in the whole estimators")
    model, X = of_family(case), family_rows()
    predictions, contributions, _ = session(model, orders=2).run(None, {"X": X})
    assert_close(predictions, truth(model, X))
    wanted = serving(model, orders=2)(torch.from_numpy(X))[1].numpy()
    assert_contributions(contributions, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_add_up(kind):
    model, X = fitted(kind), table()
    module = serving(model, X)
    own = module.contributions(model._matrix(X))
    outputs = model.model_.outputs(model._matrix(X))
    torch.testing.assert_close(module.base + own.sum(1), outputs)


def test_contributions_of_sums_of_curves_are_those_of_the_explanation():
    model, X = fitted("targets"), table()
    local = kanx.explain(model, X).local(X)
    own = serving(model, X).contributions(model._matrix(X)).numpy()
    np.testing.assert_allclose(own, local.values, atol=1e-10)


def test_contributions_of_interacting_models_approach_the_shapley_values():
    model, X = fitted("regressor"), table()
    local = kanx.explain(model, X).local(X)
    own = serving(model, X, orders=400).contributions(model._matrix(X)).numpy()
    spread = np.std(local.values)
    assert np.abs(own - local.values).mean() < 0.1 * spread


def test_programs_take_any_number_of_rows():
    model, X = fitted("binary"), hard_rows(50)
    program = to_program(model, table())
    for rows in (X, {name: values[:1] for name, values in X.items()}):
        x = model._matrix(rows)
        predictions, contributions = program.module()(x)
        assert_close(predictions.numpy(), truth(model, rows))
        assert contributions.shape == (len(x), 3, 1)


def test_numeric_and_boolean_categories_and_an_empty_text():
    rng = np.random.default_rng(0)
    X = {
        "code": rng.choice([3.0, 7.0, 9.5], 60),
        "flag": rng.random(60) > 0.5,
        "text": rng.choice(np.array(["", "a"], dtype=object), 60),
    }
    y = (X["code"] == 7) + 2.0 * X["flag"] + (X["text"] == "a")
    model = KANRegressor(
        hidden="additive", max_iter=4, categorical_features=["code", "flag", "text"]
    ).fit(X, y)
    numbers = {name: X[name].astype(float)[:, None] for name in ("code", "flag")}
    found = session(model).run(None, {**numbers, "text": X["text"].astype(object)[:, None]})
    assert_close(found[0], truth(model, X))
    described = json.loads(to_onnx(model).metadata_props[0].value)
    assert described["missing"] == {"text": "kanx:missing"}
    assert [column["name"] for column in described["columns"]] == ["code", "flag", "text"]


def test_one_session_serves_several_clients_and_refuses_wrong_columns():
    served, rows = session(fitted("regressor")), feed(hard_rows())
    wanted = served.run(["predictions"], rows)[0]
    with ThreadPoolExecutor(8) as clients:
        found = list(clients.map(lambda _: served.run(["predictions"], rows)[0], range(24)))
    assert all(np.array_equal(own, wanted, equal_nan=True) for own in found)
    lacking = {name: values for name, values in rows.items() if name != NAMES[2]}
    of_text = {**rows, NAMES[2]: rows[NAMES[1]]}
    for bad in (lacking, {**rows, "more": rows[NAMES[0]]}, of_text):
        with pytest.raises(Exception, match=r"(?i)invalid|required|unexpected"):
            served.run(["predictions"], bad)
    assert np.array_equal(served.run(["predictions"], rows)[0], wanted, equal_nan=True)


def test_contributions_may_be_left_out():
    model, X = fitted("binary"), table()
    own = session(model, contributions=False)
    assert [output.name for output in own.get_outputs()] == ["predictions", "label"]
    assert_close(own.run(["predictions"], feed(X))[0], truth(model, X))


def test_what_onnx_cannot_hold_is_refused():
    y = np.arange(30.0)
    mixed = np.array(["a", 1, 2] * 10, dtype=object)
    model = KANRegressor(hidden="additive", max_iter=2).fit({"a": y, "m": mixed}, y)
    with pytest.raises(ValueError, match="'m' has categories that are text and others"):
        to_onnx(model)
    model = KANRegressor(hidden="additive", max_iter=2).fit({"predictions": y}, y)
    with pytest.raises(ValueError, match="rename the column"):
        to_onnx(model)
    with pytest.raises(TypeError, match="only a fitted"):
        to_onnx(KANClassifier())


def test_a_served_model_needs_neither_kanx_nor_torch(tmp_path):
    onnx.save(to_onnx(fitted("regressor")), tmp_path / "model.onnx")
    np.save(tmp_path / "size.npy", hard_rows()[NAMES[0]])
    code = (
        "import sys, numpy, onnxruntime; s = onnxruntime.InferenceSession('model.onnx');"
        "x = numpy.load('size.npy')[:, None]; t = numpy.full(x.shape, 'u', dtype=object);"
        "names = [i.name for i in s.get_inputs()];"
        "print(s.run(None, dict(zip(names, (x, t, x))))[0].shape);"
        "assert not {'torch', 'kanx'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(1000, 1)"
