"""The Triton kernels, run by Triton's interpreter on the CPU and compiled for a GPU."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from interpreted import COUNT, DEVICE, interpreter, table  # noqa: F401

from kanx.kernels import device, fused, tiles
from kanx.kernels.chebyshev import Recurrence
from kanx.layers import SLAF, BSpline, Fourier, GaussianProcess, RadialBasis
from kanx.layers.covariance import Covariance

TOLERANCES = {"tf32x3": 2e-6, "tf32": 5e-3, "bf16": 3e-2}


def basis(kind, t):
    """Evaluate the functions in plain tensor code, ``(rows, G, in)``."""
    a, b = table(kind).double()[:, :, None]
    t = t[:, None]
    if kind == tiles.RECURRENCE:
        rows = [torch.ones_like(t), t]
        for g in range(1, COUNT - 1):
            rows.append(a[g] * t * rows[-1] - b[g] * rows[-2])
        return torch.cat(rows, 1)
    if kind == tiles.GAUSSIAN:
        return torch.exp(-(((t - a) * b) ** 2))
    if kind == tiles.WAVE:
        return torch.cos(a * t + b)
    from scipy.interpolate import BSpline

    degree = 2 if kind == tiles.QUADRATIC else 3
    rate = b[0].item()
    knots = -1 + (torch.arange(COUNT + degree + 1) - degree).double() / rate
    splines = BSpline(knots.numpy(), torch.eye(COUNT).numpy(), degree)
    values = torch.as_tensor(splines(t.detach().numpy()[:, 0]))  # (rows, in, G)
    slopes = torch.as_tensor(splines.derivative()(t.detach().numpy()[:, 0]))
    return (values + slopes * (t - t.detach())[:, 0, :, None]).movedim(-1, 1)


def arguments(rows=33, inputs=20, outputs=18):
    generator = torch.Generator().manual_seed(0)
    t = 2 * torch.rand(rows, inputs, generator=generator) - 1
    coefficients = torch.randn(COUNT, inputs, outputs, generator=generator)
    upstream = torch.randn(rows, outputs, generator=generator)
    return t, coefficients, upstream


@pytest.mark.parametrize("mode", fused.MODES)
@pytest.mark.parametrize("kind", range(5))
def test_equals_double_precision(kind, mode):
    if DEVICE == "cpu" and mode != "tf32x3":
        pytest.skip("the interpreter multiplies in float32, and takes bfloat16 for integers")
    t, coefficients, upstream = arguments()
    wide, weights = t.double().requires_grad_(), coefficients.double().requires_grad_()
    exact = torch.einsum("ngi,gio->no", basis(kind, wide), weights)
    wanted = [exact, *torch.autograd.grad(exact, [wide, weights], upstream.double())]
    t, coefficients = t.to(DEVICE).requires_grad_(), coefficients.to(DEVICE).requires_grad_()
    y = fused.fused_sum(t, coefficients, table(kind).to(DEVICE), kind, mode)
    found = [y, *torch.autograd.grad(y, [t, coefficients], upstream.to(DEVICE))]
    for own, other in zip(found, wanted, strict=True):
        error = (own.cpu().double() - other).norm() / other.norm()
        assert error < TOLERANCES[mode]


def test_shares_of_the_rows_add_up(monkeypatch):
    monkeypatch.setattr(fused, "ROWS_PER_SHARE", 32)
    t, coefficients, upstream = (value.to(DEVICE) for value in arguments(rows=70, inputs=3))
    rows = table(tiles.CUBIC).to(DEVICE)
    _, several = fused.fused_sum_backward(t, coefficients, rows, upstream, tiles.CUBIC, "tf32x3")
    monkeypatch.setattr(fused, "ROWS_PER_SHARE", 4096)
    _, single = fused.fused_sum_backward(t, coefficients, rows, upstream, tiles.CUBIC, "tf32x3")
    torch.testing.assert_close(several, single, rtol=1e-4, atol=1e-4)


def test_no_rows():
    t, coefficients, upstream = (value.to(DEVICE) for value in arguments(rows=0))
    rows = table(tiles.WAVE).to(DEVICE)
    assert fused.fused_sum(t, coefficients, rows, tiles.WAVE, "tf32").shape == (0, 18)
    by_t, by_c = fused.fused_sum_backward(t, coefficients, rows, upstream, tiles.WAVE, "tf32")
    assert by_t.shape == t.shape and not by_c.any()


FAMILIES = {
    "legendre": SLAF(3, 4, degree=3, missing=True),
    "chebyshev": SLAF(3, 4, degree=3, basis="chebyshev", extrapolate="constant"),
    "hermite": SLAF(3, 4, degree=3, basis="hermite", extrapolate="family"),
    "powers": SLAF(3, 4, degree=3, basis="powers", missing=True),
    "rbf": RadialBasis(3, 4, centres=3, missing=True),
    "fourier": Fourier(3, 4, harmonics=2, extrapolate="periodic"),
    "cubic": BSpline(3, 4, intervals=2, missing=True),
    "quadratic": BSpline(3, 4, intervals=3, degree=2, extrapolate="family"),
    "gp": GaussianProcess(3, 4, control_points=4, missing=True),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_give_what_their_plain_code_gives(name):
    family = copy.deepcopy(FAMILIES[name]).to(DEVICE)
    family.set_domain(torch.tensor([-1.0, -2.0, 0.0]), torch.tensor([1.0, 1.0, 3.0]))
    with torch.no_grad():
        family.coefficients.normal_(generator=torch.Generator(DEVICE).manual_seed(0))
        family.mask[0, 1] = 0
    x = 1.5 * torch.randn(17, 3, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    if family.missing:
        x[3, 1] = torch.nan
    weight = (family.coefficients * family.mask).flatten(0, 1)
    results = []
    for run in ("fused", "plain"):
        own = x.clone().requires_grad_()
        if run == "fused":
            y = device.edge_sum(family, own, family.mask, "tf32x3")
        else:
            y = family.expand(own).flatten(-2) @ weight
        results.append([y, *torch.autograd.grad((y * y).sum(), [own, family.coefficients])])
    for found, wanted in zip(*results, strict=True):
        size = wanted.abs().max().item()
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-5 * size)


def test_gaussian_processes_survive_low_precision():
    family = GaussianProcess(2, 3, control_points=10, length_scale=2.5)  # condition number 1e8
    x = torch.rand(40, 2, generator=torch.Generator().manual_seed(2)) * 2 - 1
    exact = copy.deepcopy(family).double()(x.double())
    functions = family.fused_functions()
    family.to(DEVICE)
    found = device.edge_sum(family, x.to(DEVICE), family.mask, "tf32x3").cpu()
    assert (found - exact).abs().max() < 2e-6 * exact.abs().max()
    # what the operator multiplies in bfloat16, which the interpreter cannot
    weight = torch.einsum("gpi,pio->gio", functions.projection, family.coefficients.cpu())
    values = Recurrence(functions.table, 2).expand(x)
    rounded = values.bfloat16().float().flatten(-2) @ weight.bfloat16().float().flatten(0, 1)
    assert (rounded - exact).abs().max() < 1e-2 * exact.abs().max()


def test_gaussian_processes_that_are_not_smooth_keep_to_plain_code():
    rough = Covariance("matern", {"length_scale": 0.2, "smoothness": 0.5})
    assert GaussianProcess(1, 1, kernel=rough).fused_functions() is None
    family = GaussianProcess(1, 1)
    before = family.fused_functions()
    assert family.fused_functions().projection is before.projection  # kept until it changes
    family.start_length_scale(
        torch.linspace(-1, 1, 20)[:, None], torch.ones(20, 1, 1), None, (3.0,)
    )
    assert len(family.fused_functions().projection) < len(before.projection)


def test_inference_first_and_training_after():
    family = GaussianProcess(2, 1, control_points=4).to(DEVICE)
    x = torch.rand(5, 2).to(DEVICE)
    with torch.inference_mode():
        found = device.edge_sum(family, x, family.mask, "tf32x3")
    y = device.edge_sum(family, x.requires_grad_(), family.mask, "tf32x3")
    y.sum().backward()
    torch.testing.assert_close(found, y)


def test_second_derivatives_of_gaussian_processes():
    family = GaussianProcess(2, 1, control_points=4)
    x = torch.rand(5, 2, generator=torch.Generator().manual_seed(3)).requires_grad_()

    def second(y):
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return torch.autograd.grad((slope**2).sum(), [x, family.coefficients])

    fused_sum = device.edge_sum(family, x, family.mask, "tf32x3")
    plain = family.expand(x).flatten(-2) @ family.coefficients.flatten(0, 1)
    for found, wanted in zip(second(fused_sum), second(plain), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_uneven_splines_and_double_precision_keep_to_plain_code():
    family = BSpline(1, 1, intervals=3)
    x = torch.zeros(2, 1)
    assert device.edge_sum(family, x, family.mask, "tf32") is not None
    family.set_grid(torch.tensor([[-1.0], [0.0], [0.5], [1.0]]))
    assert device.edge_sum(family, x, family.mask, "tf32") is None
    assert device.edge_sum(SLAF(1, 1).double(), x.double(), family.mask, "tf32") is None


def test_operator_keeps_the_rules_of_torch_library():
    t, coefficients, _ = (value.to(DEVICE) for value in arguments(rows=5, inputs=3, outputs=4))
    rows = table(tiles.GAUSSIAN).to(DEVICE)
    own = (t.requires_grad_(), coefficients.requires_grad_(), rows, tiles.GAUSSIAN, "tf32x3")
    tests = ["test_schema", "test_autograd_registration"]
    if DEVICE == "cuda":  # the interpreter reads what fake tensors do not have
        tests += ["test_faketensor", "test_aot_dispatch_dynamic"]
    torch.library.opcheck(fused.fused_sum, own, test_utils=tests)


COMPILE = """
import subprocess, sys, tempfile, warnings
warnings.simplefilter("ignore")
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource
from kanx.kernels import fused, tiles

assembler = get_ptxas(90).path
kernels = {
    tiles.forward_tile: fused.FORWARD,
    tiles.input_tile: fused.INPUT,
    tiles.coefficient_tile: fused.COEFFICIENT,
}
for kernel, chosen in kernels.items():
    tile = dict(chosen)
    options = {key: tile.pop(key) for key in ("num_warps", "num_stages")}
    sizes = {"INPUTS": 256, "OUTPUTS": 256, "COUNT": 8, "KIND": int(sys.argv[1])}
    constants = {**sizes, "PRECISION": "tf32", "HALF": True, **tile}
    constants = {name: constants[name] for name in kernel.arg_names if name in constants}
    constants |= {name: None for name in ("start_ptr", "out_start_ptr") if name in kernel.arg_names}
    types = {"c_ptr": "*bf16", "rows": "i32", "share": "i32"}
    signature = {
        name: "constexpr" if name in constants else types.get(name, "*fp32")
        for name in kernel.arg_names
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert "wgmma.mma_async" in built.asm["ptx"]
    assert built.metadata.shared <= 227 * 1024
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(built.asm["ptx"])
        file.flush()
        command = [assembler, "-v", "--gpu-name", "sm_90a", file.name, "-o", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert " 0 bytes spill stores" in done.stderr, (kernel.__name__, done.stderr)
print("compiled")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [tiles.RECURRENCE, tiles.CUBIC])
def test_compiles_for_hopper_with_tensor_cores_and_without_spills(kind):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", COMPILE, str(kind)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=600
    )
    assert done.stdout.strip() == "compiled", done.stderr
