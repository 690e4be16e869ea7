"""The derivatives of every registered edge family."""

import pytest
import torch
from contract import IN, OUT, build, every_case, every_extrapolation, example, inputs
from torch.func import functional_call, jacrev, vmap


def differentiable(case, extrapolate):
    family = build(case, extrapolate=extrapolate, shape=(2, 2))
    x = inputs(case, 3).requires_grad_()
    parameters = {k: v.detach().clone().requires_grad_() for k, v in family.named_parameters()}

    def value(x, *values):
        return functional_call(family, dict(zip(parameters, values, strict=True)), x)

    return value, (x, *parameters.values())


@every_case
@every_extrapolation
def test_gradcheck(case, extrapolate):
    if example(case).codes:
        pytest.skip("the derivative by a category code is zero by definition")
    function, arguments = differentiable(case, extrapolate)
    assert torch.autograd.gradcheck(function, arguments)


@every_case
@every_extrapolation
def test_gradgradcheck(case, extrapolate):
    if example(case).codes:
        pytest.skip("the derivative by a category code is zero by definition")
    function, arguments = differentiable(case, extrapolate)
    assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)


@every_case
@every_extrapolation
def test_jacobian_is_the_derivative_by_the_stacked_parameters(case, extrapolate):
    family = build(case, extrapolate=extrapolate, missing=True)
    family.mask[0, 1] = 0
    x = inputs(case, 5)
    x[1, 0] = torch.nan
    upstream = torch.randn(5, OUT, generator=torch.Generator().manual_seed(3)).double()
    values = family.stacked_parameters().detach().clone()
    assert values.shape == (family.parameters_per_edge, IN, OUT)
    columns = []
    step = 1e-5
    with torch.no_grad():
        for k in range(values.numel()):
            shift = torch.zeros(values.numel(), dtype=values.dtype)
            shift[k] = step
            family.load_stacked(values + shift.view_as(values))
            above = family(x)
            family.load_stacked(values - shift.view_as(values))
            columns.append(((above - family(x)) / (2 * step) * upstream).sum(1))
    family.load_stacked(values)
    torch.testing.assert_close(
        family.jacobian(x, upstream).detach(), torch.stack(columns, 1), rtol=1e-6, atol=1e-7
    )


@every_case
@every_extrapolation
@pytest.mark.parametrize("missing", [False, True])
def test_slopes_are_the_derivative_by_the_input(case, extrapolate, missing):
    if example(case).codes:
        pytest.skip("the derivative by a category code is zero by definition")
    family = build(case, extrapolate=extrapolate, missing=missing)
    family.mask[1, 0] = 0
    x = inputs(case, 8)
    if missing:
        x[2, 0] = torch.nan
    step = 1e-6
    numeric = (family.curves(x + step) - family.curves(x - step)) / (2 * step)
    torch.testing.assert_close(family.slopes(x), numeric, rtol=1e-6, atol=1e-6)
    upstream = torch.randn(8, OUT, generator=torch.Generator().manual_seed(4)).double()
    x.requires_grad_()
    (by_autograd,) = torch.autograd.grad((family(x) * upstream).sum(), x)
    torch.testing.assert_close(family.input_jacobian(x.detach(), upstream), by_autograd)


@every_case
@every_extrapolation
def test_derivative_at_the_ends_of_the_domain_is_the_one_from_inside(case, extrapolate):
    if example(case).codes:
        pytest.skip("codes have no domain")
    family = build(case, extrapolate=extrapolate)
    ends = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    slopes = family.slopes(ends.detach())
    step = torch.tensor([[1e-6], [-1e-6]], dtype=torch.float64)
    inner = (family.curves(ends + step) - family.curves(ends)) / step.unsqueeze(-1)
    torch.testing.assert_close(slopes, inner.detach(), rtol=1e-4, atol=1e-4)
    (by_autograd,) = torch.autograd.grad(family(ends).sum(), ends)
    torch.testing.assert_close(by_autograd, slopes.sum(-1))


@every_case
def test_per_sample_derivatives_by_torch_func(case):
    family = build(case)
    x = inputs(case, 4)
    parameters = dict(family.named_parameters())

    def single(p, row):
        return functional_call(family, p, row)

    by_vmap = vmap(single, in_dims=(None, 0))(parameters, x)
    torch.testing.assert_close(by_vmap, family(x))
    jacobians = vmap(jacrev(single), in_dims=(None, 0))(parameters, x)
    for name, value in parameters.items():
        assert jacobians[name].shape == (4, OUT, *value.shape)
        assert jacobians[name].isfinite().all()
