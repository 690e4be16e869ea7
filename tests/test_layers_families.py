"""What single families promise beyond the contract."""

import math

import numpy as np
import pytest
import torch

from kanx.layers import (
    SLAF,
    ActivationEdge,
    BSpline,
    Cauchy,
    Composite,
    Fourier,
    GaussianProcess,
    Pade,
    PiecewiseLinear,
    RadialBasis,
    SharedPade,
    Symbolic,
    TrainableGaussianProcess,
    Wavelet,
)
from kanx.layers.activations import ACTIVATIONS, find_activation
from kanx.layers.leave_one_out import leave_one_out_errors

T = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]


# -- starts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["identity", "silu", "gelu", "tanh", "relu"])
def test_pade_starts_from_a_named_target(target):
    family = Pade(1, 1, generator=torch.Generator().manual_seed(0)).double()
    family.set_domain(torch.tensor([-3.0]), torch.tensor([3.0]))
    error = family.start_from(target)
    assert error < (0.1 if target == "relu" else 0.01)


@pytest.mark.parametrize(
    ("family", "tolerance"),
    [
        (GaussianProcess(2, 2, length_scale=2.0), 3e-3),
        (SLAF(2, 2, degree=8), 1e-3),
        (BSpline(2, 2), 1e-3),
        (RadialBasis(2, 2), 1e-3),
        (Fourier(2, 2, harmonics=8), 0.05),
        (PiecewiseLinear(2, 2), 0.05),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_linear_families_start_from_a_named_target(family, tolerance):
    family = family.double()
    family.set_domain(torch.tensor([-3.0, 0.0]), torch.tensor([3.0, 2.0]))
    assert family.start_from("silu") < tolerance
    x = torch.tensor([[1.2, 1.3]], dtype=torch.float64)
    expected = torch.nn.functional.silu(x)[..., None].expand(-1, -1, 2)
    torch.testing.assert_close(family.curves(x).detach(), expected, rtol=0, atol=tolerance)


def test_start_from_takes_any_function_and_refuses_bad_ones():
    family = SLAF(1, 1).double()
    assert family.start_from(lambda x: x**3 - x) < 1e-6
    before = family.stacked_parameters().detach().clone()
    for bad, message in (("tanhh", "choose one of"), ("log", "not finite")):
        with pytest.raises(ValueError, match=message):
            family.start_from(bad)
    torch.testing.assert_close(family.stacked_parameters(), before, rtol=0, atol=0)


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "hermite", "powers"])
def test_slaf_starts_near_the_identity(basis):
    generator = torch.Generator().manual_seed(0)
    family = SLAF(1, 1, basis=basis, start="near_identity", generator=generator).double()
    assert (family(T) - T).abs().mean() < 0.5
    assert family.slopes(T).mean() > 0.5


# -- polynomials -------------------------------------------------------------------------------


def test_hermite_equals_numpy_and_is_orthonormal_for_normal_inputs():
    family = SLAF(1, 1, degree=6, basis="hermite").double()
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    values = family.basis(torch.from_numpy(nodes)[:, None])[:, :, 0].numpy()
    gram = values.T @ (values * (weights / weights.sum())[:, None])
    np.testing.assert_allclose(gram, np.eye(7), atol=1e-10)
    c = np.zeros(7)
    c[6] = 1 / math.sqrt(math.factorial(6))
    np.testing.assert_allclose(values[:, 6], np.polynomial.hermite_e.hermeval(nodes, c), atol=1e-8)


def test_slaf_penalty_leaves_out_pruned_edges():
    family = SLAF(1, 2, degree=1).double()
    family.load_stacked(torch.tensor([[[1.0, 9.0]], [[-2.0, 9.0]]]))
    family.mask[0, 1] = 0
    assert family.penalty(l1=1.0).item() == 3 and family.penalty(l2=1.0).item() == 5


# -- Gaussian processes ------------------------------------------------------------------------


def test_leave_one_out_errors_equal_those_of_leaving_out():
    family = GaussianProcess(1, 1, control_points=7, jitter=1e-3).double()
    z, gram = family.control_positions, family._gram()
    v = torch.randn(7, 1, 1, generator=torch.Generator().manual_seed(0)).double()
    errors = leave_one_out_errors(gram, z, v)[:, 0, 0]
    for m in range(7):
        rest = [j for j in range(7) if j != m]
        design = torch.stack([torch.ones(6), z[0, rest]], 1).double()
        system = torch.zeros(8, 8, dtype=torch.float64)
        system[:6, :6] = gram[rest][:, rest]
        system[:6, 6:], system[6:, :6] = design, design.T
        right = torch.cat([gram[rest, m], torch.ones(1), z[0, m : m + 1]])
        prediction = torch.linalg.solve(system, right)[:6] @ v[rest, 0, 0]
        assert errors[m].item() == pytest.approx((v[m, 0, 0] - prediction).item(), abs=1e-8)


def test_length_scale_starts_short_for_rough_and_long_for_smooth_curves():
    chosen = {}
    for name, function in (("smooth", torch.sin), ("rough", lambda x: (x - 0.05).sign())):
        family = GaussianProcess(1, 1, control_points=12).double()
        chosen[name] = family.start_length_scale(T, function(T)[..., None])
        assert family.length_scale == chosen[name]
        assert family.config()["length_scale"] == chosen[name]
    assert chosen["rough"] < chosen["smooth"]
    matern = {"kind": "matern", "parameters": {"smoothness": 2.5, "length_scale": 1}, "parts": []}
    with pytest.raises(ValueError, match="part of that kernel"):
        GaussianProcess(1, 1, kernel=matern).start_length_scale(T, T[..., None])


def test_trainable_gp_starts_as_the_fixed_one_and_learns_its_shape():
    fixed = GaussianProcess(1, 1, control_points=8, length_scale=1.7).double()
    free = TrainableGaussianProcess(1, 1, control_points=8, length_scale=1.7).double()
    fixed.load_stacked(torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(0)))
    free.load_stacked(fixed.stacked_parameters())
    torch.testing.assert_close(free(T), fixed(T), rtol=0, atol=1e-5)
    target = torch.exp(-((T - 0.6) ** 2) / 0.005)  # a bump between two control points
    optimiser = torch.optim.Adam(free.parameters(), lr=0.05)

    def loss():
        free.refit(T, target[..., None])
        return (free(T) - target).square().mean()

    start = loss().item()
    for _ in range(60):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
    assert loss().item() < 0.7 * start
    assert (free.control_positions.diff(dim=-1) > 0).all()
    with pytest.raises(ValueError, match="spacings"):
        TrainableGaussianProcess(1, 1, length_scale=5.0)


# -- rational functions ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["smooth", "product", "A", "B", "C", "D"])
def test_no_coefficient_that_is_set_to_zero_makes_a_pole(form):
    family = Pade(1, 1, denominator_degree=4, form=form, extrapolate="family").double().eval()
    x = torch.linspace(-5, 5, 4001, dtype=torch.float64)[:, None]
    values = family.stacked_parameters().detach() * 3
    first = family.numerator_degree + 1
    for k in range(first, len(values)):
        pruned = values.clone()
        pruned[k] = 0
        family.load_stacked(pruned)
        size = pruned[:first].abs().sum() * 5**4
        assert family(x).abs().max() <= size / 1e-6
    family.load_stacked(0 * values + 1)
    assert family(x).isfinite().all()


def test_pade_smooth_form_has_no_kink_and_form_a_has_one_at_zero():
    near = torch.tensor([[-1e-7], [1e-7]], dtype=torch.float64)
    for form, jump in (("smooth", 0.0), ("A", -2 * 0.5 * 0.3)):
        family = Pade(1, 1, numerator_degree=1, denominator_degree=1, form=form).double()
        family.load_stacked(torch.tensor([0.5, 1.0, 0.3]).view(3, 1, 1))
        slopes = family.slopes(near)[:, 0, 0]
        assert (slopes[1] - slopes[0]).item() == pytest.approx(jump, abs=1e-5)


def test_form_d_is_noisy_in_training_only():
    family = Pade(1, 1, form="D").double()
    assert not torch.equal(family(T), family(T))
    family.eval()
    torch.testing.assert_close(family(T), family.curves(T)[:, 0], rtol=0, atol=0)


def test_shared_poles_are_those_of_the_group():
    grouped = SharedPade(4, 2, groups=2, numerator="shared", form="A").double()
    assert grouped.group_of.tolist() == [0, 0, 1, 1]
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double().clamp(-1, 1)
    x[:, 1] = x[:, 0]
    ratio = grouped.curves(x) / grouped.coefficients[0]
    torch.testing.assert_close(ratio[:, 0], ratio[:, 1])
    assert SharedPade(4, 2).denominator.shape == (3, 4)
    for bad in ({"groups": 5}, {"numerator": "row"}, {"form": "D"}, {"form": "product"}):
        with pytest.raises(ValueError, match=r"between|unknown|not possible"):
            SharedPade(4, 2, **bad)


@pytest.mark.parametrize("numerator", ["edge", "shared"])
def test_shared_poles_start_from_a_named_target(numerator):
    # KAT's published coefficients for gelu, fitted with another form, miss by 1.46 on [-3, 3]
    options = {"numerator_degree": 5, "denominator_degree": 4, "numerator": numerator}
    family = SharedPade(4, 2, groups=2, **options).double()
    family.set_domain(torch.full((4,), -3.0), torch.full((4,), 3.0))
    assert family.start_from("gelu") < 0.01


# -- the others --------------------------------------------------------------------------------


def test_fourier_without_trend_is_periodic():
    family = Fourier(1, 1, period=0.5, trend=False, extrapolate="family").double()
    torch.testing.assert_close(family(T + 1), family(T))
    assert not torch.allclose(family(T + 0.5), family(T))


def test_wavelets_are_the_published_ones():
    u = torch.linspace(-3, 3, 41, dtype=torch.float64)[:, None]
    expected = {
        "mexican_hat": 2 / (math.sqrt(3) * math.pi**0.25) * (1 - u**2) * torch.exp(-(u**2) / 2),
        "morlet": torch.cos(5 * u) * torch.exp(-(u**2) / 2),
        "dog": -u * torch.exp(-(u**2) / 2),
    }
    for wavelet, values in expected.items():
        family = Wavelet(1, 1, terms=1, wavelet=wavelet, trend=False, extrapolate="family").double()
        family.load_stacked(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1))
        torch.testing.assert_close(family(u).detach(), values)


def test_cauchy_stays_finite_when_a_width_is_pruned():
    family = Cauchy(1, 1, terms=1, trend=False).double()
    family.load_stacked(torch.tensor([1.0, 1.0, 0.0, 0.0]).view(4, 1, 1))
    assert family(T).abs().max() < 1.1e4


def test_piecewise_linear_heights_are_the_curve():
    family = PiecewiseLinear(1, 1, control_points=5).double()
    family.set_control_positions(torch.tensor([[-1.0, -0.5, 0.0, 0.1, 1.0]]))
    z = family.control_positions.T
    torch.testing.assert_close(family(z), family.coefficients[:, 0])
    middle = (z[1:] + z[:-1]) / 2
    heights = family.coefficients[:, 0]
    torch.testing.assert_close(family(middle), (heights[1:] + heights[:-1]) / 2)


SHAPES = torch.tensor([0.7], dtype=torch.float64)


def test_activations_are_the_published_ones():
    t = torch.linspace(-4, 4, 81, dtype=torch.float64)
    sigmoid, normal_cdf = torch.sigmoid(t), 0.5 * (1 + torch.erf(t / math.sqrt(2)))
    gate = 0.5 + torch.atan(t) / math.pi
    apa = (0.7 * torch.exp(-1.3 * t) + 1) ** (-1 / 0.7)
    kappa, log_lambda = 0 * SHAPES + 1.3, SHAPES.log()
    expected = {
        "swish": ((SHAPES,), t * torch.sigmoid(0.7 * t)),
        "snake": ((SHAPES,), t + torch.sin(0.7 * t) ** 2 / 0.7),
        "apa": ((kappa, log_lambda), apa),
        "aglu": ((kappa, log_lambda), t * apa),
        "xatlu": ((SHAPES,), t * (gate * (1 + 2 * 0.7) - 0.7)),
        "xgelu": ((SHAPES,), t * (normal_cdf * (1 + 2 * 0.7) - 0.7)),
        "xsilu": ((SHAPES,), t * (sigmoid * (1 + 2 * 0.7) - 0.7)),
        "elephant": ((SHAPES.log(),), 1 / (1 + (t / 0.7) ** 4)),
        "silu": ((), t * sigmoid),
        "identity": ((), t),
    }
    assert set(expected) == set(ACTIVATIONS)
    for name, (shape, values) in expected.items():
        torch.testing.assert_close(find_activation(name).torch(t, *shape), values)


def test_activations_are_safe_where_their_formulas_are_not():
    t = torch.tensor([-700.0, 0.0, 700.0], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(find_activation("snake").torch(t, zero), t)
    tiny = torch.full((1,), -100.0, dtype=torch.float64, requires_grad=True)
    for value in (
        find_activation("apa").torch(t, zero + 50, tiny),
        find_activation("elephant").torch(t, tiny),
    ):
        gradients = torch.autograd.grad(value.sum(), t)
        assert value.isfinite().all() and gradients[0].isfinite().all()


def test_shape_parameters_are_trained_by_gradients():
    family = ActivationEdge(2, 1, function="swish").double()
    family(T.expand(-1, 2)).sum().backward()
    assert family.shape.shape == (1, 2) and (family.shape.grad != 0).all()


def test_symbolic_edge_finds_its_constants():
    family = Symbolic(1, 1, function="sin").double()
    target = 1.5 * torch.sin(2.2 * T + 0.4) - 0.3
    family.refit(T, target[..., None])
    torch.testing.assert_close(family(T).detach(), target, rtol=0, atol=1e-6)
    for bad in ("maximum", "sine"):
        with pytest.raises(ValueError, match="choose one of"):
            Symbolic(1, 1, function=bad)


def test_one_edge_can_be_a_formula_while_its_neighbour_is_a_spline():
    family = Composite(1, 2, parts=["spline", "symbolic"]).double()
    spline, symbolic = family.parts
    spline.mask[0, 0] = symbolic.mask[0, 1] = 0
    torch.testing.assert_close(family.curves(T)[..., 0], symbolic.curves(T)[..., 0])
    torch.testing.assert_close(family.curves(T)[..., 1], spline.curves(T)[..., 1])
    torch.testing.assert_close(family(T), family.curves(T).sum(1))
    family.refit(T, torch.sin(2 * T)[..., None].expand(-1, -1, 2))
    assert (family.curves(T) - torch.sin(2 * T)[..., None]).abs().max() < 1e-2
    for bad in ([], "spline", [{"degree": 2}]):
        with pytest.raises(ValueError, match=r"at least one part|'family'"):
            Composite(1, 1, parts=bad)
