"""Several networks of the same shape as one program."""

import copy

import pytest
import torch
from contract import EXAMPLES

from kanx import KAN, Ensemble

NODES = {"sums": 1, "products": [2], "ratios": ["S"]}


def starts(count=3, **options):
    options = {"edge": "slaf", **options}
    networks = [KAN([2, 3, 1], random_state=seed, **options) for seed in range(count)]
    for seed, network in enumerate(networks):
        network.layers[0].set_domain(-torch.ones(2) - seed, torch.ones(2))
        with torch.no_grad():
            network.layers[0].bundles[0].mask[seed % 2, 0] = 0
    return networks


def rows(count=7, *lead):
    return 2 * torch.rand(*lead, count, 2, generator=torch.Generator().manual_seed(1)) - 1


@pytest.mark.parametrize("family", [name for name in EXAMPLES if not EXAMPLES[name][0].codes])
def test_members_give_what_they_give_alone(family):
    networks = [
        KAN([2, 3, 2], family, random_state=seed, skip=True, **EXAMPLES[family][0].options).eval()
        for seed in range(3)
    ]
    ensemble, x = Ensemble(networks).eval(), rows()
    wanted = torch.stack([network(x) for network in networks])
    torch.testing.assert_close(ensemble(x), wanted, rtol=1e-4, atol=1e-5)


def test_members_differ_in_masks_domains_and_inputs():
    networks, x = starts(), rows(7, 3)
    ensemble = Ensemble(networks)
    wanted = torch.stack([network(own) for network, own in zip(networks, x, strict=True)])
    torch.testing.assert_close(ensemble(x), wanted)


def test_training_together_is_training_alone():
    networks = starts()
    ensemble, x = Ensemble(networks), rows(20)
    y = (x[:, :1] * x[:, 1:]).sin()
    loss = torch.nn.functional.mse_loss
    alone = [torch.optim.Adam(network.parameters(), 0.01) for network in networks]
    together = torch.optim.Adam(ensemble.parameters(), 0.01)
    for _ in range(5):
        for network, optimizer in zip(networks, alone, strict=True):
            optimizer.zero_grad()
            loss(network(x), y).backward()
            optimizer.step()
        together.zero_grad()
        sum(loss(own, y) for own in ensemble(x)).backward()
        together.step()
    for member, network in zip(ensemble, networks, strict=True):
        for own, other in zip(member.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)


def test_members_come_out_as_networks_of_their_own():
    networks, x = starts(edge="gp", control_points=4), rows()
    ensemble = Ensemble(networks)
    assert len(ensemble) == 3
    member = ensemble[-1]
    torch.testing.assert_close(member(x), networks[2](x))
    with torch.no_grad():
        member.layers[0].bias += 1
    torch.testing.assert_close(ensemble[2](x), networks[2](x))
    assert [own.config() for own in ensemble] == [networks[0].config()] * 3
    with pytest.raises(IndexError, match="member 3 is out of range"):
        ensemble[3]


def test_types_and_states_change_as_those_of_any_module():
    ensemble = Ensemble(starts(edge="gp", control_points=4))
    twin = copy.deepcopy(ensemble).double()
    assert twin(rows().double()).dtype == torch.float64
    torch.testing.assert_close(twin(rows().double()).float(), ensemble(rows()))
    other = Ensemble(starts(edge="gp", control_points=4)[::-1])
    other.load_state_dict(ensemble.state_dict())
    torch.testing.assert_close(other(rows()), ensemble(rows()))


def test_compiles_as_one_graph():
    ensemble = Ensemble(starts(edge="spline", intervals=3))
    torch._dynamo.reset()
    compiled = torch.compile(ensemble, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(rows()), ensemble(rows()))


def test_nodes_that_combine_and_no_rows():
    networks = [KAN([2, NODES, 1], "slaf", random_state=seed) for seed in range(2)]
    ensemble = Ensemble(networks)
    torch.testing.assert_close(ensemble(rows())[1], networks[1](rows()))
    assert ensemble(rows(0)).shape == (2, 0, 1)


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="at least one network"):
        Ensemble([])
    with pytest.raises(ValueError, match="network 1 differs from the first one"):
        Ensemble([KAN([2, 1]), KAN([2, 2, 1])])
    ensemble = Ensemble(starts())
    for shape in [(7, 3), (2, 7, 2), (2,)]:
        with pytest.raises(ValueError, match=r"shape \(rows, 2\), or \(3, rows, 2\)"):
            ensemble(torch.zeros(shape))
