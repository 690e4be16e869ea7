"""Which columns hold categories, and tables that are none yet."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import kanx
from kanx import KANClassifier, KANRegressor

FAST = {"hidden": "additive", "max_iter": 4, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 4, 120)
    size = rng.uniform(-1, 1, 120)
    return size, code, (np.array([0, 3, -1, 5])[code] + size > 1).astype(int)


def found(model):
    return [column.categories for column in model.model_.columns]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([False, False], [None, None]),
        ([False, True], [None, (0.0, 1.0, 2.0, 3.0)]),
        (np.array([False, True]), [None, (0.0, 1.0, 2.0, 3.0)]),
        (np.array([1]), [None, (0.0, 1.0, 2.0, 3.0)]),  # a position
        ([], [None, None]),
    ],
)
def test_bools_are_a_mask_of_the_columns(rows, mask, expected, tmp_path):
    size, code, y = rows
    model = KANClassifier(categorical_features=mask, **FAST).fit(np.c_[size, code], y)
    assert found(model) == expected
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert list(again.categorical_features) == list(mask)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([True], "each of the 2 columns, got 1 entries"),
        ([True, False, True], "each of the 2 columns, got 3 entries"),
        ([True, 1], "got 2 entries, 1 of them True or False"),
        ([1.5], r"column 1\.5, which X lacks"),
        (1, "list of columns, got 1"),
    ],
)
def test_what_names_no_columns_is_refused(rows, wanted, message):
    size, code, y = rows
    with pytest.raises(ValueError, match=message):
        KANRegressor(categorical_features=wanted, **FAST).fit(np.c_[size, code], y)


@pytest.mark.parametrize("kind", [int, float, bool, str])
def test_a_column_of_categorical_type_holds_categories_whatever_they_are(rows, kind, tmp_path):
    size, code, y = rows
    values = code.astype(kind)
    table = pd.DataFrame({"size": size, "code": pd.Categorical(values)})
    table.loc[3, "code"] = np.nan
    model = KANClassifier(**FAST).fit(table, y)
    assert found(model) == [None, tuple(np.unique(values).tolist())]
    assert model.model_.columns[1].missing
    columns = dict(table.items())
    assert found(KANClassifier(**FAST).fit(columns, y)) == found(model)
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx").predict_proba(columns)
    assert np.array_equal(again, model.predict_proba(table))
    numbers = KANClassifier(categorical_features=None, **FAST)
    if kind is not str:
        assert found(numbers.fit(table, y)) == [None, None]


def test_categories_that_cannot_be_stored_are_refused(rows):
    size, _, y = rows
    table = pd.DataFrame({"part": pd.cut(size, 3)})
    with pytest.raises(TypeError, match="'part' holds categories that are Interval objects"):
        KANRegressor(**FAST).fit(table, y)


def test_a_query_that_has_not_been_run_is_refused(rows):
    size, _, y = rows
    table = pl.DataFrame({"size": size})
    with pytest.raises(TypeError, match=r"LazyFrame.*call \.collect\(\)"):
        KANRegressor(**FAST).fit(table.lazy(), y)
    model = KANRegressor(**FAST).fit(table, y)
    with pytest.raises(TypeError, match=r"call \.collect\(\)"):
        model.predict(table.lazy())
