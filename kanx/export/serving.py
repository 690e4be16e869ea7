"""What a served model computes, as one torch module: predictions and contributions."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from kanx.export.exported import fitted_model, link_of, rows_around
from kanx.network import KAN

ORDERS = 16
BACKGROUND_ROWS = 1000


class Serving(nn.Module):
    r"""Map encoded rows to predictions and to the contributions of the inputs.

    Contributions are in the target's units, log-odds for a classifier and logarithms
    for counts, and add up:
    ``base + contributions.sum(1)`` are the outputs. Where the model is a sum of curves they are
    the curves, centred over the background. Otherwise they are Shapley values, estimated from a
    fixed set of orders of the inputs, each beside a fixed background row, so that every call gives
    the same numbers.

    Parameters
    ----------
    network : KAN
        In float64.
    mean, scale : Tensor, (outputs,)
    link : {"identity", "log", "logistic", "softmax"}
    background : Tensor, (rows, in)
        Encoded rows that contributions are relative to.
    orders : int, default=16
        Number of orders of the inputs; more are more precise and slower.

    References
    ----------
    Castro, Gómez, Tejada: Polynomial calculation of the Shapley value based on sampling, 2009.
    """

    mean: Tensor
    scale: Tensor
    base: Tensor
    centre: Tensor
    background: Tensor
    ranks: Tensor

    def __init__(
        self,
        network: KAN,
        mean: Tensor,
        scale: Tensor,
        link: str,
        background: Tensor,
        orders: int = ORDERS,
    ) -> None:
        super().__init__()
        self.network = network
        self.link = link
        self.is_additive = len(network.layers) == 1 and not network.nodes[0].kinds
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        count = network.in_features
        generator = torch.Generator().manual_seed(0)
        first = [torch.randperm(count, generator=generator) for _ in range((orders + 1) // 2)]
        # every second order is the one before, reversed: a linear trend then cancels
        pairs = [order for own in first for order in (own, own.flip(0))][:orders]
        self.register_buffer("ranks", torch.stack([order.argsort() for order in pairs]))
        chosen = torch.randint(len(background), (orders, count), generator=generator)
        self.register_buffer("background", background[chosen, torch.arange(count)])
        with torch.no_grad():
            if self.is_additive:
                centre = network.layers[0].curves(background).mean(0)  # (in, out)
                bias = network.layers[0].bias
                base = centre.sum(0) + (0.0 if bias is None else bias)
            else:
                centre = torch.zeros(count, network.out_features).to(mean)
                base = network(self.background).mean(0)
        self.register_buffer("centre", centre)
        self.register_buffer("base", mean + scale * base)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(rows, in)`` to predictions and contributions.

        Returns
        -------
        predictions : Tensor, (rows, targets) or (rows, classes)
        contributions : Tensor, (rows, in, outputs)
        """
        outputs = self.mean + self.scale * self.network(x)
        return self._linked(outputs), self.contributions(x)

    def contributions(self, x: Tensor) -> Tensor:
        """Split the outputs of ``(rows, in)`` into ``(rows, in, outputs)``."""
        if self.is_additive:
            return (self.network.layers[0].curves(x) - self.centre) * self.scale
        orders, count = self.ranks.shape
        steps = torch.arange(count + 1, device=x.device)
        taken = self.ranks.unsqueeze(1) < steps[:, None]  # (orders, steps, in)
        rows = torch.where(taken, x[:, None, None, :], self.background.unsqueeze(1))
        outputs = self.network(rows.flatten(0, 2)) * self.scale
        outputs = outputs.unflatten(0, (-1, orders, count + 1))
        rises = outputs[:, :, 1:] - outputs[:, :, :-1]  # (rows, orders, in by rank, outputs)
        own = rises[:, torch.arange(orders, device=x.device)[:, None], self.ranks]
        return own.mean(1)

    def _linked(self, outputs: Tensor) -> Tensor:
        if self.link == "identity":
            return outputs
        if self.link == "log":
            return outputs.exp()
        if self.link == "softmax":
            return outputs.softmax(-1)
        p = torch.sigmoid(outputs)
        return torch.cat([1 - p, p], dim=-1)


def serving(model: Any, X: Any = None, orders: int = ORDERS) -> Serving:
    """Build the module that serves a fitted estimator.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted
    X : table, optional
        Rows that contributions are relative to, such as the training rows; rows spread evenly in
        and around the range of the training rows if left out.
    orders : int, default=16
        See `Serving`.

    Raises
    ------
    TypeError
        If it is no fitted estimator.
    ValueError
        If `orders` is not positive.
    """
    return serving_of(model, background_of(model, X), orders)


def background_of(model: Any, X: Any = None) -> Tensor:
    """Return encoded rows that contributions are relative to; see `serving`."""
    fitted = fitted_model(model)
    if X is None:
        return torch.from_numpy(rows_around(fitted.columns, BACKGROUND_ROWS))
    return model._matrix(X)


def serving_of(model: Any, background: Tensor, orders: int = ORDERS) -> Serving:
    """Build the module from encoded background rows; see `serving`."""
    if orders < 1:
        raise ValueError(f"orders must be at least 1, got {orders}")
    fitted = fitted_model(model)
    network = copy.deepcopy(fitted.network).double().eval().requires_grad_(False)
    mean, scale = fitted.target_mean.clone(), fitted.target_scale.clone()
    return Serving(network, mean, scale, link_of(model), background, orders).eval()
