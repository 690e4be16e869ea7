"""One climb of the evidence: Levenberg-Marquardt steps and updates of the precisions in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.training.coordinates import Coordinates
from kanx.training.distributed import own_share, total
from kanx.training.levenberg_marquardt import Problem, Step, minimise
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Loss, NoisyLoss
from kanx.training.normal_equations import DenseSystem, Equations
from kanx.training.posterior import Posterior
from kanx.training.student_t import StudentT

DENSE_LIMIT = 3000  # coordinates whose curvature is kept whole
BIAS_PRECISION = 1e-6
PRECISION_RANGE = (1e-8, 1e10)
NOISE_RANGE = (1e-2, 1e14)  # of the noise precision, for a target of unit variance
# least share of the target's variance that is noise, once every distinct row has a parameter
INTERPOLATION_NOISE = 1e-3
STEPS = 4  # of every round: with fewer, edges die before their curves have found a shape
# share of the loss, of at least one nat, that a step of a round has to gain: less is lost again
# when the precisions change
ENOUGH = 2e-4
DEAD = 1e-3  # effective parameters below which an edge is zero for all purposes


@dataclass(frozen=True)
class Snapshot:
    """A place to return to."""

    w: Tensor
    precision: Tensor
    loss: Loss
    damping: float
    living_groups: Tensor
    posterior: Posterior
    evidence: float


@dataclass(frozen=True)
class Ended:
    """Where the last steps ended."""

    step: Step
    loss: Loss
    living: Tensor  # coordinates

    def without(self, w: Tensor, fresh: Tensor, living: Tensor) -> Ended:
        """Go on to a place where some coordinates are zero for good, to first order."""
        kept, own = living[self.living], self.step.equations
        change = (fresh - w)[self.living]
        step = replace(self.step, w=fresh, equations=own.moved(change, kept))
        return Ended(step, self.loss, living)


class Climb:
    """Hold the state of a fit between rounds.

    Parameters
    ----------
    network : KAN
        In float64; always set to the present coordinates.
    x, y, loss, weight
        See `fit_evidence`.
    tied : bool, default=False
        Whether all edges of a layer share one precision of their lines and one of their bends.

    Attributes
    ----------
    w : Tensor, (size,)
        Whitened coordinates.
    precision : Tensor, (n_groups,)
        Prior precision of every edge.
    n_precisions : int
        How many of them are learned.
    posterior : Posterior
        At the last minimum.
    evidence : float
        Its log evidence.
    """

    posterior: Posterior
    evidence: float

    def __init__(
        self,
        network: KAN,
        x: Tensor,
        y: Tensor,
        loss: Loss,
        weight: Tensor,
        *,
        tied: bool = False,
    ) -> None:
        self.coordinates = Coordinates(network)
        own = own_share(len(x))
        linearisation = Linearisation(self.coordinates, x[own])
        self.coordinates.freeze(linearisation.uninformed())
        self.problem = Problem(linearisation, y[own], weight[own])
        self.loss = loss
        groups = torch.arange(self.coordinates.n_groups)
        self._pools = self.coordinates.pools() if tied else groups
        self.tied = tied
        living = self._pools[self.coordinates.living_groups()]
        self.n_precisions = len(living.unique()) - 1  # the biases have a fixed one
        self.w = self.coordinates.read() * self.coordinates.alive()
        self.coordinates.write(self.w)
        self.precision = torch.ones(self.coordinates.n_groups, dtype=torch.float64)
        self.precision[-1] = BIAS_PRECISION
        self.damping = 1e-3
        self._last: Ended | None = None

    def descend(self, iterations: int | None = None) -> float:
        """Take Levenberg-Marquardt steps, then return the log evidence by Laplace's method.

        Parameters
        ----------
        iterations : int, optional
            Most steps; 0 only evaluates the evidence.
        """
        living = self.coordinates.alive()
        if iterations is None:
            iterations = STEPS
        step = minimise(
            self.problem,
            self.loss,
            self.w,
            self.precision[self.coordinates.group],
            living,
            iterations=iterations,
            damping=self.damping,
            tol=ENOUGH,
            equations=self.equations(),
        )
        return self.conclude(step)

    def equations(self) -> Equations | None:
        """Return the normal equations at the present place where the last steps ended there.

        Where coordinates have been set to zero since, they hold to first order.
        """
        last = self._last
        if last is None or last.step.w is not self.w:
            return None
        times = self.loss.times(last.loss)
        if times is None or not torch.equal(last.living, self.coordinates.alive()):
            return None
        return last.step.equations.times(times)

    def conclude(self, step: Step) -> float:
        """Go to where a minimisation ended, and return the log evidence there.

        Parameters
        ----------
        step : Step
            The network is set to it already.
        """
        living = self.coordinates.alive()
        self.w, self.damping = step.w, step.damping
        self._last = Ended(step, self.loss, living)
        precision = self.precision[self.coordinates.group[living]]
        log_determinant, covariance = step.equations.regularised(precision).laplace()
        self.evidence = -step.value + 0.5 * (precision.log().sum() - log_determinant).item()
        noise = getattr(self.loss, "precision", None)
        self.posterior = Posterior(self.coordinates, living, covariance, self.precision, noise)
        return self.evidence

    def settled(self) -> Posterior:
        """Return the posterior with its whole covariance.

        Only the variances, where few rows made so many coordinates possible that the whole would
        be too large.
        """
        if not self.posterior.is_among_rows:
            return self.posterior
        living = self.coordinates.alive()
        if int(living.sum()) > DENSE_LIMIT:
            covariance = self.posterior.variances()
        else:
            equations = self.problem.assemble(self.loss, self.w, living)
            precision = self.precision[self.coordinates.group[living]]
            _, covariance = DenseSystem(equations.curvature + torch.diag(precision)).laplace()
        noise = self.posterior.noise_precision
        return Posterior(self.coordinates, living, covariance, self.precision, noise)

    def update(self) -> None:
        """Re-estimate the precisions and the noise, and drop edges that have become zero."""
        gamma = self.posterior.effective_parameters()
        square = torch.zeros_like(gamma).index_add_(0, self.coordinates.group, self.w**2)
        sums = [torch.zeros_like(gamma).index_add_(0, self._pools, v) for v in (gamma, square)]
        pooled = sums[0].clamp_min(1e-6) / sums[1].clamp_min(1e-300)
        fresh = pooled[self._pools].clamp(*PRECISION_RANGE)
        fresh[-1] = BIAS_PRECISION
        self.precision = fresh
        dead = (gamma < DEAD) & self.coordinates.living_groups()
        dead[-1] = False
        if bool(dead.any()):
            self.prune(dead)
        if isinstance(self.loss, NoisyLoss):
            f = self.problem.linearisation.outputs(self.w)
            self.loss = _with_noise(self.loss, f, self.problem, gamma.sum().item())

    def prune(self, groups: Tensor) -> None:
        """Set edges to zero for good, ``bool (n_groups,)``."""
        before = self.w
        self.coordinates.prune(groups)
        living = self.coordinates.alive()
        self.w = before * living
        self.coordinates.write(self.w)
        if self._last is not None and self._last.step.w is before:
            self._last = self._last.without(before, self.w, living)

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        return Snapshot(
            self.w,
            self.precision,
            self.loss,
            self.damping,
            self.coordinates.living_groups(),
            self.posterior,
            self.evidence,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state; pruned edges come back to life."""
        self.w, self.precision, self.loss = snapshot.w, snapshot.precision, snapshot.loss
        self.damping, self.evidence = snapshot.damping, snapshot.evidence
        self.posterior = snapshot.posterior
        self.coordinates.revive(snapshot.living_groups)
        self.coordinates.write(self.w)


def _with_noise(loss: NoisyLoss, f: Tensor, problem: Problem, gamma: float) -> NoisyLoss:
    if isinstance(loss, StudentT):
        loss = loss.with_tails(total(loss.tails(f, problem.y, problem.weight)))
    rows = total(problem.weight.sum())
    gamma = gamma / f.shape[1]
    freedom = (rows - gamma).clamp_min(0.05 * rows)
    square = loss.residual_squares(f, problem.y)
    # curves that can pass through every point would take the noise for zero
    share = min(1.0, gamma / problem.distinct_rows)
    floor = INTERPOLATION_NOISE * max(0.0, 2 * share - 1) ** 2
    error = total((square * problem.weight.unsqueeze(-1)).sum(0)) + floor * rows
    noise = (freedom / error.clamp_min(1e-300)).clamp(*NOISE_RANGE)
    return loss.with_precision(noise)
