"""Steps of several starts as one program: the same as one start after another."""

import numpy as np
import pytest
import torch

from kanx import KANRegressor
from kanx.training import evidence
from kanx.training.climb import Climb
from kanx.training.evidence import Settings
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Huber, Logistic, Poisson, Softmax
from kanx.training.stacked import StackedNetworks, can_stack
from kanx.training.task import Task

ONE = torch.ones(1, dtype=torch.float64)
LOSSES = {
    "squared": (1, Gaussian(4 * ONE), lambda f: f),
    "several targets": (2, Gaussian(torch.cat([ONE, 3 * ONE])), lambda f: torch.cat([f, -f], 1)),
    "huber": (1, Huber(4 * ONE), lambda f: f),
    "poisson": (1, Poisson(), lambda f: f.exp().round()),
    "logistic": (1, Logistic(), lambda f: (f > 0).double()),
    "softmax": (3, Softmax(), lambda f: torch.bucketize(f[:, 0], torch.tensor([-0.5, 0.5]))),
}


def task(kind="squared"):
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(80, 3, generator=generator, dtype=torch.float64) - 1
    x[:, 2] = torch.randint(0, 3, (80,), generator=generator).double()
    noise = 0.1 * torch.randn(80, 1, generator=generator, dtype=torch.float64)
    f = 2 * x[:, :1] * x[:, 1:2] + 0.5 * (x[:, 2:] == 1) + noise
    outputs, loss, target = LOSSES[kind]
    edge = {"family": "gp", "control_points": 5}
    edges = [edge, {**edge, "missing": True}, {"family": "lookup", "categories": 3}]
    weight = torch.ones(80, dtype=torch.float64)
    weight[:5] = 2
    settings = Settings(max_iter=4)
    return Task(x, target(f), weight, loss, outputs, edges, edge, settings)


@pytest.mark.parametrize("kind", LOSSES)
def test_starts_together_are_those_one_after_another(kind, monkeypatch):
    own = task(kind)
    together = own.fit_starts((2,), True, range(3))
    monkeypatch.setattr(evidence, "can_stack", lambda climb: False)
    alone = own.fit_starts((2,), True, range(3))
    for a, b in zip(together, alone, strict=True):
        assert len(a.trace) == len(b.trace)
        np.testing.assert_allclose(a.trace, b.trace, atol=1e-4)  # of log evidence
        np.testing.assert_allclose(a.climb.w, b.climb.w, atol=1e-4)
        assert torch.equal(a.climb.coordinates.alive(), b.climb.coordinates.alive())


def climbs(own, count=2):
    return [own.fit((2,), skip=True, start=start).climb for start in range(count)]


@pytest.mark.parametrize("kind", ["squared", "softmax"])
def test_stacked_networks_are_the_networks(kind):
    found = climbs(task(kind))
    networks = StackedNetworks(found[0])
    w = torch.stack([climb.w for climb in found])
    f, jacobian = networks.jacobian(w)
    torch.testing.assert_close(f, networks.outputs(w), rtol=1e-12, atol=1e-12)
    for climb, outputs, own in zip(found, f, jacobian, strict=True):
        linearisation: Linearisation = climb.problem.linearisation
        expected, exact = linearisation.jacobian(climb.w)
        alive = climb.coordinates.alive()
        torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(own[..., alive], exact[..., alive], rtol=1e-9, atol=1e-9)


def test_a_start_without_a_finite_step_leaves_the_others_alone(monkeypatch):
    own = task()
    whole = StackedNetworks.values
    calls = []

    def values(self, losses, w, precision):
        found = whole(self, losses, w, precision)
        calls.append(len(found))
        if len(calls) > 1 and len(found) == 2:
            found[0] = torch.inf
        return found

    monkeypatch.setattr(StackedNetworks, "values", values)
    fits = own.fit_starts((2,), True, range(2))
    assert all(torch.isfinite(fit.climb.w).all() for fit in fits)
    assert np.isfinite(fits[1].evidence)


@pytest.mark.parametrize(
    ("hidden", "edge"),
    [((2, 2), "gp"), (({"products": [2]},), "gp"), ((2,), "pade"), ((), "gp")],
)
def test_other_shapes_are_left_to_steps_of_their_own(hidden, edge):
    own = task()
    spec = {"family": edge} if edge == "pade" else own.hidden_edge
    network = Task(own.x, own.y, own.weight, own.loss, 1, [spec, spec, own.edges[2]], spec).build(
        hidden, True
    )
    assert not can_stack(Climb(network, own.x, own.y, own.loss, own.weight))


def test_a_checkpoint_keeps_the_bits_of_one_start_after_another(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 2))
    y = X[:, 0] * X[:, 1]
    options = {"hidden": (2,), "n_estimators": 2, "max_iter": 3, "random_state": 0}
    kept = KANRegressor(checkpoint=tmp_path, **options).fit(X, y).predict(X)
    monkeypatch.setattr(evidence, "can_stack", lambda climb: False)
    np.testing.assert_array_equal(kept, KANRegressor(**options).fit(X, y).predict(X))


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_starts_with_nothing_left_to_gain_end(n_estimators):
    X = np.random.default_rng(0).normal(size=(60, 2))
    for y in (np.ones(60), 2 * X[:, 0] - X[:, 1]):
        model = KANRegressor(hidden=(2,), n_estimators=n_estimators, random_state=0).fit(X, y)
        np.testing.assert_allclose(model.predict(X), y, atol=1e-4)
