"""First-order training: options, oracles, sparsity, early stopping, rejected steps."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import kanx
from kanx import KAN, KANClassifier, KANRegressor
from kanx.training.coordinates import Coordinates
from kanx.training.first_order import flat_precision
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian
from kanx.training.minibatch import train
from kanx.training.options import TrainingOptions, as_options
from kanx.training.placement import place_on_data
from kanx.training.rows import InMemory
from kanx.training.sparsity import edge_sizes, prune_small_edges, sparsity_penalty
from kanx.training.whitened import Prior, whitened

ADDITIVE = {"hidden": "additive", "random_state": 0, "max_iter": 10}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 3))
    f = np.sin(3 * X[:, 0]) + X[:, 1]
    return X, f, f + 0.1 * rng.standard_normal(400)


def small(rows=60):
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(rows, 2, generator=generator).double() - 1
    y = torch.sin(3 * x[:, :1]) + x[:, 1:]
    network = KAN([2, 1], {"family": "gp", "control_points": 5}, random_state=0).double()
    place_on_data(network, x)
    return network, InMemory(x, y, torch.ones(rows).double())


class FixedNoise(Gaussian):
    """Whose noise is known."""

    def with_precision(self, precision):
        return FixedNoise(torch.full_like(precision, 9.0))


def test_lbfgs_reaches_the_exact_optimum_of_a_linear_model():
    network, rows = small()
    precision = flat_precision(network, 2.0)
    coordinates = Coordinates(network)
    _, jacobian = Linearisation(coordinates, rows.x).jacobian(coordinates.read())
    design, prior = jacobian[:, 0], precision[coordinates.group]
    exact = torch.linalg.solve(
        9 * design.mT @ design + torch.diag(prior), 9 * design.mT @ rows.y[:, 0]
    )
    options = TrainingOptions(epochs=40, validation_fraction=0)
    train(
        network,
        rows,
        FixedNoise(torch.tensor([9.0]).double()),
        options,
        precision,
        optimizer="lbfgs",
    )
    expected = design @ exact
    torch.testing.assert_close(network(rows.x)[:, 0].detach(), expected, rtol=1e-4, atol=1e-5)


def test_whitening_changes_nothing_and_its_prior_is_the_familys():
    network, rows = small()
    before = network(rows.x).detach()
    bundle = network.layers[0].bundles[0]
    c = bundle.stacked_parameters().detach().movedim(1, 0)
    quadratic = (c.mT @ bundle.prior() @ c).diagonal(dim1=-2, dim2=-1).sum() / 2
    bias = network.layers[0].bias
    prior = Prior(network, flat_precision(network, 1.0))
    with whitened(network):
        torch.testing.assert_close(network(rows.x).detach(), before)
        torch.testing.assert_close(prior().detach(), quadratic)
    torch.testing.assert_close(network(rows.x).detach(), before)
    assert network.layers[0].bias is bias


@pytest.mark.parametrize(
    "training",
    [
        {"precision": "float32", "schedule": "linear"},
        {"precision": "bfloat16", "schedule": "exponential"},
        {"clip_norm": 1.0, "schedule": "constant", "validation_fraction": 0.0},
    ],
)
def test_number_types_and_schedules_reach_the_function(data, training):
    X, f, y = data
    options = {"epochs": 15, "learning_rate": 0.1, **training}
    model = KANRegressor(optimizer="adam", training=options, **ADDITIVE).fit(X, y)
    assert model.score(X, f) > 0.95
    assert next(model.network_.parameters()).dtype == torch.float64
    _, std = model.predict(X, return_std=True)
    assert 0.07 < std.mean() < 0.2


def test_size_and_start_come_from_the_evidence_of_a_part(data):
    X, _, _ = data
    product = X[:, 0] * X[:, 1]
    model = KANRegressor(optimizer="adam", training={"epochs": 3}, n_estimators=1, random_state=0)
    model.fit(X[:150], product[:150])
    assert len(model.network_.layers) == 2
    assert model.score(X, product) > 0.9


def test_large_network_with_diagonal_posterior(data, monkeypatch):
    monkeypatch.setattr("kanx.training.laplace.DENSE_LIMIT", 20)
    X, f, _ = data
    training = {"epochs": 5, "learning_rate": 0.1}
    model = KANClassifier(hidden=(4, 3), optimizer="adam", training=training, random_state=0)
    model.fit(X, np.digitize(f, [-0.5, 0.5]))
    assert model.model_.members[0].posterior.is_diagonal
    assert model.score(X, np.digitize(f, [-0.5, 0.5])) > 0.7


def test_sparsity_removes_what_is_not_needed(data):
    X, f, y = data
    free = KANRegressor(optimizer="adam", training={"epochs": 2}, **ADDITIVE).fit(X, y)
    weights = {"l1": 0.05, "entropy": 0.05, "prune_below": 0.05}
    training = {"epochs": 12, "learning_rate": 0.1, **weights}
    sparse = KANRegressor(training=training, **ADDITIVE).fit(X, y)  # "auto" takes Adam
    assert free.network_.n_edges == 3
    assert sparse.network_.layers[0].mask[:, 0].tolist() == [1, 1, 0]
    assert sparse.score(X, f) > 0.9


@pytest.mark.parametrize("hidden", ["additive", (3,)])
def test_a_stronger_penalty_never_keeps_more_edges(data, hidden):
    X, f, y = data
    options = {"hidden": hidden, "random_state": 0, "max_iter": 10}
    fits = {
        l1: KANRegressor(training={"l1": l1, "epochs": 6, "learning_rate": 0.1}, **options).fit(
            X, y
        )
        for l1 in (0.05, 3.0, 30.0)
    }
    edges = [model.network_.n_edges for model in fits.values()]
    assert edges == sorted(edges, reverse=True)
    assert fits[0.05].score(X, f) > 0.9
    nothing = fits[30.0]
    assert nothing.network_.n_edges == 0
    mean, std = nothing.predict(X, return_std=True)
    np.testing.assert_allclose(mean, y.mean(), atol=0.25 * y.std())
    assert np.ptp(mean) == 0
    np.testing.assert_allclose(std, y.std(), rtol=0.1)


def test_a_classifier_of_which_nothing_is_left_predicts_shares(data, tmp_path):
    X, f, _ = data
    labels = np.digitize(f, [-0.5, 0.5])
    training = {"l1": 30.0, "group": 1.0, "epochs": 4}
    model = KANClassifier(training=training, **ADDITIVE).fit(X, labels)
    assert model.network_.n_edges == 0
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], shares, atol=0.15)
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert kanx.explain(model, X).importances.features.max() == 0


def test_what_an_edge_contributes_on_average_survives_its_removal():
    network, rows = small()
    with torch.no_grad():
        for parameter in network.layers[0].bundles[0].parameters():
            parameter[:, 1] = 0.7 + 1e-4 * parameter[:, 1]  # nearly a constant
    before = network(rows.x).mean().item()
    assert prune_small_edges(network, rows.x, 0.01) == 1
    assert network.layers[0].mask[:, 0].tolist() == [1, 0]
    assert network(rows.x).mean().item() == pytest.approx(before, abs=1e-9)


def test_penalties_are_those_of_the_papers():
    network, rows = small()
    (size,) = edge_sizes(network, rows.x)
    curves = network.layers[0].curves(rows.x).detach().numpy()
    deviation = np.abs(curves - curves.mean(0)).mean(0)
    np.testing.assert_allclose(size.detach(), deviation)
    share = deviation / deviation.sum()
    entropy = -(share * np.log(share)).sum()
    norm = np.sqrt(((curves - curves.mean(0)) ** 2).mean(0).sum(1))
    for weights, expected in [
        ({"l1": 2.0}, 2 * deviation.sum()),
        ({"entropy": 3.0}, 3 * entropy),
        ({"group": 0.5}, 0.5 * norm.sum()),
    ]:
        found = sparsity_penalty(network, rows.x, TrainingOptions(**weights))
        assert found.item() == pytest.approx(expected, rel=1e-6)


def test_training_stops_where_held_out_rows_get_worse():
    network, rows = small(40)
    noise = torch.randn(40, 1, generator=torch.Generator().manual_seed(1)).double()
    rows.y = noise  # nothing can be learned
    held = small(40)[1]
    options = TrainingOptions(epochs=200, patience=3, learning_rate=0.1)
    outcome = train(
        network,
        rows,
        Gaussian(torch.ones(1).double()),
        options,
        flat_precision(network, 1.0),
        held_out=(held.x, noise.flip(0), held.weight),
    )
    assert outcome.converged
    assert len(outcome.trace) < 200


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_steps_that_give_nan_are_rejected_and_said(optimizer):
    class Explosive(Gaussian):
        """Not a number as soon as an output leaves a band."""

        def value(self, f, y):
            return super().value(f, y) * torch.where(f.abs().amax(-1) > 0.6, torch.nan, 1.0)

    network, rows = small()
    options = TrainingOptions(epochs=5, learning_rate=0.3, batch_size=60, validation_fraction=0)
    with pytest.warns(RuntimeWarning, match="NaN or infinity and were rejected"):
        train(
            network,
            rows,
            Explosive(torch.ones(1).double()),
            options,
            flat_precision(network, 1.0),
            optimizer=optimizer,
        )
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_same_seed_same_bits(data):
    X, _, y = data
    options = {"optimizer": "adam", "training": {"epochs": 2}, "hidden": (2,), "random_state": 5}
    first, second = (KANRegressor(**options).fit(X, y).predict(X) for _ in range(2))
    assert np.array_equal(first, second)


def test_options_are_parameters_like_others(data):
    X, _, y = data
    model = KANRegressor(optimizer="adam", training=TrainingOptions(epochs=2), **ADDITIVE)
    copied = clone(model).set_params(training__learning_rate=0.5)
    assert copied.training.learning_rate == 0.5
    assert model.training.learning_rate != 0.5
    search = GridSearchCV(model, {"training__epochs": [1, 3]}, cv=2).fit(X, y)
    assert search.best_params_["training__epochs"] in (1, 3)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"learning_rate": -1}, "learning_rate must be a positive number"),
        ({"validation_fraction": 1.0}, "validation_fraction must be a share"),
        ({"schedule": "steps"}, "choose one of"),
        ({"precision": "int8"}, "choose one of"),
        ({"clip_norm": 0}, "clip_norm"),
        ({"clip_norm": "a"}, "clip_norm must be a positive number or None, got 'a'"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size must be a positive integer or None, got 2.5"),
        ({"momentum": 0.9}, "unknown"),
    ],
)
def test_wrong_options_say_what_is_right(training, message):
    with pytest.raises(ValueError, match=message):
        as_options(training)
    with pytest.raises(ValueError, match=message):
        KANRegressor(training=training).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("device", ["cuda:777", "gpu", None])
def test_a_device_that_is_not_there_is_refused_by_fits_alone(device, data, tmp_path):
    X, _, y = data
    with pytest.raises(ValueError, match=r"device=.* cannot be used here; .*'cpu'"):
        KANRegressor(training={"device": device}, **ADDITIVE).fit(X, y)
    model = KANRegressor(**ADDITIVE).fit(X, y)
    model.training = {"device": device}  # as if it had been trained there
    kanx.save(model, tmp_path / "model.kanx")
    again = kanx.load(tmp_path / "model.kanx")
    assert np.array_equal(again.predict(X), model.predict(X))


def test_options_may_be_numbers_of_numpy(data):
    X, f, y = data
    training = {"epochs": np.int64(3), "batch_size": np.int32(50), "learning_rate": np.float32(0.1)}
    model = KANRegressor(optimizer="adam", training=training, **ADDITIVE).fit(X, y)
    assert model.score(X, f) > 0.5


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2"])
def test_wrong_numbers_of_processes_are_refused(n_jobs):
    with pytest.raises(ValueError, match="n_jobs must be None, a positive number"):
        KANClassifier(n_jobs=n_jobs).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sgd"}, "choose one of"),
        ({"optimizer": "lm", "training": {"l1": 1.0}}, "penalties"),
        ({"optimizer": "adam", "constraints": {0: "increasing"}}, "optimizer='lm'"),
    ],
)
def test_wrong_optimisers_say_what_is_right(options, message):
    with pytest.raises(ValueError, match=message):
        KANRegressor(**options).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0])
    with pytest.raises(TypeError, match="TrainingOptions"):
        as_options(3)


def test_learning_rates_follow_the_schedule():
    rates = {
        name: [TrainingOptions(schedule=name, warmup=0.5).rate(p) for p in (0.25, 0.5, 0.75, 1)]
        for name in ("constant", "linear", "cosine", "exponential")
    }
    half = 0.02 / 2
    assert rates["constant"] == pytest.approx([half, 0.02, 0.02, 0.02])
    assert rates["linear"] == pytest.approx([half, 0.02, half, 0])
    assert rates["cosine"] == pytest.approx([half, 0.02, half, 0])
    assert rates["exponential"] == pytest.approx([half, 0.02, 0.002, 0.0002])
