"""Unpenalised least squares of a network, its linear output layer eliminated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.layers import LinearFamily
from kanx.network import KAN
from kanx.training.coordinates import Coordinates
from kanx.training.domains import place_hidden
from kanx.training.linearisation import Linearisation

RANK = 1e-13  # singular values below this share of the largest count as zero


@dataclass(frozen=True)
class Point:
    """A place in the space of coordinates, with all that a step from it needs.

    Attributes
    ----------
    w : Tensor, (size,)
        The linear coordinates are optimal given the others.
    value : float
        Weighted sum of squared residuals.
    residual : Tensor, (rows * outputs,)
        Weighted; ``y - f``.
    jacobian : Tensor, (rows * outputs, inner)
        Of the outputs by the inner coordinates, orthogonal to what the linear ones can draw.
    """

    w: Tensor
    value: float
    residual: Tensor
    jacobian: Tensor


class SeparableProblem:
    r"""Evaluate :math:`\sum_n \omega_n |y_n - f(x_n; w)|^2` over a network's coordinates.

    Up to one hidden layer the coordinates of the curves that end at the output enter linearly.
    They are solved for exactly wherever the others stand (variable projection), and the Jacobian
    of the others is projected onto what they leave (Kaufman's approximation).

    Parameters
    ----------
    network : KAN
        In float64; always set to the point evaluated last.
    x : Tensor, (rows, in)
    y : Tensor, (rows, outputs)
    weight : Tensor, (rows,)
    separate : bool, optional
        Whether to eliminate the linear coordinates; by default up to one hidden layer.

    References
    ----------
    Golub and Pereyra: The differentiation of pseudo-inverses and nonlinear least squares problems
    whose variables separate, SIAM J. Numerical Analysis 10, 1973. Kaufman: A variable projection
    method for solving separable nonlinear least squares problems, BIT 15, 1975.
    """

    def __init__(
        self, network: KAN, x: Tensor, y: Tensor, weight: Tensor, separate: bool | None = None
    ) -> None:
        self.network, self.x = network, x
        self.coordinates = Coordinates(network)
        self.linearisation = Linearisation(self.coordinates, x)
        self.coordinates.freeze(self.linearisation.uninformed())
        self.root = weight.sqrt().unsqueeze(-1).expand_as(y).flatten()
        self.y = y.flatten() * self.root
        depth = len(network.layers)
        separate = depth <= 2 if separate is None else separate
        living = self.coordinates.alive()
        self.linear = living & linear_coordinates(self.coordinates) & separate
        self.inner = living & ~self.linear
        self.parameters = int(living.sum())
        self._moves = separate and depth > 1

    def start(self) -> Point:
        """Return the network's present place."""
        return self.at(self.coordinates.read() * self.coordinates.alive())

    def at(self, w: Tensor) -> Point:
        """Evaluate the inner coordinates of ``w``; the linear ones are solved for."""
        self.coordinates.write(w)
        if self._moves:  # the optimum is the same on any interval, its rounding error is not
            place_hidden(self.network, self.x)
            w = self.coordinates.read()
        if bool(self.linear.any()):
            f, jacobian = self._weighted(w)
            design = jacobian[:, self.linear]
            w = w.clone()
            w[self.linear] += least_squares(design, self.y - f)
            self.coordinates.write(w)
        f, jacobian = self._weighted(w)
        residual = self.y - f
        value = (residual @ residual).item()
        own = jacobian[:, self.inner]
        if bool(self.linear.any()) and own.shape[1]:
            basis, _ = torch.linalg.qr(jacobian[:, self.linear])
            own = own - basis @ (basis.mT @ own)
        return Point(w, value if value == value else float("inf"), residual, own)

    def _weighted(self, w: Tensor) -> tuple[Tensor, Tensor]:
        f, jacobian = self.linearisation.jacobian(w)
        return f.flatten() * self.root, jacobian.flatten(0, 1) * self.root.unsqueeze(-1)


def linear_coordinates(coordinates: Coordinates) -> Tensor:
    """Say which coordinates the outputs are linear in whatever the others are, ``bool (size,)``."""
    network = coordinates.network
    last = len(network.layers) - 1
    flags = torch.zeros(coordinates.size, dtype=torch.bool)
    if network.nodes[-1].kinds:
        return flags
    for block in coordinates.blocks:
        if block.layer >= last and isinstance(block.bundle, LinearFamily):
            flags[block.start : block.stop] = True
    start = coordinates.bias_starts.get(last)
    if start is not None:
        flags[start : start + network.out_features] = True
    return flags


def decompose(matrix: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``values, right, U' target`` of the thin decomposition ``U diag(values) right``."""
    basis, triangle = torch.linalg.qr(matrix)
    left, values, right = torch.linalg.svd(triangle)
    return values, right, left.mT @ (basis.mT @ target)


def least_squares(design: Tensor, target: Tensor) -> Tensor:
    """Return the shortest least-squares solution; infinite numbers give zero."""
    if not bool(torch.isfinite(design).all() & torch.isfinite(target).all()):
        return design.new_zeros(design.shape[1])
    values, right, own = decompose(design, target)
    return right.mT @ torch.where(values > RANK * values[0], own / values, 0.0)
