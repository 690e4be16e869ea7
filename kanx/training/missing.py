"""Values of edges whose input was never missing in the data but may be later."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.layers import LinearFamily
from kanx.network import KAN
from kanx.training.coordinates import own_columns
from kanx.training.distributed import everywhere, total

ROWS = 1024  # that are expanded at a time


def average_where_never_missing(network: KAN, x: Tensor, weight: Tensor) -> None:
    """Let a missing value count as the curve's mean where the data had none; in place.

    Parameters
    ----------
    network : KAN
    x : Tensor, (rows, in)
    weight : Tensor, (rows,)
    """
    for layer in [network.layers[0], *([] if network.skip is None else [network.skip])]:
        for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
            if not isinstance(bundle, LinearFamily) or not bundle.missing:
                continue
            own = own_columns(layer, columns, x)
            complete = everywhere(~torch.isnan(own).any(0))
            with torch.no_grad():
                values = bundle.stacked_parameters().clone()
                features = torch.zeros(values.shape[:2]).to(values)
                for part, its_weight in zip(own.split(ROWS), weight.split(ROWS), strict=True):
                    expanded = bundle.expand_block(torch.where(complete, part, bundle.lower))
                    features += torch.einsum("n,ngi->gi", its_weight, expanded)
                mean = total(features) / total(weight.sum())
                curves = torch.einsum("gi,gio->io", mean, values * bundle.mask)
                values[-1, complete] = curves[complete]
            bundle.load_stacked(values)
