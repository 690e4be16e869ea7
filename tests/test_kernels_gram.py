"""The Gauss-Newton matrix from products of pairs equals the one from the Jacobian."""

import pytest
import torch

from kanx import KAN
from kanx.kernels import products
from kanx.training.coordinates import Coordinates
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Softmax
from kanx.training.normal_equations import assemble

NETWORKS = {
    "wide": {"widths": [3, 6, 1], "edge": "gp", "skip": True},
    "products": {"widths": [3, (4, [2]), 2], "edge": "slaf"},
    "mixed": {"widths": [3, 5, 3], "edge": ["gp", "pade", "spline"], "hidden_edge": "slaf"},
    "deep": {"widths": [3, 5, 4, 1], "edge": "spline", "intervals": 4},
}


@pytest.mark.parametrize("least", [0, products._LEAST])  # with the kernel, where there is one
@pytest.mark.parametrize("share", [1.0, 0.8, 0.3])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_product_of_the_jacobian(name, share, least, monkeypatch):
    monkeypatch.setattr(products, "_LEAST", least)
    network = KAN(**NETWORKS[name], random_state=0).double()
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(150, 3, generator=generator, dtype=torch.float64) - 1
    coordinates = Coordinates(network)
    w = torch.randn(coordinates.size, generator=generator, dtype=torch.float64)
    coordinates.write(w)
    with torch.no_grad():
        network.layers[0].bundles[0].mask[0, 1] = 0
    living = coordinates.alive() & (torch.rand(len(w), generator=generator) < share)
    weight = torch.rand(150, generator=generator, dtype=torch.float64)
    outputs = network.out_features
    if outputs == 3:
        loss, y = Softmax(), torch.randint(3, (150,), generator=generator)
    else:
        loss = Gaussian(torch.linspace(1, 2, outputs, dtype=torch.float64))
        y = torch.randn(150, outputs, generator=generator, dtype=torch.float64)
    linearisation = Linearisation(coordinates, x)
    found = assemble(linearisation, loss, w, y, weight, living)
    f, jacobian = linearisation.jacobian(w)
    jacobian = jacobian[:, :, living]
    root = loss.root_curvature(f, y)
    root = torch.diag_embed(root) if root.dim() == 2 else root
    rooted = torch.einsum("nck,ncp->nkp", root * weight.sqrt()[:, None, None], jacobian)
    curvature = torch.einsum("nkp,nkq->pq", rooted, rooted)
    slope = loss.gradient(f, y) * weight[:, None]
    gradient = torch.einsum("nc,ncp->p", slope, jacobian)
    size = curvature.abs().max().item()
    torch.testing.assert_close(found.curvature, curvature, rtol=1e-12, atol=1e-13 * size)
    torch.testing.assert_close(
        found.gradient, gradient, rtol=1e-11, atol=1e-13 * gradient.abs().max().item()
    )
    torch.testing.assert_close(found.curvature, found.curvature.mT, rtol=0, atol=0)
