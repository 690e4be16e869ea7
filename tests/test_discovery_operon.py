"""The genetic back end: its formulas are candidates like all others."""

import sys

import numpy as np
import pytest

from kanx import SymbolicRegressor
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.engine import Search
from kanx.discovery.operon import search_with_operon


def rows():
    X = np.random.default_rng(0).uniform(1, 3, (300, 3))
    return X, np.sin(X[:, 0] * X[:, 1]) * X[:, 2] + np.sqrt(X[:, 0])


@pytest.mark.slow
def test_it_improves_on_an_archive_and_its_trees_are_fitted():
    pytest.importorskip("pyoperon")
    X, y = rows()
    data = Data(X.T.copy(), y / np.sqrt(np.mean(y**2)), np.ones(300))
    search = Search(data, Deadline(8.0), np.random.default_rng(0))
    search._baselines()
    before = search.archive.champion()
    search_with_operon(search, search.deadline)
    after = search.archive.champion()
    assert after.score < before.score
    assert len(search.archive.rivals) > 5


@pytest.mark.slow
def test_the_estimator_takes_it_and_ends_in_time():
    pytest.importorskip("pyoperon")
    X, y = rows()
    model = SymbolicRegressor(max_time=12, backend="operon", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.5  # how far it comes depends on the machine


def test_without_time_nothing_is_bred():
    pytest.importorskip("pyoperon")
    X, y = rows()
    search = Search(Data(X.T.copy(), y, np.ones(300)), Deadline(0.0), np.random.default_rng(0))
    search_with_operon(search, search.deadline)
    assert any("no time was left" in note for note in search.notes)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoperon", None)
    monkeypatch.setitem(sys.modules, "pyoperon.sklearn", None)
    X, y = rows()
    with pytest.raises(ImportError, match="pip install pyoperon"):
        SymbolicRegressor(max_time=3, backend="operon").fit(X, y)


def test_an_unknown_backend_is_refused():
    X, y = rows()
    with pytest.raises(ValueError, match="backend must be one of"):
        SymbolicRegressor(backend="julia").fit(X, y)
