"""What a step knows already is not computed again, and changes nothing."""

import pytest
import torch

from kanx import KAN
from kanx.training.climb import Climb
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Huber, Logistic, Poisson
from kanx.training.placement import place_on_data
from kanx.training.starts import random_start

ONE = torch.ones(1, dtype=torch.float64)


def climb(edge="gp", loss=None, target=lambda f: f):
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(80, 3, generator=generator, dtype=torch.float64) - 1
    y = target(torch.sin(3 * x[:, :1]) + x[:, 1:2] * x[:, 2:])
    network = KAN([3, 2, 1], edge, skip=True, random_state=0).double()
    place_on_data(network, x)
    random_start(network, generator)
    loss = Gaussian(4 * ONE) if loss is None else loss
    return Climb(network, x, y, loss, torch.ones(80, dtype=torch.float64))


def assembled(own):
    """Return the equations at the present place, with nothing known beforehand."""
    linearisation = Linearisation(own.coordinates, own.problem.linearisation.x)
    own.problem.linearisation = linearisation
    return own.problem.assemble(own.loss, own.w, own.coordinates.alive())


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (Gaussian(4 * ONE), lambda f: f),
        (Logistic(), lambda f: (f > 0).double()),
        (Poisson(), lambda f: f.exp().round()),
    ],
)
def test_equations_are_known_where_the_last_steps_ended(loss, target):
    own = climb(loss=loss, target=target)
    assert own.equations() is None
    own.descend()
    own.update()  # another noise and other precisions
    known, expected = own.equations(), assembled(own)
    torch.testing.assert_close(known.curvature, expected.curvature, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(known.gradient, expected.gradient, rtol=1e-9, atol=1e-9)


def test_equations_of_weights_that_do_not_scale_are_not_reused():
    own = climb(loss=Huber(4 * ONE))
    own.descend()
    assert own.equations() is not None
    own.update()
    assert own.equations() is None


def test_equations_follow_coordinates_that_are_set_to_zero_to_first_order():
    own = climb()
    own.descend()
    doomed = torch.zeros(own.coordinates.n_groups, dtype=torch.bool)
    doomed[1] = True  # the bends of an edge, shrunk so far that first order is exact
    members = own.coordinates.group == 1
    own.w[members] *= 1e-5
    own.descend(iterations=0)
    own.prune(doomed)
    known, expected = own.equations(), assembled(own)
    assert known.gradient.shape == (int(own.coordinates.alive().sum()),)
    torch.testing.assert_close(known.curvature, expected.curvature, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(known.gradient, expected.gradient, rtol=1e-4, atol=1e-4)


def test_elsewhere_equations_are_not_known():
    own = climb()
    own.descend()
    before = own.snapshot()
    own.update()
    own.descend()
    own.restore(before)
    assert own.equations() is None


@pytest.mark.parametrize("edge", ["gp", "pade", "spline"])
def test_a_pass_that_is_kept_gives_what_a_fresh_one_gives(edge):
    own = climb(edge)
    problem, living = own.problem, own.coordinates.alive()
    for factor in (1.0, 0.5):  # at one place, then at another
        w = factor * own.w
        f = problem.linearisation.outputs(w)
        assert torch.equal(problem.linearisation.outputs(w), f)
        kept = problem.assemble(own.loss, w, living)
        slope = own.loss.gradient(f, problem.y)
        fresh = Linearisation(own.coordinates, problem.linearisation.x)
        assert torch.equal(fresh.gradient(w, slope), problem.linearisation.gradient(w, slope))
        own.problem.linearisation = fresh
        expected = own.problem.assemble(own.loss, w, living)
        assert torch.equal(kept.curvature, expected.curvature)
        assert torch.equal(kept.gradient, expected.gradient)


def test_a_place_that_is_changed_is_another_place():
    own = climb()
    w = own.w.clone()
    before = own.problem.linearisation.outputs(w)
    w *= 0.5
    after = own.problem.linearisation.outputs(w)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, own.coordinates.network(own.problem.linearisation.x).detach())
