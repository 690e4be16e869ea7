"""Networks that take the expansions of their inputs give what they give from the inputs."""

import pytest
import torch

from kanx import KAN
from kanx.training.expanded import Expanded, can_expand, expansion_size
from kanx.training.first_order import flat_precision
from kanx.training.losses import Gaussian
from kanx.training.minibatch import train
from kanx.training.options import TrainingOptions
from kanx.training.placement import place_on_data
from kanx.training.rows import InMemory
from kanx.training.whitened import whitened

GP = {"family": "gp", "control_points": 6, "adaptive": True, "missing": True}
EDGES = [GP, {"family": "spline"}, GP, {"family": "lookup", "categories": 3, "missing": True}]


def rows(count=50):
    x = 2 * torch.rand(count, 4, generator=torch.Generator().manual_seed(0)).double() - 1
    x[:, 3] = torch.arange(count) % 3
    x[:5, 0] = torch.nan
    x[5:8, 3] = torch.nan
    return x


def network(edges=EDGES, widths=(4, 3, 2), **options):
    net = KAN(list(widths), edges, random_state=0, **options).double()
    place_on_data(net, rows())
    return net


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("widths", [(4, 2), (4, 3, 2), (4, {"sums": 1, "products": [2]}, 3, 2)])
def test_outputs_and_gradients_are_those_of_the_network(widths, skip):
    if skip and len(widths) == 2:
        pytest.skip("curves straight to the output are all there is")
    net, x = network(widths=widths, skip=skip), rows()
    net.layers[0].set_mask(
        (torch.arange(4) % 3 > 0).double()[:, None].expand_as(net.layers[0].mask)
    )
    expanded = Expanded(net)
    expected, found = net(x), expanded(*expanded.expand(x))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    parameters = list(net.parameters())
    for own, other in zip(
        torch.autograd.grad(found.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-12)


def test_curves_of_one_basis_are_expanded_once():
    net = network(skip=True)
    found = Expanded(net).expand(rows())
    assert len(found) == len(net.layers[0].bundles) == 3
    assert expansion_size(net) == 2 * sum(part.shape[1] for part in found)
    with torch.no_grad():  # another basis on the way straight to the output
        net.skip.bundles[0].set_domain(-torch.full((2,), 2.0), torch.full((2,), 2.0))
    moved = Expanded(net)
    assert len(moved.expand(rows())) == 4
    torch.testing.assert_close(moved(*moved.expand(rows())), net(rows()))


def test_whitened_networks_expand_and_curves_with_shapes_of_their_own_do_not():
    net = network()
    with whitened(net):
        assert can_expand(net)
        expanded = Expanded(net)
        torch.testing.assert_close(expanded(*expanded.expand(rows())), net(rows()))
    assert not can_expand(KAN([2, 2, 1], "pade", hidden_edge="gp", random_state=0))
    assert can_expand(KAN([2, 2, 1], "gp", hidden_edge="pade", random_state=0))


@pytest.mark.parametrize("held_out", [False, True])
def test_training_takes_the_same_steps(held_out, monkeypatch):
    x = rows()
    y = torch.sin(3 * x[:, 1:2]) * x[:, 2:3]
    chunk = InMemory(x, y, torch.linspace(0.5, 1, len(x)).double())
    found = []
    for largest in (2**28, 0):
        monkeypatch.setattr("kanx.training.trainer.LARGEST_EXPANSION", largest)
        net = network(widths=(4, 3, 1), skip=True)
        held = (x, y, chunk.weight) if held_out else None
        options = TrainingOptions(epochs=5, batch_size=16)
        noise = Gaussian(torch.ones(1).double())
        train(net, chunk, noise, options, flat_precision(net, 1.0), held_out=held)
        found.append(net(x))
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-8)
