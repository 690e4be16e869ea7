"""Rows in batches: arrays, Parquet, iterables; memory; sequential updates."""

import numpy as np
import pytest
import torch
from processes import run_python

from kanx import KANClassifier, KANRegressor
from kanx.training.batches import ArrayBatches, Batches, ParquetBatches, as_batches
from kanx.training.linearisation import Linearisation
from kanx.training.online import update
from kanx.training.options import TrainingOptions
from kanx.training.rows import InMemory
from kanx.training.streaming import stream_rows, summarise

FAST = {"hidden": "additive", "random_state": 0, "max_iter": 10}
TRAINING = {"epochs": 8, "learning_rate": 0.1, "batch_size": 60}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (500, 2))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] + 0.05 * rng.standard_normal(500)


def cut(X, y, size=120):
    return [(X[k : k + size], y[k : k + size]) for k in range(0, len(X), size)]


def test_every_source_of_the_same_rows_gives_the_same_model(data, tmp_path):
    X, y = (part[:240] for part in data)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    listed = KANRegressor(training=TRAINING, **FAST).fit(cut(X, y)).score(X, y)
    assert listed > 0.9
    fit = KANRegressor(training={**TRAINING, "epochs": 1}, **FAST).fit
    listed = fit(cut(X, y)).predict(X)
    for source in (lambda: iter(cut(X, y)), Batches(cut(X, y)), ArrayBatches(mapped, y, rows=120)):
        assert np.array_equal(fit(source).predict(X), listed)


def test_a_memory_map_is_read_in_slices_by_adam(data, tmp_path):
    X, y = data
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert as_batches(mapped, y, None, first_order=False) is None
    model = KANRegressor(optimizer="adam", training=TRAINING, **FAST).fit(mapped, y)
    assert model.score(X, y) > 0.95


def test_parquet_with_categories_missing_values_and_weights(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 600)
    frame = pd.DataFrame(
        {"size": rng.uniform(0, 10, 600), "kind": kind, "w": rng.integers(0, 3, 600)}
    )
    frame["y"] = frame["size"] + 5 * (kind == "b")
    frame.loc[::10, "kind"] = None
    frame.to_parquet(tmp_path / "rows.parquet")
    source = ParquetBatches(tmp_path / "rows.parquet", "y", weight="w", rows=100)
    model = KANRegressor(training=TRAINING, **FAST).fit(source)
    assert list(model.feature_names_in_) == ["size", "kind"]
    assert model.model_.columns[1].categories == ("a", "b", "c")
    kept = frame[(frame["w"] > 0) & frame["kind"].notna()]
    assert model.score(kept[["size", "kind"]], kept["y"]) > 0.95
    with pytest.raises(ValueError, match="lacks the columns"):
        ParquetBatches(tmp_path / "rows.parquet", "z")


@pytest.mark.parametrize("labels", [["no", "yes"], [0.0, 1.0, 2.0]])
def test_classes_from_batches(data, labels):
    X, y = data
    edges = [-0.2, 0.4][: len(labels) - 1]
    own = np.array(labels)[np.digitize(y, edges)]
    model = KANClassifier(training=TRAINING, **FAST).fit(cut(X, own))
    assert model.classes_.tolist() == labels
    assert model.score(X, own) > 0.8


def test_held_out_rows_are_not_trained_on(data):
    X, y = data

    def read(X, y, weight, first):
        return [X[:, 0], X[:, 1]], y[:, None], np.ones(len(X))

    batches = Batches(cut(X, y))
    summary = summarise(batches, read, lambda: ["a", "b"], None, 3)
    assert summary.rows == 500
    np.testing.assert_allclose(summary.mean, y.mean())
    np.testing.assert_allclose(summary.variance, y.var())
    rows = stream_rows(batches, read, summary, torch.from_numpy, TrainingOptions(), 3)
    trained = torch.cat([x for x, _, _ in rows.training])
    assert len(trained) == rows.training.rows == 450
    everything = torch.cat([trained, rows.held_out[0]])
    assert torch.equal(everything.sort(0).values, torch.from_numpy(X).sort(0).values)


def read_two(X, y, weight, first):
    return [X[:, 0], X[:, 1]], y.reshape(len(y), -1), np.ones(len(X)) if weight is None else weight


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e9])
def test_the_spread_of_targets_does_not_depend_on_their_offset(data, offset):
    X, y = data
    weight = np.random.default_rng(1).uniform(0.1, 2, len(y))
    moved = offset + y
    batches = [
        (X[k : k + 120], moved[k : k + 120], weight[k : k + 120]) for k in range(0, 500, 120)
    ]
    summary = summarise(Batches(batches), read_two, lambda: ["a", "b"], None, 3)
    mean = np.average(y, weights=weight)
    expected = np.average((y - mean) ** 2, weights=weight)
    np.testing.assert_allclose(summary.mean, offset + mean, rtol=1e-14)
    np.testing.assert_allclose(summary.variance, expected, rtol=1e-6)


def test_targets_whose_spread_is_no_number_are_not_trained_on(data):
    X, y = data
    with pytest.raises(ValueError, match=r"variance \[inf\].*divide all of them"):
        KANRegressor(training=TRAINING, **FAST).fit(cut(X, 1e200 * y))


def test_batches_without_rows_are_left_out(data):
    X, y = data[0][:240], data[1][:240]
    full = cut(X, y)
    empty = (X[:0], y[:0])
    fit = KANRegressor(training={**TRAINING, "epochs": 1}, **FAST).fit
    expected = fit(full).predict(X)
    assert np.array_equal(fit([empty, full[0], empty, *full[1:], empty]).predict(X), expected)
    tables = [({"a": x[:, 0], "b": list(x[:, 1])}, z) for x, z in (empty, *full)]
    assert np.array_equal(fit(tables).predict(tables[1][0]), expected[:120])
    with pytest.raises(ValueError, match="0 sample"):
        fit([empty, empty])
    with pytest.raises(ValueError, match="0 sample"):  # targets without rows are a mistake
        fit([full[0], (X[:0], y[:3])])


def test_batches_that_differ_in_their_number_of_targets_are_refused(data):
    X, y = data
    batches = cut(X, y)
    batches[2] = (batches[2][0], np.column_stack([batches[2][1]] * 2))
    with pytest.raises(ValueError, match=r"batch 2, .* has 2, those before it 1"):
        KANRegressor(training=TRAINING, **FAST).fit(batches)


MEMORY = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from kanx import KANRegressor
count = int(sys.argv[1])
def batches():
    for k in range(count):
        X = np.random.default_rng(k).uniform(-1, 1, (4096, 8))
        yield X, X[:, 0] + X[:, 1] ** 2
training = {"epochs": 1, "batch_size": 2048}
KANRegressor(hidden="additive", max_iter=2, training=training, random_state=0).fit(batches)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows():
    peaks = []
    for count in (8, 40):  # 32 and 160 thousand rows; the sample is full in both
        done = run_python(MEMORY, count, check=True)
        peaks.append(int(done.stdout) / 1024)
    expanded = 32 * 4096 * 8 * 12 * 8 / 2**20  # MiB that the further rows' expansions would take
    assert peaks[1] - peaks[0] < 0.1 * expanded


def test_updates_batch_after_batch_are_those_of_all_rows_at_once(data):
    """The posterior of a linear model does not depend on how the rows are divided."""
    X, y = data
    first = KANRegressor(**FAST).fit(X[:200], y[:200])
    member, unit = first.model_.members[0], first.model_
    one = first.partial_fit(X[200:300], y[200:300]).partial_fit(X[300:], y[300:]).model_.members[0]
    x, target = (
        torch.tensor(X[200:]),
        (torch.tensor(y[200:, None]) - unit.target_mean) / unit.target_scale,
    )
    whole = update(member, InMemory(x, target, torch.ones(300).double()))
    torch.testing.assert_close(one.posterior.covariance, whole.posterior.covariance)
    # and it is the textbook's
    living, loss = member.posterior.living, member.loss
    coordinates = member.posterior.coordinates
    _, jacobian = Linearisation(coordinates, x).jacobian(coordinates.read())
    design = jacobian[:, 0, living]
    information = torch.linalg.inv(member.posterior.covariance)
    information = information + loss.precision * design.mT @ design
    torch.testing.assert_close(
        whole.posterior.covariance, torch.linalg.inv(information), rtol=1e-5, atol=1e-12
    )
    residual = target[:, 0] - member.network(x)[:, 0].detach()
    step = torch.linalg.solve(information, design.mT @ (loss.precision * residual))
    shift = whole.posterior.coordinates.read()[living] - coordinates.read()[living]
    torch.testing.assert_close(shift, step, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(one.network(x), whole.network(x), rtol=1e-6, atol=1e-8)


def test_partial_fit_of_classes_counts_and_a_diagonal_posterior(data, monkeypatch):
    monkeypatch.setattr("kanx.training.evidence.DENSE_LIMIT", 10)
    X, y = data
    labels = np.digitize(y, [-0.5, 0.5])
    model = KANClassifier(**FAST).partial_fit(X[:40], labels[:40], classes=[0, 1, 2])
    assert model.model_.members[0].posterior.is_diagonal
    before = model.score(X, labels)
    assert model.partial_fit(X[40:], labels[40:]).score(X, labels) > before
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X[:2], [5, 6])
    counts = np.random.default_rng(0).poisson(np.exp(1 + y))
    model = KANRegressor(loss="poisson", **FAST).partial_fit(X[:40], counts[:40])
    before = model.score(X, counts)
    assert model.partial_fit(X[40:], counts[40:]).score(X, counts) > before
    with pytest.raises(ValueError, match="targets"):
        model.partial_fit(X[:5], np.ones((5, 2)))


def test_wrong_batches_say_what_is_right(data):
    X, y = data
    with pytest.raises(TypeError, match="only once"):
        KANRegressor().fit(batch for batch in cut(X, y))
    with pytest.raises(ValueError, match="every batch must be"):
        KANRegressor(**FAST).fit(Batches([X]))
    with pytest.raises(ValueError, match="minimum of 1"):
        KANRegressor(**FAST).fit(Batches([]))
    with pytest.raises(ValueError, match="needs all rows in memory"):
        KANRegressor(optimizer="lm", **FAST).fit(cut(X, y))
    with pytest.raises(ValueError, match="inconsistent"):
        ArrayBatches(X, y[:3])
    with pytest.raises(ValueError, match="balanced"):
        KANClassifier(class_weight="balanced", **FAST).fit(cut(X, y > 0))
