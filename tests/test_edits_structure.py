"""Structure edits: they keep the function, leave the old network alone and compose."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kanx
from kanx import KAN, edits
from kanx.edits import largest_change, probe

EXACT = ("spline", "piecewise_linear", "slaf", "fourier", "cauchy", "pade", "shared_pade")
FAMILIES = (*EXACT, "gp", "trainable_gp", "rbf", "wavelet", "activation")
WIDTHS = (
    [2, 1],
    [2, 3, 1],
    [3, (2, [2]), 2],
    [2, (1, [2, 3]), 2, 1],
    [2, {"sums": 2, "products": [2], "ratios": ["S", "A"]}, 1],
)
lean = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def network(family, widths, skip=False, seed=0, pruned=0.0):
    """A random network of which a share of the edges is pruned."""
    net = KAN(widths, family, skip=skip, random_state=seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in net.all_layers:
            for bundle in layer.bundles:
                noise = torch.randn(bundle.stacked_parameters().shape, generator=generator)
                bundle.load_stacked(bundle.stacked_parameters() + 0.1 * noise)
            if layer.bias is not None:
                layer.bias += 0.3 * torch.randn(layer.bias.shape, generator=generator)
            alive = torch.rand(layer.mask.shape, generator=generator) >= pruned
            layer.set_mask(alive.double())
    return net


networks = st.builds(
    network,
    st.sampled_from(FAMILIES),
    st.sampled_from(WIDTHS),
    st.booleans(),
    st.integers(0, 100),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
)


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def stored(net, folder):
    kanx.save(net, folder / "net.kanx")
    return kanx.load(folder / "net.kanx")


@lean
@given(networks, st.integers(0, 3))
def test_growing_and_compacting_keep_the_function(net, which):
    before = state(net)
    hidden = len(net.layers) > 1
    if which == 0 and hidden:
        new, error = edits.widen(net, 0, 2, products=[2], ratios=["A"], random_state=1)
        assert new.n_parameters > net.n_parameters
    elif which == 1 and hidden and net.nodes[0].sums > 1:
        new, error = edits.swap_nodes(net, 0, 0, 1)
        assert new.n_parameters == net.n_parameters
    elif which == 2:
        new, error = edits.deepen(net, len(net.layers) - 1)
        assert len(new.layers) == len(net.layers) + 1
    else:
        new, error = edits.compact(net)
        assert new.n_parameters <= net.n_parameters
        stored_numbers = sum(p.numel() for p in new.parameters())
        assert stored_numbers <= sum(p.numel() for p in net.parameters())
    assert error < 1e-10
    assert same(before, state(net))


@lean
@given(st.sampled_from(EXACT), st.sampled_from(WIDTHS), st.booleans(), st.integers(0, 100))
def test_refining_is_exact_where_grids_nest_and_can_be_undone(family, widths, skip, seed):
    net = network(family, widths, skip, seed, pruned=0.3)
    fine, error = edits.refine(net)
    assert error < 1e-10
    assert fine.n_parameters > net.n_parameters or net.n_edges == 0
    assert [*map(torch.Tensor.tolist, masks(fine))] == [*map(torch.Tensor.tolist, masks(net))]
    if family in ("spline", "piecewise_linear", "slaf", "fourier"):
        coarse, error = edits.coarsen(fine)
        assert error < 1e-9
        assert coarse.config() == net.config()


def masks(net):
    return [layer.mask for layer in net.all_layers]


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(9, 40), st.sampled_from([1, 2, 3, 4]), st.integers(0, 20))
def test_a_spline_is_refined_to_any_size(size, degree, seed):
    net = KAN([2, 2, 1], "spline", degree=degree, random_state=seed).double()
    moved, _ = edits.move_grids(net, probe(net), uniform=0.3)
    fine, error = edits.refine(moved, size)
    assert error < 1e-10
    assert {spec["intervals"] for layer in fine.layers for spec in layer.specs()} == {size}


@pytest.mark.parametrize("family", ["gp", "trainable_gp", "rbf"])
def test_other_grids_are_refined_by_least_squares_and_the_error_is_said(family):
    net = KAN([2, 2, 1], family, random_state=0).double()
    fine, error = edits.refine(net)
    assert 0 < error < 0.1
    assert error == largest_change(net, fine, probe(net))


@lean
@given(networks, st.data())
def test_pruning_twice_saving_and_refining_compose(tmp_path_factory, net, data):
    layer = data.draw(st.integers(0, len(net.all_layers) - 1))
    own = net.all_layers[layer]
    edge = (
        layer,
        data.draw(st.integers(0, own.in_features - 1)),
        data.draw(st.integers(0, own.out_features - 1)),
    )
    once = edits.prune_edges(net, [edge]).network
    again, error = edits.prune_edges(once, [edge])
    assert error == 0
    second = edits.prune_inputs(again, [0]).network
    assert 0 not in edits.live_inputs(second)
    loaded = stored(second, tmp_path_factory.mktemp("models"))
    assert largest_change(second, loaded, probe(net)) == 0
    small, error = edits.compact(loaded)
    assert error < 1e-10
    assert small.in_features == net.in_features
    loaded = stored(small, tmp_path_factory.mktemp("models"))
    assert largest_change(small, loaded, probe(net)) == 0
    least, error = edits.compact(small, inputs=True)
    assert error < 1e-10
    assert least.in_features == max(1, len(edits.live_inputs(small)))


@pytest.mark.parametrize("family", ["spline", "slaf"])
def test_refining_after_pruning_and_compacting_after_everything(family):
    net = network(family, [3, (2, [2]), 2], skip=True, seed=3)
    pruned = edits.prune_nodes(net, [(0, 1)]).network
    changed = edits.refine(pruned).network
    assert largest_change(pruned, changed, probe(net)) < 1e-10
    for change in (
        lambda n: edits.widen(n, 0, random_state=0),
        lambda n: edits.deepen(n, 1),
        lambda n: edits.prune_edges(n, [(0, 0, 0)]),
        edits.compact,
    ):
        previous, (changed, error) = changed, change(changed)
        assert error == largest_change(previous, changed, probe(previous))
    assert error < 1e-10


def test_dead_nodes_leave_and_the_number_of_parameters_drops():
    net = network("spline", [3, 4, 1], seed=1)
    pruned = edits.prune_nodes(net, [(0, 1), (0, 3)]).network
    small = edits.compact(pruned).network
    assert [small.nodes[0].width, small.layers[1].in_features] == [2, 2]
    assert small.n_parameters == pruned.n_parameters - 2  # the biases of two nodes
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())


def test_a_constant_factor_goes_into_the_other_one():
    net = network("spline", [2, (1, [2, 3]), 1], seed=2)
    # sums: one node, then the factors 1-2 and 3-5
    pruned = edits.prune_edges(net, [(0, i, o) for i in range(2) for o in (1, 4)]).network
    small, error = edits.compact(pruned)
    assert error < 1e-12
    assert (small.nodes[0].sums, small.nodes[0].products) == (2, (2,))


def test_a_product_with_a_factor_of_zero_is_zero():
    net = network("spline", [2, (1, [2]), 1], seed=2)
    pruned = edits.prune_edges(net, [(0, i, 1) for i in range(2)]).network
    with torch.no_grad():
        pruned.layers[0].bias[1] = 0
    small, error = edits.compact(pruned)
    assert error < 1e-12
    assert (small.nodes[0].sums, small.nodes[0].products) == (1, ())


def test_shared_poles_survive_the_loss_of_inputs():
    net = KAN([4, 1], "shared_pade", groups=2, random_state=0).double()
    small, error = edits.compact(edits.prune_inputs(net, [0, 1, 2]).network, inputs=True)
    assert small.in_features == 1
    assert error < 1e-12


def test_categories_and_missing_values_are_kept():
    net = KAN(
        [2, 2, 1],
        [{"family": "lookup", "categories": 3, "missing": True}, {"family": "gp", "missing": True}],
        skip=True,
        random_state=0,
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.linspace(0, 1, parameter.numel()).reshape(parameter.shape))
    x = torch.tensor([[0.0, 0.2], [2.0, torch.nan], [torch.nan, -0.4]], dtype=torch.float64)
    slaf = edits.change_family(net, {"family": "slaf", "degree": 12}, layers=[0, 2], x=x)
    assert slaf.error < 0.05
    absent = torch.full((1, 2), torch.nan, dtype=torch.float64)
    for old, new in zip(net.all_layers, slaf.network.all_layers, strict=True):
        assert torch.allclose(old.curves(absent), new.curves(absent), equal_nan=True)
    assert [spec["family"] for spec in slaf.network.layers[0].specs()] == ["lookup", "slaf"]
    with pytest.raises(ValueError, match="categories"):
        edits.change_family(net, "slaf", inputs=[0])
    with pytest.raises(ValueError, match="cannot pass through a curve"):
        edits.deepen(net, 0)


def test_grids_follow_the_data():
    net = KAN([1, 1], "gp", random_state=0).double()
    x = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None] ** 4 * 0.8
    moved, error = edits.move_grids(net, x, uniform=0.1)
    (bundle,) = moved.layers[0].bundles
    assert (bundle.lower.item(), bundle.upper.item()) == (0, 0.8)
    assert bundle.control_positions.diff()[0, 0] < 0.2 * bundle.control_positions.diff()[0, -1]
    assert error < 1e-2


def test_a_curve_becomes_a_formula_and_a_curve_again():
    net = KAN([2, 2, 1], "spline", intervals=12, random_state=0).double()
    bundle = net.layers[0].bundles[0]
    bundle.start_from(lambda t: 2 * torch.sin(2 * t + 0.3) - 1)
    formula, error = edits.set_formula(net, (0, 1, 0), "sin")
    assert error < 1e-3
    part = formula.layers[0].edge(1)[0].parts[-1]
    assert [p.mask.tolist() for p in formula.layers[0].edge(1)[0].parts] == [[[0, 1]], [[1, 0]]]
    assert abs(part.stacked_parameters()[2, 0, 0].abs().item() - 2) < 1e-2
    curve, error = edits.set_curve(formula, (0, 1, 0), {"family": "spline", "intervals": 12})
    assert error < 1e-3
    assert set(edits.compact(curve).network.layers[0].specs()[0]) >= {"intervals"}


def test_a_formula_with_known_constants_is_that_formula(tmp_path):
    net = KAN([1, 1], "spline", random_state=0).double()
    net.layers[0].set_domain(torch.tensor([1.0]), torch.tensor([3.0]))
    constants = {"a": 2.0, "b": -1.0, "c": 3.0, "d": 0.5}
    new = edits.set_formula(net, (0, 0, 0), "log", constants).network
    x = torch.linspace(1, 3, 11, dtype=torch.float64)[:, None]
    assert torch.allclose(stored(new, tmp_path)(x), 3 * torch.log(2 * x - 1) + 0.5, atol=1e-12)
    with pytest.raises(ValueError, match="constants must hold"):
        edits.set_formula(net, (0, 0, 0), "log", {"a": 1.0})


def test_damping_keeps_the_mean():
    net = network("gp", [2, 1], seed=0)
    x = probe(net)
    damped = edits.damp(net, (0, 0, 0), 0.25, x=x).network
    old, new = (n.layers[0].curves(x)[:, 0, 0] for n in (net, damped))
    assert torch.allclose(new, 0.25 * old)
    assert torch.allclose(damped(x).mean(), net(x).mean())


class TestGuardedPruning:
    @pytest.fixture
    def data(self):
        x = torch.rand(200, 4, generator=torch.Generator().manual_seed(0)).double() * 2 - 1
        return x, (x[:, :1] ** 2 + x[:, 1:2])

    @pytest.fixture
    def net(self, data):
        net = KAN([4, 1], "spline", random_state=0).double()
        curves = torch.zeros(200, 4, 1).double()
        curves[:, 0], curves[:, 1] = data[0][:, :1] ** 2, data[0][:, 1:2]
        curves += 1e-4 * torch.sin(9 * data[0])[:, :, None]
        net.layers[0].bundles[0].refit(data[0], curves)
        return net

    def test_it_removes_what_does_not_matter_and_stops(self, net, data):
        found = edits.prune_guarded(net, *data, tolerance=2.0)
        assert sorted(found.removed) == [(0, 2, 0), (0, 3, 0)]
        assert found.after <= 3 * found.before
        assert net.n_edges == 4

    @settings(max_examples=10, deadline=None, derandomize=True)
    @given(
        st.sampled_from(WIDTHS), st.booleans(), st.integers(0, 50), st.sampled_from([0, 0.1, 1e9])
    )
    def test_the_loss_stays_below_the_limit_and_outputs_connected(self, widths, skip, seed, allow):
        net = network("spline", widths, skip, seed)
        x = probe(net, 64)
        y = net(x).detach() + 0.1 * torch.sin(50 * x[:, :1])
        found = edits.prune_guarded(net, x, y, tolerance=allow)
        assert found.after <= (1 + allow) * found.before
        assert edits.is_connected(found.network)
        assert found.network.n_edges == net.n_edges - len(found.removed)
        if allow > 1:
            assert found.removed
        second = edits.prune_guarded(found.network, x, y, tolerance=0.0)
        assert second.after <= found.after

    def test_a_wrong_target_is_refused(self, net, data):
        with pytest.raises(ValueError, match=r"pass y\[:, None\]"):
            edits.prune_guarded(net, data[0], data[1][:, 0])
        with pytest.raises(ValueError, match="no rows"):
            edits.prune_guarded(net, data[0][:0], data[1][:0])
        with pytest.raises(ValueError, match="tolerance"):
            edits.prune_guarded(net, *data, tolerance=-1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: edits.refine(n, 0), "at least 1"),
        (lambda n: edits.refine(n, layers=7), "counted from 0"),
        (lambda n: edits.refine(n, inputs=[9], layers=0), "counted from 0"),
        (lambda n: edits.prune_edges(n, [(0, 5, 0)]), "no edge"),
        (lambda n: edits.prune_nodes(n, [(1, 0)]), "1 hidden layers"),
        (lambda n: edits.widen(n, 3), "hidden layers"),
        (lambda n: edits.widen(n, 0, 0), "something to add"),
        (lambda n: edits.deepen(n, 9), "position"),
        (lambda n: edits.change_family(n, "nonsense"), "unknown"),
        (lambda n: edits.set_formula(n, (0, 0, 0), "nonsense"), "unknown"),
        (lambda n: edits.set_formula(n, (0, 0), "sin"), "given as"),
        (lambda n: edits.move_grids(n, torch.zeros(3, 2), uniform=0), "uniform"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    net = KAN([2, 2, 1], "spline", random_state=0)
    before = state(net)
    with pytest.raises((ValueError, IndexError), match=message):
        change(net)
    assert same(before, state(net))


def test_edits_leave_the_global_random_numbers_alone():
    net = KAN([2, 2, 1], "spline", random_state=0)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    edits.compact(edits.refine(net).network)
    edits.widen(net, random_state=0)
    assert torch.equal(torch.rand(3), wanted)


def test_a_network_has_the_common_edits_as_methods():
    net = network("spline", [2, 2, 1], seed=4)
    x = probe(net, 64)
    chain = net.refine(10).move_grids(x).change_family("slaf", layers=0).coarsen(4, layers=0)
    chain = chain.widen(0, 2, random_state=0).deepen(1).compact()
    assert [layer.in_features for layer in chain.layers] == [2, 4, 4]
    y = net(x).detach()
    assert chain.prune(x, y, tolerance=0.5).n_edges < chain.n_edges
    assert net.n_edges == 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_edits_on_a_gpu_are_those_on_a_cpu(family):
    net = network(family, [2, 3, 1], skip=True)
    for change in (edits.compact, edits.refine, lambda n: edits.deepen(n, 1)):
        here, there = change(net).network, change(net.cuda()).network.cpu()
        net = net.cpu()
        assert largest_change(here, there, probe(net)) < 1e-8
