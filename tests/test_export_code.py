"""Exported C, JavaScript, SQL and numpy code predicts as the model does, in its own runtime."""

import ctypes
import json
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from contract import CASES, FIRST_CASES, label
from export_cases import (
    KINDS,
    NAMES,
    as_rows,
    assert_close,
    family_rows,
    fitted,
    hard_rows,
    of_family,
    truth,
)

from kanx import KAN, KANClassifier, KANRegressor
from kanx.export import (
    c_code,
    exported,
    javascript,
    runtime,
    sql,
    to_c,
    to_javascript,
    to_numpy,
    to_sql,
)

pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


def run_c(code, rows, outputs, folder):
    """Compile strictly, and predict row by row."""
    (folder / "model.c").write_text(code)
    library = folder / "model.so"
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC"]
    command = ["gcc", *flags, "-o", str(library), str(folder / "model.c"), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    loaded = ctypes.CDLL(str(library))
    loaded.kanx_code.restype = ctypes.c_double
    found = []
    for row in rows:
        numbers = (ctypes.c_double * len(row))()
        for j, value in enumerate(row):
            if isinstance(value, str):
                value = loaded.kanx_code(j, value.encode())
            numbers[j] = np.nan if value is None else value
        prediction = (ctypes.c_double * outputs)()
        loaded.kanx_predict(numbers, prediction)
        found.append(list(prediction))
    return found


def run_javascript(code, rows, folder):
    (folder / "model.js").write_text(code)
    (folder / "run.js").write_text(
        'const { predict } = require("./model.js");\n'
        'const rows = JSON.parse(require("fs").readFileSync(0));\n'
        "const shown = (v) => (Number.isFinite(v) ? v : String(v));\n"
        "console.log(JSON.stringify(rows.map((row) => predict(row).map(shown))));\n"
    )
    done = subprocess.run(
        ["node", str(folder / "run.js")],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        [float(v.replace("Infinity", "inf")) if isinstance(v, str) else v for v in row]
        for row in json.loads(done.stdout)
    ]


def run_sql(query, names, rows):
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE data (id, {columns})")
    places = ", ".join("?" * (len(names) + 1))
    database.executemany(
        f"INSERT INTO data VALUES ({places})", [(k, *row) for k, row in enumerate(rows)]
    )
    found = sorted(database.execute(query).fetchall())
    database.close()
    assert [row[0] for row in found] == list(range(len(rows)))
    return [[np.nan if v is None else v for v in row[1:]] for row in found]


@pytest.mark.parametrize("kind", KINDS)
def test_numpy(kind, tmp_path):
    model, X = fitted(kind), hard_rows()
    (tmp_path / "model.py").write_text(to_numpy(model))
    np.savez(tmp_path / "rows.npz", rows=np.array(as_rows(X), dtype=object))
    code = (
        "import sys, numpy, model; rows = numpy.load('rows.npz', allow_pickle=True)['rows'];"
        "numpy.save('found.npy', model.predict_columns(rows));"
        "assert not {'torch', 'kanx', 'scipy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_close(np.load(tmp_path / "found.npy"), truth(model, X))


@needs_gcc
@pytest.mark.parametrize("kind", KINDS)
def test_c(kind, tmp_path):
    model, X = fitted(kind), hard_rows()
    wanted = truth(model, X)
    assert_close(run_c(to_c(model), as_rows(X), wanted.shape[1], tmp_path), wanted)


@needs_node
@pytest.mark.parametrize("kind", KINDS)
def test_javascript(kind, tmp_path):
    model, X = fitted(kind), hard_rows()
    assert_close(run_javascript(to_javascript(model), as_rows(X), tmp_path), truth(model, X))


@pytest.mark.parametrize("kind", KINDS)
def test_sql(kind):
    model, X = fitted(kind), hard_rows()
    assert_close(run_sql(to_sql(model, keep=["id"]), NAMES, as_rows(X)), truth(model, X))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_every_family_as_pieces(case):
    model, X = of_family(case), family_rows()
    if case[0] == "lookup":
        X = hard_rows()
    found = exported(model)
    assert found.error < 1e-5  # absolute: near poles values are large
    assert_close(runtime.predict(found.to_dict(), X), truth(model, X))


@needs_gcc
@needs_node
@pytest.mark.parametrize("case", [c for c in FIRST_CASES if c[0] != "lookup"], ids=label)
def test_every_family_in_every_language(case, tmp_path, monkeypatch):
    model, X = of_family(case), family_rows()
    pieces = exported(model)  # found once: every language writes down the same
    for module in (c_code, javascript, sql):
        monkeypatch.setattr(module, "exported", lambda _: pieces)
    wanted = truth(model, X)
    rows = [[None if v != v else v for v in row] for row in X.tolist()]
    assert_close(run_c(to_c(model), rows, 1, tmp_path), wanted)
    assert_close(run_javascript(to_javascript(model), rows, tmp_path), wanted)
    assert_close(run_sql(to_sql(model, keep=["id"]), ["x0", "x1"], rows), wanted)


@pytest.mark.parametrize("extrapolate", ["linear", "constant", "periodic"])
@pytest.mark.parametrize("family", ["spline", "gp", "slaf"])
def test_beyond_the_domain(family, extrapolate):
    model = of_family((family, 0))
    spec = {"family": family, "extrapolate": extrapolate, "missing": True}
    model.model_.__dict__["network"] = KAN([2, 3, 1], spec, random_state=0).double()
    X = family_rows() * 10
    assert_close(runtime.predict(exported(model).to_dict(), X), truth(model, X))


def test_a_formula_that_goes_on_is_covered_for_three_half_widths_beyond():
    model = of_family(("slaf", 0))
    spec = {"family": "slaf", "extrapolate": "family"}
    network = KAN([2, 1], spec, random_state=0).double()
    model.model_.__dict__["network"] = network
    X = np.random.default_rng(0).uniform(-4, 4, (500, 2))
    assert_close(runtime.predict(exported(model).to_dict(), X), truth(model, X))


def test_a_missing_value_that_the_network_cannot_take_predicts_nan():
    model = of_family(("slaf", 0))
    model.model_.__dict__["network"] = KAN([2, 1], "slaf", random_state=0).double()
    holes = np.array([[np.nan, 0.5], [0.5, 0.5]])
    wanted = truth(model, holes)
    assert np.isnan(wanted[0, 0])
    assert_close(runtime.predict(exported(model).to_dict(), holes), wanted)
    rows = [[None, 0.5], [0.5, 0.5]]
    assert_close(run_sql(to_sql(model, keep=["id"]), ["x0", "x1"], rows), wanted)


@pytest.mark.parametrize("features", [1, 2])
def test_absent_elements_of_a_set_contribute_nothing(features):
    X = np.random.default_rng(0).uniform(-1, 1, (60, 4))
    X[::3, 2:] = np.nan
    hidden = ("deep_sets", 2, features)
    model = KANRegressor(hidden=hidden, n_estimators=1, max_iter=3, random_state=0)
    model.fit(X, np.nansum(X**2, axis=1))
    found = runtime.predict(exported(model).to_dict(), X)
    assert np.isfinite(found).all()
    assert_close(found, truth(model, X))


def test_the_stated_error_is_what_is_found():
    model = fitted("classes")
    found = exported(model)
    x = model.model_
    assert 0 < found.error < 1e-7
    assert f"{found.error:.1e}" in found.note
    assert len(found.columns) == len(x.columns)


def test_names_of_any_kind_stay_text(tmp_path):
    X = {"'; DROP TABLE data; --": np.linspace(0, 1, 30), '</script>"*/ ??/': [1.0, 2.0, 3.0] * 10}
    model = KANClassifier(hidden="additive", max_iter=3, random_state=0)
    model.fit(X, ["<b>", "=1+1", "*/ end"] * 10)
    assert "</script" not in to_javascript(model)
    rows = as_rows(X)
    wanted = truth(model, X)
    assert_close(run_sql(to_sql(model, keep=["id"]), list(X), rows), wanted)
    if shutil.which("gcc"):
        assert_close(run_c(to_c(model), rows, 3, tmp_path), wanted)
    with pytest.raises(ValueError, match="NUL"):
        to_sql(model, table="a\0b")


def test_only_fitted_estimators_are_exported():
    for export in (to_c, to_javascript, to_sql, to_numpy):
        for model in (KANRegressor(), KAN([2, 1]), None):
            with pytest.raises(TypeError, match="only a fitted KANRegressor or KANClassifier"):
                export(model)
