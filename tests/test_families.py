"""The contract that every registered edge family keeps."""

import copy

import numpy as np
import pytest
import sympy
import torch
from contract import (
    EXAMPLES,
    IN,
    OUT,
    build,
    every_case,
    every_dtype,
    every_extrapolation,
    example,
    first_case,
    inputs,
)
from torch.utils._python_dispatch import TorchDispatchMode

from kanx.layers import FAMILIES


def test_every_registered_family_is_tested():
    assert set(EXAMPLES) == set(FAMILIES)
    assert all(FAMILIES[name].name == name for name in FAMILIES)


# -- values -----------------------------------------------------------------------------------


@every_case
@every_extrapolation
def test_forward_is_the_sum_of_the_curves(case, extrapolate):
    family = build(case, extrapolate=extrapolate)
    x = inputs(case, 6)
    curves, total = family.curves(x), family(x)
    assert curves.shape == (6, IN, OUT) and total.shape == (6, OUT)
    size = curves.abs().max().item()
    torch.testing.assert_close(total, curves.sum(1), rtol=0, atol=1e-10 * size)


class LargestTensor(TorchDispatchMode):
    """Record the size of the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@every_case
def test_forward_never_holds_a_value_per_sample_and_edge(case):
    family = build(case, shape=(12, 50))
    x = inputs(case, 40, features=12)
    with torch.no_grad(), LargestTensor() as largest:
        family(x)
    assert largest.elements < 40 * 12 * 50


@every_case
def test_any_leading_dimensions(case):
    family = build(case)
    x = inputs(case, 6)
    flat = family(x)
    torch.testing.assert_close(family(x.reshape(2, 1, 3, IN)), flat.reshape(2, 1, 3, OUT))
    torch.testing.assert_close(family(x[0]), flat[0])
    torch.testing.assert_close(family(x[:1]), flat[:1])
    empty = x[:0]
    upstream = flat[:0]
    assert family(empty).shape == (0, OUT)
    assert family.curves(empty).shape == family.slopes(empty).shape == (0, IN, OUT)
    assert family.jacobian(empty, upstream).shape == (0, family.stacked_parameters().numel())
    assert family.input_jacobian(empty, upstream).shape == (0, IN)


@every_case
def test_single_precision_agrees_with_double(case):
    double = build(case)
    single = copy.deepcopy(double).float()
    x = inputs(case, 50)
    size = double.curves(x).abs().max().item()
    assert single(x.float()).dtype == single.curves(x.float()).dtype == torch.float32
    torch.testing.assert_close(single(x.float()).double(), double(x), rtol=0, atol=3e-4 * size)


@every_case
def test_casting_to_double_restores_double_precision(case):
    double = build(case)
    cast = build(case, dtype=torch.float32).double()
    cast.load_stacked(double.stacked_parameters().detach())
    x = inputs(case, 50)
    size = double.curves(x).abs().max().item()
    torch.testing.assert_close(cast(x), double(x), rtol=0, atol=1e-6 * size)


@every_case
@every_extrapolation
@every_dtype
def test_finite_far_away(case, extrapolate, dtype):
    family = build(case, dtype=dtype, extrapolate=extrapolate)
    far = 1e6
    if dtype == torch.float64 and extrapolate != "family":
        far = 1e300
    x = torch.tensor([[far, -far], [1e6, -1e6], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    value = family(x)
    gradients = torch.autograd.grad(
        (value / far).sum(), [x, *family.parameters()], allow_unused=True
    )
    assert value.isfinite().all()
    assert all(g is None or g.isfinite().all() for g in gradients)
    assert family.slopes(x).isfinite().all()


# -- outside the domain -----------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("extrapolate", ["linear", "constant"])
def test_stated_behaviour_outside_the_domain(case, extrapolate):
    if example(case).codes:
        pytest.skip("codes have no domain")
    family = build(case, extrapolate=extrapolate)
    for end in (-1.0, 1.0):
        at, near, far = (torch.full((1, IN), end * r, dtype=torch.float64) for r in (1, 2, 4))
        assert not family.outside(at).any() and family.outside(near).all()
        value = family.curves(at)
        slope = family.slopes(at) * end if extrapolate == "linear" else 0 * value
        torch.testing.assert_close(family.curves(near), value + slope)
        torch.testing.assert_close(family.curves(far), value + 3 * slope)


@every_case
def test_periodic_continuation_repeats_the_domain(case):
    if example(case).codes:
        pytest.skip("codes have no domain")
    family = build(case, extrapolate="periodic", missing=True)
    family.set_domain(torch.tensor([-1.0, 0.5]), torch.tensor([1.0, 3.0]))
    period = family.upper - family.lower
    x = family.lower + period * (inputs(case, 7, reach=0.98) + 1) / 2
    for method in (family.curves, family.slopes, family):
        torch.testing.assert_close(method(x + 3 * period), method(x), rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(method(x - 2 * period), method(x), rtol=1e-7, atol=1e-7)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(family(x - 2 * period).sum(), x)
    torch.testing.assert_close(slope, family.slopes(x.detach()).sum(-1), rtol=1e-6, atol=1e-6)
    symbol = sympy.Symbol("x", real=True)
    expression = family.sympy((1, 0), symbol)
    if expression is not None:
        values = sympy.lambdify(symbol, expression, ["scipy", "numpy"])(
            x[:, 1].detach().numpy() + 5
        )
        torch.testing.assert_close(
            torch.from_numpy(values * np.ones(7)),
            family.curves(x.detach() + 5)[:, 1, 0],
            rtol=1e-8,
            atol=1e-8,
        )


@every_case
def test_unknown_extrapolation_and_empty_layers_are_refused(case):
    if not example(case).codes:
        with pytest.raises(ValueError, match="choose one of"):
            build(case, extrapolate="quadratic")
    with pytest.raises(ValueError, match="at least one input"):
        build(case, shape=(0, 1))


@every_case
@every_extrapolation
def test_moving_the_domain_stretches_the_curves(case, extrapolate):
    if example(case).codes:
        pytest.skip("codes have no domain")
    family = build(case, extrapolate=extrapolate)
    x = inputs(case, 5)
    before = family.curves(x)
    lower, upper = torch.tensor([-3.0, 10.0]), torch.tensor([5.0, 10.5])
    family.set_domain(lower, upper)
    moved = (lower + upper) / 2 + x * (upper - lower) / 2
    torch.testing.assert_close(family.curves(moved), before, rtol=1e-9, atol=1e-9)
    for bad in (lower, torch.tensor([torch.nan, 11.0]), torch.tensor([torch.inf, 11.0])):
        with pytest.raises(ValueError, match="lower < upper"):
            family.set_domain(lower, bad)
    torch.testing.assert_close(family.upper, upper.double())


# -- fitting ----------------------------------------------------------------------------------


@every_case
def test_prior_is_positive_definite(case):
    family = build(case, missing=True)
    prior = family.prior()
    p = family.parameters_per_edge
    assert prior.shape == (IN, p, p) and prior.dtype == torch.float64
    torch.testing.assert_close(prior, prior.mT, rtol=1e-6, atol=1e-9)
    assert (torch.linalg.eigvalsh(prior) > 0).all()


@every_case
def test_refit_reproduces_a_curve_of_the_familys_span(case):
    truth = build(case, seed=5, spread=0.2)
    family = copy.deepcopy(truth)
    family.load_stacked(build(case, seed=6).stacked_parameters().detach())
    x = inputs(case, 60, reach=1.0)
    weight = torch.rand(60, generator=torch.Generator().manual_seed(2)).double() + 0.5
    wanted = truth.curves(x).detach()
    family.refit(x, wanted, weight)
    error = (family.curves(x) - wanted).pow(2).mean().sqrt() / wanted.std()
    assert error < example(case).refit_tolerance


@first_case
@every_dtype
def test_refit_reproduces_straight_lines(case, dtype):
    if not example(case).line:
        pytest.skip("straight lines are not in the span")
    family = build(case, dtype=dtype)
    x = inputs(case, 40, reach=1.0, dtype=dtype)
    wanted = (2 + 3 * x).unsqueeze(-1).expand(-1, -1, OUT)
    family.refit(x, wanted)
    assert family.stacked_parameters().dtype == dtype
    worst = (family.curves(x) - wanted).abs().max()
    assert worst < (2e-3 if dtype == torch.float32 else 3e-4)


@first_case
def test_refit_survives_too_few_and_repeated_samples(case):
    family = build(case)
    x = inputs(case, 1).expand(4, -1)
    wanted = torch.ones(4, IN, OUT, dtype=torch.float64)
    family.refit(x, wanted)
    assert family.stacked_parameters().isfinite().all()
    torch.testing.assert_close(family.curves(x), wanted, rtol=0, atol=1e-3)


@every_case
def test_missing_inputs_take_a_learned_value(case):
    family = build(case, missing=True)
    x = inputs(case, 4)
    complete = family.curves(x)
    x[0, 1] = torch.nan
    curves = family.curves(x)
    torch.testing.assert_close(curves[1:], complete[1:])
    values = family.stacked_parameters().detach().clone()
    values[-1] += 1  # the last parameter of an edge is its value where the input is missing
    family.load_stacked(values)
    torch.testing.assert_close(family.curves(x)[0, 1], curves[0, 1] + 1)
    torch.testing.assert_close(family.curves(x)[1:], complete[1:])
    curves = family.curves(x)
    torch.testing.assert_close(family(x), curves.sum(1))
    x.requires_grad_()
    gradients = torch.autograd.grad(family(x).sum(), [x, *family.parameters()], allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)
    assert (family.slopes(x.detach())[0, 1] == 0).all()


@every_case
def test_missing_inputs_are_not_hidden_where_they_are_not_expected(case):
    if example(case).codes:
        pytest.skip("a code that is no category contributes nothing")
    x = inputs(case, 3)
    x[0, 1] = torch.nan
    assert build(case)(x)[0].isnan().all()


@every_case
def test_a_pruned_edge_contributes_nothing(case):
    family = build(case)
    x = inputs(case, 5)
    before = family.curves(x)
    family.mask[1, 2] = 0
    alive = family.mask.expand(5, -1, -1)
    torch.testing.assert_close(family.curves(x), before * alive, rtol=0, atol=0)
    assert (family.slopes(x)[:, 1, 2] == 0).all()
    upstream = torch.ones(5, OUT, dtype=torch.float64)
    rows = family.jacobian(x, upstream).reshape(5, family.parameters_per_edge, IN, OUT)
    assert (rows[:, :, 1, 2] == 0).all()
    torch.testing.assert_close(family(x), family.curves(x).sum(1))
    expression = family.sympy((1, 2), sympy.Symbol("x", real=True))
    assert expression is None or sympy.simplify(expression) == 0


# -- the formula ------------------------------------------------------------------------------


@every_case
@every_extrapolation
def test_expression_equals_the_curve(case, extrapolate):
    symbol = sympy.Symbol("x", real=True)
    family = build(case, extrapolate=extrapolate)
    if not example(case).codes:
        family.set_domain(torch.tensor([-1.0, -0.7]), torch.tensor([1.0, 1.9]))
    if not example(case).exact:
        assert family.sympy((0, 0), symbol) is None
        return
    x = inputs(case, 40, reach=2.5)
    curves = family.curves(x).detach().numpy()
    for edge in ((0, 0), (1, OUT - 1)):
        function = sympy.lambdify(symbol, family.sympy(edge, symbol), ["scipy", "numpy"])
        with np.errstate(all="ignore"):  # numpy evaluates all branches of a Piecewise
            values = function(x[:, edge[0]].numpy()) * np.ones(40)
        np.testing.assert_allclose(values, curves[:, edge[0], edge[1]], rtol=1e-9, atol=1e-9)
