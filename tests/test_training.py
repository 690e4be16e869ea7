"""Levenberg-Marquardt with evidence: derivatives, known answers, pruning, safety."""

import numpy as np
import pytest
import torch

import kanx
from kanx import KAN
from kanx.training.averaging import average
from kanx.training.climb import Climb
from kanx.training.coordinates import Coordinates
from kanx.training.evidence import Settings, fit_evidence
from kanx.training.levenberg_marquardt import Problem, minimise
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Huber, Logistic, Poisson, Softmax
from kanx.training.normal_equations import DenseSystem
from kanx.training.placement import place_on_data
from kanx.training.selection import multiply
from kanx.training.starts import random_start
from kanx.training.task import Task

ONE = torch.ones(1, dtype=torch.float64)
NETWORKS = [
    ([3, 1], "gp", False),
    ([3, 2, 2], "gp", True),
    ([3, (1, [2, 3]), 1], "slaf", True),
    ([3, 2, 2, 1], "spline", True),
    ([3, 2, 1], "pade", True),
    ([3, 2, 1], ["gp", "slaf", {"family": "lookup", "categories": 3}], True),
]


def rows(count, seed=0):
    return 2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)).double() - 1


def start(widths, edge, skip, seed=0):
    network = KAN(widths, edge, skip=skip, random_state=seed).double()
    random_start(network, torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize(("widths", "edge", "skip"), NETWORKS)
def test_jacobian_in_whitened_coordinates_agrees_with_finite_differences(widths, edge, skip):
    network = start(widths, edge, skip)
    x = rows(4)
    x[:, 2] = torch.tensor([0.0, 1.0, 2.0, 1.0])
    coordinates = Coordinates(network)
    linearisation = Linearisation(coordinates, x)
    w = coordinates.read()
    f = linearisation.outputs(w)
    torch.testing.assert_close(f, network(x).detach(), rtol=1e-9, atol=1e-9)
    _, jacobian = linearisation.jacobian(w)
    for j in range(0, len(w), 7):
        step = torch.zeros_like(w)
        step[j] = 1e-6
        slope = (linearisation.outputs(w + step) - linearisation.outputs(w - step)) / 2e-6
        torch.testing.assert_close(jacobian[:, :, j], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("widths", "edge", "skip"), NETWORKS)
def test_coordinates_round_trip(widths, edge, skip):
    network = start(widths, edge, skip)
    coordinates = Coordinates(network)
    before = network(rows(3)).detach()
    coordinates.write(coordinates.read())
    torch.testing.assert_close(network(rows(3)).detach(), before, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (Gaussian(torch.tensor([2.0, 0.5])), torch.tensor([[0.3, -1.0], [2.0, 0.1]])),
        (Huber(torch.tensor([2.0, 0.5])), torch.tensor([[0.3, -9.0], [2.0, 0.1]])),
        (Logistic(), torch.tensor([[1.0, 0.0], [0.0, 1.0]])),
        (Poisson(), torch.tensor([[1.0, 0.0], [3.0, 2.0]])),
        (Softmax(), torch.tensor([1, 0])),
    ],
)
def test_losses_have_the_right_gradient_and_curvature(loss, y):
    f = torch.tensor([[0.2, -0.7], [1.5, 0.4]], dtype=torch.float64, requires_grad=True)
    y = y if y.dtype == torch.int64 else y.double()
    (expected,) = torch.autograd.grad(loss.value(f, y).sum(), f)
    torch.testing.assert_close(loss.gradient(f.detach(), y), expected, check_dtype=False)
    root = loss.root_curvature(f.detach(), y).double()
    root = torch.diag_embed(root) if root.dim() == 2 else root
    curvature = root @ root.mT
    assert (torch.linalg.eigvalsh(curvature) > -1e-12).all()
    if not isinstance(loss, Huber):  # whose tails use the weights of iterated least squares
        for n in range(2):
            hessian = torch.autograd.functional.hessian(
                lambda v, n=n: loss.value(v[None], y[n : n + 1]).sum(), f[n].detach()
            )
            torch.testing.assert_close(curvature[n], hessian, check_dtype=False)


def test_additive_evidence_is_the_exact_marginal_likelihood():
    """With fixed precisions a linear model's evidence is a Gaussian density of the target."""
    x = rows(30)
    y = torch.sin(3 * x[:, :1])
    network = KAN([3, 1], random_state=0, control_points=5).double()
    climb = Climb(network, x, y, Gaussian(7 * ONE), torch.ones(30).double())
    evidence = climb.descend(iterations=50)
    _, jacobian = climb.problem.linearisation.jacobian(climb.w)
    design = jacobian[:, 0]
    prior = 1 / climb.precision[climb.coordinates.group]
    covariance = design @ torch.diag(prior) @ design.mT + torch.eye(30).double() / 7
    exact = torch.distributions.MultivariateNormal(torch.zeros(30).double(), covariance)
    assert evidence == pytest.approx(exact.log_prob(y[:, 0]).item(), rel=1e-6)


def test_relevant_inputs_stay_irrelevant_ones_are_pruned():
    x = rows(200)
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(1)).double()
    y = torch.sin(3 * x[:, :1]) + 0.5 * x[:, 1:2] ** 2 + 0.1 * noise
    network = KAN([3, 1]).double()
    place_on_data(network, x)
    fit = fit_evidence(network, x, (y - y.mean()) / y.std(), Gaussian(10 * ONE))
    assert network.layers[0].mask[:, 0].tolist() == [1, 1, 0]
    estimated = (1 / fit.loss.precision).sqrt().item() * y.std().item()
    assert estimated == pytest.approx(0.1, rel=0.15)
    assert fit.converged


def test_product_is_learned_by_hidden_nodes():
    x = rows(150)
    y = 2 * x[:, :1] * x[:, 1:2]
    network = start([3, 2, 1], {"family": "gp", "control_points": 6}, True)
    fit_evidence(network, x, y / y.std(), Gaussian(10 * ONE), settings=Settings(max_iter=40))
    test = rows(50, seed=1)
    error = network(test).detach() * y.std() - 2 * test[:, :1] * test[:, 1:2]
    assert error.pow(2).mean().sqrt() < 0.02 * y.std()


def test_weights_count_rows():
    x, weight = rows(40), torch.arange(40).double() % 3
    y = torch.sin(2 * x[:, :1])
    repeated = torch.repeat_interleave(torch.arange(40), weight.long())
    fits = []
    for own_x, own_y, own_weight in [
        (x[weight > 0], y[weight > 0], weight[weight > 0]),
        (x[repeated], y[repeated], torch.ones(len(repeated)).double()),
    ]:
        network = KAN([3, 1]).double()
        place_on_data(network, own_x, own_weight)
        random_start(network, torch.Generator().manual_seed(0))
        fits.append(fit_evidence(network, own_x, own_y, Gaussian(10 * ONE), own_weight))
    assert fits[0].evidence == pytest.approx(fits[1].evidence, rel=1e-6)


def test_a_step_that_gives_nan_is_rejected():
    x = rows(20)
    network = start([3, 1], "gp", False)

    class Explosive(Gaussian):
        """Infinite as soon as an output leaves a narrow band."""

        def value(self, f, y):
            return torch.where(f.abs().sum(-1) > 0.5, float("nan"), super().value(f, y))

    coordinates = Coordinates(network)
    problem = Problem(Linearisation(coordinates, x), 3 * torch.ones(20, 1).double(), torch.ones(20))
    w = torch.zeros(coordinates.size, dtype=torch.float64)
    precision = torch.ones_like(w)
    step = minimise(problem, Explosive(10 * ONE), w, precision, coordinates.alive(), iterations=5)
    assert np.isfinite(step.value)
    assert torch.isfinite(step.w).all()


def test_a_singular_system_has_no_step_and_damping_helps():
    singular = torch.ones(2, 2, dtype=torch.float64)
    right = torch.ones(2, dtype=torch.float64)
    assert DenseSystem(singular).solve(right, 0.0) is None
    step = DenseSystem(singular).solve(right, 1e-3)
    assert step is not None
    torch.testing.assert_close(singular @ step, right, rtol=1e-3, atol=0)


def test_a_callback_stops_the_fit():
    x = rows(30)
    seen = []

    def stop(round_, evidence):
        seen.append((round_, evidence))
        return len(seen) == 2

    fit = fit_evidence(KAN([3, 1]).double(), x, x[:, :1], Gaussian(10 * ONE), on_round=stop)
    assert [round_ for round_, _ in seen] == [0, 1]
    assert fit.trace == [evidence for _, evidence in seen]


@pytest.mark.parametrize("widths", [[3, 1], [3, 2, 2]])
def test_average_is_exact(widths):
    networks = [start(widths, "gp", True, seed) for seed in range(3)]
    networks[1].layers[0].set_mask((torch.rand(3, widths[1]) > 0.3).double())
    x = 1.3 * rows(10)
    expected = torch.stack([network(x) for network in networks]).mean(0)
    torch.testing.assert_close(average(networks)(x), expected, rtol=1e-12, atol=1e-12)


def test_networks_of_different_width_average():
    networks = [start([3, 2, 1], "gp", True, 0), start([3, 4, 1], "gp", True, 1)]
    x = rows(10)
    expected = torch.stack([network(x) for network in networks]).mean(0)
    torch.testing.assert_close(average(networks)(x), expected, rtol=1e-12, atol=1e-12)


def test_deep_networks_are_not_averaged():
    with pytest.raises(ValueError, match="at most two layers"):
        average([start([3, 2, 2, 1], "gp", False, seed) for seed in range(2)])


def test_common_precisions_win_where_correlated_inputs_all_matter_a_little():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(120, 1))
    X = common + 0.7 * rng.normal(size=(120, 20))
    y = (X.sum(1) + 4 * rng.normal(size=120) > 0).astype(int)
    model = kanx.KANClassifier(hidden="additive", random_state=0).fit(X, y)
    assert model.network_.n_edges == 20


def test_a_precision_for_every_curve_wins_where_one_input_matters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=200)
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    assert model.network_.n_edges <= 2


def test_the_round_of_highest_evidence_is_kept():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 2))
    y = X[:, 0] * X[:, 1]
    fit = kanx.KANRegressor(hidden=(2,), n_estimators=1, random_state=0).fit(X, y).model_.members[0]
    assert fit.evidence >= max(fit.trace) - 1


def test_multiplication_nodes_replace_adding_ones_where_they_clearly_pay():
    x = rows(150)[:, :2]
    noise = torch.randn(150, 1, generator=torch.Generator().manual_seed(1)).double()
    y = x[:, :1] * x[:, 1:] + 0.01 * noise
    edge = {"family": "gp", "control_points": 6}
    task = Task(
        x,
        y / y.std(),
        torch.ones(150).double(),
        Gaussian(10 * ONE),
        outputs=1,
        edges=[edge, edge],
        hidden_edge=edge,
        settings=Settings(max_iter=25),
    )
    adding = task.fit((2,), skip=True)
    product = multiply(task, 2, adding.evidence)
    assert product is not None
    network = task.finish(product).network
    assert network.layers[0].mask.sum(0).tolist() == [1, 1]  # every factor sees one input
    assert multiply(task, 2, product.evidence) is None
    assert multiply(task, 8, -1e9) is None  # too many hidden nodes to be read as products
