"""Blocks of inputs that add up behind a link: found by least squares, searched one by one."""

import numpy as np
import pytest
import sympy as sp

from kanx import SymbolicRegressor
from kanx.discovery.data import Data
from kanx.discovery.links import LINKS, POWER_LINKS
from kanx.discovery.module_search import find_splits
from kanx.discovery.modules import find_modules
from kanx.discovery.trees import constant, evaluate, product, variable


def rows(n, columns, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (columns, n))


def test_single_inputs_are_blocks_where_their_curves_add_up():
    x = rows(600, 3)
    target = np.sin(3 * x[0]) + x[1] ** 2 + np.exp(x[2])
    found = find_modules(x, target, np.ones(600))
    assert found.blocks == ((0,), (1,), (2,)) and found.loss < 1e-10
    np.testing.assert_allclose(found.values[1], x[1] ** 2 - np.mean(x[1] ** 2), atol=1e-4)


def test_inputs_that_interact_share_a_block():
    x = rows(2500, 4)
    target = x[0] * x[2] + np.sin(2 * x[1]) * x[3]
    found = find_modules(x, target, np.ones(2500))
    assert sorted(found.blocks) == [(0, 2), (1, 3)]


@pytest.mark.parametrize("target", [lambda x: x[0] * x[1], lambda x: np.abs(x[0] + x[1]) * x[0]])
def test_no_blocks_where_all_inputs_act_together(target):
    x = rows(500, 2)
    assert find_modules(x, target(x), np.ones(500)) is None


def test_pure_noise_has_no_blocks():
    x = rows(400, 3)
    assert find_modules(x, np.random.default_rng(1).normal(size=400), np.ones(400)) is None


def test_the_link_behind_which_blocks_add_up_comes_first():
    x = rows(500, 2)
    data = Data(x, np.exp(np.sin(3 * x[0]) + x[1] ** 2) / 2, np.ones(500), 2.0)
    split = find_splits(data, None)[0]
    assert split.modules.blocks == ((0,), (1,))
    assert find_splits(data, ["sin"]) == [] or "exp" not in str(
        find_splits(data, ["sin"])[0].linked.undo(variable(0))
    )


@pytest.mark.parametrize("link", [*LINKS, *POWER_LINKS])
def test_undoing_a_link_gives_the_target(link):
    y = rows(50, 1)[0] * 0.3 + 0.5
    data = Data(y[None], y / 2.0, np.ones(50), 2.0)
    linked = link.apply(data)
    tree = linked.undo(product(constant(1.0), variable(0)))
    np.testing.assert_allclose(evaluate(tree, linked.target[None]), data.y, rtol=1e-12)


def test_a_law_of_nested_curves_is_found_from_its_blocks():
    x = rows(600, 2).T
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    formula = SymbolicRegressor(max_time=60, random_state=0).fit(x, y).formula_
    assert formula.status == "exact"
    a, b = sp.symbols("x0 x1")
    truth = sp.exp(sp.sin(sp.pi * a) + b**2)
    assert abs(float((formula.expr - truth).subs({a: 0.3, b: -0.7}))) < 1e-9
