"""`KANLayer`: families side by side, as a drop-in for a linear layer."""

import json

import pytest
import torch

from kanx import KANRegressor
from kanx.layers import Composite, KANLayer, Lookup

MIXED = ["gp", {"family": "lookup", "categories": 3}, "gp", {"family": "slaf", "degree": 2}]


def mixed_layer(**options):
    generator = torch.Generator().manual_seed(0)
    return KANLayer(4, 2, MIXED, generator=generator, **options).double()


def mixed_inputs(batch=6):
    generator = torch.Generator().manual_seed(1)
    x = 3 * torch.rand(batch, 4, generator=generator, dtype=torch.float64) - 1.5
    x[:, 1] = torch.arange(batch) % 3
    return x


def test_mixed_families_add_up_in_the_order_of_the_inputs():
    layer = mixed_layer()
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.5, -1.0]))
    x = mixed_inputs()
    assert len(layer.bundles) == 3 and layer.columns == [[0, 2], [1], [3]]
    curves = layer.curves(x)
    torch.testing.assert_close(layer(x), curves.sum(1) + layer.bias)
    for i in range(4):
        bundle, place = layer.edge(i)
        own = x[:, layer.columns[list(layer.bundles).index(bundle)]]
        torch.testing.assert_close(curves[:, i], bundle.curves(own)[:, place])
    with pytest.raises(IndexError, match="out of range"):
        layer.edge(4)


def test_slopes_and_input_jacobian_equal_autograd():
    layer, x = mixed_layer(), mixed_inputs().requires_grad_()
    upstream = torch.randn(6, 2, generator=torch.Generator().manual_seed(2)).double()
    (expected,) = torch.autograd.grad((layer(x) * upstream).sum(), x)
    torch.testing.assert_close(layer.input_jacobian(x.detach(), upstream), expected)
    slopes = layer.slopes(x.detach())
    torch.testing.assert_close(torch.einsum("bio,bo->bi", slopes, upstream), expected)


def test_masks_domains_and_outside_follow_the_inputs():
    layer, x = mixed_layer(), mixed_inputs()
    mask = torch.ones(4, 2)
    mask[2, 0] = mask[1, 1] = 0
    layer.set_mask(mask)
    torch.testing.assert_close(layer.mask, mask.double())
    curves = layer.curves(x)
    assert (curves[:, 2, 0] == 0).all() and (curves[:, 1, 1] == 0).all()
    assert torch.equal(layer.outside(x), (x.abs() > 1) & (torch.arange(4) != 1))
    layer.set_domain(torch.full((4,), -2.0), torch.full((4,), 2.0))
    assert not layer.outside(x).any()


def test_any_leading_dimensions_and_a_clear_error_for_others():
    layer, x = mixed_layer(), mixed_inputs()
    torch.testing.assert_close(layer(x.reshape(2, 3, 4)), layer(x).reshape(2, 3, 2))
    assert layer(x[:0]).shape == (0, 2)
    with pytest.raises(ValueError, match="expected 4 inputs, got 3"):
        layer(x[:, :3])


def test_specifications_rebuild_the_layer():
    layer, x = mixed_layer(residual="snake"), mixed_inputs()
    twin = KANLayer(4, 2, json.loads(json.dumps(layer.specs()))).double()
    twin.load_state_dict(layer.state_dict())
    torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=0)


def test_residual_branch_adds_a_weighted_activation():
    layer = KANLayer(2, 3, "spline", residual="silu", intervals=3).double()
    (bundle,) = layer.bundles
    assert isinstance(bundle, Composite)
    spline, base = bundle.parts
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None].expand(-1, 2)
    base_values = torch.nn.functional.silu(x)[:, :, None] * base.coefficients[0]
    torch.testing.assert_close(layer.curves(x), spline.curves(x) + base_values)
    assert not any(isinstance(b, Composite) for b in KANLayer(2, 3, residual="zero").bundles)
    assert any(isinstance(b, Lookup) for b in mixed_layer(residual="silu").bundles)


def test_bad_specifications_are_refused():
    for bad, message in (
        ("sline", "choose one of"),
        (["gp"], "1 edge specifications for 4 inputs"),
        ({"intervals": 3}, "needs the key 'family'"),
    ):
        with pytest.raises(ValueError, match=message):
            KANLayer(4, 2, bad)
    with pytest.raises(ValueError, match="activation 'sile' is unknown"):
        KANLayer(4, 2, residual="sile")


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ({"family": "gp", "foo": 1}, r"\['foo'\] are unknown to the family 'gp'; .*'length_scale'"),
        ({"family": "gp", "residual": "silu", "foo": 1}, "unknown to the family 'gp'"),
        ({"family": "shared", "elements": 1, "inner": {"family": "rbf", "foo": 1}}, "family 'rbf'"),
        ("composite", r"'composite' needs the edge options \['parts'\]"),
    ],
)
def test_options_that_a_family_lacks_are_named_with_its_own(edge, message):
    with pytest.raises(ValueError, match=message):
        KANLayer(1, 1, edge)
    with pytest.raises(ValueError, match=message):
        KANRegressor(edge=edge, hidden="additive").fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 2.0])


def test_compiles_as_one_graph():
    layer = mixed_layer().float()
    x = mixed_inputs().float()
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x), rtol=1e-4, atol=1e-4)
