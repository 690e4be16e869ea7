r"""Normal equations of fewer rows than coordinates, solved among the rows.

With :math:`C = R' R`, ``R`` as many rows as there are weighted outputs, Woodbury's identity turns
every inverse of :math:`C + \Lambda` into one of a matrix that is as large as ``R`` has rows.
Coordinates that hardly have a prior, the biases, would be lost by that in rounding; they are
eliminated last, as fixed effects are in a mixed model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kanx.training.distributed import processes

# rows are few where there are so many times as many coordinates, and enough of these
FEWER, FEWEST_COORDINATES = 3, 150
MOST_NUMBERS = 2**25  # of the root
WEAK = 1e-5  # precision below which a coordinate is eliminated last


def rows_are_few(rows: int, coordinates: int) -> bool:
    """Say whether to solve among the rows, counted once for every output."""
    many = coordinates > max(FEWEST_COORDINATES, FEWER * rows)
    return many and rows * coordinates <= MOST_NUMBERS and processes() == 1


@dataclass(frozen=True)
class RowEquations:
    """Curvature and gradient of a loss, as `NormalEquations`.

    Attributes
    ----------
    root : Tensor, (rows, living)
        The weighted Jacobian: the curvature is ``root.mT @ root``.
    gradient : Tensor, (living,)
    """

    root: Tensor
    gradient: Tensor

    @property
    def curvature(self) -> Tensor:
        """The whole matrix, ``(living, living)``."""
        return self.root.mT @ self.root

    def times(self, factor: float) -> RowEquations:
        """Return the equations of a multiple of the loss."""
        return RowEquations(factor**0.5 * self.root, factor * self.gradient)

    def moved(self, change: Tensor, kept: Tensor) -> RowEquations:
        """Return those of some of the coordinates elsewhere, to first order."""
        gradient = self.gradient + self.root.mT @ (self.root @ change)
        return RowEquations(self.root[:, kept], gradient[kept])

    def regularised(self, precision: Tensor) -> RowSystem:
        """Add the curvature of the prior."""
        return RowSystem(self.root, precision)


class RowSystem:
    """The matrix ``root.mT @ root + diag(precision)``, never formed.

    Parameters
    ----------
    root : Tensor, (rows, living)
    precision : Tensor, (living,)
    """

    def __init__(self, root: Tensor, precision: Tensor) -> None:
        self.root, self.precision = root, precision

    @cached_property
    def _diagonal(self) -> Tensor:
        return (self.root**2).sum(0) + self.precision

    def quadratic(self, step: Tensor) -> Tensor:
        """Return ``step' A step``."""
        return ((self.root @ step) ** 2).sum() + (self.precision * step**2).sum()

    def solve(self, right: Tensor, damping: float) -> Tensor | None:
        """Solve ``(A + damping diag A) s = right``; None where that is not positive definite."""
        shift = self.precision + damping * self._diagonal.clamp_min(1e-300)
        inverse = _invert(self.root, shift)
        if inverse is None:
            return None
        step = inverse.times(right)
        # once more for what rounding has left
        step = step + inverse.times(right - self.root.mT @ (self.root @ step) - shift * step)
        return step if bool(torch.isfinite(step).all()) else None

    def laplace(self) -> tuple[Tensor, RowCovariance]:
        """Return the log determinant, and the inverse."""
        jitter = 0.0
        while True:
            inverse = _invert(self.root, self.precision + jitter * self._diagonal)
            if inverse is not None:
                return -inverse.log_determinant, inverse
            jitter = max(jitter * 10, 1e-14)


@dataclass(frozen=True)
class RowCovariance:
    r"""A covariance :math:`\mathrm{diag}(d) - V' V + W' W`.

    Attributes
    ----------
    diagonal : Tensor, (living,)
        Prior variances; 0 where the coordinate has hardly a prior.
    known : Tensor, (rows, living)
        ``V``, what the rows tell.
    weak : Tensor, (weak, living)
        ``W``, of those eliminated last.
    log_determinant : Tensor, ()
    """

    diagonal: Tensor
    known: Tensor
    weak: Tensor
    log_determinant: Tensor

    def variances(self) -> Tensor:
        """Return the variance of every coordinate."""
        found = self.diagonal - (self.known**2).sum(0) + (self.weak**2).sum(0)
        return found.clamp_min(0)

    def between(self, members: Tensor) -> Tensor:
        """Return the covariance of some coordinates."""
        known, weak = self.known[:, members], self.weak[:, members]
        return torch.diag(self.diagonal[members]) - known.mT @ known + weak.mT @ weak

    def times(self, rows: Tensor) -> Tensor:
        """Multiply ``(..., living)`` by the covariance."""
        known = (rows @ self.known.mT) @ self.known
        return rows * self.diagonal - known + (rows @ self.weak.mT) @ self.weak


def _invert(root: Tensor, shift: Tensor) -> RowCovariance | None:
    """Invert ``root.mT @ root + diag(shift)``; None where that is not positive definite."""
    strong = shift > WEAK
    inverse = torch.where(strong, 1 / shift, 0.0)
    scaled = root * inverse
    among = torch.eye(len(root), dtype=torch.float64) + scaled @ root.mT
    factor, info = torch.linalg.cholesky_ex(among)
    if int(info) != 0:
        return None
    others = torch.linalg.solve_triangular(factor, root[:, ~strong], upper=False)
    last, info = torch.linalg.cholesky_ex(torch.diag(shift[~strong]) + others.mT @ others)
    if int(info) != 0:
        return None
    known = torch.linalg.solve_triangular(factor, scaled, upper=False)
    weak = -others.mT @ known
    weak[:, ~strong] = torch.eye(len(weak), dtype=torch.float64)
    weak = torch.linalg.solve_triangular(last, weak, upper=False)
    halves = factor.diagonal().log().sum() + last.diagonal().log().sum()
    determinant = shift[strong].log().sum() + 2 * halves
    return RowCovariance(inverse, known, weak, -determinant)
