"""A fitted model: columns, networks and their posteriors, without scikit-learn around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from kanx.network import KAN
from kanx.tables import Column
from kanx.training.averaging import average
from kanx.training.evidence import Fit
from kanx.training.moments import moments
from kanx.training.portion import Portion
from kanx.training.posterior import Posterior
from kanx.training.rows import ROWS_AT_ONCE


@dataclass
class Model:
    """What a fit leaves behind.

    Attributes
    ----------
    columns : list of Column
        The inputs, in order.
    members : list of Fit
        Networks whose average is the model, best evidence first.
    target_mean, target_scale : Tensor, (outputs,)
        ``target = target_mean + target_scale * output``; zero and one for a classifier.
    target_names : list of str
        Names of the targets, or of the classes that the outputs stand for.
    history : list of dict
        What was done to the model after the fit; see `kanx.edits.records`.
    previous : Model, optional
        What the model was before the last edit.
    """

    columns: list[Column]
    members: list[Fit]
    target_mean: Tensor
    target_scale: Tensor
    target_names: list[str]
    history: list[dict[str, Any]] = field(default_factory=list)
    previous: Model | None = None

    @cached_property
    def network(self) -> KAN:
        """The one network that the model is."""
        return average([member.network for member in self.members]).eval()

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return [column.name for column in self.columns]

    def outputs(self, x: Tensor) -> Tensor:
        """Return outputs in the target's units, ``(rows, outputs)``; logits for a classifier."""
        if not len(x):
            return x.new_zeros(0, self.network.out_features)
        portion = Portion(ROWS_AT_ONCE)

        def raw() -> Tensor:
            with torch.no_grad():
                return torch.cat([self.network(part) for part in x.split(portion.rows)])

        return self.target_mean + self.target_scale * portion.attempt(raw, len(x))

    def variance(self, x: Tensor, noise: bool) -> Tensor:
        """Return the variance of the outputs, ``(rows, outputs)``, in squared target units.

        The mean of the members' posterior variances plus the variance between the members, plus
        the noise of the target where asked for.
        """
        pairs = [moments(member.posterior, x, Posterior.output_variance) for member in self.members]
        within, means = (torch.stack(part) for part in zip(*pairs, strict=True))
        total = (within.mean(0) + means.var(0, correction=0)) * self.target_scale**2
        return total + self.noise_variance() if noise else total

    def noise_variance(self) -> Tensor:
        """Return the variance of the target around the function, ``(outputs,)``; 0 without noise.

        For Huber's and Student's losses the square of the scale; the variance is `unit_variance`
        of the loss times that.
        """
        noises = [member.posterior.noise_precision for member in self.members]
        known = [1 / noise for noise in noises if noise is not None]
        mean = torch.stack(known).mean(0) if known else torch.zeros_like(self.target_scale)
        return mean * self.target_scale**2

    def covariance(self, x: Tensor) -> Tensor:
        """Return the covariance of the outputs of every row, ``(rows, outputs, outputs)``.

        Without the noise; otherwise as `variance`.
        """
        pairs = [
            moments(member.posterior, x, Posterior.output_covariance) for member in self.members
        ]
        within, means = (torch.stack(part) for part in zip(*pairs, strict=True))
        apart = means - means.mean(0)  # (members, rows, outputs)
        between = torch.einsum("mnc,mnd->ncd", apart, apart) / len(apart)
        scale = self.target_scale
        return (within.mean(0) + between) * scale * scale.unsqueeze(-1)
