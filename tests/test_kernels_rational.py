"""The kernels of quotients, run by Triton's interpreter on the CPU and compiled for a GPU."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from interpreted import DEVICE, interpreter  # noqa: F401

from kanx.kernels import device, fused, rational, rational_device
from kanx.layers import Pade, SharedPade

POWERS = torch.tensor([[1.0], [0.0]], device=DEVICE).expand(-1, 3).contiguous()


def noise(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def plain(t, above, below):
    """Evaluate quotients power by power; ``t`` broadcasts with one coefficient."""
    numerator = sum(a * t**j for j, a in enumerate(above))
    return numerator / (1 + sum(b * t**k for k, b in enumerate(below, 1)) ** 2)


def plain_sum(t, above, below):
    return plain(t.unsqueeze(-1), above, below).sum(-2)


def plain_started(t, start, coefficients):
    return sum((start * t**j) @ c for j, c in enumerate(coefficients))


def started(t, start, coefficients):
    return fused.started_sum(t, start, coefficients, POWERS, "tf32x3")


def with_gradients(function, tensors, dtype):
    own = [value.to(dtype).requires_grad_() for value in tensors]
    y = function(*own)
    upstream = torch.linspace(-1, 1, y.numel()).view_as(y).to(y)
    return [y, *torch.autograd.grad(y, own, upstream)]


CASES = {
    "edges": (rational.quotient_sum, plain_sum, [(37, 3), (5, 3, 6), (3, 3, 6)]),
    "one edge": (rational.quotient_sum, plain_sum, [(5, 1), (2, 1, 1), (1, 1, 1)]),
    "wide": (rational.quotient_sum, plain_sum, [(5, 9), (3, 9, 70), (2, 9, 70)]),
    "many coefficients": (rational.quotient_sum, plain_sum, [(9, 2), (8, 2, 3), (6, 2, 3)]),
    "inputs": (rational.quotient, plain, [(40, 70), (6, 70), (4, 70)]),
    "only poles": (rational.quotient, plain, [(9, 3), (1, 3), (3, 3)]),
    "started": (started, plain_started, [(33, 5), (33, 5), (3, 5, 4)]),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_double_precision(name):
    function, reference, shapes = CASES[name]
    tensors = [noise(seed, *shape) for seed, shape in enumerate(shapes)]
    found = with_gradients(function, tensors, torch.float32)
    wanted = with_gradients(reference, tensors, torch.float64)
    for own, other in zip(found, wanted, strict=True):
        assert own.shape == other.shape
        assert (own.double() - other).norm() < 5e-6 * other.norm()


@pytest.mark.parametrize("name", ["edges", "inputs"])
def test_shares_of_the_rows_add_up_the_same_every_time(name, monkeypatch):
    function, _, shapes = CASES[name]
    tensors = [noise(seed, *shape) for seed, shape in enumerate(shapes)]
    single = with_gradients(function, tensors, torch.float32)
    monkeypatch.setattr(rational, "FEWEST_ROWS", 10)  # shares that end inside of a tile
    several = with_gradients(function, tensors, torch.float32)
    for own, other in zip(several, single, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)
    again = with_gradients(function, tensors, torch.float32)
    assert all(torch.equal(own, other) for own, other in zip(several, again, strict=True))


@pytest.mark.parametrize("name", ["edges", "inputs", "started"])
def test_no_rows(name):
    function, _, shapes = CASES[name]
    tensors = [noise(0, *shape) for shape in shapes]
    tensors = [value[:0] if value.dim() == 2 and len(value) > 30 else value for value in tensors]
    y, *gradients = with_gradients(function, tensors, torch.float32)
    assert y.shape[0] == 0
    assert not any(value.any() for value in gradients)


def per_edge(**options):
    return Pade(3, 4, **options)


def with_shared_poles(**options):
    return SharedPade(3, 4, numerator_degree=2, **options)


def grouped(**options):
    return SharedPade(3, 4, groups=2, numerator="shared", **options)


FAMILIES = {
    "per edge": per_edge(missing=True),
    "per edge, constant": per_edge(extrapolate="constant"),
    "per edge, family": per_edge(extrapolate="family", numerator_degree=2),
    "shared poles": with_shared_poles(missing=True),
    "shared poles, periodic": with_shared_poles(extrapolate="periodic", groups=2),
    "grouped": grouped(missing=True),
    "grouped, constant": grouped(extrapolate="constant"),
}


def prepared(name):
    family = copy.deepcopy(FAMILIES[name]).to(DEVICE)
    family.set_domain(torch.tensor([-1.0, -2.0, 0.0]), torch.tensor([1.0, 1.0, 3.0]))
    with torch.no_grad():
        for seed, parameter in enumerate(family.parameters()):
            parameter.copy_(noise(seed, *parameter.shape))
        family.mask[0, 1] = 0
    x = 1.5 * noise(9, 17, 3)
    if family.missing:
        x[3, 1] = torch.nan
    return family, x


def by_operator(family, x):
    if isinstance(family, Pade):
        return rational_device.edge_sum(family, x, family.mask)
    return device.edge_sum(family, x, family.mask, "tf32x3")


def by_plain_code(family, x):
    return family.curves(x).sum(-2)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_give_what_their_plain_code_gives(name):
    family, x = prepared(name)
    wide = copy.deepcopy(family).double()
    results = []
    for function, edges in ((by_operator, family), (by_plain_code, wide)):
        own = x.to(edges.lower).requires_grad_()
        y = function(edges, own)
        results.append([y, *torch.autograd.grad((y * y).sum(), [own, *edges.parameters()])])
    for found, wanted in zip(*results, strict=True):
        error = (found.double() - wanted).abs().max()
        assert error < 2e-5 * wanted.abs().max()


@pytest.mark.parametrize("name", ["per edge", "shared poles", "grouped"])
def test_second_derivatives(name):
    family, x = prepared(name)

    def second(function):
        own = x.nan_to_num().requires_grad_()
        (slope,) = torch.autograd.grad(function(family, own).sum(), own, create_graph=True)
        return torch.autograd.grad(
            (slope**2).sum(), [own, *family.parameters()], materialize_grads=True
        )

    for found, wanted in zip(second(by_operator), second(by_plain_code), strict=True):
        size = wanted.abs().max().item()
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * size)


def test_a_gradient_by_the_mask_and_leading_dimensions():
    family, x = prepared("per edge")
    gates = torch.rand(3, 4, generator=torch.Generator().manual_seed(3)).to(DEVICE)
    slopes = []
    for function in (rational_device.edge_sum, Pade.edge_sum):
        own = gates.clone().requires_grad_()
        y = function(family, x[:16].view(2, 8, 3), own)
        assert y.shape == (2, 8, 4)
        slopes.append(torch.autograd.grad((y * y).sum(), own)[0])
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)


def test_other_forms_and_double_precision_keep_to_plain_code():
    x = noise(0, 4, 2)
    for form in ("A", "B", "C", "D", "product"):
        family = Pade(2, 3, form=form, denominator_degree=2).to(DEVICE)
        assert rational_device.edge_sum(family, x, family.mask) is None
        if form != "D":
            assert SharedPade(2, 3, form=form, denominator_degree=2).fused_functions() is None
    family = Pade(2, 3).to(DEVICE).double()
    assert rational_device.edge_sum(family, x.double(), family.mask) is None


@pytest.mark.parametrize("name", ["edges", "inputs", "started"])
def test_operators_keep_the_rules_of_torch_library(name):
    function, _, shapes = CASES[name]
    tensors = [noise(seed, *shape).requires_grad_() for seed, shape in enumerate(shapes)]
    if name == "started":
        function, tensors = fused.started_sum, [*tensors, POWERS, "tf32x3"]
    tests = ["test_schema", "test_autograd_registration"]
    if DEVICE == "cuda":  # the interpreter reads what fake tensors do not have
        tests += ["test_faketensor", "test_aot_dispatch_dynamic"]
    torch.library.opcheck(function, tuple(tensors), test_utils=tests)


@pytest.mark.parametrize("dims", [(0, None), (1, 0)])
@pytest.mark.parametrize("name", ["edges", "inputs", "started"])
def test_operators_can_be_mapped_over(name, dims):
    function, _, shapes = CASES[name]
    rows, own = dims  # axes of what has rows, and of the coefficients
    wanted = [rows if shape == shapes[0] else own for shape in shapes]
    tensors = [
        noise(seed, *shape) if dim is None else noise(seed, 2, *shape).movedim(0, dim)
        for seed, (shape, dim) in enumerate(zip(shapes, wanted, strict=True))
    ]
    inputs = [value.clone().requires_grad_() for value in tensors]
    y = torch.func.vmap(function, in_dims=tuple(wanted))(*inputs)
    slopes = torch.autograd.grad(y.sum(), inputs)
    for member in range(2):
        single = [
            value if dim is None else value.select(dim, member)
            for value, dim in zip(tensors, wanted, strict=True)
        ]
        torch.testing.assert_close(y[member], function(*single))
        if own is not None:
            single = [value.clone().requires_grad_() for value in single]
            for found, dim, other in zip(
                slopes,
                wanted,
                torch.autograd.grad(function(*single).sum(), single),
                strict=True,
            ):
                torch.testing.assert_close(found.select(dim, member), other, rtol=1e-4, atol=1e-4)


def test_gradients_can_be_mapped_over():
    _, _, shapes = CASES["edges"]
    tensors = [noise(seed, 2, *shape) for seed, shape in enumerate([*shapes, (37, 6)])]
    found = torch.func.vmap(rational.quotient_sum_backward)(*tensors)
    for member in range(2):
        one = rational.quotient_sum_backward(*(value[member] for value in tensors))
        for own, other in zip(found, one, strict=True):
            torch.testing.assert_close(own[member], other)


def test_autocast_leaves_operators_in_single_precision():
    tensors = [noise(seed, *shape) for seed, shape in enumerate(CASES["one edge"][2])]
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        found = rational.quotient_sum(tensors[0].bfloat16(), *tensors[1:])
    assert found.dtype == torch.float32


COMPILE = """
import subprocess, tempfile, warnings
warnings.simplefilter("ignore")
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource
from kanx.kernels import fused, rational, rational_tiles, tiles

assembler = get_ptxas(90).path
edge, own = {"INPUTS": 64, "OUTPUTS": 64}, {"INPUTS": 768}
summed = {"INPUTS": 256, "OUTPUTS": 256, "COUNT": 5, "KIND": 0, "PRECISION": "tf32", "HALF": True}
kernels = [
    (rational_tiles.edge_forward_tile, rational.EDGE_FORWARD, edge, "BN"),
    (rational_tiles.edge_input_tile, rational.EDGE_INPUT, edge, "BN"),
    (rational_tiles.edge_coefficient_tile, rational.EDGE_COEFFICIENT, edge, "BN"),
    (rational_tiles.input_forward_tile, rational.INPUT_FORWARD, own, "BK"),
    (rational_tiles.input_backward_tile, rational.INPUT_BACKWARD, own, "BK"),
    (tiles.forward_tile, fused.FORWARD, summed, None),
    (tiles.input_tile, fused.INPUT, summed, None),
    (tiles.coefficient_tile, fused.COEFFICIENT, summed, None),
]
for kernel, chosen, sizes, columns in kernels:
    # five and four coefficients below and above, and the six and four of KAT
    for above, below in ((4, 3), (5, 4)) if columns else ((0, 0),):
        tile = dict(chosen)
        if columns:
            sums = above + 1 + below if "part_ptr" in kernel.arg_names else None
            (tile,) = rational.fitted([chosen], columns, 64, sums)
        options = {key: tile.pop(key) for key in ("num_warps", "num_stages")}
        constants = {**sizes, **tile, "ABOVE": above, "BELOW": below}
        constants = {name: constants[name] for name in kernel.arg_names if name in constants}
        types = {"c_ptr": "*bf16", "rows": "i32", "share": "i32"}
        signature = {
            name: "constexpr" if name in constants else types.get(name, "*fp32")
            for name in kernel.arg_names
        }
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert "atom" not in built.asm["ptx"] and "red.global" not in built.asm["ptx"]
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
def test_compiles_for_hopper_without_spills_and_without_atomics():
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=600,
    )
    assert done.stdout.strip().endswith("compiled"), done.stderr
