"""The rows on which sizes and starts are tried: of rare classes as many as there are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from kanx import KANClassifier
from kanx.training.losses import Gaussian, Logistic, Softmax
from kanx.training.subset import choose_rows


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    wanted=st.integers(5, 100),
    seed=st.integers(0, 5),
)
def test_no_class_gives_more_rows_than_a_rarer_one_must(counts, wanted, seed):
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    chosen = choose_rows(Softmax(), y, torch.ones(len(y)).double(), wanted, seed)
    assert len(chosen.unique()) == len(chosen) == min(wanted, len(y))
    found = torch.bincount(y[chosen], minlength=len(counts)).tolist()
    largest = max(found)
    assert all(own == all_ or own >= largest - 1 for own, all_ in zip(found, counts, strict=True))


def test_both_classes_are_seen_whatever_their_share():
    y = torch.zeros(1000, 1).double()
    y[:7] = 1
    weight = torch.ones(1000).double()
    weight[0] = 0
    chosen = choose_rows(Logistic(), y, weight, 100, 0)
    assert sorted(chosen[y[chosen, 0] == 1].tolist()) == [1, 2, 3, 4, 5, 6]
    assert len(chosen) == 100
    assert torch.equal(chosen, choose_rows(Logistic(), y, weight, 100, 0))
    assert not torch.equal(chosen, choose_rows(Logistic(), y, weight, 100, 1))


def test_numbers_are_drawn_at_random():
    y = torch.arange(200).double().unsqueeze(1)
    weight = (y[:, 0] % 2).clone()
    chosen = choose_rows(Gaussian(torch.ones(1)), y, weight, 50, 0)
    assert len(chosen.unique()) == 50
    assert bool((chosen % 2 == 1).all())


@pytest.mark.slow
def test_a_rare_class_is_learned_and_its_probability_is_right(monkeypatch):
    monkeypatch.setattr("kanx.training.task.MANY_ROWS", 1000)
    monkeypatch.setattr("kanx.training.task.PART_OF_ROWS", 400)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (8000, 2))
    p = 1 / (1 + np.exp(5.5 - 6 * X[:, 0] * X[:, 1]))
    y = rng.random(8000) < p
    model = KANClassifier(random_state=0, max_iter=20, optimizer="lm").fit(X[:6000], y[:6000])
    found = model.predict_proba(X[6000:])[:, 1]
    assert y[:6000].mean() < 0.03
    assert found.mean() == pytest.approx(p[6000:].mean(), rel=0.15)
    best = roc_auc_score(y[6000:], p[6000:])
    assert roc_auc_score(y[6000:], found) > best - 0.02
