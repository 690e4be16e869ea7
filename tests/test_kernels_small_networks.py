"""Which networks the kernel takes, and that it gives what their plain code gives."""

import copy

import pytest
import torch
from interpreted import DEVICE, interpreter  # noqa: F401

from kanx import KAN, Ensemble
from kanx.kernels import device, network, network_device


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
    layer.start_length_scale(
        torch.linspace(-1, 1, 20)[:, None], torch.ones(20, 1, 1), None, (2.5,)
    )
    plans = [network_device._plan(list(net.layers)) for net in nets]
    counts = [plan.shape[2] for plan in plans]
    assert counts[0] != counts[1]
    joined = network_device.joined(plans)
    assert joined.shape[2] == max(counts)
    assert joined.projections[0].shape[:2] == (2, max(counts))
    shorter = counts.index(min(counts))
    assert not joined.projections[0][shorter, min(counts) :].any()
