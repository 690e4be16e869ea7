"""Explanations over several fits, and notes where curves cancel each other."""

import numpy as np
import pytest
import torch

import kanx
from kanx import KAN
from kanx.explain.cancellation import cancellations
from kanx.explain.repeats import Stability


def data(rows=150, noise=0.1):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (rows, 3))
    return X, 3 * X[:, 0] + X[:, 1] ** 2 + noise * rng.normal(size=rows)


def test_fits_to_parts_of_the_rows_agree_where_the_data_are_clear():
    X, y = data()
    found = kanx.explain.stability(kanx.KANRegressor(hidden="additive"), X, y, n_repeats=3)
    assert found.importances.shape == (3, 3)
    np.testing.assert_allclose(found.importances.sum(1), 1)
    assert found.agreement > 0.8
    assert found.effects_error[0] < 5
    assert found.importances.std(0).max() > 0  # other rows were seen
    assert list(found.to_frame()["feature"])[:2] == ["x0", "x1"]
    assert "3 fits" in str(found) and "80 % of the rows" in str(found)


def test_the_seed_alone_changes_nothing_in_a_model_without_random_starts():
    X, y = data()
    model = kanx.KANRegressor(hidden="additive")
    found = kanx.explain.stability(model, X, y, n_repeats=2, share=1)
    np.testing.assert_allclose(found.importances[0], found.importances[1], atol=1e-9)
    assert found.effects_error.max() < 1e-6
    assert "rows" not in str(found)


def test_categories_are_compared_by_name():
    rng = np.random.default_rng(0)
    X = {"size": rng.uniform(0, 1, 120), "kind": rng.choice(["a", "b", "c"], 120)}
    y = X["size"] + (X["kind"] == "b") + 0.05 * rng.normal(size=120)
    found = kanx.explain.stability(kanx.KANRegressor(hidden="additive"), X, y, n_repeats=2)
    assert found.effects_error.max() < 20
    assert found.names == ["size", "kind"]


def test_noise_is_not_stable():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(30), size=2)
    assert (
        Stability(shares, 0.1, np.zeros(30), [f"x{j}" for j in range(30)], 0.8)
        .to_frame()["std"]
        .max()
        > 0
    )
    X, y = data()
    with pytest.raises(ValueError, match="at least 2 repeats"):
        kanx.explain.stability(kanx.KANRegressor(), X, y, n_repeats=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        kanx.explain.stability(kanx.KANRegressor(), X, y, share=0)


def cancelling(factor):
    """Build a network of two hidden nodes that are copies, their outer curves nearly opposite."""
    net = KAN([1, 2, 1], edge="slaf", degree=1, random_state=0).double()
    inner, outer = (layer.bundles[0] for layer in net.layers)
    inner.load_stacked(torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]]], dtype=torch.float64))
    pull = torch.tensor([[[0.0], [0.0]], [[factor], [1 - factor]]], dtype=torch.float64)
    outer.load_stacked(pull)
    return net


def test_curves_that_cancel_are_noted():
    x = np.linspace(-1, 1, 101)[:, None]
    net = cancelling(5.0)  # 5 t - 4 t
    view = kanx.explain(net, x)
    worst = cancellations(view.subject)[0]
    assert worst.node == "y"
    assert worst.factor == pytest.approx(25 + 16)
    assert len(view.notes) == 1 and "41 times" in view.notes[0]
    assert kanx.explain(cancelling(0.5), x).notes == []
    assert cancellations(kanx.explain(cancelling(0.5), x).subject)[0].factor <= 1


def test_shares_along_paths_that_mislead_are_noted():
    net = KAN([2, 2, 1], edge="slaf", degree=1, skip=True, random_state=0).double()
    line = torch.zeros(2, 2, 2, dtype=torch.float64)
    line[1, 0, 0] = line[1, 1, 1] = 1.0  # every input has a hidden node of its own
    net.layers[0].bundles[0].load_stacked(line)
    outer = torch.tensor([[[0.0], [0.0]], [[2.0], [1.0]]], dtype=torch.float64)
    net.layers[1].bundles[0].load_stacked(outer)
    direct = torch.tensor([[[0.0], [0.0]], [[-1.5], [0.0]]], dtype=torch.float64)
    net.skip.bundles[0].load_stacked(direct)  # 2 x0 - 1.5 x0 + x1
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    view = kanx.explain(net, x)
    assert view.importances.features[0, 0] > 0.8
    np.testing.assert_allclose(view.interactions.features[:, 0], [0.2, 0.8], atol=0.03)
    assert any("through x0" in note and "analysis of variance" in note for note in view.notes)
