"""Whole networks, with every kind of node, through the rest of torch."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev, vmap

from kanx import KAN

NODES = {"sums": 1, "products": [2], "ratios": ["S", ("S", 2), ("A", 2)]}


def network(dtype=torch.float64):
    edges = [{"family": "pade"}, {"family": "fourier", "harmonics": 2}]
    net = KAN([2, NODES, 2], edges, hidden_edge="pade", skip=True, random_state=0)
    return net.to(dtype).eval()


def rows(count, dtype=torch.float64):
    generator = torch.Generator().manual_seed(count)
    return (3 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1.5).to(dtype)


def test_gradients_of_first_and_second_order():
    net = network()
    x = rows(3).requires_grad_()
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x, fast_mode=True)


def test_compiles_as_one_graph():
    net, x = network(torch.float32), rows(5, torch.float32)
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-4)


def test_exports_with_a_dynamic_batch():
    net = network()
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net, (rows(5),), dynamic_shapes=shapes)
    torch.testing.assert_close(program.module()(rows(9)), net(rows(9)), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_onnxruntime_computes_the_same():
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    net = network()
    shapes = ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():  # torch's exporter uses what torch has deprecated
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net, (rows(5),), dynamo=True, dynamic_shapes=shapes, verbose=False
        )
    data = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for count in (1, 200):
        x = rows(count)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        np.testing.assert_allclose(found, net(x).detach().numpy(), rtol=1e-6, atol=1e-6)


def test_per_sample_derivatives_by_torch_func():
    net, x = network(), rows(4)
    parameters = dict(net.named_parameters())

    def single(p, row):
        return functional_call(net, p, row)

    torch.testing.assert_close(vmap(single, in_dims=(None, 0))(parameters, x), net(x))
    jacobians = vmap(jacrev(single), in_dims=(None, 0))(parameters, x)
    assert all(jacobians[k].shape == (4, 2, *v.shape) for k, v in parameters.items())


def test_empty_single_far_and_constant_inputs():
    net = network()
    assert net(rows(0)).shape == (0, 2)
    torch.testing.assert_close(net(rows(1)), net(rows(1)[0])[None])
    far = torch.tensor([[1e6, -1e6], [-1e6, 1e6], [0.0, 0.0]], dtype=torch.float64)
    for dtype in (torch.float32, torch.float64):
        value = network(dtype)(far.to(dtype).requires_grad_())
        assert value.isfinite().all()
    constant = torch.full((6, 2), 0.3, dtype=torch.float64)
    torch.testing.assert_close(net(constant), net(constant[:1]).expand(6, 2))


def test_mixed_precision_copies_and_pickles():
    net, x = network(torch.float32), rows(20, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = net(x)
        value.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    assert (value.float() - net(x)).abs().max() < 0.1 * (1 + net(x).abs().max())
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), net(x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    net, x = network(), rows(30)
    twin = copy.deepcopy(net).cuda()
    torch.testing.assert_close(twin(x.cuda()).cpu(), net(x))
