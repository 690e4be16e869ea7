"""The choice of a size: what counts as clearly better, and which starts are averaged."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kanx import KANRegressor
from kanx.training.evidence import Settings
from kanx.training.losses import Gaussian, Logistic
from kanx.training.selection import Candidate, near_best
from kanx.training.task import Task


def task(function, rows=200, noise=0.3, seed=0, loss=None):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, 3))
    f = function(X)
    y = f / f.std() + noise * rng.standard_normal(rows)
    loss = Gaussian(torch.ones(1, dtype=torch.float64)) if loss is None else loss
    edge = {"family": "gp", "control_points": 8}
    x, target, weight = torch.tensor(X), torch.tensor(y)[:, None], torch.ones(rows).double()
    if isinstance(loss, Logistic):
        target = (target > 0).double()
    settings = Settings(max_iter=15)
    return Task(x, target, weight, loss, 1, [edge] * 3, edge, settings)


def additive(X):
    return np.sin(3 * X[:, 0]) + X[:, 1] ** 2


def interacting(X):
    return additive(X) + 1.5 * X[:, 0] * X[:, 1]


@pytest.mark.parametrize(("law", "better"), [(additive, False), (interacting, True)])
def test_left_out_rows_tell_an_interaction_from_none(law, better, monkeypatch):
    monkeypatch.setattr("kanx.training.selection.CLEAR", np.inf)  # whatever the evidence says
    own = task(law)
    simplest = Candidate([own.fit(())])
    wider = Candidate(near_best(own.fit_starts((2,), True, range(2)), 200))
    assert wider.clearly_better(simplest) is better
    assert not simplest.clearly_better(simplest)


def test_the_density_of_left_out_rows_is_that_of_new_rows():
    own, fresh = task(additive), task(additive, rows=4000, seed=1)
    fit = own.fit(())
    loss, w = fit.climb.loss, fit.climb.w
    network = fit.climb.coordinates.network
    fit.climb.coordinates.write(w)
    with torch.no_grad():
        expected = -loss.value(network(fresh.x), fresh.y).mean().item()
    assert Candidate([fit]).left_out / 200 == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(
    ("loss", "behind", "kept"),
    [(None, 0.9, 2), (None, 1.1, 1), (Logistic(), 0.05, 2), (Logistic(), 0.15, 1)],
)
def test_stuck_starts_are_left_out(loss, behind, kept):
    climb = task(additive, rows=60, loss=loss).fit((2,), skip=True).climb
    trials = [SimpleNamespace(climb=climb, evidence=value * 60) for value in (-behind, 0.0)]
    found = near_best(trials, 60)
    assert len(found) == kept and found[0].evidence == 0


def test_all_starts_of_the_chosen_width_are_averaged():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, 2))
    y = np.sin(2 * X[:, 0] + 3 * X[:, 1]) + 0.1 * rng.standard_normal(120)
    model = KANRegressor(n_estimators=3, max_iter=20, random_state=0).fit(X, y)
    assert len(model.model_.members) == 3
    widths = {fit.network.layers[0].out_features for fit in model.model_.members}
    assert len(widths) == 1 and widths < {2, 4, 8}


@pytest.mark.slow
def test_a_product_with_noise_is_one_multiplication_node():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2))
    y = np.sin(3 * X[:, 0]) * (X[:, 1] + 2) + 0.1 * rng.standard_normal(200)
    network = KANRegressor(random_state=0).fit(X, y).network_
    assert network.nodes[0].sums == 0 and network.nodes[0].products == (2,)
