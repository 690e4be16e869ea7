"""Data without noise: variable projection, rising degrees, recovery down to rounding."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares as scipy_least_squares
from scipy.special import j0

from kanx import KAN, KANRegressor
from kanx.training.degrees import at_degree
from kanx.training.domains import place_hidden
from kanx.training.least_squares import descend
from kanx.training.noise_free import fit_noise_free
from kanx.training.separable import SeparableProblem
from kanx.training.starts import random_start


def rows(count, inputs, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (count, inputs))
    return x, torch.tensor(x)


def polynomial_network(widths, degree, seed=0, **options):
    network = KAN(widths, "slaf", degree=degree, extrapolate="family", random_state=0, **options)
    network = network.double()
    random_start(network, torch.Generator().manual_seed(seed))
    return network


def smooth(x):
    return torch.exp(0.5 * torch.sin(2 * x[:, :1]) + x[:, 1:] ** 2)


def test_variable_projection_and_joint_steps_find_the_same_minimum():
    _, x = rows(150, 2)
    y, weight = smooth(x), torch.ones(150, dtype=torch.float64)
    values = []
    for separate in (True, False):
        network = polynomial_network([2, 1, 1], 3)
        problem = SeparableProblem(network, x, y, weight, separate=separate)
        values.append(descend(problem, 0.0, iterations=300, tol=1e-9).point.squares)
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_the_penalty_vanishes_where_the_network_can_be_exact_and_stays_where_not():
    _, x = rows(200, 2)
    weight = torch.ones(200, dtype=torch.float64)
    penalties = []
    for y in (x[:, :1] * x[:, 1:], smooth(x)):
        problem = SeparableProblem(polynomial_network([2, 2, 1], 2), x, y, weight)
        penalties.append(descend(problem, 1.0, iterations=60).penalty)
    assert penalties[0] < 1e-15
    assert penalties[1] > 1e-6


def test_the_minimum_is_one_for_scipy_too():
    _, x = rows(80, 2)
    y, weight = smooth(x), 0.5 + torch.rand(80, generator=torch.Generator().manual_seed(0)).double()
    problem = SeparableProblem(polynomial_network([2, 1, 1], 3), x, y, weight)
    point = descend(problem, 0.0, iterations=300, tol=1e-9).point
    network, coordinates = problem.network, problem.coordinates
    living = coordinates.alive()

    def residuals(own):
        w = point.w.clone()
        w[living] = torch.tensor(own)
        coordinates.write(w)
        return (weight.sqrt() * (y - network(x))[:, 0]).detach().numpy()

    found = scipy_least_squares(residuals, point.w[living].numpy(), method="lm", max_nfev=2000)
    assert point.squares <= 2 * found.cost * (1 + 1e-4)


def test_linear_coordinates_are_optimal_wherever_the_others_are():
    _, x = rows(60, 2)
    y, weight = smooth(x), torch.ones(60, dtype=torch.float64)
    problem = SeparableProblem(polynomial_network([2, 2, 1], 3, skip=True), x, y, weight)
    for penalty in (0.0, 0.1):
        point = problem.start(penalty)
        _, jacobian = problem.linearisation.jacobian(point.w)
        slope = jacobian[:, 0, problem.linear].mT @ point.residual
        slope = slope - penalty * point.w[problem.linear]
        assert slope.abs().max() < 1e-9 * point.residual.norm()


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "powers"])
@pytest.mark.parametrize("widths", [[2, 1], [2, 3, 1], [2, 2, 2, 1]])
def test_a_higher_degree_and_moved_domains_leave_the_function_as_it_is(widths, basis):
    _, x = rows(40, 2)
    network = polynomial_network(widths, 4, basis=basis, skip=len(widths) == 3)
    expected = network(x).detach()
    template = polynomial_network(widths, 9, basis=basis, skip=len(widths) == 3)
    grown = at_degree(network, template, 7)
    assert {bundle.degree for _, bundle, _ in grown.bundles()} == {7}
    torch.testing.assert_close(grown(x).detach(), expected, rtol=1e-9, atol=1e-9)
    place_hidden(grown, x)
    torch.testing.assert_close(grown(x).detach(), expected, rtol=1e-8, atol=1e-8)
    for layer, entering in zip(grown.layers[1:], grown.activations(x)[1:-1], strict=True):
        assert not layer.outside(entering).any()


TARGETS = {
    "xy": (2, ("kst", 2), lambda x: x[:, 0] * x[:, 1]),
    "bessel": (1, "additive", lambda x: j0(20 * x[:, 0])),
    "exp": (2, ("kst", 1), lambda x: np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)),
}


@pytest.mark.parametrize("seed", [0, 3])
def test_a_law_is_known_a_little_beyond_the_values_that_hidden_nodes_have_had(seed):
    X, _ = rows(500, 2, seed=seed)
    new, _ = rows(3000, 2, seed=seed + 1)
    target = TARGETS["exp"][2]
    model = KANRegressor(edge="slaf", hidden=("kst", 1), random_state=0).fit(X, target(X))
    assert np.abs(model.predict(new) - target(new)).max() < 1e-9


@pytest.mark.parametrize("name", TARGETS)
def test_laws_without_noise_are_recovered_to_rounding(name):
    inputs, hidden, target = TARGETS[name]
    X, _ = rows(1000, inputs, seed=3)
    new, _ = rows(500, inputs, seed=4)
    model = KANRegressor(edge="slaf", hidden=hidden, random_state=0).fit(X, target(X))
    error = model.predict(new) - target(new)
    assert np.sqrt(np.mean(error**2)) < 1e-9
    _, std = model.predict(new, return_std=True)
    assert np.all(np.isfinite(std)) and std.max() < 1e-4


def test_without_a_shape_a_product_becomes_one_multiplication_node():
    X, _ = rows(300, 2)
    model = KANRegressor(edge="slaf", random_state=0).fit(X, X[:, 0] * X[:, 1])
    nodes = model.network_.nodes[0]
    assert nodes.products == (2,)
    assert model.network_.layers[0].mask.sum(0).tolist() == [1, 1]  # every factor sees one input
    new, _ = rows(100, 2, seed=1)
    np.testing.assert_allclose(model.predict(new), new[:, 0] * new[:, 1], atol=1e-10)


def test_noisy_data_and_a_given_degree_are_left_to_the_evidence():
    X, _ = rows(200, 1)
    y = np.sin(2 * X[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=200)
    for options, target in ((None, y), ({"degree": 4}, np.sin(2 * X[:, 0]))):
        model = KANRegressor(edge="slaf", edge_options=options, hidden="additive", random_state=0)
        model.fit(X, target)
        bundle = model.network_.layers[0].bundles[0]
        assert bundle.degree == (5 if options is None else 4)
        assert len(model.model_.members[0].trace) > 1


def test_weights_of_zero_and_missing_values_are_allowed():
    X, _ = rows(300, 2)
    y = np.sin(3 * X[:, 0]) + X[:, 1] ** 3
    X[::10, 1] = np.nan
    y[::10] = np.sin(3 * X[::10, 0]) + 0.5
    weight = np.ones(300)
    weight[5::10] = 0
    spoilt = y.copy()
    spoilt[5::10] = 100
    model = KANRegressor(edge="slaf", hidden="additive", random_state=0)
    model.fit(X, spoilt, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-7)


def test_a_row_of_weight_zero_is_no_row_wherever_it_lies():
    _, x = rows(200, 2)
    y = (torch.sin(3 * x[:, :1]) + x[:, 1:] ** 2).exp()
    far, weight = torch.full((1, 2), 1e3, dtype=torch.float64), torch.ones(201, dtype=torch.float64)
    weight[-1] = 0
    network = KAN([2, 2, 1], "slaf", degree=9, random_state=0)
    with_it = fit_noise_free(
        network, torch.cat([x, far]), torch.cat([y, far[:, :1]]), weight, thorough=False
    )
    without = fit_noise_free(network, x, y, thorough=False)
    np.testing.assert_array_equal(with_it.network(x).detach(), without.network(x).detach())


def test_a_network_of_fixed_shape_is_fitted_and_the_one_given_stays():
    _, x = rows(400, 3)
    y = torch.stack([x[:, 0] * x[:, 1], x[:, 2] ** 2 + x[:, 0]], dim=1)
    network = KAN([3, (1, [2]), 2], "slaf", degree=9, random_state=0)
    before = [parameter.clone() for parameter in network.parameters()]
    found = fit_noise_free(network, x, y)
    assert found.error < 1e-10
    assert found.network(x).detach().sub(y).abs().max() < 1e-9
    assert all(map(torch.equal, before, network.parameters()))


def test_constant_columns_and_targets_do_no_harm():
    X, _ = rows(60, 1)
    with_constant = np.column_stack([X, np.ones(60)])
    for target in (X[:, 0] ** 3 + 2, np.full(60, 3.0)):
        model = KANRegressor(edge="slaf", hidden="additive", random_state=0)
        model.fit(with_constant, target)
        np.testing.assert_allclose(model.predict(with_constant), target, atol=1e-9)


def test_too_few_rows_are_refused():
    _, x = rows(9, 1)
    with pytest.raises(ValueError, match="at least 10"):
        fit_noise_free(KAN([1, 1], "slaf"), x, x)
    assert KANRegressor(edge="slaf", random_state=0).fit(x, x[:, 0]).n_parameters_ > 0


def test_the_same_seed_gives_the_same_bits():
    X, _ = rows(200, 2)
    y = np.exp(X[:, 0] + X[:, 1] ** 2)
    first, second = (
        KANRegressor(edge="slaf", hidden=("kst", 1), random_state=1).fit(X, y).predict(X)
        for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("widths", "skip"), [([3, 2], False), ([3, 2, 2], True)])
def test_the_derivative_by_the_output_layer_is_part_of_the_jacobian(widths, skip):
    _, x = rows(20, 3)
    network = polynomial_network(widths, 4, skip=skip)
    problem = SeparableProblem(network, x, x[:, :2], torch.ones(20).double())
    point = problem.start()
    own = problem.by_linear(point.states)
    f, jacobian = problem.linearisation.jacobian(point.w)
    torch.testing.assert_close(x[:, :2] - f, point.residual.view(20, 2))
    torch.testing.assert_close(own, jacobian.flatten(0, 1)[:, problem.linear])
