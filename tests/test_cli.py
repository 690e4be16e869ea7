"""The command line: what it writes, what it says, and how it refuses."""

import csv
import io
import subprocess
import sys

import numpy as np
import pytest

import kanx
from kanx.cli import main

FILES = ["formula.txt", "model.kanx", "report.html"]


def write(path, names, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows] if names else rows)
    return str(path)


def regression_rows(count=140, seed=0):
    rng = np.random.default_rng(seed)
    size, age = rng.uniform(0, 3, (2, count)).round(4)
    kind = rng.choice(["u", "v"], count)
    price = np.sin(2 * size) + 0.3 * age + (kind == "v") + 0.05 * rng.standard_normal(count)
    shown = ["?" if k % 17 == 0 else a for k, a in enumerate(age)]
    return list(zip(size, shown, kind, price.round(4), strict=True))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with data and what ``kanx fit`` made of it."""
    folder = tmp_path_factory.mktemp("cli")
    data = write(folder / "data.csv", ["size", "age", "kind", "price"], regression_rows())
    out = folder / "deep" / "report"
    status = main(["fit", data, "--target", "price", "--out", str(out), "--hidden", "additive"])
    assert status == 0
    return folder


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def refused(capsys, *arguments):
    """Run a command that must fail, and return its one line."""
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    said = lines(capsys)
    assert len(said) == 1, said
    return said[0]


# -- fit -----------------------------------------------------------------------------------------


def test_fit_writes_model_formula_and_report(fitted):
    out = fitted / "deep" / "report"
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert (out / "formula.txt").read_text().startswith("price = ")
    page = (out / "report.html").read_text()
    assert "ridge regression" in page and "price from data.csv" in page
    model = kanx.load(out / "model.kanx")
    assert list(model.feature_names_in_) == ["size", "age", "kind"]


def test_fit_prints_scores_beside_a_rival(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, 2)).round(3)
    inside = ["yes" if a * a + b * b < 0.5 else "no" for a, b in X]
    data = write(
        tmp_path / "data.csv", None, [(*x, label) for x, label in zip(X, inside, strict=True)]
    )
    arguments = [
        "fit",
        data,
        "--target",
        "-1",
        "--out",
        str(tmp_path / "o"),
        "--hidden",
        "additive",
    ]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    rows = [line.split() for line in said.out.splitlines()]
    assert ["held-out", "scores", "accuracy", "AUC", "log", "loss"] in rows
    ours = next(row for row in rows if row[:1] == ["kanx"])
    rival = next(row for row in rows if row[:2] == ["logistic", "regression"])
    assert float(ours[1]) > float(rival[2])  # a circle is not for a plane
    assert "2 classes: no, yes" in said.out
    assert "30 rows held out" in said.out


def test_the_same_command_writes_the_same_files(fitted, tmp_path):
    again = tmp_path / "again"
    arguments = ["fit", str(fitted / "data.csv"), "--target", "price", "--hidden", "additive"]
    assert main([*arguments, "--out", str(again)]) == 0
    for name in FILES:
        assert (again / name).read_bytes() == (fitted / "deep" / "report" / name).read_bytes()


def test_equal_rows_stay_on_one_side_of_the_split():
    from kanx.commands.data import Data, split

    rng = np.random.default_rng(0)
    x = rng.integers(0, 30, 200).astype(float)
    for task in ("regression", "classification"):
        y = x if task == "regression" else np.array([str(v % 3) for v in x], object)
        train, held = split(Data("d", {"x": x}, y, "y", task), seed=1)
        assert not set(x[train]) & set(x[held])
        assert len(train) + len(held) == 200
        assert 30 < len(held) < 70


def test_a_rare_class_is_learned_and_not_only_tested():
    from kanx.commands.data import Data, split

    y = np.array(["a"] * 40 + ["b"] * 40 + ["c"], object)
    for seed in range(5):
        train, held = split(Data("d", {"x": np.arange(81.0)}, y, "y", "classification"), seed)
        assert set(y[train]) == {"a", "b", "c"}
        assert set(y[held]) == {"a", "b"}


def test_the_task_is_told_from_the_target(tmp_path):
    from kanx.commands.data import read_data

    def task(values, asked="auto"):
        rows = [(k, v) for k, v in enumerate(values)]
        data = read_data(write(tmp_path / "a.csv", ["x", "y"], rows), "y", asked)
        return data.task

    assert task(["a", "b"] * 10) == "classification"
    assert task([0, 1] * 10) == "classification"
    assert task([1, 2, 3, 4] * 5) == "classification"
    assert task([1, 2, 3, 4] * 5, "regression") == "regression"
    assert task([0.5, 1.5, 2.5] * 7) == "regression"
    assert task(range(20)) == "regression"


def test_rows_without_a_target_are_left_out_and_counted(tmp_path):
    from kanx.commands.data import read_data

    rows = [(k, "" if k % 5 == 0 else 1.5 * k) for k in range(30)]
    data = read_data(write(tmp_path / "a.csv", ["x", "y"], rows), "y")
    assert data.n_rows == 24
    assert data.notes == ["6 rows without a value of y were left out"]


def test_refit_uses_all_rows(fitted, tmp_path, capsys):
    out = tmp_path / "o"
    arguments = ["--target", "price", "--hidden", "additive", "--refit", "--out", str(out)]
    assert main(["fit", str(fitted / "data.csv"), *arguments]) == 0
    assert "fitted again on all 140 rows" in capsys.readouterr().out
    assert "fitted again on all rows" in (out / "report.html").read_text()


# -- predict and formula -------------------------------------------------------------------------


def predicted(capsys, *arguments):
    assert main(["predict", *map(str, arguments)]) == 0
    said = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(said.out))), said.err


def test_predict_gives_what_the_model_gives_in_any_order_of_columns(fitted, tmp_path, capsys):
    rows = regression_rows(5000, seed=3)  # more than one chunk
    data = write(tmp_path / "new.csv", ["kind", "age", "size"], [(k, a, s) for s, a, k, _ in rows])
    found, _ = predicted(capsys, fitted / "deep/report/model.kanx", data)
    columns = {
        "size": np.array([s for s, *_ in rows]),
        "age": np.array([np.nan if a == "?" else a for _, a, *_ in rows], float),
        "kind": np.array([k for *_, k, _ in rows], object),
    }
    model = kanx.load(fitted / "deep/report/model.kanx")
    mean, std = model.predict(columns, return_std=True)
    np.testing.assert_allclose([float(r["prediction"]) for r in found], mean, rtol=1e-8)
    np.testing.assert_allclose([float(r["std"]) for r in found], std, rtol=1e-8)
    half = [(float(r["upper"]) - float(r["lower"])) / 2 for r in found]
    np.testing.assert_allclose(half, 1.959964 * std, rtol=1e-6)


def test_predict_takes_a_file_without_header_and_drops_columns(fitted, tmp_path, capsys):
    rows = regression_rows(20, seed=4)
    data = write(tmp_path / "new.csv", None, rows)
    model = fitted / "deep/report/model.kanx"
    to_file = tmp_path / "out.csv"
    assert main(["predict", str(model), data, "--drop", "3", "--out", str(to_file)]) == 0
    assert capsys.readouterr().out == ""
    with_names = write(tmp_path / "named.csv", ["size", "age", "kind", "price"], rows)
    found, _ = predicted(capsys, model, with_names, "--drop", "price")
    assert found == list(csv.DictReader(io.StringIO(to_file.read_text())))


def test_predict_notes_what_the_model_has_never_seen(fitted, tmp_path, capsys):
    rows = [(1.0, 1.0, "u"), (99.0, 1.0, "u"), (1.0, 1.0, "w")]
    data = write(tmp_path / "new.csv", ["size", "age", "kind"], rows)
    _, notes = predicted(capsys, fitted / "deep/report/model.kanx", data)
    assert "1 of 3 rows hold numbers outside the range" in notes
    assert "1 of 3 rows hold categories that no training row had" in notes


def test_predict_notes_values_that_only_new_rows_lack(fitted, tmp_path, capsys):
    rows = [(1.0, 1.0, "u"), ("", 1.0, "u"), (1.0, 1.0, "")]
    data = write(tmp_path / "new.csv", ["size", "age", "kind"], rows)
    found, notes = predicted(capsys, fitted / "deep/report/model.kanx", data)
    assert len(found) == 3
    assert "2 of 3 rows hold no value where every training row had one" in notes


def test_predict_gives_probabilities_of_classes(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (90, 2))
    labels = np.array([3, 5, 7])[np.digitize(X[:, 0], [-0.3, 0.3])]
    model = kanx.KANClassifier(hidden="additive", max_iter=5, random_state=0).fit(X, labels)
    kanx.save(model, tmp_path / "m.kanx")
    data = write(tmp_path / "new.csv", None, X)
    found, _ = predicted(capsys, tmp_path / "m.kanx", data)
    p = np.array([[float(row[f"probability of {c}"]) for c in (3, 5, 7)] for row in found])
    np.testing.assert_allclose(p, model.predict_proba(X), atol=1e-5)
    assert [int(row["prediction"]) for row in found] == model.predict(X).tolist()


def test_formula_prints_the_law_of_a_symbolic_estimator(tmp_path, capsys):
    X = np.random.default_rng(0).uniform(1, 3, (60, 2))
    law = kanx.SymbolicRegressor(max_time=5, random_state=0).fit(X, X[:, 0] / X[:, 1])
    kanx.save(law, tmp_path / "law.kanx")
    assert main(["formula", str(tmp_path / "law.kanx")]) == 0
    assert capsys.readouterr().out.strip() == str(law.formula_)
    assert main(["formula", str(tmp_path / "law.kanx"), "--latex"]) == 0
    assert "frac" in capsys.readouterr().out
    assert "holds the formula of a SymbolicRegressor" in refused(
        capsys, "predict", tmp_path / "law.kanx", tmp_path / "law.kanx"
    )


def test_formula_prints_the_model(fitted, capsys):
    model = str(fitted / "deep/report/model.kanx")
    assert main(["formula", model]) == 0
    text = capsys.readouterr().out
    assert text.startswith("price = ") and "r2_network" in text and "kind is a code: 0 = u" in text
    assert main(["formula", model, "--latex"]) == 0
    assert "\\" in capsys.readouterr().out


# -- refusals ------------------------------------------------------------------------------------

GOOD = [(k, k % 7, 0.5 * k) for k in range(30)]
BAD_TABLES = {
    "is empty": "",
    "has one column": "a\n1\n2\n",
    "has a header but no rows": "a,b\n",
    "line 4: column 'a' is numeric but holds 'oops'": "a,b\n1,2\n2,3\noops,4\n5,6\n",
    "holds the infinite value 'inf'": "a,b\n1,2\ninf,3\n",
    "has the same value in every row, 7.0": "a,b\n" + "".join(f"{k},7\n" for k in range(20)),
    "has a single class, yes": "a,b\n" + "".join(f"{k},yes\n" for k in range(20)),
    "is missing in every row": "a,b\n1,\n2,?\n",
    "column names must differ, but ['b']": "b,b\n1,2\n3,4\n",
    "at least 10 are needed": "a,b\n1,2.5\n2,3.5\n3,7.25\n",
    "line 3: 1 cells": "a,b\n1,2\n3\n",
}


@pytest.mark.parametrize("message", BAD_TABLES)
def test_fit_refuses_bad_tables_in_one_line(message, tmp_path, capsys):
    data = tmp_path / "data.csv"
    data.write_text(BAD_TABLES[message])
    out = tmp_path / "out"
    said = refused(
        capsys, "fit", data, "--target", "b" if "has one" not in message else "a", "--out", out
    )
    assert said.startswith("kanx fit: ") and message in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "nonsense"], "there is no column 'nonsense'; the 3 columns are a, b, y"),
        (["--target", "9"], "there is no column '9'"),
        ([], "--target is missing"),
        (["--target", "y", "--edge", "nonsense"], "choose one of ['activation', 'cauchy'"),
        (["--target", "y", "--edge", "composite"], "'composite' needs options"),
        (["--target", "y", "--hidden", "big"], "--hidden 'big' is not understood"),
        (["--target", "y", "--categorical", "zz"], "there is no column 'zz'"),
        (["--target", "y", "--drop", "a,b"], "--drop leaves no input"),
        (["--target", "y", "--drop", "y"], "--drop names the target"),
        (["--target", "y", "--task", "nonsense"], "invalid choice"),
        (["--target", "y", "--seed", "x"], "invalid int value"),
    ],
)
def test_fit_refuses_bad_options_in_one_line(arguments, message, tmp_path, capsys):
    data = write(tmp_path / "data.csv", ["a", "b", "y"], GOOD)
    out = tmp_path / "out"
    assert message in refused(capsys, "fit", data, *arguments, "--out", out)
    assert not out.exists()


def test_fit_refuses_files_and_folders_that_are_not_there(tmp_path, capsys):
    data = write(tmp_path / "data.csv", ["a", "b", "y"], GOOD)
    target = ["--target", "y", "--out"]
    assert "there is no file" in refused(capsys, "fit", tmp_path / "no.csv", *target, tmp_path)
    in_the_way = tmp_path / "data.csv" / "out"
    assert "is a file, expected a folder" in refused(capsys, "fit", data, *target, in_the_way)
    assert "choose one of breast_cancer" in refused(capsys, "fit", "builtin:x", *target, tmp_path)
    said = refused(capsys, "fit", "builtin:iris", "--target", "x", "--out", tmp_path)
    assert "the target of builtin:iris is 'species'" in said


def test_a_failure_leaves_the_last_results_alone(fitted, tmp_path, capsys, monkeypatch):
    import kanx.explain.report

    def fail(*_, **__):
        raise ValueError("no\nreport")

    monkeypatch.setattr(kanx.explain.report, "render", fail)
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("good")
    data = write(tmp_path / "data.csv", ["a", "b", "y"], GOOD)
    said = refused(capsys, "fit", data, "--target", "y", "--out", out, "--hidden", "additive")
    assert said == "kanx fit: no report"
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert (out / "report.html").read_text() == "good"


def test_ctrl_c_ends_with_130_and_writes_nothing(tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(kanx.KANRegressor, "fit", interrupt)
    data = write(tmp_path / "data.csv", ["a", "b", "y"], GOOD)
    assert main(["fit", data, "--target", "y", "--out", str(tmp_path / "out")]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_predict_refuses_what_does_not_fit_the_model(fitted, tmp_path, capsys):
    model = fitted / "deep/report/model.kanx"

    def said(names, rows, *more):
        return refused(capsys, "predict", model, write(tmp_path / "a.csv", names, rows), *more)

    row = (1, 2, "u")
    assert "it lacks 'kind'" in said(["size", "age"], [(1, 2)])
    assert "has 'extra', which the model never saw" in said(
        ["size", "age", "kind", "extra"], [(*row, 1)]
    )
    assert "it has 4 columns and no header" in said(None, [(1, 2, "u", 4)] * 2)
    assert "line 2: column 'age' is numeric but holds 'x'" in said(
        ["size", "age", "kind"], [(1, "x", "u")]
    )
    out = tmp_path / "out.csv"
    out.write_text("good")
    rows = [(1, 2, "u")] * 3 + [("inf", 2, "u")]
    assert "infinite" in said(["size", "age", "kind"], rows, "--out", out)
    assert out.read_text() == "good"


def test_files_that_are_no_model_are_refused(tmp_path, capsys):
    data = write(tmp_path / "data.csv", ["a", "b", "y"], GOOD)
    assert "is no kanx model" in refused(capsys, "predict", data, data)
    assert "is no kanx model" in refused(capsys, "formula", data)
    assert "there is no file" in refused(capsys, "formula", tmp_path / "no.kanx")
    assert "is a folder" in refused(capsys, "formula", tmp_path)
    kanx.save(kanx.KAN([2, 1], random_state=0), tmp_path / "net.kanx")
    assert "holds a bare network" in refused(capsys, "predict", tmp_path / "net.kanx", data)


def test_help_and_unknown_commands_do_not_load_torch(capsys):
    code = (
        "import sys; from kanx.cli import main\n"
        "try: main(['fit', '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--target" in done.stdout
    assert "invalid choice: 'nonsense'" in refused(capsys, "nonsense")


def test_the_progress_line_is_wiped(capsys):
    from kanx.commands.progress import ProgressLine

    X = np.linspace(-1, 1, 40)[:, None]
    model = kanx.KANRegressor(hidden="additive", max_iter=3, random_state=0)
    model.set_callbacks(ProgressLine()).fit(X, X[:, 0] ** 2)
    said = capsys.readouterr().err
    assert "fitting: round 1, log evidence" in said
    last = said.split("\r")[-2:]
    assert last[1] == "" and last[0].strip() == ""
