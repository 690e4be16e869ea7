"""Blocks of rows give what plain tensor code gives."""

import pytest
import torch
from contract import CASES, build, example, inputs, label

from kanx.kernels import blocked
from kanx.layers import SLAF, BSpline, LinearFamily

LINEAR = [case for case in CASES if isinstance(build(case), LinearFamily)]
FIXED = [case for case in LINEAR if build(case).basis_is_fixed]


@pytest.fixture
def always_blocks(monkeypatch):
    """Take blocks of a few rows even where plain code would do."""
    monkeypatch.setattr(blocked, "FEWEST_NUMBERS", 0)
    monkeypatch.setattr(blocked, "BLOCK_NUMBERS", 100)


def fused(family, x):
    y = blocked.edge_sum(family, x, family.mask)
    assert y is not None
    return y


def plain(family, x):
    return family.expand(x).flatten(-2) @ (family.coefficients * family.mask).flatten(0, 1)


def test_fixed_bases_are_found():
    names = {case[0] for case in FIXED}
    assert {"gp", "slaf", "spline", "piecewise_linear", "rbf", "fourier", "lookup"} <= names
    assert "trainable_gp" not in names


@pytest.mark.usefixtures("always_blocks")
@pytest.mark.parametrize("extrapolate", ["linear", "constant", "family", "periodic"])
@pytest.mark.parametrize("case", FIXED, ids=label)
def test_equals_the_plain_code(case, extrapolate):
    family = build(case, extrapolate=extrapolate, missing=True)
    family.mask[1, 1] = 0
    x = inputs(case, 31)
    x[4, 0] = torch.nan
    results = []
    for function in (fused, plain):
        own = x.clone().requires_grad_()
        y = function(family, own)
        upstream = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
        wanted = [family.coefficients] if example(case).codes else [family.coefficients, own]
        results.append([y, *torch.autograd.grad(y, wanted, upstream)])
    for found, wanted in zip(*results, strict=True):
        size = wanted.abs().max().item()
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12 * size)


@pytest.mark.usefixtures("always_blocks")
@pytest.mark.parametrize("case", [case for case in FIXED if case[1] == 0], ids=label)
def test_second_derivatives(case):
    if example(case).codes:
        pytest.skip("the derivative by a category code is zero by definition")
    family = build(case)
    x = inputs(case, 9).requires_grad_()
    coefficients = family.coefficients
    assert torch.autograd.gradgradcheck(lambda x, _: fused(family, x), (x, coefficients))


@pytest.mark.usefixtures("always_blocks")
def test_leading_dimensions_and_the_derivatives_asked_for():
    family = SLAF(3, 4).double()
    x = torch.rand(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(fused(family, x), plain(family, x))
    family.requires_grad_(False)
    x.requires_grad_()
    (by_x,) = torch.autograd.grad(fused(family, x).sum(), x)
    torch.testing.assert_close(by_x.flatten(0, 1), family.slopes(x.detach().flatten(0, 1)).sum(-1))


def test_a_long_batch_never_holds_the_basis():
    family = BSpline(8, 3, extrapolate="family")  # splines that the compiled kernel leaves out
    x = torch.rand(100_000, 8)
    largest = 0

    def expand_block(rows):
        nonlocal largest
        features = LinearFamily.expand_block(family, rows)
        largest = max(largest, features.numel())
        return features

    family.expand_block = expand_block
    family(x)
    assert 0 < largest <= blocked.BLOCK_NUMBERS


@pytest.mark.usefixtures("always_blocks")
@pytest.mark.parametrize("extrapolate", ["linear", "family"])  # the compiled kernel, and blocks
def test_the_backward_pass_keeps_tensors_that_were_lent(extrapolate):
    family, lent = (BSpline(2, 3, extrapolate=extrapolate).double() for _ in range(2))
    lent.set_domain(torch.tensor([-3.0, -2.0]), torch.tensor([2.0, 5.0]))
    x = torch.rand(9, 2, dtype=torch.float64).requires_grad_()

    def derivatives(y):
        (slope,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
        return slope, torch.autograd.grad(slope.square().sum(), x)[0]

    state = {**dict(lent.named_parameters()), **dict(lent.named_buffers())}
    found = derivatives(torch.func.functional_call(family, state, (x,)))
    torch.testing.assert_close(found, derivatives(plain(lent, x)))
