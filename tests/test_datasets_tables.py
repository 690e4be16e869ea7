"""Real tables: what is loaded, what is checked, and what is said when something is missing."""

import gzip
import hashlib
import os
import shutil
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from sklearn.utils import Bunch

from kanx import datasets
from kanx.datasets import folder
from kanx.datasets.folder import LocalFile, normalise, read_rows

DATA = Path(os.environ.get("KANX_DATA") or Path(__file__).parents[2] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no data folder at {DATA}; set KANX_DATA to one"
)

LOADERS = {
    "banknote": (datasets.load_banknote, (1372, 4), "classification"),
    "pima": (datasets.load_pima, (768, 8), "classification"),
    "mammography": (datasets.load_mammography, (11183, 6), "classification"),
    "german_credit": (datasets.load_german_credit, (1000, 20), "classification"),
    "abalone": (datasets.load_abalone, (4177, 8), "regression"),
    "wine_quality": (datasets.load_wine_quality, (4898, 11), "regression"),
}
BENCHMARK_SHAPES = {
    "yacht": (308, 6),
    "energy": (768, 8),
    "concrete": (1030, 8),
    "airfoil": (1503, 5),
    "autompg": (392, 7),
    "kin40k": (40000, 8),
    "protein": (45730, 9),
}
BUNDLED = {
    "breast_cancer": (569, 30),
    "wine": (178, 13),
    "iris": (150, 4),
    "digits": (1797, 64),
    "diabetes": (442, 10),
}


# --- the data folder -------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize("name", LOADERS)
def test_local_tables_have_their_published_shape_names_and_kinds(name):
    load, shape, task = LOADERS[name]
    data = load(DATA)
    assert data.X.shape == shape and data.task == task
    assert list(data.X.columns) == list(data.feature_names)
    assert all(
        isinstance(kind, pd.CategoricalDtype) or kind == np.float64 for kind in data.X.dtypes
    )
    assert (data.classes is not None) == (task == "classification")
    if data.classes:
        assert sorted(set(data.y)) == list(range(len(data.classes)))
    assert all([data.description, data.source, data.licence])


@needs_data
def test_the_environment_variable_names_the_folder(monkeypatch):
    monkeypatch.setenv("KANX_DATA", str(DATA))
    data = datasets.load_banknote()
    assert np.bincount(data.y).tolist() == [762, 610]
    assert data.classes == ("genuine", "forged")


@needs_data
def test_banknote_copies_never_stand_on_both_sides_of_a_split():
    data = datasets.load_banknote(DATA)
    assert len(set(data.groups)) == 1348
    for seed in range(3):
        X_train, X_test, y_train, y_test = data.split(0.3, random_state=seed)
        assert len(y_train) + len(y_test) == 1372
        train = {tuple(row) for row in X_train.to_numpy()}
        assert not train & {tuple(row) for row in X_test.to_numpy()}


@needs_data
def test_adult_keeps_categories_missing_values_and_the_published_parts():
    data = datasets.load_adult(DATA)
    train = datasets.load_adult(DATA, subset="train")
    test = datasets.load_adult(DATA, subset="test")
    assert (len(train.y), len(test.y), len(data.y)) == (32561, 16281, 48842)
    np.testing.assert_array_equal(data.y, np.concatenate([train.y, test.y]))
    assert data.y.mean() == pytest.approx(0.2393, abs=1e-3)
    missing = data.X.isna().sum()
    assert set(missing[missing > 0].index) == {"workclass", "occupation", "native-country"}
    assert set(data.X["sex"].cat.categories) == {"Female", "Male"}


@needs_data
def test_german_codes_are_spelt_out():
    data = datasets.load_german_credit(DATA)
    for name, column in data.X.select_dtypes("category").items():
        assert not column.cat.categories.str.match(r"^A\d").any(), name
    assert np.bincount(data.y).tolist() == [700, 300] and data.classes == ("good", "bad")


@needs_data
def test_pima_zeros_become_missing_on_request():
    kept, marked = datasets.load_pima(DATA), datasets.load_pima(DATA, zeros_as_missing=True)
    assert not kept.X.isna().any().any()
    assert marked.X.isna().sum().to_dict() == {
        name: int((kept.X[name] == 0).sum())
        if name not in ("pregnancies", "pedigree", "age")
        else 0
        for name in kept.feature_names
    }
    assert marked.X["insulin"].isna().sum() == 374


@needs_data
@pytest.mark.parametrize("name", datasets.list_benchmarks())
def test_benchmarks_have_ten_published_splits(name):
    data = datasets.load_benchmark(name, DATA)
    assert data.X.shape == BENCHMARK_SHAPES[name] and data.test_masks.shape[1] == 10
    # centred to the five digits of the published files
    np.testing.assert_allclose(data.X.mean() / data.X.std(), 0, atol=1e-3)
    X_train, X_test, y_train, y_test = data.published_split(9)
    assert len(X_train) == len(y_train) and len(X_test) == len(y_test)
    assert len(y_test) / len(data.y) == pytest.approx(0.1, abs=0.01)
    # the ten tests cover every row once
    np.testing.assert_array_equal(data.test_masks.sum(axis=1), 1)
    with pytest.raises(ValueError, match="10 published splits"):
        data.published_split(10)


def test_without_a_folder_the_error_says_what_to_download_and_where_to_put_it(monkeypatch):
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("KANX_DATA", raising=False)
        else:
            monkeypatch.setenv("KANX_DATA", value)
        with pytest.raises(FileNotFoundError) as caught:
            datasets.load_banknote()
        for part in ("https://", "banknote_authentication.csv", "KANX_DATA", "data_home"):
            assert part in str(caught.value)


def test_in_an_empty_folder_the_error_names_both_places(tmp_path):
    for load in (
        lambda: datasets.load_pima(tmp_path),
        lambda: datasets.load_benchmark("yacht", tmp_path),
    ):
        with pytest.raises(FileNotFoundError, match="found neither") as caught:
            load()
        assert str(tmp_path) in str(caught.value) and "Download it from https://" in str(
            caught.value
        )


@needs_data
def test_a_file_straight_in_the_folder_with_windows_line_ends_is_accepted(tmp_path):
    text = (DATA / "csv" / "banknote_authentication.csv").read_text()
    (tmp_path / "banknote_authentication.csv").write_text(text.replace("\n", "\r\n") + "\r\n\r\n")
    np.testing.assert_array_equal(
        datasets.load_banknote(tmp_path).X, datasets.load_banknote(DATA).X
    )


@needs_data
def test_a_changed_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "csv" / "banknote_authentication.csv"
    path.parent.mkdir()
    shutil.copyfile(DATA / "csv" / path.name, path)
    changed = path.read_bytes().replace(b"3.6216", b"3.6217")
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"is not the file expected.*sha256"):
        datasets.load_banknote(tmp_path)
    assert path.read_bytes() == changed


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"<html>not found</html>"])
def test_whatever_is_not_the_file_is_refused(tmp_path, content):
    (tmp_path / "banknote_authentication.csv").write_bytes(content)
    with pytest.raises(ValueError, match="is not the file expected"):
        datasets.load_banknote(tmp_path)


def test_a_broken_archive_is_refused(tmp_path):
    place = tmp_path / "uci" / "yacht"
    place.mkdir(parents=True)
    whole = gzip.compress(b"1,2,3\n" * 500)
    for content in (b"no archive", whole[: len(whole) // 2]):
        (place / "test_mask.csv.gz").write_bytes(content)
        with pytest.raises(ValueError, match="no intact gzip file"):
            datasets.load_benchmark("yacht", tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr("kanx.datasets.folder.LARGEST", 1000)
    content = b"1,2,3\n" * 1000
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(ValueError, match="more than any file expected"):
        read_rows(LocalFile(name, "0" * 64, "https://example.org"), tmp_path)


def test_plain_and_gzipped_text_have_one_sum(tmp_path):
    digest = hashlib.sha256(b"1, 2\n3,?\n").hexdigest()
    (tmp_path / "a.csv").write_bytes(b"1, 2  \r\n\r\n3,?")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"1, 2\n3,?\n"))
    for name in ("a.csv", "a.csv.gz"):
        rows = read_rows(LocalFile(name, digest, "https://example.org"), tmp_path)
        assert rows == [["1", "2"], ["3", "?"]]
    assert normalise("a \n\n b") == "a\n b\n"


def test_the_folder_may_start_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        datasets.load_wine_quality("~/data")
    assert folder.ENVIRONMENT_VARIABLE == "KANX_DATA"


# --- scikit-learn's tables -------------------------------------------------------------------


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tables_are_scikit_learns(name):
    data = getattr(datasets, f"load_{name}")()
    assert data.X.shape == BUNDLED[name] and list(data.X.columns) == list(data.feature_names)
    arguments = {"scaled": False} if name == "diabetes" else {}
    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True, **arguments)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, y)
    if data.classes:
        assert len(data.classes) == len(set(y))


def test_bundled_units_and_names():
    assert datasets.load_iris().units["petal width"] == "cm"
    diabetes = datasets.load_diabetes()
    assert diabetes.units["body mass index"] == "kg/m²"
    assert diabetes.X["age"].between(18, 80).all()
    scaled = datasets.load_diabetes(scaled=True)
    assert scaled.units == {} and np.allclose((scaled.X**2).sum(), 1)


def test_split_keeps_class_shares_and_its_seed():
    data = datasets.load_breast_cancer()
    X_train, X_test, y_train, y_test = data.split(0.2, random_state=0)
    assert len(y_test) == 114 and len(y_train) == 455
    assert y_train.mean() == pytest.approx(y_test.mean(), abs=0.01)
    assert sorted([*X_train.index, *X_test.index]) == list(range(569))
    np.testing.assert_array_equal(X_test, data.split(0.2, random_state=0)[1])
    assert not np.array_equal(X_test, data.split(0.2, random_state=1)[1])
    for wrong in (0, 1, -0.1, 2):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            data.split(wrong)
    with pytest.raises(ValueError, match="0 published splits"):
        data.published_split(0)


def test_without_pandas_arrays_are_returned(monkeypatch):
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "pandas", None)
        data = datasets.load_wine()
        law = datasets.make_feynman("I.12.1", 10, random_state=0)
    assert isinstance(data.X, np.ndarray) and data.X.shape == (178, 13)
    assert data.X.dtype == np.float64
    assert data.split(0.5, random_state=0)[0].shape == (89, 13)
    np.testing.assert_array_equal(law.law(law.X), law.y)


@needs_data
def test_without_pandas_categories_are_objects(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    data = datasets.load_abalone(DATA)
    assert data.X.dtype == object and data.X.shape == (4177, 8)
    assert set(data.X[:, 0]) == {"male", "female", "infant"} and isinstance(data.X[0, 1], float)


def test_a_data_set_that_contradicts_itself_is_refused():
    facts = {
        "name": "n",
        "y": np.zeros(3),
        "target_name": "y",
        "task": "regression",
        "description": "d",
        "source": "s",
        "licence": "l",
    }
    with pytest.raises(ValueError, match=r"shape \(3, 2\)"):
        datasets.Dataset(X=np.zeros((3, 2)), feature_names=("a",), **facts)
    with pytest.raises(ValueError, match="units for unknown columns"):
        datasets.Dataset(X=np.zeros((3, 1)), feature_names=("a",), units={"b": "m"}, **facts)


# --- tables that would be downloaded; nothing here touches the network -----------------------


def _refuse(**_):
    raise URLError("no route to host")


def test_offline_fetching_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_california_housing", _refuse)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", _refuse)
    for call in (datasets.fetch_california_housing, lambda: datasets.fetch_openml("phoneme")):
        with pytest.raises(ConnectionError, match=r"cannot download .* Connect to the internet"):
            call()


def test_california_gets_names_and_units(monkeypatch):
    columns = [
        *("MedInc", "HouseAge", "AveRooms", "AveBedrms"),
        *("Population", "AveOccup", "Latitude", "Longitude"),
    ]
    table = Bunch(data=np.arange(16.0).reshape(2, 8), target=np.ones(2), feature_names=columns)
    monkeypatch.setattr(sklearn.datasets, "fetch_california_housing", lambda **_: table)
    data = datasets.fetch_california_housing()
    np.testing.assert_array_equal(data.X["latitude"], [6.0, 14.0])
    assert data.units["median house value"] == "100 000 US$" and data.task == "regression"


@pytest.mark.parametrize(
    ("target", "task", "y", "classes"),
    [
        (pd.Series(["b", "a", "b"], dtype="category"), "classification", [1, 0, 1], ("a", "b")),
        (pd.Series([1.5, 2.0, 3.0]), "regression", [1.5, 2.0, 3.0], None),
    ],
)
def test_openml_tables_become_data_sets(monkeypatch, target, task, y, classes):
    table = Bunch(
        data=pd.DataFrame({"u": [1, 2, 3], "v": ["p", "q", "p"]}),
        target=target.rename("t"),
        details={"name": "tiny", "licence": "Public"},
        DESCR="three rows",
        url="https://www.openml.org/d/0",
    )
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda **_: table)
    data = datasets.fetch_openml(data_id=0)
    assert (data.name, data.task, data.classes) == ("tiny", task, classes)
    assert data.y.tolist() == y and data.feature_names == ("u", "v")
    with pytest.raises(ValueError, match="either name or data_id"):
        datasets.fetch_openml()
    table["target"] = pd.DataFrame({"a": [1], "b": [2]})
    with pytest.raises(ValueError, match="no single default target"):
        datasets.fetch_openml("tiny")
