"""`KANConv2d` is convolution with functions for weights."""

import pytest
import torch

from kanx.layers import KANConv2d

GEOMETRIES = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 2, "dilation": 2, "padding": 1},
]


def images(batch=2):
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.rand(batch, 2, 7, 6, generator=generator, dtype=torch.float64) - 1


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_linear_functions_make_an_ordinary_convolution(geometry):
    layer = KANConv2d(2, 3, edge="slaf", degree=1, **geometry).double()
    reference = torch.nn.Conv2d(2, 3, **geometry).double()
    weight = reference.weight.detach().flatten(1).T  # (patch, out)
    with torch.no_grad():
        layer.layer.bundles[0].load_stacked(torch.stack([0 * weight, weight]))
        layer.layer.bias.copy_(reference.bias)
    torch.testing.assert_close(layer(images()), reference(images()))


@pytest.mark.parametrize("edge", ["gp", "pade", "spline"])
def test_every_place_sums_the_functions_of_its_patch(edge):
    layer = KANConv2d(2, 3, 3, edge=edge, residual="silu").double()
    x = images()
    patch = x[1, :, 2:5, 1:4].reshape(1, -1)
    torch.testing.assert_close(layer(x)[1, :, 2, 1], layer.layer(patch)[0])


def test_gradients_reach_images_and_parameters():
    layer = KANConv2d(1, 1, 2, edge="spline", intervals=2).double()
    x = images(1)[:, :1, :3, :3].requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_compiles_and_exports():
    layer = KANConv2d(2, 3, 3, padding=1).eval()
    x = images().float()
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x), rtol=1e-4, atol=1e-4)
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    more = torch.cat([x, x, x])
    torch.testing.assert_close(program.module()(more), layer(more), rtol=1e-4, atol=1e-4)


def test_bad_geometry_and_bad_images_are_refused():
    with pytest.raises(ValueError, match="must be positive"):
        KANConv2d(1, 1, 0)
    with pytest.raises(ValueError, match=r"expected images \(batch, 2, height, width\)"):
        KANConv2d(2, 1, 3)(torch.zeros(1, 3, 5, 5))
