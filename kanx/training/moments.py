"""What a posterior says of the outputs at some rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kanx.training.linearisation import Linearisation
from kanx.training.portion import Portion
from kanx.training.posterior import Posterior
from kanx.training.rows import ROWS_AT_ONCE


def moments(
    posterior: Posterior, x: Tensor, spread: Callable[[Posterior, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the posterior spread of the outputs, without the noise, and the outputs themselves.

    Parameters
    ----------
    posterior : Posterior
    x : Tensor, (rows, in)
    spread : callable
        `Posterior.output_variance` or `Posterior.output_covariance`.

    Returns
    -------
    spread : Tensor, (rows, outputs) or (rows, outputs, outputs)
    outputs : Tensor, (rows, outputs)
    """
    coordinates = posterior.coordinates
    w = coordinates.read()
    portion = Portion(ROWS_AT_ONCE)

    def found() -> tuple[Tensor, Tensor]:
        spreads: list[Tensor] = []
        outputs: list[Tensor] = []
        for part in x.split(portion.rows):
            f, jacobian = Linearisation(coordinates, part).jacobian(w)
            spreads.append(spread(posterior, jacobian))
            outputs.append(f)
        return torch.cat(spreads), torch.cat(outputs)

    return portion.attempt(found, len(x))
