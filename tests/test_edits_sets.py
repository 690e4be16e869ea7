"""Structure edits of permutation-invariant networks keep what the elements share."""

import pytest
import torch

from kanx import KAN, edits
from kanx.edits import probe


@pytest.fixture
def net():
    net = KAN.deep_sets(3, 2, element_features=2, edge="spline", random_state=0).double()
    with torch.no_grad():
        net.layers[0].bias += 0.3
    return net


def test_edits_keep_what_the_elements_share(net):
    x = probe(net, 64)
    other = x.unflatten(1, (3, 2)).flip(1).flatten(1)
    for change in (
        edits.refine,
        edits.compact,
        lambda n: edits.widen(n, 0, random_state=0),
        lambda n: edits.swap_nodes(n, 0, 0, 1),
        lambda n: edits.deepen(n, 1),
    ):
        net, error = change(net)
        assert error < 1e-10
        assert torch.allclose(net(x), net(other))
    moved = edits.move_grids(net, x.nan_to_num(0.0)).network
    assert torch.allclose(moved(x), moved(other))
    assert edits.compact(edits.prune_inputs(net, range(6)).network).error < 1e-10


def test_one_element_cannot_be_edited_alone(net):
    with pytest.raises(ValueError, match="prune those of all of them together"):
        edits.prune_edges(net, [(0, 0, 0)])
    with pytest.raises(ValueError, match="choose all of"):
        edits.refine(net, layers=0, inputs=[0])
    with pytest.raises(ValueError, match="shared by the elements"):
        edits.damp(net, (0, 0, 0), 0.5)
