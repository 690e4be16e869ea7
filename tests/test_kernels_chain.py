"""Layers of splines in one call give what the layers give one by one."""

import pytest
import torch
from torch import nn

from kanx import KAN
from kanx.kernels import chain as kernels
from kanx.kernels import spline
from kanx.layers import chain as layers

pytestmark = pytest.mark.skipif(
    not spline.available(torch.float64, 3), reason="there is no C++ compiler"
)

NETWORKS = {
    "cubic": {"edge": "spline", "intervals": 4},
    "hats": {"edge": "piecewise_linear", "control_points": 5},
    "both": {"edge": "spline", "hidden_edge": "piecewise_linear"},
    "missing": {"edge": {"family": "spline", "missing": True, "extrapolate": "constant"}},
}


@pytest.fixture
def calls(monkeypatch):
    """What the operator returned."""
    found, operator = [], kernels.chain

    def watched(*arguments):
        found.append(operator(*arguments))
        return found[-1]

    monkeypatch.setattr(kernels, "chain", watched)
    return found


def network(name, dtype=torch.float64):
    return KAN([3, 6, 5, 2], **NETWORKS[name], random_state=0).to(dtype)


def rows(count=40, **options):
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.randn(count, 3, generator=generator, dtype=torch.float64, **options)


def one_by_one(net, x):
    for layer in net.layers:
        x = layer(x)
    return x


def gradients(y, x, net):
    leaves = [x, *net.parameters()]
    return torch.autograd.grad((y.sin() * torch.arange(1, 3).to(y)).sum(), leaves)


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients(name, calls):
    net, x = network(name), rows().requires_grad_()
    if name == "missing":
        with torch.no_grad():
            x[::7, 1] = torch.nan
    together, apart = net(x), one_by_one(net, x)
    assert len(calls) == 1 and calls[0] is together
    torch.testing.assert_close(together, apart, rtol=0, atol=0)
    for found, wanted in zip(gradients(together, x, net), gradients(apart, x, net), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


def test_only_what_is_asked_for_is_differentiated():
    net, x = network("cubic"), rows()
    net.layers[0].requires_grad_(False)
    net.layers[2].bias.requires_grad_(False)
    net(x).sum().backward()
    assert all(p.grad is None for p in net.layers[0].parameters())
    assert net.layers[2].bias.grad is None
    assert all(p.grad is not None for p in net.layers[1].parameters())


def test_second_derivatives():
    net, x = network("cubic"), rows(5).requires_grad_()
    assert torch.autograd.gradgradcheck(net, x, atol=1e-6)


def test_an_input_that_was_changed_is_noticed():
    net = network("cubic")
    y = net(rows())
    with torch.no_grad():
        net.layers[1].bundles[0].coefficients.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("of", ["layer", "family", "nodes", "all"])
def test_hooks_see_their_module(of, calls):
    net, x, seen = network("cubic"), rows(), []
    layer = net.layers[1]
    modules = {"layer": layer, "family": layer.bundles[0], "nodes": net.nodes[1]}
    watch = lambda module, given, found: seen.append(module)  # noqa: E731
    if of == "all":
        handle = nn.modules.module.register_module_forward_hook(watch)
    else:
        handle = modules[of].register_forward_hook(watch)
    try:
        y = net(x)
    finally:
        handle.remove()
    assert seen and not calls
    torch.testing.assert_close(y, net(x), rtol=0, atol=0)
    assert len(calls) == 1


def test_other_layers_are_called_one_by_one(calls):
    x = rows()
    for net in (
        KAN([3, 4, 1], edge="gp", random_state=0),
        KAN([3, 4, 1], edge=["spline", "gp", "spline"], hidden_edge="spline", random_state=0),
        KAN([3, 4, 1], edge="spline", skip=True, random_state=0),
        KAN([3, (4, [2]), 1], edge="spline", random_state=0),
    ):
        assert net.double()(x).shape == (40, 1)
    assert not calls
    deep = network("cubic")
    shaped = deep(x.view(8, 5, 3))  # more axes than rows and inputs
    torch.testing.assert_close(shaped.view(40, 2), deep(x), rtol=0, atol=0)


def test_what_does_not_fit_is_said_by_the_layers():
    with pytest.raises(ValueError, match="expected 3 inputs, got 2"):
        network("cubic")(rows()[:, :2])


def test_transforms_get_plain_code():
    net, x = network("cubic"), rows()
    batched = torch.vmap(net)(x.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(batched, net(x), rtol=1e-12, atol=1e-12)
    assert layers.chain(net.layers, x) is not None
