"""Interactions, effects and contributions against closed forms and brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

import kanx
from kanx import KAN
from kanx.explain.anova import SampledAnova
from kanx.explain.interactions import read_interactions
from kanx.explain.local import _sampled
from kanx.explain.marginals import marginals_of


def powers_of_sums(directions, factors, degree):
    """Build the network ``sum_q factor_q (direction_q . x) ** degree`` from polynomial edges."""
    hidden, inputs = np.shape(directions)
    net = KAN(
        [inputs, hidden, 1],
        edge={"family": "slaf", "degree": degree, "basis": "chebyshev", "extrapolate": "family"},
        random_state=0,
    ).double()
    outer = chebyshev.poly2cheb([0.0] * degree + [1.0])
    with torch.no_grad():
        for layer in net.layers:
            layer.bundles[0].coefficients.zero_()
        net.layers[0].bundles[0].coefficients[1] = torch.tensor(directions).T
        net.layers[1].bundles[0].coefficients[:, :, 0] = torch.tensor(np.outer(outer, factors))
    return net


def product_of_two():
    return powers_of_sums([[1.0, 1.0], [1.0, -1.0]], [0.25, -0.25], 2)


def product_of_three():
    signs = [(1.0, a, b) for a in (1.0, -1.0) for b in (1.0, -1.0)]
    return powers_of_sums(signs, [a * b / 24 for _, a, b in signs], 3)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.choice(np.linspace(-0.7, 1.0, 18), (300, 3))


def test_a_product_has_the_shares_that_its_moments_say(data):
    x = data[:, :2]
    net = product_of_two()
    np.testing.assert_allclose(net(torch.tensor(x)).detach()[:, 0], x.prod(1), atol=1e-12)
    found = kanx.explain(net, x).interactions
    (m, n), (v, w) = x.mean(0), x.var(0)
    total = v * w + m**2 * w + n**2 * v
    assert found.method == "exact" and found.error < 1e-7
    np.testing.assert_allclose(found.variance, total, rtol=1e-7)
    np.testing.assert_allclose(found.main[:, 0] * total, [n**2 * v, m**2 * w], rtol=1e-6)
    np.testing.assert_allclose(found.share[:, 0] * total, [v * w], rtol=1e-6)
    assert found.higher[0] < 1e-12


def test_a_product_of_three_has_a_share_of_third_order(data):
    found = kanx.explain(product_of_three(), data).interactions
    m, v = data.mean(0), data.var(0)
    total = (m**2 + v).prod() - m.prod() ** 2
    for n, (i, j) in enumerate(found.pairs):
        k = 3 - i - j
        wanted = v[i] * v[j] * m[k] ** 2
        assert found.share[n, 0] * found.variance[0] == pytest.approx(wanted, rel=1e-5)
    # the third order is averaged over 500 random rows
    assert found.higher[0] * found.variance[0] == pytest.approx(v.prod(), rel=0.25)
    np.testing.assert_allclose(found.variance, total, rtol=0.1)


def test_contributions_to_a_product_share_the_interaction_equally(data):
    x = data[:, :2]
    local = kanx.explain(product_of_two(), x).local(x[:10])
    m = x.mean(0)
    wanted = (x[:10] - m) * (x[:10, ::-1] + m[::-1]) / 2
    np.testing.assert_allclose(local.values[:, :, 0], wanted, atol=1e-7)
    assert local.method == "shapley" and local.is_exact
    np.testing.assert_allclose(local.base, m.prod(), atol=1e-9)


def test_the_effect_of_a_factor_is_its_line(data):
    x = data[:, :2]
    view = kanx.explain(product_of_two(), x)
    effect = view.effects.select(source="x0")[0]
    np.testing.assert_allclose(
        effect.value, (effect.grid - x[:, 0].mean()) * x[:, 1].mean(), atol=1e-7
    )
    surface = view.surface("x0", "x1")
    a, b = (g - m for g, m in zip(surface.grids, x.mean(0), strict=True))
    np.testing.assert_allclose(surface.interaction, np.outer(a, b), atol=1e-7)
    joint = np.outer(surface.grids[0], surface.grids[1]) - x.mean(0).prod()
    np.testing.assert_allclose(surface.joint, joint, atol=1e-7)


def random_network(edge, skip, seed):
    net = KAN([4, 3, 2], edge=edge, skip=skip, random_state=seed).double()
    rng = torch.Generator().manual_seed(seed)
    for _, bundle, _ in net.bundles():
        stacked = bundle.stacked_parameters()
        bundle.load_stacked(stacked + 0.5 * torch.randn(stacked.shape, generator=rng).double())
    return net


def brute_force(net, x):
    """Evaluate a network on all combinations of the columns' distinct values, with weights."""
    axes = [np.unique(column, return_counts=True) for column in x.T]
    grid = np.stack(np.meshgrid(*[values for values, _ in axes], indexing="ij"), -1)
    with torch.no_grad():
        values = net(torch.tensor(grid)).numpy()
    return values, [counts / len(x) for _, counts in axes]


def average(values, weights, keep):
    """Average over all axes but some."""
    for axis, weight in enumerate(weights):
        if axis not in keep:
            shape = [1] * values.ndim
            shape[axis] = len(weight)
            values = (values * weight.reshape(shape)).sum(axis, keepdims=True)
    return values


@pytest.mark.parametrize("edge", ["gp", "spline", "pade"])
@pytest.mark.parametrize("skip", [False, True])
def test_main_effects_and_pairs_agree_with_brute_force(edge, skip):
    rng = np.random.default_rng(1)
    x = rng.choice(np.linspace(-1, 1, 5), (40, 4))
    net = random_network(edge, skip, 0)
    found = kanx.explain(net, x).interactions
    values, weights = brute_force(net, x)
    mean = average(values, weights, [])
    total = average((values - mean) ** 2, weights, []).ravel()
    tolerance = 20 * found.error + 1e-7
    for j in range(4):
        main = average((average(values, weights, [j]) - mean) ** 2, weights, [])
        np.testing.assert_allclose(found.main[j] * found.variance, main.ravel(), atol=tolerance)
    for n, (i, j) in enumerate(found.pairs):
        term = average(values, weights, [i, j]) + mean
        term = term - average(values, weights, [i]) - average(values, weights, [j])
        pair = average(term**2, weights, []).ravel()
        np.testing.assert_allclose(found.share[n] * found.variance, pair, atol=tolerance)
    np.testing.assert_allclose(found.variance, total, rtol=0.05)
    np.testing.assert_allclose(found.main.sum(0) + found.share.sum(0) + found.higher, 1, atol=1e-12)


@pytest.mark.parametrize("edge", ["gp", "spline"])
def test_shapley_values_agree_with_brute_force(edge):
    rng = np.random.default_rng(2)
    x = rng.choice(np.linspace(-1, 1, 5), (30, 4))
    net = random_network(edge, True, 3)
    view = kanx.explain(net, x)
    local = view.local(x[:3])
    values, weights = brute_force(net, x)
    places = [np.searchsorted(np.unique(column), column[:3]) for column in x.T]

    def worth(row, known):
        mean = average(values, weights, known)
        return mean[tuple(places[j][row] if j in known else 0 for j in range(4))]

    for row, j in itertools.product(range(3), range(4)):
        others = [k for k in range(4) if k != j]
        total = np.zeros(2)
        for size in range(4):
            share = math.factorial(size) * math.factorial(3 - size) / math.factorial(4)
            for known in itertools.combinations(others, size):
                total += share * (worth(row, [*known, j]) - worth(row, list(known)))
        # the curves have kinks where they go on as straight lines: the waves leave a little over
        tolerance = 3 * np.abs(local.residual).max() + 1e-9
        np.testing.assert_allclose(local.values[row, j], total, atol=tolerance)
    np.testing.assert_allclose(
        local.base + local.values.sum(1) + local.residual, local.prediction, atol=1e-12
    )
    assert np.abs(local.residual).max() < 1e-3 * local.prediction.std()


def test_missing_values_and_categories_have_their_place_in_the_terms():
    rng = np.random.default_rng(3)
    edges = [{"family": "lookup", "categories": 3}, {"family": "spline", "missing": True}]
    net = KAN([2, 2, 1], edge=edges, hidden_edge="gp", random_state=0).double()
    with torch.no_grad():
        for _, bundle, _ in net.bundles():
            bundle.coefficients.mul_(8)
    x = np.stack([rng.integers(0, 3, 60), rng.choice([-1, 0, 1, np.nan], 60)], 1)
    view = kanx.explain(net, x)
    found, local = view.interactions, view.local(x[:5])
    assert np.abs(local.residual).max() < 1e-3 * local.prediction.std()
    table = np.stack([np.array(list(itertools.product(range(3), [-1, 0, 1, np.nan])))])[0]
    with torch.no_grad():
        values = net(torch.tensor(table)).numpy().reshape(3, 4)
    weights = [
        np.bincount(x[:, 0].astype(int)) / 60,
        np.array([*[(x[:, 1] == v).mean() for v in (-1, 0, 1)], np.isnan(x[:, 1]).mean()]),
    ]
    mean = average(values, weights, [])
    main = average((average(values, weights, [0]) - mean) ** 2, weights, [])
    assert found.main[0, 0] * found.variance[0] == pytest.approx(main.item(), rel=1e-3)
    assert view.effects.select(source="x1")[0].missing is not None


def test_additive_models_have_no_interactions_and_exact_contributions():
    net = random_additive()
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (100, 3))
    view = kanx.explain(net, x)
    assert view.interactions.method == "exact" and view.interactions.pairs == []
    local = view.local(x)
    assert local.method == "additive"
    np.testing.assert_allclose(local.base + local.values.sum(1), local.prediction, atol=1e-12)
    np.testing.assert_allclose(local.values.mean(0), 0, atol=1e-12)


def random_additive():
    return KAN.additive(3, 2, edge="gp", random_state=4).double()


def test_estimates_agree_with_the_exact_terms_and_say_that_they_are_estimates(data):
    view = kanx.explain(product_of_three(), data)
    subject = view.subject
    marginals = marginals_of(subject.x, subject.columns)
    estimate = read_interactions(subject, SampledAnova(subject, marginals, 0), marginals, range(3))
    assert estimate.method == "estimated" and "Estimated" in estimate.note
    np.testing.assert_allclose(estimate.main, view.interactions.main, atol=0.15)
    _, values, std = _sampled(subject, subject.x[:5], 0)
    exact = view.local(data[:5]).values
    assert (np.abs(values.numpy() - exact) < 4.5 * std.numpy() + 1e-9).all()


def test_deep_and_multiplying_networks_get_labelled_estimates_that_add_up():
    x = np.random.default_rng(0).uniform(-1, 1, (80, 3))
    for net in (KAN([3, 2, 2, 1], random_state=0), KAN([3, [1, [2]], 1], random_state=0)):
        view = kanx.explain(net.double(), x)
        local = view.local(x[:4])
        assert not local.is_exact and "estimated" in local.note
        np.testing.assert_allclose(local.base + local.values.sum(1), local.prediction, atol=1e-10)
        assert view.interactions.method == "estimated"
        assert np.isnan(view.interactions.error)


def test_a_pure_pair_is_found_in_a_multiplying_network():
    net = KAN([3, [0, [2]], 1], edge="slaf", degree=1, random_state=0).double()
    with torch.no_grad():
        for layer in net.layers:
            layer.bundles[0].coefficients.zero_()
        inner = net.layers[0].bundles[0].coefficients
        inner[1, 0, 0] = inner[1, 1, 1] = 1.0
        net.layers[1].bundles[0].coefficients[1, 0, 0] = 2.0
    x = np.random.default_rng(0).uniform(-1, 1, (400, 3))
    found = kanx.explain(net, x).interactions
    assert found.pairs[0] == (0, 1)
    assert found.share[0, 0] > 0.9 and found.share[1:].max() < 1e-12


def test_a_surface_needs_two_known_inputs(data):
    view = kanx.explain(product_of_two(), data[:, :2])
    with pytest.raises(ValueError, match="no input 'z'"):
        view.surface("x0", "z")
    with pytest.raises(ValueError, match="twice"):
        view.surface("x0", "x0")
    with pytest.raises(ValueError, match="below 1"):
        view.surface("x0", "x1", output=1)
