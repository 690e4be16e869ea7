"""Least squares of a network, its linear output layer eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    """A place in the space of coordinates.

    Attributes
    ----------
    w : Tensor, (size,)
        The linear coordinates are optimal given the others.
    residual : Tensor, (rows * outputs,)
        Weighted; ``y - f``.
    """

    w: Tensor
    residual: Tensor

    @cached_property
    def squares(self) -> float:
        """Weighted sum of squared residuals; NaN counts as infinite."""
        value = (self.residual @ self.residual).item()
        return value if value == value else float("inf")

    @cached_property
    def size(self) -> float:
        """Sum of the squared coordinates."""
        return (self.w @ self.w).item()

    def value(self, penalty: float) -> float:
        """Return what is minimised."""
        return self.squares + penalty * self.size


class OutputLinearisation(Linearisation):
    """As `Linearisation`, with the derivative by the linear coordinates alone for less work."""

    def by_output_layer(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and their derivative by ``w``, ``(rows, outputs, size)``.

        The derivative holds only the columns of `linear_coordinates`; the others are zero. The
        network must be set to ``w``.
        """
        coordinates, last = self.coordinates, len(self.network.layers) - 1
        with torch.no_grad():
            states, f = self._forward(w, slice(None))
        outputs = f.shape[1]
        jacobian = f.new_zeros(*f.shape, coordinates.size)
        for index, (_, _, kept) in list(enumerate(states))[last:]:
            for block, features in zip(coordinates.layer_blocks(index), kept, strict=True):
                if features is not None:
                    own = jacobian[:, :, block.start : block.stop].view(*f.shape, *block.shape)
                    masked = features * block.bundle.mask  # (rows, p, in, out)
                    own.diagonal(dim1=1, dim2=-1).copy_(masked)
        start = coordinates.bias_starts.get(last)
        if start is not None:
            bias = jacobian[:, :, start : start + outputs]
            bias.copy_(torch.eye(outputs, dtype=torch.float64))
        return f, jacobian


class SeparableProblem:
    r"""Evaluate :math:`\sum_n \omega_n |y_n - f(x_n; w)|^2 + \lambda |w|^2` of a network.

    The coordinates of the curves that end at adding nodes of the output enter linearly.
    They are solved for exactly wherever the others stand (variable projection), and the Jacobian
    of the others is projected onto what they leave (Kaufman's approximation). The coordinates are
    the whitened ones, see `Coordinates`.

    Parameters
    ----------
    network : KAN
        In float64; always set to the point evaluated last.
    x : Tensor, (rows, in)
    y : Tensor, (rows, outputs)
    weight : Tensor, (rows,)
    separate : bool, default=True
        Whether to eliminate the linear coordinates.

    References
    ----------
    Golub and Pereyra: The differentiation of pseudo-inverses and nonlinear least squares problems
    whose variables separate, SIAM J. Numerical Analysis 10, 1973. Kaufman: A variable projection
    method for solving separable nonlinear least squares problems, BIT 15, 1975.
    """

    def __init__(
        self, network: KAN, x: Tensor, y: Tensor, weight: Tensor, separate: bool = True
    ) -> None:
        self.network, self.x = network, x
        self.coordinates = Coordinates(network)
        self.linearisation = OutputLinearisation(self.coordinates, x)
        self.coordinates.freeze(self.linearisation.uninformed())
        self.root = weight.sqrt().unsqueeze(-1).expand_as(y).flatten()
        self.y = y.flatten() * self.root
        self.living = self.coordinates.alive()
        self.linear = self.living & linear_coordinates(self.coordinates) & separate
        self.inner = self.living & ~self.linear
        self._linear = self.linear[self.living]
        self.parameters = int(self.living.sum())
        self._moves = separate and len(network.layers) > 1

    def start(self, penalty: float = 0.0) -> Point:
        """Return the network's present place."""
        return self.at(self.coordinates.read() * self.living, penalty)

    def at(self, w: Tensor, penalty: float = 0.0) -> Point:
        """Evaluate the inner coordinates of ``w``; the linear ones are solved for."""
        self.coordinates.write(w)
        if self._moves:  # the optimum is the same on any interval, its rounding error is not
            w = self.coordinates.read() if place_hidden(self.network, self.x) else w
        if not bool(self._linear.any()):
            f = self.linearisation.outputs(w).flatten() * self.root
        else:
            f, jacobian = self._weighted(*self.linearisation.by_output_layer(w))
            design = jacobian[:, self._linear]
            w = w.clone()
            others = f - design @ w[self.linear]
            w[self.linear] = ridge(design, self.y - others, penalty)
            f = others + design @ w[self.linear]
            self.coordinates.write(w)
        return Point(w, self.y - f)

    def system(self, point: Point, penalty: float) -> tuple[Tensor, Tensor]:
        """Return the linear least squares of a step of the inner coordinates.

        The rows of the data and those of the penalty, orthogonal to all that the linear
        coordinates can do: a matrix ``(rows, inner)`` and a target ``(rows,)``.
        """
        root = penalty**0.5
        count = self.parameters
        self.coordinates.write(point.w)
        _, jacobian = self._weighted(*self.linearisation.jacobian(point.w))
        matrix = torch.cat([jacobian, root * torch.eye(count, dtype=torch.float64)])
        target = torch.cat([point.residual, -root * point.w[self.living]])
        own = matrix[:, ~self._linear]
        if bool(self._linear.any()):
            basis, _ = torch.linalg.qr(matrix[:, self._linear])
            own = own - basis @ (basis.mT @ own)
        return own, target

    def _weighted(self, f: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
        living = jacobian.flatten(0, 1)[:, self.living]
        return f.flatten() * self.root, living * self.root.unsqueeze(-1)


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
    left, values, right = torch.linalg.svd(triangle, full_matrices=False)
    return values, right, left.mT @ (basis.mT @ target)


def ridge(design: Tensor, target: Tensor, penalty: float) -> Tensor:
    """Minimise ``|target - design w|^2 + penalty |w|^2``; infinite numbers give zero."""
    if not bool(torch.isfinite(design).all() & torch.isfinite(target).all()):
        return design.new_zeros(design.shape[1])
    values, right, own = decompose(design, target)
    weights = values / (values**2 + penalty).clamp_min(1e-300)
    return right.mT @ torch.where(values > RANK * values[0], weights * own, 0.0)
