"""What strangers name and send: strange numbers, names, paths, and files larger than they look."""

import csv
import sys

import numpy as np
import pytest
from processes import run_python

import kanx
from kanx import KANRegressor
from kanx.cli import main

NAMES = ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "λ_é 温度", "\u202egnp.exe", "a\x00b", "x\ty"]
EXTREMES = [0.0, -0.0, 5e-324, -2.2e-308, 1e300, -1e300]
pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")


def additive(**options):
    return KANRegressor(hidden="additive", max_iter=3, random_state=0, **options)


def test_names_of_any_kind_are_kept_as_they_are(tmp_path):
    X = np.random.default_rng(0).uniform(0, 1, (40, len(NAMES)))
    table = dict(zip(NAMES, X.T, strict=True))
    model = additive().fit(table, X[:, 0])
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert list(again.feature_names_in_) == NAMES
    assert np.array_equal(again.predict(table), model.predict(table))
    page = kanx.explain(model, table)
    page.to_html(tmp_path / "report.html")
    assert "λ_é 温度" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_labels_that_start_like_formulas_come_back_as_they_were(tmp_path, capsys):
    """Files for programs hold the labels themselves: a quote before them would be another label."""
    X = {"=1+1": np.linspace(0, 1, 40)}
    labels = np.where(X["=1+1"] > 0.5, "=1+1", "@SUM(A1)")
    model = kanx.KANClassifier(hidden="additive", max_iter=3, random_state=0).fit(X, labels)
    kanx.save(model, tmp_path / "model.kanx")
    (tmp_path / "rows.csv").write_text("=1+1\n0.1\n0.9\n")
    assert main(["predict", str(tmp_path / "model.kanx"), str(tmp_path / "rows.csv")]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert rows[0] == ["prediction", "probability of =1+1", "probability of @SUM(A1)"]
    assert [row[0] for row in rows[1:]] == ["@SUM(A1)", "=1+1"]


@pytest.mark.parametrize("edge", ["gp", "spline", "slaf"])
def test_the_edges_of_doubles_are_fitted_and_predicted(edge):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 2))
    X[: len(EXTREMES), 1] = EXTREMES
    model = additive(edge=edge).fit(X, X[:, 0])
    assert np.isfinite(model.predict(X)).all()
    ordinary = additive(edge=edge).fit(X[:, :1], X[:, 0])
    found = ordinary.predict(np.array(EXTREMES)[:, None])
    assert found.shape == (len(EXTREMES),)
    assert found[0] == found[1]  # the two zeros are one number
    assert abs(found[2] - found[0]) < 1e-12
    assert not np.isnan(found).any()


def test_tiny_and_huge_targets_keep_their_units():
    X = np.linspace(0, 1, 40)[:, None]
    for unit in (1e-100, 1e100):
        model = additive().fit(X, unit * X[:, 0])
        np.testing.assert_allclose(model.predict(X) / unit, X[:, 0], atol=1e-3)


@pytest.mark.parametrize(
    "name", ["../up.kanx", "-model.kanx", "a b;c.kanx", "$(touch owned).kanx", "λ.kanx", "..kanx"]
)
def test_a_file_name_is_only_a_name(name, tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    X = np.linspace(0, 1, 20)[:, None]
    model = additive().fit(X, X[:, 0])
    kanx.save(model, name)
    assert np.array_equal(kanx.load(name).predict(X), model.predict(X))
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert [work.joinpath(name).resolve()] == [(tmp_path / path).resolve() for path in written]


@pytest.mark.parametrize("name", ["a\x00b.kanx", "x" * 300 + ".kanx", "no/such/folder.kanx", "."])
def test_a_name_that_cannot_be_written_leaves_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = np.linspace(0, 1, 20)[:, None]
    model = additive().fit(X, X[:, 0])
    with pytest.raises((OSError, ValueError)):
        kanx.save(model, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["builtin:../../etc/passwd", "/etc", "no\x00file.csv"])
def test_the_command_line_refuses_odd_sources_in_one_line(source, tmp_path, capsys):
    assert main(["fit", source, "--target", "y", "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


PEAK = """
import sys
from kanx.cli import main
import kanx.commands.predict, kanx.persistence, polars

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

assert main(sys.argv[1:3] + sys.argv[4:]) == 0
before = peak()
assert main(["predict", sys.argv[2], sys.argv[3], *sys.argv[5:]]) == 0
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_parquet_file_that_unpacks_to_a_gigabyte_is_streamed(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("polars")
    from pyarrow import parquet

    X = {"size": np.linspace(0, 1, 20), "kind": ["u", "v"] * 10}
    kanx.save(additive().fit(X, X["size"]), tmp_path / "model.kanx")
    for name, count in (("bomb", 100_000), ("small", 10)):
        text = arrow.array(["x" * 10_000])
        kind = arrow.DictionaryArray.from_arrays(np.zeros(count, np.int32), text)
        rows = arrow.table({"size": np.full(count, 0.5), "kind": kind})
        parquet.write_table(rows, tmp_path / f"{name}.parquet", store_schema=False)
    bomb, small = tmp_path / "bomb.parquet", tmp_path / "small.parquet"
    assert bomb.stat().st_size < 100_000
    arguments = ["predict", tmp_path / "model.kanx", bomb, small, "--out", tmp_path / "out.csv"]
    done = run_python(PEAK, *arguments)
    assert done.returncode == 0, done.stderr[-600:]
    assert int(done.stdout.split()[-1]) < 500_000  # kB, of a gigabyte
    with open(tmp_path / "out.csv") as file:
        assert sum(1 for _ in file) == 100_001
