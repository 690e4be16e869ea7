"""The linear families against independent implementations of the same mathematics."""

import copy

import gpytorch
import numpy as np
import pytest
import torch
from gpytorch import kernels
from numpy.polynomial import chebyshev, legendre
from scipy.interpolate import BSpline as ScipySpline
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from kanx.layers import SLAF, BSpline, GaussianProcess
from kanx.layers.covariance import Covariance, from_gpytorch
from kanx.layers.warp import warp

T = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]


def with_lengthscale(kernel, value):
    kernel.lengthscale = value
    return kernel.double()


def periodic(length_scale, period):
    kernel = with_lengthscale(kernels.PeriodicKernel(), length_scale)
    kernel.period_length = period
    return kernel


def rational_quadratic():
    kernel = with_lengthscale(kernels.RQKernel(), 0.6)
    kernel.alpha = 1.7
    return kernel


def scaled(kernel, outputscale):
    kernel = kernels.ScaleKernel(kernel).double()
    kernel.outputscale = outputscale
    return kernel


KERNELS = {
    "rbf": lambda: with_lengthscale(kernels.RBFKernel(), 0.4),
    "matern12": lambda: with_lengthscale(kernels.MaternKernel(nu=0.5), 0.7),
    "matern32": lambda: with_lengthscale(kernels.MaternKernel(nu=1.5), 0.7),
    "matern52": lambda: with_lengthscale(kernels.MaternKernel(nu=2.5), 0.7),
    "periodic": lambda: periodic(0.9, 1.3),
    "rational quadratic": rational_quadratic,
    "scaled": lambda: scaled(with_lengthscale(kernels.RBFKernel(), 0.5), 2.3),
    "sum": lambda: (
        scaled(with_lengthscale(kernels.RBFKernel(), 0.5), 0.3)
        + with_lengthscale(kernels.MaternKernel(nu=1.5), 0.8)
    ),
    "product": lambda: (
        with_lengthscale(kernels.RBFKernel(), 0.9)
        * periodic(1.1, 0.8)
        * with_lengthscale(kernels.MaternKernel(nu=2.5), 0.8)
    ),
    "without a closed form": lambda: kernels.PolynomialKernel(power=2).double(),
}


@pytest.mark.parametrize("name", KERNELS)
def test_covariance_and_its_derivative_equal_gpytorch(name):
    kernel = KERNELS[name]()
    covariance = from_gpytorch(kernel)
    z = torch.linspace(-0.93, 0.97, 7, dtype=torch.float64)
    t = torch.linspace(-1.5, 1.5, 12, dtype=torch.float64, requires_grad=True)
    dense = kernel(t[:, None], z[:, None]).to_dense()
    k, slope = covariance.evaluate(t[:, None], z)
    torch.testing.assert_close(k, dense, rtol=1e-10, atol=1e-10)
    # column sums have no meaning here: every entry depends on its own t alone
    by_autograd = torch.stack(
        [torch.autograd.grad(dense[:, j].sum(), t, retain_graph=True)[0] for j in range(7)], 1
    )
    torch.testing.assert_close(slope, by_autograd, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"without a closed form"}))
def test_covariances_round_trip_through_dictionaries(name):
    covariance = from_gpytorch(KERNELS[name]())
    twin = Covariance.from_dict(covariance.to_dict())
    torch.testing.assert_close(twin(T, T.T), covariance(T, T.T), rtol=0, atol=0)


def test_unsuitable_kernels_are_refused():
    with pytest.raises(ValueError, match="one-dimensional kernel"):
        from_gpytorch(kernels.RBFKernel(ard_num_dims=2))
    with pytest.raises(ValueError, match="cannot be saved"):
        from_gpytorch(kernels.PolynomialKernel(power=2)).to_dict()
    with pytest.raises(ValueError, match="unknown"):
        Covariance.from_dict({"kind": "spectral", "parameters": {}, "parts": []})


@pytest.mark.parametrize("smoothness", [1.5, 2.5])
def test_second_derivative_of_matern_is_right_at_a_control_point(smoothness):
    covariance = Covariance("matern", {"smoothness": smoothness, "length_scale": 1.0})
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(covariance(t, torch.zeros_like(t)), t, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, t)
    exact = -3.0 if smoothness == 1.5 else -5 / 3
    assert slope.item() == 0 and curvature.item() == pytest.approx(exact, rel=1e-6)


def gp_case(jitter=1e-6, **options):
    family = GaussianProcess(1, 1, control_points=7, jitter=jitter, **options).double()
    heights = torch.tensor([0.3, -1.2, 0.7, 2.0, 1.1, -0.4, 0.9], dtype=torch.float64)
    family.load_stacked(heights.view(7, 1, 1))
    return family, family.control_positions[0], heights


def test_gp_mean_and_variance_equal_dense_universal_kriging():
    family, z, v = gp_case(jitter=1e-4)
    length_scale = family.covariance.parameters["length_scale"]

    def k(a, b):
        return np.exp(-0.5 * (np.subtract.outer(a, b) / length_scale) ** 2)

    z, v, t = z.numpy(), v.numpy(), T[:, 0].numpy()
    gram = k(z, z) + 1e-4 * np.eye(7)
    design = np.stack([np.ones(7), z], 1)
    # the kriging system with its Lagrange multipliers (Cressie 1993, section 3.4)
    system = np.block([[gram, design], [design.T, np.zeros((2, 2))]])
    right = np.vstack([k(z, t), np.ones(41), t])
    weights = np.linalg.solve(system, right)
    np.testing.assert_allclose(family(T)[:, 0].detach(), weights[:7].T @ v, atol=1e-8)
    variance = 1 - (weights * right).sum(0)
    np.testing.assert_allclose(family.conditional_variance(T)[:, 0], variance, atol=1e-8)


def test_gp_agrees_with_scikit_learn_where_the_mean_is_known():
    # with the fitted linear mean given, what remains is the ordinary posterior of the residual
    family, z, v = gp_case(jitter=1e-4)
    slope, level = family.trend[0, 1] @ v, family.trend[0, 0] @ v
    length_scale = family.covariance.parameters["length_scale"]
    residual = (v - level - slope * z).numpy()
    regressor = GaussianProcessRegressor(RBF(length_scale), alpha=1e-4, optimizer=None)
    regressor.fit(z.numpy()[:, None], residual)
    expected = regressor.predict(T.numpy()) + (level + slope * T[:, 0]).numpy()
    np.testing.assert_allclose(family(T)[:, 0].detach(), expected, atol=1e-8)


class ExactModel(gpytorch.models.ExactGP):
    """A Gaussian process whose kernel holds a vague linear mean: universal kriging's limit."""

    def __init__(self, z, v, likelihood, kernel):
        super().__init__(z, v, likelihood)
        self.mean_module = gpytorch.means.ZeroMean()
        vague = kernels.ScaleKernel(kernels.PolynomialKernel(power=1, offset=torch.tensor(1.0)))
        vague.outputscale = 1e5
        self.covar_module = kernel + vague.double()

    def forward(self, z):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(z), self.covar_module(z))


def test_gp_agrees_with_gpytorch_exact_gp():
    kernel = with_lengthscale(kernels.MaternKernel(nu=2.5), 0.7)
    family, z, v = gp_case(jitter=1e-3, kernel=kernel)
    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    likelihood.noise = 1e-3
    model = ExactModel(z[:, None], v, likelihood, kernel).double().eval()
    with torch.no_grad():
        posterior = model(T)
    torch.testing.assert_close(family(T)[:, 0].detach(), posterior.mean, rtol=0, atol=2e-4)
    torch.testing.assert_close(
        family.conditional_variance(T)[:, 0], posterior.variance, rtol=0, atol=2e-4
    )


def test_gp_takes_any_gpytorch_kernel():
    kernel = kernels.CosineKernel() * kernels.RBFKernel()
    family, z, v = gp_case(jitter=1e-4, kernel=kernel)
    torch.testing.assert_close(family(z[:, None])[:, 0].detach(), v, rtol=0, atol=0.05)
    t = T.clone().requires_grad_()
    (slope,) = torch.autograd.grad(family(t).sum(), t)
    torch.testing.assert_close(family.slopes(T)[:, :, 0].detach(), slope, rtol=1e-6, atol=1e-6)
    twin = copy.deepcopy(family)
    torch.testing.assert_close(twin(T), family(T), rtol=0, atol=0)
    with pytest.raises(ValueError, match="cannot be saved"):
        family.config()


def test_gp_heights_are_the_curve_at_the_control_points():
    family, z, v = gp_case()
    torch.testing.assert_close(family(z[:, None])[:, 0].detach(), v, rtol=0, atol=1e-4)
    assert family.conditional_variance(z[:, None]).max() < 1e-4


UNEVEN = torch.tensor([[-1, -0.9, -0.5, 0, 0.2, 0.4, 1.0]], dtype=torch.float64)


def test_gp_control_points_can_follow_the_data():
    family, _, v = gp_case(adaptive=True)
    family.set_control_positions(UNEVEN)
    torch.testing.assert_close(family(UNEVEN.T)[:, 0].detach(), v, rtol=0, atol=1e-4)
    family.load_stacked((2 - 3 * UNEVEN).T.unsqueeze(-1))
    torch.testing.assert_close(family(T).detach(), 2 - 3 * T, rtol=0, atol=1e-9)
    for bad in (UNEVEN.flip(1), UNEVEN * 0.9):
        with pytest.raises(ValueError, match="increase strictly"):
            family.set_control_positions(bad)
    with pytest.raises(ValueError, match="adaptive=True"):
        gp_case()[0].set_control_positions(UNEVEN)


def test_warp_is_monotone_smooth_and_meets_the_points():
    even, _ = warp(UNEVEN.T, UNEVEN)
    torch.testing.assert_close(
        even[:, 0], torch.linspace(-1, 1, 7, dtype=torch.float64), rtol=0, atol=1e-12
    )
    t = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None].requires_grad_()
    value, slope = warp(t, UNEVEN)
    assert (value.diff(dim=0) > 0).all()
    torch.testing.assert_close(torch.autograd.grad(value.sum(), t)[0], slope)
    assert slope.diff(dim=0).abs().max() < 0.1  # steps of 1e-3: no jump of the slope


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_spline_equals_scipy_with_all_derivatives(degree):
    family = BSpline(1, 1, intervals=5, degree=degree).double()
    inner = torch.tensor([-1.0, -0.6, -0.1, 0.0, 0.7, 1.0], dtype=torch.float64)
    family.set_grid(inner[:, None])
    oracle = ScipySpline(
        family.knots[:, 0].numpy(), family.coefficients[:, 0, 0].detach().double().numpy(), degree
    )
    t = T.clone()[1:-1] + 1e-3  # off the knots, where high derivatives jump
    t.requires_grad_()
    value = family(t)[:, 0]
    for order in range(degree + 1):
        expected = (
            oracle.derivative(order)(t[:, 0].detach().numpy())
            if order
            else oracle(t[:, 0].detach().numpy())
        )
        np.testing.assert_allclose(value.detach(), expected, rtol=1e-9, atol=1e-9)
        if order < degree:
            value = torch.autograd.grad(value.sum(), t, create_graph=True)[0][:, 0]


def test_spline_basis_sums_to_one_up_to_both_ends():
    for degree in (1, 2, 3):
        family = BSpline(1, 1, intervals=4, degree=degree).double()
        torch.testing.assert_close(family.basis(T).sum(-2), torch.ones_like(T))


def test_spline_grid_is_checked():
    family = BSpline(1, 1, intervals=2)
    with pytest.raises(ValueError, match="shape"):
        family.set_grid(torch.linspace(-1, 1, 4)[:, None])
    with pytest.raises(ValueError, match="increase strictly"):
        family.set_grid(torch.tensor([[-1.0], [-1.0], [1.0]]))


@pytest.mark.parametrize(
    ("basis", "evaluate", "differentiate"),
    [
        ("legendre", legendre.legval, legendre.legder),
        ("chebyshev", chebyshev.chebval, chebyshev.chebder),
    ],
)
def test_orthogonal_polynomials_equal_numpy(basis, evaluate, differentiate):
    family = SLAF(1, 1, degree=12, basis=basis).double()
    c = family.coefficients[:, 0, 0].detach().numpy()
    t = T[:, 0].numpy()
    np.testing.assert_allclose(family(T)[:, 0].detach(), evaluate(t, c), atol=1e-12)
    slopes = family.slopes(T)[:, 0, 0].detach()
    np.testing.assert_allclose(slopes, evaluate(t, differentiate(c)), atol=1e-10)


def test_slaf_powers_are_normalised_by_the_data():
    family = SLAF(1, 1, degree=4, basis="powers").double()
    generator = torch.Generator().manual_seed(0)
    x = 0.3 + 0.4 * torch.rand(500, 1, generator=generator, dtype=torch.float64)
    family.set_moments(x)
    features = family.basis(x)[:, 1:, 0]
    torch.testing.assert_close(features.mean(0), torch.zeros(4).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        features.std(0, correction=0), torch.ones(4).double(), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "powers"])
def test_power_coefficients_are_the_curve(basis):
    family = SLAF(2, 2, degree=6, basis=basis).double()
    powers = family.power_coefficients((1, 0))
    value = np.polynomial.polynomial.polyval(T[:, 0].numpy(), powers)
    curves = family.curves(T.expand(-1, 2))[:, 1, 0].detach()
    np.testing.assert_allclose(curves, value, atol=1e-10)
