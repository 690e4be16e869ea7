"""What the rest of torch does with every registered edge family."""

import copy
import json
import pickle

import pytest
import sympy
import torch
from contract import (
    IN,
    OUT,
    build,
    every_case,
    every_dtype,
    first_case,
    inputs,
)

from kanx.layers import FAMILIES


@first_case
def test_compiles_as_one_graph(case):
    family = build(case, dtype=torch.float32, missing=True)
    x = inputs(case, 5, dtype=torch.float32)
    torch._dynamo.reset()
    compiled = torch.compile(family, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), family(x), rtol=1e-4, atol=1e-4)


@first_case
def test_exports_with_a_dynamic_batch(case):
    family = build(case, dtype=torch.float32, missing=True).eval()
    x = inputs(case, 5, dtype=torch.float32)
    batch = torch.export.Dim("batch")
    program = torch.export.export(family, (x,), dynamic_shapes=({0: batch},))
    more = inputs(case, 9, dtype=torch.float32, seed=9)
    torch.testing.assert_close(program.module()(more), family(more), rtol=1e-4, atol=1e-4)


@every_case
def test_automatic_mixed_precision(case):
    family = build(case, dtype=torch.float32)
    x = inputs(case, 20, dtype=torch.float32)
    exact = family(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = family(x)
        value.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in family.parameters())
    size = family.curves(x).abs().sum(1).max().item()
    assert (value.float() - exact).abs().max() < 0.03 * size


@every_case
def test_copies_and_pickles_are_equal_and_independent(case):
    family = build(case)
    x = inputs(case, 5)
    before = family(x)
    for twin in (copy.deepcopy(family), pickle.loads(pickle.dumps(family))):
        torch.testing.assert_close(twin(x), before, rtol=0, atol=0)
        twin.load_stacked(0 * twin.stacked_parameters() + 1)
    torch.testing.assert_close(family(x), before, rtol=0, atol=0)


@every_case
@every_dtype
def test_configuration_and_state_rebuild_the_family(case, dtype):
    family = build(case, dtype=dtype, extrapolate="constant", missing=True)
    family.set_domain(torch.tensor([-2.0, -1.0]), torch.tensor([1.0, 3.0]))
    family.mask[0, 0] = 0
    config = json.loads(json.dumps(family.config()))
    twin = FAMILIES[case[0]](IN, OUT, **config).to(dtype).eval()
    twin.load_state_dict(family.state_dict())
    x = inputs(case, 5, dtype=dtype)
    torch.testing.assert_close(twin(x), family(x), rtol=0, atol=0)
    assert twin.config() == family.config()


@every_case
def test_parameters_stack_and_load(case):
    family = build(case, missing=True)
    values = family.stacked_parameters().detach().clone()
    family.load_stacked(values + 1)
    torch.testing.assert_close(family.stacked_parameters(), values + 1)


@every_case
def test_a_generator_decides_the_start_and_the_global_one_rests(case):
    state = torch.random.get_rng_state()
    first, second = build(case, seed=3), build(case, seed=3)
    build(case, seed=4)(inputs(case, 3))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.stacked_parameters(), second.stacked_parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_case
def test_a_gpu_gives_the_same(case):
    family = build(case, missing=True)
    x = inputs(case, 30)
    twin, far = copy.deepcopy(family).cuda(), x.cuda()
    upstream = torch.ones(30, OUT, dtype=torch.float64)
    torch.testing.assert_close(twin(far).cpu(), family(x))
    torch.testing.assert_close(twin.slopes(far).cpu(), family.slopes(x))
    jacobian = family.jacobian(x, upstream)
    torch.testing.assert_close(twin.jacobian(far, upstream.cuda()).cpu(), jacobian)
    torch.testing.assert_close(twin.prior().cpu(), family.prior())
    wanted = family.curves(x).detach()
    twin.refit(far, wanted.cuda())
    assert twin.stacked_parameters().is_cuda and twin.stacked_parameters().isfinite().all()
    expression = twin.sympy((0, 0), sympy.Symbol("x", real=True))
    assert (expression is None) == (family.sympy((0, 0), sympy.Symbol("x", real=True)) is None)
