"""Levenberg-Marquardt steps of several starts of one shape, as one program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kanx.training.climb import ENOUGH, STEPS, Climb
from kanx.training.levenberg_marquardt import (
    LEAST_DAMPING,
    LESS,
    MORE,
    MOST_DAMPING,
    ROUNDING,
    Step,
)
from kanx.training.normal_equations import NormalEquations
from kanx.training.stacked import StackedNetworks


def minimise_together(
    climbs: Sequence[Climb], networks: StackedNetworks, iterations: int = STEPS
) -> list[Step]:
    """Minimise the penalised losses of climbs as `minimise` does, each with its own damping.

    A start that has converged waits for the others.

    Parameters
    ----------
    climbs : sequence of Climb
        To the same rows.
    networks : StackedNetworks
        Of the climbs.
    iterations : int
        Largest number of accepted steps of each.
    """
    state = _State(climbs, networks)
    for _ in range(iterations):
        moving = state.step()
        if not len(moving):
            break
    return state.steps()


class _State:
    """Where every start is; the first axis of all tensors counts the starts."""

    def __init__(self, climbs: Sequence[Climb], networks: StackedNetworks) -> None:
        self.networks = networks
        self.losses = [climb.loss for climb in climbs]
        living = torch.stack([climb.coordinates.alive() for climb in climbs])
        self.columns = living.any(0).nonzero()[:, 0]  # what is dead in all of them is left out
        self.living = living[:, self.columns]
        group = networks.coordinates.group
        self.w = torch.stack([climb.w for climb in climbs])
        self.precision = torch.stack([climb.precision[group] for climb in climbs])
        self.damping = torch.tensor([climb.damping for climb in climbs], dtype=torch.float64)
        self.value = networks.values(self.losses, self.w, self.precision)
        self.curvature, self.slope = self._started(climbs)
        self.converged = torch.zeros(len(climbs), dtype=torch.bool)

    def _started(self, climbs: Sequence[Climb]) -> tuple[Tensor, Tensor]:
        """Return the equations at the start, of which some may be known from the last steps."""
        size = len(self.columns)
        curvature = torch.zeros(len(climbs), size, size, dtype=torch.float64)
        slope = torch.zeros(len(climbs), size, dtype=torch.float64)
        known = [climb.equations() for climb in climbs]
        for k, own in enumerate(known):
            if own is not None:
                places = self.living[k].nonzero()[:, 0]
                curvature[k, places.unsqueeze(1), places] = own.curvature
                slope[k, places] = own.gradient
        others = torch.tensor([k for k, own in enumerate(known) if own is None], dtype=torch.long)
        if len(others):
            curvature[others], slope[others] = self._equations(others)
        return curvature, slope

    def step(self) -> Tensor:
        """Take one accepted step of every start that has not converged; return which moved."""
        open_ = (~self.converged).nonzero()[:, 0]
        trust = self.damping.clone()
        gain = torch.zeros_like(self.value)
        moved = torch.zeros_like(self.converged)
        while len(open_):
            step, promise = self._solved(open_, trust[open_])
            least = ROUNDING * self.value[open_].abs().clamp_min(1)
            hopeless = promise < least  # of NaN, where there is no step, this is False
            open_, step = open_[~hopeless], step[~hopeless]
            if not len(open_):
                break
            trial = self.w[open_].index_add(1, self.columns, step)
            own = [self.losses[k] for k in open_.tolist()]
            trial_value = self.networks.values(own, trial, self.precision[open_])
            better = trial_value < self.value[open_]
            found = open_[better]
            gain[found] = self.value[found] - trial_value[better]
            self.w[found], self.value[found] = trial[better], trial_value[better]
            less = (trust[found] / LESS).clamp_min(LEAST_DAMPING)
            self.damping[found] = torch.where(
                trust[found] == self.damping[found], less, trust[found]
            )
            moved[found] = True
            open_ = open_[~better]
            trust[open_] *= MORE
            open_ = open_[trust[open_] < MOST_DAMPING]
        self.converged |= ~moved | (gain < ENOUGH * self.value.abs().clamp_min(1))
        places = moved.nonzero()[:, 0]
        if len(places):
            self.curvature[places], self.slope[places] = self._equations(places)
        return places

    def _equations(self, places: Tensor) -> tuple[Tensor, Tensor]:
        own = [self.losses[k] for k in places.tolist()]
        return self.networks.equations(own, self.w[places], self.living[places], self.columns)

    def _solved(self, places: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
        """Return damped steps, NaN where there is none, and what the quadratic model promises."""
        living = self.living[places]
        precision = self.precision[places][:, self.columns]
        # coordinates that are not alive get an equation of their own, whose solution is zero
        diagonal = torch.where(living, precision, 1.0)
        system = self.curvature[places] + torch.diag_embed(diagonal)
        right = -(self.slope[places] + precision * self.w[places][:, self.columns]) * living
        damping = trust[:, None] * system.diagonal(dim1=1, dim2=2).clamp_min(1e-300)
        factor, info = torch.linalg.cholesky_ex(system + torch.diag_embed(damping))
        step = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
        fails = (info != 0) | ~torch.isfinite(step).all(1)
        step = torch.where(fails[:, None], torch.nan, step)
        curved = torch.bmm(system, step.unsqueeze(-1)).squeeze(-1)
        return step, (right * step).sum(1) - 0.5 * (step * curved).sum(1)

    def steps(self) -> list[Step]:
        """Return where every start has come to."""
        results = []
        for k, living in enumerate(self.living):
            own = NormalEquations(self.curvature[k][living][:, living], self.slope[k][living])
            results.append(
                Step(
                    self.w[k].clone(),
                    self.value[k].item(),
                    self.damping[k].item(),
                    own,
                    bool(self.converged[k]),
                )
            )
        return results
