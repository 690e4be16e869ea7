"""Many rows that ask for more nodes than Levenberg-Marquardt can take get a wide network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kanx import KANClassifier, KANRegressor
from kanx.training.evidence import Settings
from kanx.training.losses import Gaussian
from kanx.training.options import TrainingOptions
from kanx.training.selection import choose
from kanx.training.task import Task
from kanx.training.wide import Wide

OPTIONS = {"random_state": 0, "max_iter": 6, "n_estimators": 2}


@pytest.fixture
def small(monkeypatch):
    """Let few rows count as many."""
    monkeypatch.setattr("kanx.training.task.MANY_ROWS", 1000)
    monkeypatch.setattr("kanx.training.task.PART_OF_ROWS", 500)
    monkeypatch.setattr("kanx.training.selection.HIDDEN_WIDTHS", (2, 4))
    monkeypatch.setattr("kanx.training.first_order.WIDTHS", (6, 12, 24))


def table(rows=3000, noise=0.1):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (rows, 3))
    f = np.sin(4 * X[:, 0] * X[:, 1] + 2 * X[:, 2]) + np.cos(5 * X[:, 2] * X[:, 0])
    return X, f + noise * rng.standard_normal(rows), f


def nodes(model):
    return [fit.network.nodes[0].width for fit in model.model_.members]


@pytest.mark.slow
def test_wide_networks_predict_better_and_their_intervals_hold(small):
    X, y, f = table(4000)
    options = {**OPTIONS, "n_estimators": 1}
    wide = KANRegressor(**options).fit(X[:3000], y[:3000])
    narrow = KANRegressor(optimizer="lm", **options).fit(X[:3000], y[:3000])
    assert nodes(narrow) == [4]
    assert nodes(wide) == [12]  # four rows for every coordinate
    errors = [np.std(model.predict(X[3000:]) - f[3000:]) for model in (wide, narrow)]
    assert errors[0] < 0.7 * errors[1]
    lower, upper = wide.predict_interval(X[3000:]).T
    inside = np.mean((lower <= y[3000:]) & (y[3000:] <= upper))
    assert 0.9 < inside < 0.99


@pytest.mark.slow
def test_the_same_seed_gives_the_same_networks_in_any_number_of_processes(small, monkeypatch):
    monkeypatch.setattr("kanx.training.wide.log_density", lambda *_: np.inf)  # whatever they say
    X, y, _ = table(1500)
    options = {**OPTIONS, "max_iter": 3, "training": {"epochs": 3}}
    one, two = (KANRegressor(n_jobs=jobs, **options).fit(X, y) for jobs in (1, 2))
    assert nodes(one) == nodes(two) == [6, 6]
    assert one.network_.nodes[0].width == 12
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-5, atol=1e-5)


def test_what_an_additive_model_explains_stays_additive(small):
    X, _, _ = table(1500)
    y = X[:, 0] + np.sin(3 * X[:, 1])
    y = y + 0.1 * np.random.default_rng(1).standard_normal(len(y))
    model = KANRegressor(**OPTIONS).fit(X, y)
    assert len(model.network_.layers) == 1


def test_networks_that_predict_worse_are_not_taken(small, monkeypatch):
    monkeypatch.setattr("kanx.training.wide.EPOCHS", 1)
    X, y, _ = table(1500)
    training = {"learning_rate": 1e-6}
    assert nodes(KANRegressor(training=training, **OPTIONS).fit(X, y)) == [4, 4]
    options = {**OPTIONS, "n_estimators": 1}
    classes = KANClassifier(training=training, **options).fit(X, y > 1)  # rarer than in the part
    assert nodes(classes) == [4]


def test_a_fit_that_was_stopped_begins_no_wide_networks(small):
    X, y, _ = table(2000)
    rounds = []

    def on_round(number, evidence):
        rounds.append(number)
        return len(rounds) > 40

    edge = {"family": "gp", "control_points": 8}
    loss = Gaussian(torch.ones(1).double())
    target = torch.tensor(y)[:, None]
    own = Task(
        torch.tensor(X),
        target,
        torch.ones(len(X)).double(),
        loss,
        1,
        [edge] * 3,
        edge,
        Settings(max_iter=6),
        on_round=on_round,
    )
    choice = replace(choose(own, 2), widest=True)
    assert any(trial.stopped for trial in choice.trials)
    assert Wide(TrainingOptions(), None, lambda: False).fit(choice, 2) == []


def test_options_of_the_user_hold(small):
    X, y, _ = table(3000)
    options = {"length_scale": 1.25, "control_points": 10}
    model = KANRegressor(
        edge_options=options, training={"epochs": 15}, **{**OPTIONS, "n_estimators": 1}
    ).fit(X, y)
    assert nodes(model) == [12]
    spec = model.network_.layers[0].specs()[0]
    assert spec["length_scale"] == 1.25 and spec["control_points"] == 10
    assert len(model.model_.members[0].trace) == 15


@pytest.mark.slow
def test_rows_in_batches_get_them_too(small):
    X, y, _ = table(3000)
    model = KANRegressor(training={"epochs": 3}, **OPTIONS).fit(
        [(X[:1500], y[:1500]), (X[1500:], y[1500:])]
    )
    assert nodes(model) == [12]


@pytest.mark.slow
def test_classes_get_them_too(small):
    X, _, f = table(3000)
    options = {**OPTIONS, "max_iter": 4, "n_estimators": 1}
    model = KANClassifier(**options).fit(X[:2000], f[:2000] > 0.2)
    assert nodes(model) == [6]
    assert model.score(X[2000:], f[2000:] > 0.2) > 0.9
