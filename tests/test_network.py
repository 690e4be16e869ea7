"""`KAN`: shapes, presets, nodes, derivatives and descriptions."""

import json

import pytest
import torch

from kanx import KAN
from kanx.nodes import Nodes

WIDTHS = [[3, 1], [3, 4, 2], [3, (2, [2, 3]), 2], [3, 4, 3, 1]]


@pytest.fixture(autouse=True)
def _double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("skip", [False, True])
def test_any_leading_dimensions(widths, skip):
    net = KAN(widths, skip=skip, random_state=0)
    x = torch.linspace(-1, 1, 24).reshape(2, 4, 3)
    y = net(x)
    assert y.shape == (2, 4, net.out_features)
    torch.testing.assert_close(y[1, 2], net(x[1, 2]))


@pytest.mark.parametrize("widths", WIDTHS)
def test_sensitivities_agree_with_autograd(widths):
    net = KAN(widths, skip=True, random_state=1)
    x = torch.linspace(-0.9, 0.8, 15).reshape(5, 3)
    found = net.sensitivities(x)
    for layer, sensitivity in zip(net.layers, found, strict=True):
        bias = layer.bias
        assert bias is not None
        (expected,) = torch.autograd.grad(net(x)[:, 0].sum(), bias)
        torch.testing.assert_close(sensitivity.sum(0), expected)


def test_activations_end_in_the_output():
    net = KAN([3, 4, 1], skip=True, random_state=0)
    x = torch.linspace(-1, 1, 6).reshape(2, 3)
    values = net.activations(x)
    assert [v.shape[1] for v in values] == [3, 4, 1]
    torch.testing.assert_close(values[-1], net(x))


def test_same_seed_same_network_and_global_generator_untouched():
    before = torch.get_rng_state()
    first, second = KAN([2, 3, 1], random_state=5), KAN([2, 3, 1], random_state=5)
    assert torch.equal(before, torch.get_rng_state())
    x = torch.ones(1, 2) / 3
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("edge", ["gp", "slaf", "pade", "spline"])
def test_description_rebuilds_the_network(widths, edge):
    net = KAN(widths, edge, skip=True, random_state=0)
    again = KAN.from_config(json.loads(json.dumps(net.config())))
    again.load_state_dict(net.state_dict())
    x = torch.linspace(-1.2, 1.2, 12).reshape(4, 3)
    assert torch.equal(again(x), net(x))


def test_mixed_families_and_options():
    edges = [{"family": "spline", "intervals": 4}, "slaf", {"family": "lookup", "categories": 3}]
    net = KAN([3, 2, 1], edges, hidden_edge="gp", skip=True, random_state=0)
    assert [spec["family"] for spec in net.layers[0].specs()] == ["spline", "slaf", "lookup"]
    assert net.layers[1].specs()[0]["family"] == "gp"
    assert net(torch.tensor([[0.1, 0.2, 2.0]])).shape == (1, 1)


def test_presets():
    assert len(KAN.additive(4).layers) == 1
    kst = KAN.kst(4, 9)
    assert kst.n_edges == 9 * (4 + 1)
    assert kst.skip is None


@pytest.mark.parametrize(
    ("widths", "edge", "message"),
    [
        ([3], "gp", "widths"),
        ([0, 1], "gp", "widths"),
        ([3, 1], "gpp", "choose one of"),
        ([3, (0, [1])], "gp", "two factors"),
        ([3, 1], ["gp", "gp"], "2 edge specifications for 3 inputs"),
    ],
)
def test_bad_descriptions_say_what_to_do(widths, edge, message):
    with pytest.raises(ValueError, match=message):
        KAN(widths, edge)


def test_wrong_number_of_inputs():
    with pytest.raises(ValueError, match="expected 3 inputs, got 2"):
        KAN([3, 1])(torch.zeros(1, 2))


def test_product_nodes_multiply_and_pull_back():
    nodes = Nodes(1, [2, 3])
    s = torch.linspace(-1, 1, 12).reshape(2, 6).requires_grad_()
    values = nodes(s)
    torch.testing.assert_close(values[:, 1], s[:, 1] * s[:, 2])
    torch.testing.assert_close(values[:, 2], s[:, 3] * s[:, 4] * s[:, 5])
    upstream = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    (expected,) = torch.autograd.grad((values * upstream).sum(), s)
    torch.testing.assert_close(nodes.pull_back(s, upstream), expected)


def test_pruned_edges_contribute_nothing_and_do_not_count():
    net = KAN([3, 1], random_state=0)
    mask = torch.tensor([[1.0], [0.0], [1.0]])
    net.layers[0].set_mask(mask)
    x = torch.zeros(2, 3)
    x[1, 1] = 0.9
    torch.testing.assert_close(net(x)[0], net(x)[1], rtol=1e-12, atol=0)
    assert net.n_edges == 2
    assert net.n_parameters == 2 * 10 + 1
