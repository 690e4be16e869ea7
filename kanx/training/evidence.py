r"""Evidence maximisation: smoothness, noise and relevance of every edge from the data alone.

Every edge ``e`` has a Gaussian prior :math:`N(0, (\alpha_e R_e)^{-1})` on its parameters. At the
minimum of the penalised loss, with :math:`A` its Gauss-Newton Hessian in whitened coordinates,

.. math:: \gamma_e = p_e - \alpha_e \operatorname{tr}(A^{-1})_{ee}, \quad
          \alpha_e \leftarrow \gamma_e / |w_e|^2, \quad
          \beta \leftarrow (N - \sum \gamma) / \mathrm{RSS},

and the log evidence is :math:`-E(w) + \tfrac12 \sum_j \log\alpha_j - \tfrac12 \log|A|`.

MacKay: Bayesian interpolation, Neural Computation 4, 1992. Foresee and Hagan: Gauss-Newton
approximation to Bayesian learning, 1997. Tipping: Sparse Bayesian learning, JMLR 2001.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.climb import Climb
from kanx.training.coordinates import Coordinates
from kanx.training.losses import Loss
from kanx.training.matrix_free import MatrixFreeClimb
from kanx.training.missing import average_where_never_missing
from kanx.training.posterior import Posterior
from kanx.training.pruning import prune_edges

# beyond this many coordinates the curvature is kept as its diagonal
DENSE_LIMIT = 3000


@dataclass(frozen=True)
class Settings:
    """Limits of a fit.

    Parameters
    ----------
    max_iter : int, default=60
        Largest number of rounds; each is a few Levenberg-Marquardt steps and one update of the
        precisions.
    tol : float, default=1e-4
        The fit has converged when the log evidence gains less than this per row, three rounds
        in a row, scaled to at least 0.05 in all.
    prune : bool, default=True
        Whether edges are pruned that the evidence does not want; see `prune_edges`.
    checkpoint : Path, optional
        Folder of checkpoints; see `Journal`.
    """

    max_iter: int = 60
    tol: float = 1e-4
    prune: bool = True
    checkpoint: Path | None = None


@dataclass
class Fit:
    """A fitted network and what the evidence says of it.

    Attributes
    ----------
    network : KAN
    posterior : Posterior
    evidence : float
        Log evidence by Laplace's method; comparable between fits of the same rows.
    loss : Loss
        With the estimated noise.
    trace : list of float
        Log evidence after every round.
    converged : bool
    """

    network: KAN
    posterior: Posterior
    evidence: float
    loss: Loss
    trace: list[float] = field(default_factory=list)
    converged: bool = False


def fit_evidence(
    network: KAN,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    weight: Tensor | None = None,
    *,
    precision: Tensor | None = None,
    settings: Settings = Settings(),
    on_round: Callable[[int, float], bool] | None = None,
) -> Fit:
    """Fit a network by Levenberg-Marquardt with evidence maximisation, in place.

    Parameters
    ----------
    network : KAN
        In float64; its present parameters are the start.
    x : Tensor, (rows, in), float64
    y : Tensor, (rows, outputs), or class codes (rows,) for `Softmax`
    loss : Loss
        The noise precision of `Gaussian` and `Huber` is estimated.
    weight : Tensor, (rows,), optional
        Sample weights; an integer weight means that many copies of the row.
    precision : Tensor, (n_groups,), optional
        Prior precisions to start from, such as those of a fit to a part of the rows.
    settings : Settings
    on_round : callable, optional
        Called with the round and the log evidence after every round; stops the fit by True.
    """
    weight = torch.ones(len(x), dtype=torch.float64) if weight is None else weight
    large = int(Coordinates(network).alive().sum()) > DENSE_LIMIT
    climb = (MatrixFreeClimb if large else Climb)(network, x, y, loss, weight)
    if precision is not None:
        climb.precision = precision.clone()
    trace: list[float] = []
    enough = max(settings.tol * weight.sum().item(), 0.05)
    converged = stopped = False
    while len(trace) < settings.max_iter and not (converged or stopped):
        if trace:
            climb.update()
        trace.append(climb.descend())
        stopped = on_round(len(trace) - 1, trace[-1]) if on_round is not None else False
        recent = trace[-4:]
        converged = len(recent) == 4 and max(recent) - min(recent) < 3 * enough
    if settings.prune and not (stopped or large):
        prune_edges(climb)
    average_where_never_missing(network, x, weight)
    return Fit(network, climb.posterior, climb.evidence, climb.loss, trace, converged)
