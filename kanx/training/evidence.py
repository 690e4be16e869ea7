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

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.coordinates import Coordinates
from kanx.training.levenberg_marquardt import Problem, Step, minimise
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Gaussian, Huber, Loss
from kanx.training.posterior import Posterior

BIAS_PRECISION = 1e-6
PRECISION_RANGE = (1e-8, 1e10)
NOISE_RANGE = (1e-2, 1e24)  # of the noise precision, for a target of unit variance


@dataclass(frozen=True)
class Settings:
    """Limits of a fit.

    Parameters
    ----------
    max_iter : int, default=60
        Largest number of rounds; each is a few Levenberg-Marquardt steps and one update of the
        precisions.
    tol : float, default=1e-3
        The fit has converged when the log evidence gains less than this per row, three rounds
        in a row, scaled to at least 0.05 in all.
    prune_below : float, default=0.0
        An edge is pruned when the log Bayes factor of keeping it falls below this.
    first_noise : float, default=10.0
        Noise precision to start with, for a target of unit variance.
    """

    max_iter: int = 60
    tol: float = 1e-4
    prune_below: float = 0.0
    first_noise: float = 10.0


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


@dataclass
class _State:
    """Coordinates, precisions and damping between two rounds."""

    w: Tensor
    precision: Tensor  # (n_groups,)
    loss: Loss
    damping: float = 1e-3


def fit_evidence(
    network: KAN,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    weight: Tensor | None = None,
    *,
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
    settings : Settings
    on_round : callable, optional
        Called with the round and the log evidence after every round; stops the fit by True.
    """
    weight = torch.ones(len(x), dtype=torch.float64) if weight is None else weight
    coordinates = Coordinates(network)
    problem = Problem(Linearisation(coordinates, x), y, weight)
    precision = torch.ones(coordinates.n_groups, dtype=torch.float64)
    precision[-1] = BIAS_PRECISION
    state = _State(coordinates.read(), precision, loss)
    trace: list[float] = []
    quiet, converged = 0, False
    enough = max(settings.tol * weight.sum().item(), 0.05)
    for round_ in range(settings.max_iter):
        step = _descend(problem, coordinates, state, iterations=4)
        posterior, evidence = _laplace(coordinates, state, step)
        trace.append(evidence)
        gained = evidence - trace[-2] if round_ else float("inf")
        quiet = quiet + 1 if abs(gained) < enough else 0
        stop = on_round(round_, evidence) if on_round is not None else False
        if stop or quiet >= 3 or round_ == settings.max_iter - 1:
            converged = quiet >= 3
            break
        settled = round_ >= 4 and abs(gained) < 20 * enough
        _update(problem, coordinates, state, posterior, settings if settled else None)
    return Fit(network, posterior, evidence, state.loss, trace, converged)


def _descend(problem: Problem, coordinates: Coordinates, state: _State, iterations: int) -> Step:
    step = minimise(
        problem,
        state.loss,
        state.w,
        state.precision[coordinates.group],
        coordinates.alive(),
        iterations=iterations,
        damping=state.damping,
    )
    state.w, state.damping = step.w, step.damping
    return step


def _laplace(coordinates: Coordinates, state: _State, step: Step) -> tuple[Posterior, float]:
    """Return the Gaussian posterior at the minimum and the log evidence."""
    living = coordinates.alive()
    precision = state.precision[coordinates.group[living]]
    hessian = step.equations.curvature + torch.diag(precision)
    factor = _cholesky(hessian)
    covariance = torch.cholesky_inverse(factor)
    log_determinant = 2 * factor.diagonal().log().sum()
    evidence = -step.value + 0.5 * (precision.log().sum() - log_determinant).item()
    noise = getattr(state.loss, "precision", None)
    return Posterior(coordinates, living, covariance, state.precision, noise), evidence


def _cholesky(hessian: Tensor) -> Tensor:
    """Factorise, adding the smallest relative jitter that makes it possible."""
    diagonal = hessian.diagonal()
    jitter = 0.0
    while True:
        factor, info = torch.linalg.cholesky_ex(hessian + torch.diag(jitter * diagonal))
        if int(info) == 0:
            return factor
        jitter = max(jitter * 10, 1e-14)


def _update(
    problem: Problem,
    coordinates: Coordinates,
    state: _State,
    posterior: Posterior,
    pruning: Settings | None,
) -> None:
    """Re-estimate precisions and noise; prune what a settled evidence says is nothing."""
    gamma = posterior.effective_parameters()
    square = torch.zeros_like(gamma).index_add_(0, coordinates.group, state.w**2)
    fresh = (gamma.clamp_min(1e-6) / square.clamp_min(1e-300)).clamp(*PRECISION_RANGE)
    fresh[-1] = BIAS_PRECISION
    state.precision = fresh
    if pruning is not None:
        doomed = posterior.log_bayes_factors(state.w) < pruning.prune_below
        coordinates.prune(doomed)
        state.w = state.w * coordinates.alive()
    if isinstance(state.loss, Gaussian | Huber):
        f = problem.linearisation.outputs(state.w)
        state.loss = _with_noise(state.loss, f, problem, gamma.sum().item())


def _with_noise(
    loss: Gaussian | Huber, f: Tensor, problem: Problem, gamma: float
) -> Gaussian | Huber:
    rows = problem.weight.sum()
    freedom = (rows - gamma / f.shape[1]).clamp_min(0.05 * rows)
    square = (f - problem.y) ** 2
    if isinstance(loss, Huber):
        square = square * (loss.root_curvature(f, problem.y) ** 2 / loss.precision)
    error = (square * problem.weight.unsqueeze(-1)).sum(0)
    noise = (freedom / error.clamp_min(1e-300)).clamp(*NOISE_RANGE)
    return Gaussian(noise) if isinstance(loss, Gaussian) else Huber(noise, loss.delta)
