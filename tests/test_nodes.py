"""Nodes that multiply and divide: values, derivatives, descriptions, pruning, training."""

import json

import numpy as np
import pytest
import sympy
import torch

import kanx
from kanx import KAN, KANRegressor
from kanx.explain.edge_formulas import network_formulas
from kanx.explain.report.playable import playable
from kanx.nodes import Nodes, Product, Ratio
from kanx.training.evidence import fit_evidence
from kanx.training.losses import Gaussian
from kanx.training.placement import place_on_data
from kanx.training.starts import random_start

KINDS = [Product(2), Product(3), Ratio("A"), Ratio("A", 3), Ratio("S"), Ratio("S", 2)]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
MIXED = {"sums": 1, "products": [2], "ratios": ["S", ("A", 2)]}


def sums(kind, rows=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, kind.arity, generator=generator, dtype=torch.float64)


def nodes_of(kind):
    if isinstance(kind, Product):
        return Nodes(0, [kind.factors])
    return Nodes(0, ratios=[kind])


@every_kind
def test_derivatives_are_those_of_finite_differences_and_autograd(kind):
    nodes, s = nodes_of(kind), sums(kind)
    pulled = nodes.pull_back(s, torch.ones(len(s), 1, dtype=s.dtype))
    step = 1e-6
    for k in range(kind.arity):
        shift = torch.zeros(kind.arity, dtype=s.dtype)
        shift[k] = step
        numeric = (nodes(s + shift) - nodes(s - shift))[:, 0] / (2 * step)
        torch.testing.assert_close(pulled[:, k], numeric, rtol=1e-7, atol=1e-8)
    assert torch.autograd.gradcheck(nodes, s.requires_grad_())
    assert torch.autograd.gradgradcheck(nodes, s)


def test_the_formulas_are_the_published_ones():
    p, r, s, z = (torch.tensor([[v]], dtype=torch.float64) for v in (0.7, -0.4, -2.5, 1.1))

    def value(kind, *parts):
        return nodes_of(kind)(torch.cat(parts, dim=1)).item()

    assert value(Ratio("A", 2), p, s, z) == pytest.approx(0.7 / (1 + 2.5 + 1.1))
    # Paon-S [K/1]: (Q_1 P_K + P_{K-1}) / (Q_1^2 + 1) with Q_1 = 1 + s
    assert value(Ratio("S"), p, r, s) == pytest.approx((-1.5 * 0.7 - 0.4) / (2.25 + 1))
    below = 1.5**2 + 2.1**2 + 1
    assert value(Ratio("S", 2), p, r, s, z) == pytest.approx((-1.5 * 0.7 - 2.1 * 0.4) / below)


@pytest.mark.parametrize("kind", [k for k in KINDS if isinstance(k, Ratio)], ids=str)
@pytest.mark.parametrize("zeros", ["none", "denominators", "last", "all"])
def test_no_pruning_makes_a_pole(kind, zeros):
    first = 1 if kind.variant == "A" else 2
    s = 30 * sums(kind, rows=4000)
    s[:, slice(first, None)] -= 1  # both denominators of S pass through zero
    pruned = {"none": [], "denominators": range(first, kind.arity), "last": [-1], "all": range(99)}
    for k in pruned[zeros]:
        if k < kind.arity:
            s[:, k] = 0
    largest = s[:, :first].abs().sum(1, keepdim=True)
    assert (nodes_of(kind)(s).abs() <= largest + 1e-12).all()


def test_expressions_and_tensors_are_combined_alike():
    nodes = Nodes.of(MIXED)
    symbols = sympy.symbols(f"s:{nodes.sums_needed}", real=True)
    s = torch.linspace(-1.3, 1.1, nodes.sums_needed, dtype=torch.float64)
    given = dict(zip(symbols, s.tolist(), strict=True))
    values = [float(e.subs(given)) for e in nodes.combine(symbols)]
    assert values == pytest.approx(nodes(s).tolist())


@pytest.mark.parametrize("width", [3, (1, [2]), MIXED, {"ratios": ["A"]}, Nodes(2, ratios=["S"])])
def test_widths_describe_nodes_and_survive_json(width):
    nodes = Nodes.of(width)
    again = Nodes.of(json.loads(json.dumps(nodes.spec)))
    assert again.kinds == nodes.kinds and again.sums == nodes.sums
    assert nodes.width == nodes.sums + len(nodes.arities)
    assert nodes.sums_needed == nodes.sums + sum(nodes.arities)


def test_a_network_of_all_nodes_is_rebuilt_and_differentiated():
    net = KAN([3, MIXED, {"sums": 1, "ratios": ["A"]}, 1], skip=True, random_state=0).double()
    again = KAN.from_config(json.loads(json.dumps(net.config()))).double()
    again.load_state_dict(net.state_dict())
    x = torch.linspace(-0.9, 0.9, 12, dtype=torch.float64).reshape(4, 3)
    assert torch.equal(again(x), net(x))
    found = net.sensitivities(x)
    for layer, sensitivity in zip(net.layers, found, strict=True):
        (expected,) = torch.autograd.grad(net(x).sum(), layer.bias)
        torch.testing.assert_close(sensitivity.sum(0), expected)
    assert torch.autograd.gradcheck(net, x.clone().requires_grad_())


@pytest.mark.parametrize(
    ("width", "message"),
    [
        ({"ratios": ["B"]}, "choose one of"),
        ({"ratios": [("S", 3)]}, "order 1 or 2"),
        ({"ratios": [("A", 0)]}, "order 1 or more"),
        ({"quotients": ["S"]}, "nodes are given by"),
        ({"products": [1]}, "two factors"),
        ({}, "at least one node"),
    ],
)
def test_impossible_nodes_are_refused(width, message):
    with pytest.raises(ValueError, match=message):
        KAN([2, width, 1])
    with pytest.raises(ValueError, match=message):
        KANRegressor(hidden=(width,)).fit(np.eye(4), np.arange(4.0))


@pytest.mark.parametrize("variant", ["S", "A"])
def test_levenberg_marquardt_recovers_a_rational_law_of_several_inputs(variant):
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(200, 4, generator=generator, dtype=torch.float64) - 1

    def law(x):
        return (x[:, :1] + torch.sin(2 * x[:, 1:2])) / (1.6 + x[:, 2:3] ** 2 + x[:, 3:])

    noise = 0.01 * torch.randn(200, 1, generator=generator, dtype=torch.float64)
    fits = []
    for start in (0, 1):
        net = KAN([4, {"ratios": [variant]}], "slaf", degree=4, random_state=0).double()
        place_on_data(net, x)
        random_start(net, torch.Generator().manual_seed(start))
        loss = Gaussian(torch.tensor([10.0], dtype=torch.float64))
        fits.append(fit_evidence(net, x, law(x) + noise, loss))
    best = max(fits, key=lambda fit: fit.evidence).network
    fresh = 1.9 * torch.rand(500, 4, generator=generator, dtype=torch.float64) - 0.95
    error = (best(fresh) - law(fresh)).square().mean().sqrt() / law(fresh).std()
    assert error < 0.03  # the noise is 1.3 % of the law's spread


def test_the_estimator_takes_ratio_nodes(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, 2))
    y = X[:, 0] / (1.5 + X[:, 1])
    model = KANRegressor(edge="slaf", hidden=({"ratios": ["S"]},), n_estimators=1, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.999
    assert model.network_.nodes[0].ratios == (Ratio("S"),)
    kanx.save(model, tmp_path / "model.kanx")
    np.testing.assert_array_equal(kanx.load(tmp_path / "model.kanx").predict(X), model.predict(X))


def test_networks_with_every_node_are_explained():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 2))
    y = X[:, 0] / (1.5 + X[:, 1])
    hidden = ({"sums": 1, "products": [2], "ratios": ["A", "S"]},)
    model = KANRegressor(
        edge="slaf", edge_options={"degree": 3}, hidden=hidden, n_estimators=1, max_iter=6
    ).fit(X, y)
    view = kanx.explain(model, X)
    names = {name for curve in view.curves for name in (curve.source, curve.target)}
    assert any("denominator" in str(name) for name in names)
    assert np.isfinite(view.importances.features).all()
    page = playable(view.subject)
    np.testing.assert_allclose(page.outputs(X)[:, 0], model.predict(X), atol=1e-3)
    (formula,) = network_formulas(view.subject)
    np.testing.assert_allclose(formula.predict(X), model.predict(X), rtol=1e-6, atol=1e-9)
