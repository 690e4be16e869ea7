"""A fitted model around an edited network."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor

from kanx.edits.holding import fit_holding
from kanx.edits.rebuild import Edge, checked_edge
from kanx.model import Model
from kanx.network import KAN

if TYPE_CHECKING:
    from kanx.estimator_base import KANEstimator


def refitted(
    model: Model,
    network: KAN,
    data: tuple[Tensor, Tensor, Tensor],
    held: Iterable[Edge],
    *,
    still: bool,
) -> Model:
    """Fit an edited network around its held edges, and return the model that it makes.

    Parameters
    ----------
    model : Model
        Before the edit; it becomes the new one's past.
    network : KAN
        Edited; it is fitted in place.
    data : (Tensor, Tensor, Tensor)
        Encoded rows, targets and weights.
    held : iterable of (int, int, int)
        Layer, input and output.
    still : bool
        Whether nothing moves and only the error bars are computed.
    """
    edges = [checked_edge(network, edge) for edge in held]
    x, y, weight = data
    fit = fit_holding(network, x, y, model.members[0].loss, weight, edges, still=still)
    fit.network.eval()
    return Model(
        model.columns,
        [fit],
        model.target_mean,
        model.target_scale,
        model.target_names,
        previous=model,
    )


def with_model(estimator: KANEstimator, model: Model) -> KANEstimator:
    """Return a copy of a fitted estimator around another model."""
    result = copy.copy(estimator)
    result.model_ = model
    return result
