"""Which networks the kernel takes, and that it gives what their plain code gives."""

import copy

import pytest
import torch
from interpreted import DEVICE, interpreter  # noqa: F401

from kanx import KAN, Ensemble
from kanx.kernels import network, network_device


def of_kernel(net, x):
    """Evaluate a network or an ensemble by the kernel, on a CPU too."""
    if isinstance(net, KAN):
        return network_device.network_sum(net, x)
    sets = x if x.dim() == 3 else x.unsqueeze(0)
    return network_device.network_sum(net.members, sets, len(net), lambda: list(net))


def network_of(seed=0, widths=(2, 3, 1), **options):
    net = KAN(widths, random_state=seed, **options)
    net.layers[0].set_domain(-torch.ones(2) - seed, torch.ones(2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(seed))
        net.layers[0].bundles[0].mask[seed % 2, 0] = 0
    return net.to(DEVICE)


def rows(*shape, missing=False):
    x = 1.5 * torch.randn(shape, generator=torch.Generator().manual_seed(9))
    if missing:
        x[..., 0, 1] = torch.nan
    return x.to(DEVICE)


CASES = {
    "polynomials": {"edge": "slaf", "degree": 3, "skip": True, "hidden_edge": "slaf"},
    "missing": {"edge": {"family": "gp", "control_points": 4, "missing": True}, "skip": True},
    "powers": {"edge": "slaf", "basis": "powers", "degree": 3},
    "splines": {"edge": "spline", "intervals": 2},
    "bumps": {"edge": "rbf", "centres": 3},
    "waves": {"edge": "fourier", "harmonics": 1, "extrapolate": "periodic"},
}


def results(function, net, x):
    own = x.clone().requires_grad_()
    y = function(net, own)
    loss = (y * y).sum()
    return [y, *torch.autograd.grad(loss, [own, *net.parameters()])]


def assert_close(found, wanted, tolerance=2e-5):
    for own, other in zip(found, wanted, strict=True):
        assert own.shape == other.shape
        assert (own.double() - other).abs().max() <= tolerance * other.abs().max()


def plain(net, x):
    return net.to(torch.float64)(x.double())


@pytest.mark.parametrize("name", CASES)
def test_a_small_network_gives_what_its_layers_give(name):
    net = network_of(**CASES[name])
    x = rows(9, 2, missing=name == "missing")
    found = results(of_kernel, net, x)
    assert_close(found, results(plain, copy.deepcopy(net), x.double()))


@pytest.mark.parametrize("sets", [(), (2,)])
def test_an_ensemble_gives_what_its_members_give(sets):
    ensemble = Ensemble([network_of(seed, **CASES["missing"]) for seed in range(2)])
    x = rows(*sets, 9, 2, missing=True)
    found = results(of_kernel, ensemble, x)
    assert_close(found, results(plain, copy.deepcopy(ensemble), x.double()))


def test_members_may_need_different_numbers_of_polynomials():
    options = {"edge": {"family": "gp", "control_points": 4, "adaptive": True}}
    nets = [KAN([1, 1], random_state=seed, **options) for seed in range(2)]
    layer = nets[1].layers[0].bundles[0]
    layer.start_length_scale(torch.linspace(-1, 1, 20)[:, None], torch.ones(20, 1, 1), None, (2.5,))
    plans = [network_device._plan(list(net.layers)) for net in nets]
    counts = [plan.shape[2] for plan in plans]
    assert counts[0] != counts[1]
    joined = network_device.joined(plans)
    assert joined.shape[2] == max(counts)
    assert joined.projections[0].shape[:2] == (2, max(counts))
    shorter = counts.index(min(counts))
    assert not joined.projections[0][shorter, min(counts) :].any()


TAKEN = {"edge": "slaf", "degree": 2}
LEFT_OUT = {
    "four layers": lambda: KAN([2, 2, 2, 2, 1], **TAKEN),
    "a wide layer": lambda: KAN([2, 17, 1], **TAKEN),
    "many coefficients": lambda: KAN([16, 16, 16], "slaf", degree=70),
    "nodes that multiply": lambda: KAN([2, (1, [2]), 1], **TAKEN),
    "two families": lambda: KAN([2, 2, 1], ["slaf", "spline"]),
    "no linear family": lambda: KAN([2, 2, 1], "pade"),
    "functions that it does not know": lambda: KAN([2, 2, 1], "spline", degree=1),
    "another skip": lambda: KAN([2, 2, 1], "shared_pade", hidden_edge="slaf", skip=True),
    "double precision": lambda: KAN([2, 2, 1], **TAKEN).double(),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_other_networks_keep_to_plain_code(name):
    net = LEFT_OUT[name]().to(DEVICE)
    x = rows(3, net.in_features).to(next(net.parameters()).dtype)
    assert of_kernel(net, x) is None
    assert of_kernel(Ensemble([net, net]), x) is None


def test_hooks_and_transforms_keep_to_plain_code():
    net, x = KAN([2, 2, 1], **TAKEN).to(DEVICE), rows(3, 2)
    assert of_kernel(net, x) is not None
    torch.func.vmap(lambda row: _is_none(net, row))(x)
    for module in (net.layers[1], net.layers[0].bundles[0], net.nodes[0]):
        for register in (module.register_forward_hook, module.register_full_backward_hook):
            handle = register(lambda *arguments: None)
            assert of_kernel(net, x) is None
            handle.remove()
    assert of_kernel(net, x) is not None
    assert of_kernel(net, rows(3, 3)) is None  # the layers say what is wrong


def _is_none(net, x):
    assert of_kernel(net, x) is None
    return x


def test_leading_dimensions_and_no_rows():
    net = KAN([2, 2, 3], **TAKEN).to(DEVICE)
    x = rows(2, 3, 2)
    torch.testing.assert_close(of_kernel(net, x), net(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(of_kernel(net, x[0, 0]), net(x[0, 0]), rtol=1e-4, atol=1e-5)
    assert of_kernel(net, rows(0, 2)).shape == (0, 3)


def test_another_extrapolation_is_seen():
    net, x = network_of(**CASES["splines"]), rows(5, 2)
    before = of_kernel(net, x)
    net.layers[0].bundles[0].extrapolate = "constant"
    assert not torch.allclose(of_kernel(net, x), before)
    torch.testing.assert_close(of_kernel(net, x), net(x), rtol=1e-4, atol=1e-4)


def test_edits_in_place_are_seen():
    net, x = network_of(**CASES["polynomials"]), rows(5, 2)
    of_kernel(net, x)
    net.layers[1].set_domain(-2 * torch.ones(3), 5 * torch.ones(3))
    net.layers[0].bundles[0].mask[1] = 0
    torch.testing.assert_close(of_kernel(net, x), net(x), rtol=1e-4, atol=1e-4)
    ensemble = Ensemble([net, network_of(1, **CASES["polynomials"])])
    of_kernel(ensemble, x)
    ensemble.members.layers[0].bundles[0].upper[1] += 2
    torch.testing.assert_close(of_kernel(ensemble, x), ensemble(x), rtol=1e-4, atol=1e-4)


def test_rows_that_fill_a_tile_up_do_not_overflow():
    net = KAN([1, 1], "slaf", degree=25, extrapolate="family", random_state=0).to(DEVICE)
    net.layers[0].set_domain(torch.tensor([1000.0]), torch.tensor([1001.0]))
    x = (1000 + torch.rand(5, 1, generator=torch.Generator().manual_seed(0))).to(DEVICE)
    found = results(of_kernel, net, x)
    assert_close(found, results(plain, copy.deepcopy(net), x.double()), 1e-3)


def test_inference_first_and_training_after():
    net, x = network_of(**CASES["missing"]), rows(5, 2)
    with torch.inference_mode():
        found = of_kernel(net, x)
    y = of_kernel(net, x.requires_grad_())
    y.sum().backward()
    torch.testing.assert_close(found, y)


def test_networks_are_not_kept_alive():
    import gc
    import weakref

    net = KAN([2, 2, 1], **TAKEN).to(DEVICE)
    of_kernel(net, rows(3, 2))
    alive = weakref.ref(net)
    del net
    gc.collect()
    assert alive() is None


def test_second_derivatives():
    net = KAN([2, 2, 1], random_state=0, **TAKEN).to(DEVICE)
    x = rows(4, 2)

    def second(function, net, x):
        own = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(net, own).sum(), own, create_graph=True)
        loss = (slope**2).sum()
        return torch.autograd.grad(loss, [own, *net.parameters()], materialize_grads=True)

    found = second(of_kernel, net, x)
    assert_close(found, second(plain, copy.deepcopy(net), x.double()), 1e-3)


def test_a_gpu_takes_the_kernel_by_itself(monkeypatch):
    net, x = KAN([2, 2, 1], **TAKEN).to(DEVICE), rows(3, 2)
    ensemble, calls, forward = Ensemble([net, net]), [], network.forward
    wanted = net(x).cpu()

    def counted(*arguments):
        calls.append(len(arguments[1]))  # members
        return forward(*arguments)

    of_kernel(net, x)  # tries the kernel
    monkeypatch.setattr(network, "forward", counted)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)  # as far as the networks can tell
    for asked, members in (("on", [1, 2]), ("off", [])):
        monkeypatch.setenv("KANX_TRITON", asked)
        calls.clear()
        results = [net(x), *ensemble(x)]
        assert calls == members
        for found in results:
            torch.testing.assert_close(found.cpu(), wanted, rtol=1e-4, atol=1e-5)


def test_no_pass_reads_a_number_once_the_kernel_was_tried(monkeypatch):
    net, x = network_of(**CASES["missing"]), rows(5, 2)
    of_kernel(net, x)

    def refuse(*arguments, **options):
        raise AssertionError("a number was read from the device")

    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "to"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    monkeypatch.setattr(network, "forward", lambda x, p, c, shape: x.new_zeros(1, 5, 1) * p.sum())
    monkeypatch.setattr(
        network, "backward", lambda x, p, *rest: (torch.zeros_like(x), torch.zeros_like(p))
    )
    of_kernel(net, x).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_compiled_and_exported_networks_keep_to_standard_operators(monkeypatch):
    net, x = KAN([2, 2, 1], random_state=0, **TAKEN).to(DEVICE), rows(3, 2)
    ensemble, wanted = Ensemble([net, net]), net(x)
    assert of_kernel(net, x) is not None and of_kernel(ensemble, x) is not None

    def refuse(*arguments):
        raise AssertionError("the kernel was asked for")

    monkeypatch.setattr(network_device, "network_sum", refuse)
    everywhere = property(lambda x: True)  # as far as the networks can tell
    monkeypatch.setattr(torch.Tensor, "is_cuda", everywhere)
    for model in (net, ensemble):
        torch._dynamo.reset()
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x).view(-1, 3, 1)[-1], wanted)
        program = torch.export.export(model, (x,))
        targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
        assert targets and not any("kanx" in target for target in targets)
