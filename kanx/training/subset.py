"""Rows on which sizes and starts are tried where there are very many."""

from __future__ import annotations

import torch
from torch import Tensor

from kanx.training.losses import Logistic, Loss, Softmax


def choose_rows(loss: Loss, y: Tensor, weight: Tensor, count: int, seed: int) -> Tensor:
    """Choose rows at random; of classes as evenly as their numbers allow, so that rare ones count.

    Which class a row belongs to may decide whether it is seen: of a logistic model that changes
    only the constants, and what is learned of a rare class is limited by its own rows.

    Parameters
    ----------
    loss : Loss
    y : Tensor, (rows, ...)
    weight : Tensor, (rows,)
        Rows of weight zero are not chosen.
    count : int
        At most so many.
    seed : int

    Returns
    -------
    Tensor, (chosen,)

    References
    ----------
    Prentice and Pyke: Logistic disease incidence models and case-control studies, Biometrika 66,
    1979.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y), generator=generator)
    order = order[weight[order] > 0]
    codes = _classes(loss, y)
    if codes is None:
        return order[:count]
    members = [order[codes[order] == code] for code in codes.unique()]
    members.sort(key=len)
    chosen: list[Tensor] = []
    for k, own in enumerate(members):  # what rare classes leave goes to the others
        left = count - sum(map(len, chosen))
        chosen.append(own[: left // (len(members) - k)])
    return torch.cat(chosen)


def _classes(loss: Loss, y: Tensor) -> Tensor | None:
    if isinstance(loss, Softmax):
        return y
    return y[:, 0] if isinstance(loss, Logistic) and y.shape[1] == 1 else None
