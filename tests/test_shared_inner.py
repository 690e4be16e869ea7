"""Shared inner functions: sets in any order, and superpositions with one curve per input."""

import itertools
import json

import numpy as np
import pytest
import torch

import kanx
from kanx import KAN, KANRegressor
from kanx.training.coordinates import Coordinates
from kanx.training.linearisation import Linearisation


def rows(count, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, columns, generator=generator, dtype=torch.float64) - 1


def deep_set(**options):
    chosen = {"edge": "slaf", "degree": 3, "random_state": 0, **options}
    return KAN.deep_sets(3, 4, 2, element_features=2, **chosen).double()


@pytest.mark.parametrize("skip", [False, True])
def test_the_order_of_the_elements_does_not_matter(skip):
    net = deep_set(skip=skip)
    x = rows(5, 6)
    expected = net(x)
    for order in itertools.permutations(range(3)):
        moved = x.unflatten(1, (3, 2))[:, list(order)].flatten(1)
        torch.testing.assert_close(net(moved), expected, rtol=1e-14, atol=1e-14)
    swapped = x[:, [1, 0, 2, 3, 4, 5]]  # features of one element are not elements
    assert not torch.allclose(net(swapped), expected)


def test_it_is_the_sum_over_elements():
    net = deep_set()
    x = rows(4, 6)
    inner = net.layers[0].bundles[0].inner
    sums = sum(inner(x[:, 2 * e : 2 * e + 2]) for e in range(3)) + net.layers[0].bias
    torch.testing.assert_close(net(x), net.layers[1](sums))
    torch.testing.assert_close(net.layers[0](x), net.layers[0].curves(x).sum(1))
    assert net.layers[0].mask.shape == (6, 4)
    assert net.n_parameters == 2 * 4 * 4 + 4 + 4 * 2 * 4 + 2


def test_absent_elements_contribute_nothing():
    net = deep_set()
    x = rows(4, 6)
    x[:, 4:] = torch.nan
    assert net(x).isfinite().all()
    moved = x[:, [4, 5, 0, 1, 2, 3]]
    torch.testing.assert_close(net(moved), net(x), rtol=1e-14, atol=1e-14)
    inner = net.layers[0].bundles[0].inner
    sums = inner(x[:, :2]) + inner(x[:, 2:4]) + net.layers[0].bias
    torch.testing.assert_close(net(x), net.layers[1](sums))


@pytest.mark.parametrize("mixed", [False, True])
def test_derivatives_and_descriptions(mixed):
    edges = {"edge": ["spline", {"family": "slaf", "degree": 2}]} if mixed else {}
    net = (
        deep_set(**edges)
        if not mixed
        else KAN.deep_sets(
            3, 4, 2, element_features=2, hidden_edge="slaf", random_state=0, **edges
        ).double()
    )
    x = rows(5, 6)
    assert torch.autograd.gradcheck(net, x.clone().requires_grad_())
    layer = net.layers[0]
    upstream = rows(5, 4, seed=1)
    y = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad((layer(y) * upstream).sum(), y)
    torch.testing.assert_close(layer.input_jacobian(x, upstream), expected)
    coordinates = Coordinates(net)
    w = coordinates.read()
    coordinates.write(w)
    _, jacobian = Linearisation(coordinates, x).jacobian(w)
    step = 1e-6
    for k in range(0, len(w), 7):
        shift = torch.zeros_like(w)
        shift[k] = step
        above = Linearisation(coordinates, x).outputs(w + shift)
        numeric = (above - Linearisation(coordinates, x).outputs(w - shift)) / (2 * step)
        torch.testing.assert_close(jacobian[:, :, k], numeric, rtol=1e-5, atol=1e-6)
    coordinates.write(w)
    again = KAN.from_config(json.loads(json.dumps(net.config()))).double()
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(x), net(x))


def test_the_estimator_fits_a_function_of_a_set(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 4))
    y = np.sqrt((X**2).sum(1))
    model = KANRegressor(edge="slaf", hidden=("deep_sets", 1), n_estimators=1, random_state=0)
    model.fit(X, y)
    fresh = rng.uniform(-0.9, 0.9, (100, 4))
    truth = np.sqrt((fresh**2).sum(1))
    assert np.std(model.predict(fresh) - truth) < 0.02 * truth.std()
    for order in ([3, 2, 1, 0], [1, 3, 0, 2]):
        np.testing.assert_allclose(model.predict(fresh[:, order]), model.predict(fresh), rtol=1e-12)
    kanx.save(model, tmp_path / "set.kanx")
    np.testing.assert_array_equal(kanx.load(tmp_path / "set.kanx").predict(X), model.predict(X))


def test_a_superposition_with_one_inner_curve_per_input(tmp_path):
    net = KAN.kst(3, 4, shared_inner=True, edge="spline", random_state=0).double()
    assert net.n_edges == 3 + 3 * 4 + 4  # inner curves, scales, outer curves
    x = rows(5, 3)
    inner = net.layers[0].curves(x)  # (rows, in, nodes)
    assert (inner.abs().sum((0, 1)) > 0).all()
    assert (inner * (1 - torch.eye(3)) == 0).all()
    again = KAN.from_config(json.loads(json.dumps(net.config()))).double()
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(x), net(x))
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (250, 3))
    a, b = np.exp(X[:, 0]), X[:, 1] ** 2
    y = np.sin(a + b) + (a - b) ** 2  # two outer functions of the same two curves
    model = KANRegressor(edge="slaf", hidden=("shared_kst", 2), n_estimators=2, random_state=0)
    model.fit(X, y)
    assert model.score(X, y) > 0.99
    mask = model.network_.layers[0].mask
    assert (mask.numpy() * (1 - np.eye(3)) == 0).all()
    kanx.save(model, tmp_path / "kst.kanx")
    np.testing.assert_array_equal(kanx.load(tmp_path / "kst.kanx").predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KAN.deep_sets(3, 2, edge="pade"), "linear in its coefficients"),
        (lambda: KAN.deep_sets(3, 2, edge=["gp", "gp"]), "2 edge specifications"),
        (lambda: KAN([4, 2, 1], {"family": "shared", "elements": 3}), "elements"),
        (lambda: KAN([4, 2, 1], hidden_edge=["gp", "gp"]), "2 hidden edges for 1"),
    ],
)
def test_impossible_sets_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_estimators_refuse_sets_of_unlike_columns():
    X = {"a": [1.0, 2.0, 3.0, 4.0] * 5, "b": ["x", "y"] * 10}
    with pytest.raises(ValueError, match="numeric"):
        KANRegressor(hidden=("deep_sets", 2)).fit(X, np.arange(20.0))
    with pytest.raises(ValueError, match="elements"):
        KANRegressor(hidden=("deep_sets", 2, 3)).fit(np.eye(4), np.arange(4.0))
