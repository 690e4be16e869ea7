r"""New rows for a fitted network: its posterior so far is their prior.

The new optimum minimises :math:`\sum_n \omega_n \ell_n + \tfrac12 (w - \hat w)' A (w - \hat w)`
over the new rows, with :math:`A` the inverse covariance of the posterior so far; its curvature is
the next inverse covariance. For one layer and normal errors this is exact: the order of the rows
and their division into batches do not matter.

Opper: A Bayesian approach to on-line learning, 1998. Ritter, Botev, Barber: Online structured
Laplace approximations for overcoming catastrophic forgetting, NeurIPS 2018.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from kanx.training.coordinates import Coordinates
from kanx.training.evidence import Fit
from kanx.training.linearisation import Linearisation
from kanx.training.losses import Loss
from kanx.training.normal_equations import DenseSystem, assemble, curvature_diagonal, factorise
from kanx.training.posterior import Posterior
from kanx.training.rows import InMemory

STEPS = 50
SMALL = 1e-9  # relative gain that ends the steps


def update(fit: Fit, rows: InMemory) -> Fit:
    """Return a fit that has also seen the rows; the given one is not changed.

    The smoothness and the noise stay as the first fit has found them.

    Parameters
    ----------
    fit : Fit
    rows : InMemory
    """
    network = copy.deepcopy(fit.network)
    fresh, old = Coordinates(network), fit.posterior
    task = _Update(Linearisation(fresh, rows.x), fit.loss, rows, old, fresh.read())
    w, curvature = task.minimise()
    fresh.write(w)
    covariance = 1 / curvature if old.is_diagonal else torch.cholesky_inverse(factorise(curvature))
    posterior = Posterior(fresh, old.living, covariance, old.precision, old.noise_precision)
    return replace(fit, network=network, posterior=posterior)


class _Update:
    """The penalised loss of new rows."""

    def __init__(
        self,
        linearisation: Linearisation,
        loss: Loss,
        rows: InMemory,
        old: Posterior,
        start: Tensor,
    ) -> None:
        self.linearisation, self.loss, self.rows, self.start = linearisation, loss, rows, start
        self.living = old.living
        self.information = (
            1 / old.covariance
            if old.is_diagonal
            else torch.cholesky_inverse(factorise(old.covariance))
        )

    def minimise(self) -> tuple[Tensor, Tensor]:
        """Return the optimum and the curvature there."""
        w, value, damping = self.start, self._value(self.start), 1e-6
        for _ in range(STEPS):
            gradient, curvature = self._derivatives(w)
            found = None
            while found is None and damping < 1e12:
                step = self._step(curvature, -gradient, damping)
                if step is not None:
                    trial = w.clone()
                    trial[self.living] += step
                    reached = self._value(trial)
                    found = (trial, reached) if reached < value else None
                damping = damping / 5 if found is not None else damping * 10
            if found is None:
                break
            gain = value - found[1]
            w, value = found
            if gain < SMALL * max(1.0, abs(value)):
                break
        self._value(w)  # sets the network to it
        return w, self._derivatives(w)[1]

    def _value(self, w: Tensor) -> float:
        f = self.linearisation.outputs(w)
        away = (w - self.start)[self.living]
        penalty = 0.5 * (away @ self._informed(away))
        total = (self.loss.value(f, self.rows.y) * self.rows.weight).sum() + penalty
        return total.item() if bool(torch.isfinite(total)) else float("inf")

    def _derivatives(self, w: Tensor) -> tuple[Tensor, Tensor]:
        y, weight = self.rows.y, self.rows.weight
        away = self._informed((w - self.start)[self.living])
        if self.information.dim() == 2:
            own = assemble(self.linearisation, self.loss, w, y, weight, self.living)
            return own.gradient + away, own.curvature + self.information
        f = self.linearisation.outputs(w)
        slope = self.loss.gradient(f, y) * weight.unsqueeze(-1)
        gradient = self.linearisation.gradient(w, slope)[self.living]
        diagonal = curvature_diagonal(self.linearisation, self.loss, w, y, weight, self.living)
        return gradient + away, diagonal + self.information

    def _informed(self, away: Tensor) -> Tensor:
        return self.information @ away if self.information.dim() == 2 else self.information * away

    @staticmethod
    def _step(curvature: Tensor, right: Tensor, damping: float) -> Tensor | None:
        if curvature.dim() == 1:
            return right / (curvature * (1 + damping))
        return DenseSystem(curvature).solve(right, damping)
