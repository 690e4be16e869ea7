r"""Predictions of rows that a fit has not seen, in closed form from the fit that has.

Leaving out row ``n`` takes its share from the curvature of the penalised loss. To first order, with
:math:`\Sigma_n` the posterior covariance of the outputs at the row, :math:`g_n` and :math:`C_n` the
gradient and curvature of its loss by the outputs,

.. math:: f_{-n} = f_n + \Sigma_n (I - C_n \Sigma_n)^{-1} g_n,

which for one layer and squared errors is what fitting without the row gives at the same precisions:
the residual divided by one minus its leverage. For hidden nodes it holds as far as the network is
linear around its optimum, and is optimistic beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.training.climb import Climb
from kanx.training.losses import Loss, NoisyLoss
from kanx.training.normal_equations import weighted_root

LEAST_REMAINDER = 1e-3  # of a row's curvature: a row that alone determines its output


@dataclass(frozen=True)
class LeftOut:
    """What a fit would say of every row had it not seen it.

    Attributes
    ----------
    outputs : Tensor, (rows, outputs)
    variance : Tensor, (rows, outputs)
        Posterior variance of the outputs, without the target's noise.
    loss : Loss
        With the noise of the fit.
    y : Tensor, (rows, ...)
        Targets.
    """

    outputs: Tensor
    variance: Tensor
    loss: Loss
    y: Tensor


def leave_out(climb: Climb) -> LeftOut:
    """Predict every row as if the fit had not seen it.

    A row of integer weight counts as that many copies, of which one is left out; of a row whose
    weight is less than one, all is.

    Parameters
    ----------
    climb : Climb
        At a minimum, with its posterior.

    References
    ----------
    Allen: The relationship between variable selection and data augmentation and a method for
    prediction, Technometrics 16, 1974 (linear models). Opper and Winther: Gaussian processes for
    classification, Neural Computation 12, 2000 (other losses).
    """
    linearisation, y = climb.problem.linearisation, climb.problem.y
    parts = []
    for rows in linearisation.blocks():
        f, jacobian = linearisation.jacobian(climb.w, rows)
        covariance = climb.posterior.output_covariance(jacobian)  # (rows, outputs, outputs)
        copies = climb.problem.weight[rows].clamp_max(1)  # no more than the fit has seen
        parts.append(_without(f, y[rows], covariance, climb.loss, copies.unsqueeze(-1)))
    outputs, variance = (torch.cat(own) for own in zip(*parts, strict=True))
    return LeftOut(outputs, variance, climb.loss, y)


def _without(
    f: Tensor, y: Tensor, covariance: Tensor, loss: Loss, copies: Tensor
) -> tuple[Tensor, Tensor]:
    root = weighted_root(loss, f, y, copies)
    # Woodbury's identity with C = R R': the eigenvalues of R' Sigma R are the leverages
    side = covariance @ root
    values, vectors = torch.linalg.eigh(root.mT @ side)
    side = side @ vectors * (1 - values).clamp_min(LEAST_REMAINDER).rsqrt().unsqueeze(-2)
    without = covariance + side @ side.mT
    slope = copies * loss.gradient(f, y)
    outputs = f + (without @ slope.unsqueeze(-1)).squeeze(-1)
    return outputs, without.diagonal(dim1=-2, dim2=-1)


def log_density(fits: Sequence[LeftOut]) -> Tensor:
    r"""Return the log density of every row under the mean of predictions without it, ``(rows,)``.

    Normal errors get the variance of the predictions too: that of every fit and that between them,
    as in `kanx.KANRegressor.predict` with ``return_std``.

    Parameters
    ----------
    fits : sequence of LeftOut
        To the same rows.
    """
    loss = fits[0].loss
    f = torch.stack([fit.outputs for fit in fits])  # (fits, rows, outputs)
    if isinstance(loss, NoisyLoss):
        noise = sum(1 / fit.loss.precision for fit in fits if isinstance(fit.loss, NoisyLoss))
        curves = torch.stack([fit.variance for fit in fits]).mean(0) + f.var(0, correction=0)
        loss = loss.with_precision(1 / (noise / len(fits) + curves))
    return -loss.value(f.mean(0), fits[0].y)
