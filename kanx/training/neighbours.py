"""Noise seen without a model, from the differences between neighbouring rows."""

from __future__ import annotations

import torch

from kanx.training.noise_free_search import Rows
from kanx.training.rows import seeded

NEIGHBOURS, MOST_ROWS = 10, 2000
SURE = 1e-2  # error, in deviations of the target, of a fit that no noise can explain


def noise_variance(rows: Rows) -> tuple[float, float]:
    r"""Estimate the noise of a smooth function's values by the Gamma test.

    Half the mean squared difference of the targets of :math:`k`-th nearest neighbours,
    :math:`\gamma_k`, is the variance of the noise and a part that grows with their mean squared
    distance :math:`\delta_k`. A straight line through :math:`(\delta_k, \gamma_k)` meets
    :math:`\delta = 0` at the noise.

    Parameters
    ----------
    rows : Rows
        Those with missing values are left out; of many, some are drawn.

    Returns
    -------
    noise : float
        Variance; may come out below zero.
    nearest : float
        :math:`\gamma_1`, which contains the noise.

    References
    ----------
    Stefansson, Koncar, Jones: A note on the Gamma test, Neural Computing and Applications 5, 1997.
    """
    rows = rows[torch.isfinite(rows.x).all(1)]
    count = len(rows.x)
    if count <= NEIGHBOURS:
        return 0.0, 0.0
    if count > MOST_ROWS:
        rows = rows[torch.randperm(count, generator=seeded(0))[:MOST_ROWS]]
    spread = rows.x.std(0)
    # what does not vary but by rounding tells no distance
    varies = spread > 1e-12 * rows.x.abs().amax(0)
    x = rows.x[:, varies] / spread[varies]
    distances = torch.cdist(x, x)
    distances.fill_diagonal_(torch.inf)
    nearest, index = distances.topk(NEIGHBOURS, largest=False)  # (rows, k)
    delta = (nearest**2).mean(0)
    gamma = ((rows.y[index] - rows.y.unsqueeze(1)) ** 2).sum(-1).mean(0) / 2
    centred = delta - delta.mean()
    slope = (centred @ gamma) / (centred @ centred).clamp_min(1e-300)
    return (gamma.mean() - slope * delta.mean()).item(), gamma[0].item()


def looks_noisy(rows: Rows, error: float) -> bool:
    """Say whether noise is what keeps a fit from coming nearer.

    Where most of the difference between neighbours does not shrink with their distance, and an
    error is of the size of that part, it is taken for noise. Weak noise between steep values is
    not seen.

    Parameters
    ----------
    rows : Rows
    error : float
        Root mean square error of a fit, in deviations of the target.
    """
    if error < SURE:
        return False
    mean = (rows.weight @ rows.y) / rows.weight.sum()
    variance = rows.error(mean) ** 2
    noise, nearest = noise_variance(rows)
    return noise > nearest / 2 and (error**2) * variance < 4 * noise
