"""Models of all released versions load and predict as they did; every way of storing is exact."""

import importlib.util
import io
import json
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from export_cases import KINDS, NAMES, fitted, hard_rows, truth

import kanx

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.kanx"))
pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")


@pytest.fixture(scope="module")
def predictions():
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.predictions


def test_there_are_golden_files():
    assert len(FILES) >= 15


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_old_files_load_and_predict_as_they_did(path, predictions):
    wanted = json.loads(path.with_suffix(".json").read_text())
    # other machines add in another order
    np.testing.assert_allclose(predictions(kanx.load(path)), wanted, rtol=1e-9, atol=1e-9)


def _joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def _skops(model):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    own = skops.get_untrusted_types(data=data)
    assert all(name.startswith("kanx.") for name in own)
    return skops.loads(data, trusted=own)


def _kanx(model, folder):
    kanx.save(model, folder / "model.kanx")
    return kanx.load(folder / "model.kanx")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["pickle", "joblib", "skops", "kanx"])
def test_every_round_trip_is_bit_for_bit(kind, way, tmp_path):
    model, X = fitted(kind), hard_rows(200)
    again = {
        "pickle": lambda: pickle.loads(pickle.dumps(model)),
        "joblib": lambda: _joblib(model),
        "skops": lambda: _skops(model),
        "kanx": lambda: _kanx(model, tmp_path),
    }[way]()
    assert np.array_equal(truth(again, X), truth(model, X), equal_nan=True)


def test_the_header_describes_the_model(tmp_path):
    kanx.save(fitted("regressor"), tmp_path / "model.kanx")
    data = (tmp_path / "model.kanx").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["kanx"])
    assert header["format"] == 1
    assert header["version"] == kanx.__version__
    model = header["estimator"]["model"]
    assert [column["name"] for column in model["columns"]] == NAMES
    network = model["members"][0]["network"]
    assert network["edges"][0][0]["family"] == "gp"
    assert network["widths"][0] == 3
    assert model["history"] == []
