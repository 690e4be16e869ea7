"""Levenberg-Marquardt for a penalised loss in whitened coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kanx.training.distributed import gathered, total
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Loss
from kanx.training.normal_equations import Equations, assemble

ROUNDING = 1e-14  # share of the loss below which a promised gain is nothing
TOLERANCE = 1e-5  # share of the loss, of at least one nat, that a step has to gain
# factors by which the damping rises after a failed step and falls after one that was good at once,
# and its limits
MORE, LESS, LEAST_DAMPING, MOST_DAMPING = 5.0, 5.0, 1e-12, 1e12


@dataclass
class Problem:
    """What is minimised: ``sum_n weight_n loss_n + 1/2 sum_j precision_j w_j^2``.

    Parameters
    ----------
    linearisation : Linearisation
    y : Tensor, (rows, ...)
    weight : Tensor, (rows,)
    """

    linearisation: Linearisation
    y: Tensor
    weight: Tensor

    @cached_property
    def distinct_rows(self) -> int:
        """Number of rows whose inputs differ; a repeated row tells nothing of other places."""
        own = torch.unique(torch.nan_to_num(self.linearisation.x), dim=0)
        return len(torch.unique(gathered(own), dim=0))

    def value(self, loss: Loss, w: Tensor, precision: Tensor) -> float:
        """Return the penalised loss; NaN counts as infinite. Sets the network to ``w``."""
        f = self.linearisation.outputs(w)
        value = total((loss.value(f, self.y) * self.weight).sum())
        value = value + 0.5 * (precision * w * w).sum()
        return value.item() if bool(torch.isfinite(value)) else float("inf")

    def assemble(self, loss: Loss, w: Tensor, living: Tensor) -> Equations:
        """Return the normal equations at ``w``, which the network must be set to."""
        return assemble(self.linearisation, loss, w, self.y, self.weight, living)


@dataclass
class Step:
    """Where a minimisation ended.

    Attributes
    ----------
    w : Tensor, (size,)
    value : float
        Penalised loss.
    damping : float
        To continue with.
    equations : Equations
        At ``w``.
    converged : bool
        Whether the last accepted step gained less than the tolerance, or none was found.
    """

    w: Tensor
    value: float
    damping: float
    equations: Equations
    converged: bool


def minimise(
    problem: Problem,
    loss: Loss,
    w: Tensor,
    precision: Tensor,
    living: Tensor,
    *,
    iterations: int = 20,
    damping: float = 1e-3,
    tol: float = TOLERANCE,
    equations: Equations | None = None,
) -> Step:
    """Minimise the penalised loss from ``w`` by damped Gauss-Newton steps.

    A step is taken only if it lowers the loss; one that gives NaN or infinity is rejected like
    any other and the damping grows. The network is left at the result.

    Parameters
    ----------
    problem, loss
    w : Tensor, (size,)
    precision : Tensor, (size,)
    living : Tensor, bool (size,)
    iterations : int, default=20
        Largest number of accepted steps.
    damping : float, default=1e-3
        Start of Marquardt's factor, relative to the diagonal.
    tol : float, default=1e-5
        Stop when a step lowers the loss by less than this fraction (of at least one nat).
    equations : Equations, optional
        Those at ``w``, where they are known.

    References
    ----------
    Marquardt: An algorithm for least-squares estimation of nonlinear parameters, 1963.
    """
    value = problem.value(loss, w, precision)
    known, converged = equations is not None, False
    if equations is None:
        equations = problem.assemble(loss, w, living)
    for _ in range(iterations):
        gradient = equations.gradient + precision[living] * w[living]
        system = equations.regularised(precision[living])
        found = None
        trust = damping
        while found is None and trust < MOST_DAMPING:
            step = system.solve(-gradient, trust)
            if step is not None:
                # what the quadratic model promises; below rounding there is nothing to gain
                promise = (-gradient @ step - 0.5 * system.quadratic(step)).item()
                if promise < ROUNDING * max(1.0, abs(value)):
                    break
                trial = w.clone()
                trial[living] += step
                trial_value = problem.value(loss, trial, precision)
                if trial_value < value:
                    found = trial, trial_value
            if found is None:
                trust *= MORE
        if found is None:
            problem.value(loss, w, precision)  # set the network back
            converged = True
            break
        gain = value - found[1]
        w, value = found
        # what has just been too little is not tried again at once
        damping = max(trust / LESS, LEAST_DAMPING) if trust == damping else trust
        equations, known = problem.assemble(loss, w, living), False
        if gain < tol * max(1.0, abs(value)):
            converged = True
            break
    if known:  # no step was taken: the result does not depend on where the equations came from
        equations = problem.assemble(loss, w, living)
    return Step(w, value, damping, equations, converged)
