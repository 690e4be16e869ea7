"""Layers by themselves go through torch's own ONNX exporter."""

import warnings

import numpy as np
import pytest
import torch

from kanx.layers import KANLayer

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

EDGES = ("slaf", "pade", "shared_pade", "spline", "piecewise_linear", "rbf", "fourier", "wavelet")
FAMILIES = (*EDGES, "cauchy")


class SideBySide(torch.nn.Module):
    """One layer of every family: the exporter's own start takes longer than any of them."""

    def __init__(self, generator):
        super().__init__()
        layers = [KANLayer(3, 2, edge, generator=generator) for edge in FAMILIES]
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        return tuple(layer(x) for layer in self.layers)


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Return what each layer and its twin in onnxruntime compute, by family."""
    generator = torch.Generator().manual_seed(0)
    layers = SideBySide(generator).eval()
    x = 3 * torch.rand(40, 3, generator=generator) - 1.5
    path = tmp_path_factory.mktemp("onnx") / "layers.onnx"
    with warnings.catch_warnings():  # torch's exporter uses what torch deprecates
        warnings.simplefilter("ignore")
        torch.onnx.export(layers, (x,), dynamo=True, verbose=False).save(path)
    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return dict(zip(FAMILIES, zip(found, layers(x), strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("edge", FAMILIES)
def test_a_layer_in_onnx_computes_the_same(edge, computed):
    found, own = computed[edge]
    np.testing.assert_allclose(found, own.detach().numpy(), atol=1e-6)
