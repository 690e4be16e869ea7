"""Random starts: every start differs, for nonlinear families too, and a seed repeats it."""

import pytest
import torch

from kanx import KAN
from kanx.training.starts import random_start


@pytest.mark.parametrize("edge", ["gp", "pade", "cauchy", "symbolic"])
def test_starts_differ_between_generators_and_agree_for_one(edge):
    def start(seed):
        net = KAN([2, 3, 1], edge, skip=True, random_state=0).double()
        random_start(net, torch.Generator().manual_seed(seed))
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(start(1), start(1))
    assert not torch.allclose(start(1), start(2))
