"""`kanx export` and `kanx predict`: every target is written, files larger than memory pass."""

import csv
import sys

import numpy as np
import pytest
from export_cases import fitted, table
from processes import run_python

import kanx
from kanx import KANRegressor
from kanx.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.kanx"
    kanx.save(fitted("regressor"), path)
    return path


@pytest.mark.parametrize(
    ("target", "start"),
    [
        ("c", b"/* A model"),
        ("javascript", b'"use strict"'),
        ("numpy", b'"""A model'),
        ("sql", b"-- A model"),
        ("onnx", b""),
    ],
)
def test_every_target_is_written(saved, tmp_path, capsys, target, start):
    if target == "onnx":
        pytest.importorskip("onnx")
    out = tmp_path / "written"
    assert main(["export", str(saved), "--to", target, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    assert out.read_bytes().startswith(start)


def test_a_program_is_written_and_runs(tmp_path):
    import torch

    X = np.linspace(0, 1, 30)[:, None]
    model = KANRegressor(hidden="additive", max_iter=3).fit(X, X[:, 0])
    kanx.save(model, tmp_path / "m.kanx")
    out = tmp_path / "m.pt2"
    assert main(["export", str(tmp_path / "m.kanx"), "--to", "torch", "--out", str(out)]) == 0
    predictions, _ = torch.export.load(out).module()(torch.from_numpy(X))
    np.testing.assert_allclose(predictions[:, 0], model.predict(X))


def test_what_cannot_be_written_is_refused(saved, tmp_path, capsys):
    folder = tmp_path / "none" / "model.c"
    assert main(["export", str(saved), "--to", "c", "--out", str(folder)]) == 2
    assert "does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", str(saved), "--to", "cobol"])


def test_predict_reads_parquet_as_csv(saved, tmp_path, capsys):
    polars = pytest.importorskip("polars")
    X = table()
    columns = {name: values.tolist() for name, values in X.items()}
    frame = polars.DataFrame({**columns, "spare": range(120)}, nan_to_null=True)
    frame = frame.sample(fraction=1, seed=0)
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=50)
    frame.write_csv(tmp_path / "a.csv", null_value="", float_precision=17)
    found = []
    for name in ("a.parquet", "a.csv"):
        assert main(["predict", str(saved), str(tmp_path / name), "--drop", "spare"]) == 0
        rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
        found.append([float(row["prediction"]) for row in rows])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
    np.testing.assert_allclose(found[0], fitted("regressor").predict(frame.drop("spare")))


def test_a_file_that_is_no_parquet_is_refused_in_one_line(saved, tmp_path, capsys):
    pytest.importorskip("polars")
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
    for name in ("a.parquet", "none.parquet"):
        assert main(["predict", str(saved), str(tmp_path / name)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


LIMITED = """
import resource, sys
from kanx.cli import main
import kanx.commands.predict, kanx.persistence, scipy.stats, sklearn.metrics
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]), -1))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_predict_streams_a_file_larger_than_its_memory(tmp_path):
    X = np.linspace(0, 1, 40)[:, None]
    kanx.save(KANRegressor(hidden="additive", max_iter=3).fit(X, X[:, 0]), tmp_path / "m.kanx")
    size = 150_000_000
    with open(tmp_path / "a.csv", "w") as file:
        # few rows with long numbers: many bytes to read, little to compute
        file.write("x0\n")
        for row in range(size // 5_000):
            file.write(f"0.{row:010d}{'0' * 5_000}\n")
    out = tmp_path / "out.csv"
    arguments = ["predict", str(tmp_path / "m.kanx"), str(tmp_path / "a.csv"), "--out", str(out)]
    done = run_python(LIMITED, size, *arguments)
    assert done.returncode == 0, done.stderr[-600:]
    assert len(out.read_text().splitlines()) == size // 5_000 + 1
