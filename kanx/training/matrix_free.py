"""The climb of a network too large for a dense curvature: L-BFGS and its diagonal."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from kanx.training.climb import Climb
from kanx.training.distributed import total
from kanx.training.normal_equations import curvature_diagonal
from kanx.training.posterior import Posterior

STEPS = 40  # of L-BFGS in every round


class MatrixFreeClimb(Climb):
    r"""As `Climb`, in time and memory linear in the number of coordinates.

    The penalised loss is minimised by L-BFGS on its closed-form gradient, and the
    curvature is kept as its diagonal, so :math:`\gamma_j = h_j / (h_j + \alpha)`. Correlations
    between curves are ignored, which makes the error bars too narrow where inputs are collinear.

    References
    ----------
    Liu and Nocedal: On the limited memory BFGS method, Mathematical Programming 45, 1989.
    """

    def descend(self, iterations: int | None = None) -> float:
        """Take L-BFGS steps, then return the log evidence with a diagonal curvature."""
        coordinates = self.coordinates
        living = coordinates.alive()
        precision = self.precision[coordinates.group[living]]
        if iterations == 0:
            return self._laplace(living, precision)
        start = self.w[living].numpy()
        # in units of the prior and the data together, so that all directions are alike
        diagonal = self._diagonal(living)
        scale = (diagonal + precision).rsqrt().numpy()

        def objective(v: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = self._value_and_gradient(torch.from_numpy(v * scale), living)
            return value, gradient.numpy() * scale

        found = minimize(
            objective,
            start / scale,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations or STEPS},
        )
        if np.isfinite(found.fun):
            self.w = torch.zeros_like(self.w)
            self.w[living] = torch.from_numpy(found.x * scale)
        coordinates.write(self.w)
        return self._laplace(living, precision)

    def _laplace(self, living: Tensor, precision: Tensor) -> float:
        value, _ = self._value_and_gradient(self.w[living], living)
        diagonal = self._diagonal(living)
        hessian = diagonal + precision
        self.evidence = -value + 0.5 * (precision.log() - hessian.log()).sum().item()
        noise = getattr(self.loss, "precision", None)
        self.posterior = Posterior(self.coordinates, living, 1 / hessian, self.precision, noise)
        return self.evidence

    def _diagonal(self, living: Tensor) -> Tensor:
        problem = self.problem
        return curvature_diagonal(
            problem.linearisation, self.loss, self.w, problem.y, problem.weight, living
        )

    def _value_and_gradient(self, own: Tensor, living: Tensor) -> tuple[float, Tensor]:
        """Return the penalised loss and its gradient by the living coordinates."""
        w = torch.zeros_like(self.w)
        w[living] = own
        problem = self.problem
        f = problem.linearisation.outputs(w)
        slope = self.loss.gradient(f, problem.y) * problem.weight.unsqueeze(-1)
        precision = self.precision[self.coordinates.group[living]]
        gradient = total(problem.linearisation.gradient(w, slope)[living]) + precision * own
        loss = total((self.loss.value(f, problem.y) * problem.weight).sum())
        return (loss + 0.5 * (precision * own * own).sum()).item(), gradient
