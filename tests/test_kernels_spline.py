"""The compiled spline kernel equals the plain tensor code."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from kanx.kernels import compiler, spline
from kanx.layers import BSpline, KANLayer, LinearFamily, PiecewiseLinear

compiled = pytest.mark.skipif(
    not spline.available(torch.float64, 3), reason="there is no C++ compiler"
)


def bundle(inputs=3, outputs=5, *, degree=3, intervals=6, uneven=False, **options):
    generator = torch.Generator().manual_seed(0)
    family = BSpline(
        inputs, outputs, intervals=intervals, degree=degree, generator=generator, **options
    ).double()
    family.load_stacked(torch.randn(family.coefficients.shape, generator=generator))
    family.set_domain(torch.linspace(-1, -0.5, inputs), torch.linspace(1, 2, inputs))
    if uneven:
        grid = torch.linspace(0, 1, intervals + 1, dtype=torch.float64) ** 1.7 * 2 - 1
        family.set_grid(grid[:, None].expand(-1, inputs))
    family.mask[0, outputs // 2] = 0
    return family


def rows(count, inputs=3, missing=False):
    generator = torch.Generator().manual_seed(1)
    x = 2.5 * torch.randn(count, inputs, generator=generator, dtype=torch.float64)
    if missing:
        x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
    return x


def values_and_gradients(function, family, x, upstream=None):
    x = x.clone().requires_grad_()
    y = function(family, x)
    if upstream is None:
        upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y)
    return (y.detach(), *torch.autograd.grad(y, [x, family.coefficients], upstream))


def plain(family, x):
    weight = (family.coefficients * family.mask).flatten(0, 1)
    return family.expand(x).flatten(-2) @ weight


def fused(family, x):
    y = family(x)
    assert "SplineSum" in type(y.grad_fn).__name__
    return y


@compiled
@pytest.mark.parametrize("extrapolate", ["linear", "constant", "periodic"])
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_equals_the_plain_code(degree, uneven, extrapolate):
    family = bundle(degree=degree, uneven=uneven, extrapolate=extrapolate, missing=True)
    x = rows(301, missing=True)
    found = values_and_gradients(fused, family, x)
    for own, wanted in zip(found, values_and_gradients(plain, family, x), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-12, atol=1e-12 * wanted.abs().max().item())


@compiled
@pytest.mark.parametrize("outputs", [1, 3, 8, 37, 70])
@pytest.mark.parametrize("count", [1, 127, 129])
def test_every_shape_is_covered(outputs, count):
    family = bundle(11, outputs)
    x = rows(count, 11)
    found = values_and_gradients(fused, family, x)
    for own, wanted in zip(found, values_and_gradients(plain, family, x), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-12, atol=1e-12 * wanted.abs().max().item())


@compiled
@pytest.mark.parametrize("outputs", [1, 3, 9])
def test_a_layer_adds_its_bias_in_the_kernel(outputs):
    layer = KANLayer(4, outputs, "spline").double()
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(4))
    x = rows(300, 4)
    upstream = torch.randn(300, outputs, generator=torch.Generator().manual_seed(5)).double()
    y = layer(x)
    assert "SplineSum" in type(y.grad_fn).__name__
    torch.testing.assert_close(y, plain(layer.bundles[0], x) + layer.bias, rtol=1e-12, atol=1e-12)
    (by_bias,) = torch.autograd.grad(y, layer.bias, upstream, retain_graph=True)
    torch.testing.assert_close(by_bias, upstream.sum(0))
    # a bias alone may be trained, and be differentiated twice
    layer.bundles[0].requires_grad_(False)
    (alone,) = torch.autograd.grad(layer(x), layer.bias, upstream)
    torch.testing.assert_close(alone, by_bias)
    (twice,) = torch.autograd.grad(y, layer.bias, upstream, create_graph=True)
    torch.testing.assert_close(twice, by_bias)


@compiled
def test_slope_of_straight_pieces_at_a_control_point_is_the_one_to_the_right():
    family = PiecewiseLinear(1, 1, control_points=8).double()
    x = family.control_positions.T.clone().requires_grad_()
    (slope,) = torch.autograd.grad(family(x).sum(), x)
    torch.testing.assert_close(slope, family.slopes(x.detach())[..., 0])


@compiled
def test_single_precision_is_as_accurate_as_the_plain_code():
    family = bundle(20, 30, intervals=12)
    single = bundle(20, 30, intervals=12).float()
    x = rows(500, 20)
    upstream = torch.randn(500, 30, generator=torch.Generator().manual_seed(3)).double()
    exact = values_and_gradients(plain, family, x, upstream)
    errors = []
    for function in (fused, plain):
        found = values_and_gradients(function, single, x.float(), upstream.float())
        errors.append(
            [(a - b).abs().max() / b.abs().max() for a, b in zip(found, exact, strict=True)]
        )
    assert all(own < 3 * reference + 1e-6 for own, reference in zip(*errors, strict=True))


@compiled
def test_several_threads_give_the_same():
    family = bundle(16, 64, intervals=8).float()
    x = rows(3000, 16).float()
    threads = torch.get_num_threads()
    single = values_and_gradients(fused, family, x)
    try:
        torch.set_num_threads(3)
        several = values_and_gradients(fused, family, x)
        again = values_and_gradients(fused, family, x)
    finally:
        torch.set_num_threads(threads)
    for one, many, repeated in zip(single, several, again, strict=True):
        torch.testing.assert_close(many, one, rtol=1e-4, atol=1e-4 * one.abs().max().item())
        assert torch.equal(many, repeated)


@compiled
def test_second_derivatives_and_strided_inputs():
    family = bundle(2, 3, intervals=4)
    wide = rows(4, 4).requires_grad_()

    def value(x):
        return fused(family, x[:, ::2])

    assert torch.autograd.gradcheck(value, wide)
    assert torch.autograd.gradgradcheck(value, wide)


@compiled
def test_only_the_asked_derivatives_are_computed():
    family = bundle()
    x = rows(9)
    (by_coefficients,) = torch.autograd.grad(fused(family, x).sum(), family.coefficients)
    assert by_coefficients.shape == family.coefficients.shape
    family.requires_grad_(False)
    x.requires_grad_()
    (by_x,) = torch.autograd.grad(family(x).sum(), x)
    torch.testing.assert_close(by_x, family.slopes(x.detach()).sum(-1))


@compiled
def test_inputs_that_do_not_fit_are_refused():
    family = bundle()
    with pytest.raises(RuntimeError):
        family(rows(4, 2))
    arguments = [rows(4), family.coefficients, family.mask, family.knots]
    with pytest.raises(ValueError, match="do not fit together"):
        family(rows(4), torch.zeros(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="do not fit together"):
        spline.spline_sum(*arguments, family.lower, family.upper, 2, 0, False)


@compiled
def test_changing_an_input_before_the_backward_pass_is_an_error():
    family = bundle()
    total = fused(family, rows(4)).sum()
    family.set_domain(torch.zeros(3), torch.ones(3))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@compiled
def test_operator_keeps_the_rules_of_torch_library():
    family = bundle(missing=True)
    arguments = (
        rows(6, missing=True).requires_grad_(),
        *(family.coefficients, family.mask, family.knots, family.lower, family.upper),
        *(3, spline.EXTRAPOLATIONS["linear"], True),
    )
    torch.library.opcheck(spline.spline_sum, arguments)
    batched = torch.func.vmap(
        lambda x: spline.spline_sum(x, *(a.detach() for a in arguments[1:6]), *arguments[6:])
    )(arguments[0].detach().view(2, 3, 3))
    torch.testing.assert_close(batched.view(6, -1), plain(family, arguments[0]).detach())


@compiled
def test_compiled_graphs_use_the_operator():
    torch._dynamo.reset()
    layer = KANLayer(4, 3, "spline")
    x = torch.randn(8, 4)
    seen = []

    def backend(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    function = torch.compile(layer, fullgraph=True, backend=backend)
    torch.testing.assert_close(function(x), layer(x))
    assert any("spline_sum" in target for target in seen)


def test_without_kernels_the_plain_code_runs(monkeypatch):
    family = bundle()
    x = rows(7).requires_grad_()
    monkeypatch.setattr(spline, "available", lambda dtype, degree: False)
    y = family(x)
    assert "SplineSum" not in type(y.grad_fn).__name__
    torch.testing.assert_close(y, LinearFamily.edge_sum(family, x, family.mask))


def test_a_kernel_that_cannot_be_built_is_left_out_in_silence(tmp_path, monkeypatch):
    def build(folder):
        monkeypatch.setenv("KANX_CACHE", str(folder))
        return compiler.library.__wrapped__("spline", SCALAR="float", ACTIVE=2)

    with monkeypatch.context() as off:
        off.setenv("KANX_KERNELS", "off")
        assert build(tmp_path / "off") is None
        assert not (tmp_path / "off").exists()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert build(shared) is None
    monkeypatch.setenv("CXX", "false")  # a compiler that fails
    assert build(tmp_path / "failing") is None
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")  # no compiler
    assert build(tmp_path / "none") is None


@compiled
def test_processes_that_build_at_the_same_time_leave_one_whole_file(tmp_path):
    environment = {**os.environ, "KANX_CACHE": str(tmp_path)}
    code = "from kanx.kernels import compiler; compiler.library('spline', SCALAR='float', ACTIVE=2)"
    runs = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    (file,) = tmp_path.iterdir()
    assert ctypes.CDLL(str(file)).spline_forward
