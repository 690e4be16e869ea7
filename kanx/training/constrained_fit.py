"""What a fit with constraints does before, while and after it runs as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kanx.layers import Constraint
from kanx.network import KAN
from kanx.training.constrained import impose, keep_direct
from kanx.training.evidence import Fit
from kanx.training.fixed_curves import Offset, fixed_part, leave_out, put_in
from kanx.training.losses import Loss, NoisyLoss
from kanx.training.task import Task


class ConstrainedFit:
    """Keep the constraints of one call to `fit`.

    Columns with constraints are cut off from the hidden nodes. Known functions are an offset of
    the target while the rest is fitted; the other constraints are imposed on the free fit.

    Parameters
    ----------
    constraints : mapping from column to constraints
    outputs : int
    target_scale : Tensor, (outputs,), optional
        Target units per unit of the output.
    """

    def __init__(
        self,
        constraints: Mapping[int, Sequence[Constraint]],
        outputs: int,
        target_scale: Tensor | None = None,
    ) -> None:
        self.constraints = constraints
        self.outputs = outputs
        one = torch.ones(outputs, dtype=torch.float64)
        self.scale = one if target_scale is None else target_scale
        self.fixed = {
            column: c.function
            for column, own in constraints.items()
            for c in own
            if isinstance(c.function, str)
        }
        self.shaped = {c: own for c, own in constraints.items() if c not in self.fixed}

    def offset(self, x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Loss]:
        """Return target and loss of what is left to fit beside the known functions.

        Raises
        ------
        ValueError
            If there are known functions and several classes, whose softmax they would not change.
        """
        if not self.fixed:
            return y, loss
        if y.dim() == 1:
            raise ValueError(
                "a fixed function adds to every class alike and so changes nothing; fixed curves "
                "are for regression and for two classes"
            )
        known = fixed_part(x, self.fixed, self.scale)
        if isinstance(loss, NoisyLoss):
            return y - known, loss
        return torch.cat([y, known], dim=1), Offset(loss, self.outputs)

    def prepare(self, network: KAN) -> None:
        """Cut the constrained columns off from hidden nodes, and known functions off wholly."""
        keep_direct(network, list(self.constraints))
        if self.fixed:
            leave_out(network, self.fixed)

    def finish(self, fit: Fit, task: Task) -> Fit:
        """Impose the constraints on a free fit of the task."""
        if self.shaped:
            fit = impose(fit, task.x, task.y, task.weight, self.shaped)
        if self.fixed:
            put_in(fit.network, self.fixed, self.scale)
            fit.loss = fit.loss.loss if isinstance(fit.loss, Offset) else fit.loss
        return fit
