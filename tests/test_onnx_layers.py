"""A layer by itself goes through torch's own ONNX exporter."""

import warnings

import numpy as np
import pytest
import torch

from kanx.layers import KANLayer

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

EDGES = ("slaf", "pade", "shared_pade", "spline", "piecewise_linear", "rbf", "fourier", "wavelet")


@pytest.mark.slow
@pytest.mark.parametrize("edge", [*EDGES, "cauchy"])
def test_a_layer_in_onnx_computes_the_same(edge, tmp_path):
    generator = torch.Generator().manual_seed(0)
    layer = KANLayer(3, 2, edge, generator=generator).eval()
    x = 3 * torch.rand(40, 3, generator=generator) - 1.5
    with warnings.catch_warnings():  # torch's exporter uses what torch deprecates
        warnings.simplefilter("ignore")
        torch.onnx.export(layer, (x,), dynamo=True, verbose=False).save(tmp_path / "layer.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "layer.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, layer(x).detach().numpy(), atol=1e-6)
