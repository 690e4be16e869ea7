"""Constrained curves keep their constraints on the whole domain and stay as near as possible."""

import pytest
import torch
from scipy.optimize import minimize

from kanx.layers import FAMILIES, Constraint, KANLayer, project

FAMILY_OPTIONS = {
    "gp": {"length_scale": 2.0},
    "slaf": {"degree": 7},
    "spline": {},
    "piecewise_linear": {},
    "rbf": {},
    "fourier": {"harmonics": 3},
    "shared_pade": {},
}
every_family = pytest.mark.parametrize("name", FAMILY_OPTIONS)
FINE = torch.linspace(-2, 6, 3001, dtype=torch.float64)[:, None].expand(-1, 2)


def build(name, **options):
    generator = torch.Generator().manual_seed(3)
    family = FAMILIES[name](2, 2, generator=generator, **{**FAMILY_OPTIONS[name], **options})
    family = family.double()
    family.set_domain(torch.tensor([-1.0, -1.0]), torch.tensor([5.0, 5.0]))
    noise = torch.randn(family.stacked_parameters().shape, generator=generator)
    family.load_stacked(family.stacked_parameters().detach() + 0.5 * noise)
    return family


@every_family
@pytest.mark.parametrize("kind", ["increasing", "decreasing", "convex", "concave"])
def test_shapes_hold_inside_and_outside_the_domain(name, kind):
    family = build(name)
    before = family.curves(FINE).detach()
    project(family, 1, kind)
    after = family.curves(FINE).detach()
    torch.testing.assert_close(after[:, 0], before[:, 0], rtol=0, atol=0)
    steps = after[:, 1].diff(dim=0)
    if kind in ("convex", "concave"):
        steps = steps.diff(dim=0)
    sign = -1 if kind in ("decreasing", "concave") else 1
    assert (sign * steps).min() > -1e-9 * after.abs().max()
    assert after[:, 1].std() > 0.01  # not flattened


@every_family
def test_a_curve_that_keeps_its_constraint_stays(name):
    family = build(name)
    project(family, 0, "increasing")
    once = family.stacked_parameters().detach().clone()
    project(family, 0, "increasing")
    torch.testing.assert_close(family.stacked_parameters(), once, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["slaf", "gp"])
def test_the_projection_is_the_nearest_such_curve(name):
    family = build(name)
    t = torch.linspace(-1, 5, 201, dtype=torch.float64)[:, None].expand(-1, 2)
    features = family.expand(t)[..., 0].detach().numpy()
    slopes = family.expand_derivative(t)[..., 0].detach().numpy()
    start = family.coefficients[:, 0, 0].detach().numpy().copy()
    project(family, 0, "increasing")
    found = family.coefficients[:, 0, 0].detach().numpy()
    oracle = minimize(
        lambda c: ((features @ (c - start)) ** 2).mean(),
        found + 0.1,
        jac=lambda c: 2 * features.T @ (features @ (c - start)) / len(features),
        constraints={"type": "ineq", "fun": lambda c: slopes @ c, "jac": lambda c: slopes},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    distance = ((features @ (found - start)) ** 2).mean()
    assert distance == pytest.approx(oracle.fun, rel=0.02)


@every_family
def test_periodic_curves_meet_smoothly(name):
    family = build(name, extrapolate="periodic")
    project(family, 0, "periodic")
    x = torch.tensor([[5 - 1e-7], [5 + 1e-7]], dtype=torch.float64).expand(-1, 2)
    values, slopes = family.curves(x)[:, 0], family.slopes(x)[:, 0]
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=1e-4)


@every_family
def test_zero_at_a_point_together_with_a_shape(name):
    family = build(name)
    for point in (2.3, 7.0):
        project(family, 0, ["increasing", Constraint("zero_at", point)], outputs=[1])
        at = torch.full((1, 2), point, dtype=torch.float64)
        assert family.curves(at)[0, 0, 1].abs() < 1e-9
        assert family.curves(FINE)[:, 0, 1].diff(dim=0).min() > -1e-9


def test_fixed_functions_replace_the_curve():
    family = build("slaf")
    project(family, 0, Constraint("fixed", function=lambda x: 3 - x**2), outputs=[0])
    x = torch.linspace(-1, 5, 50, dtype=torch.float64)[:, None].expand(-1, 2)
    torch.testing.assert_close(family.curves(x)[:, 0, 0], 3 - x[:, 0] ** 2, rtol=0, atol=1e-5)
    assert not torch.allclose(family.curves(x)[:, 0, 1], 3 - x[:, 0] ** 2)


def test_missing_values_and_single_precision_are_kept():
    family = build("spline", missing=True).float()
    missing = family.stacked_parameters()[-1].detach().clone()
    project(family, 0, "increasing")
    torch.testing.assert_close(family.stacked_parameters()[-1], missing, rtol=0, atol=1e-6)
    assert family.stacked_parameters().dtype == torch.float32
    assert family.curves(FINE.float())[:, 0].diff(dim=0).min() > -1e-4


def test_projected_gradient_descent_fits_a_monotone_curve():
    x = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]
    generator = torch.Generator().manual_seed(0)
    y = x.sqrt() + 0.2 * torch.randn(60, 1, generator=generator, dtype=torch.float64)
    layer = KANLayer(1, 1, "spline", generator=generator).double()
    layer.set_domain(torch.zeros(1), torch.ones(1))
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        (layer(x) - y).square().mean().backward()
        optimiser.step()
        layer.project({0: "increasing"})
    assert layer(x).diff(dim=0).min() >= -1e-12
    assert (layer(x) - x.sqrt()).square().mean().sqrt() < 0.1


def test_impossible_and_unsuitable_requests_are_refused():
    with pytest.raises(TypeError, match="cannot be constrained"):
        project(FAMILIES["pade"](1, 1), 0, "increasing")
    with pytest.raises(ValueError, match="choose one of"):
        project(build("gp"), 0, "monotone")
    for wrong in ({"kind": "zero_at"}, {"kind": "fixed"}, {"kind": "convex", "point": 1.0}):
        with pytest.raises(ValueError, match="needs it"):
            Constraint(**wrong)


def test_contradicting_shapes_leave_a_constant():
    family = build("slaf")
    project(family, 0, ["increasing", "decreasing"])
    values = family.curves(FINE)[:, 0]
    torch.testing.assert_close(values, values[:1].expand_as(values), rtol=0, atol=1e-5)
