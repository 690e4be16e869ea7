"""Least squares of a network, its linear output layer eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kanx.layers import LinearFamily
from kanx.network import KAN
from kanx.training.coordinates import Coordinates
from kanx.training.domains import place_layers
from kanx.training.linearisation import LayerState, Linearisation

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
    states : list of LayerState
        What the layers saw. The linear coordinates may have been others, on which only the sums of
        the last layer depend; nobody asks for these.
    f : Tensor, (rows, outputs)
    """

    w: Tensor
    residual: Tensor
    states: list[LayerState]
    f: Tensor

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
        self.linearisation = Linearisation(self.coordinates, x)
        self.coordinates.freeze(self.linearisation.uninformed())
        self.root = weight.sqrt().unsqueeze(-1).expand_as(y).flatten()
        self.y = y.flatten() * self.root
        self.living = self.coordinates.alive()
        self.linear = self.living & linear_coordinates(self.coordinates) & separate
        self.inner = self.living & ~self.linear
        self._linear = self.linear[self.living]
        self.parameters = int(self.living.sum())
        self._moves = separate and len(network.layers) > 1
        self._present: Tensor | None = None  # coordinates that the network is set to

    def start(self, penalty: float = 0.0) -> Point:
        """Return the network's present place."""
        return self.at(self.coordinates.read() * self.living, penalty)

    def at(self, w: Tensor, penalty: float = 0.0) -> Point:
        """Evaluate the inner coordinates of ``w``; the linear ones are solved for."""
        self.coordinates.write(w)
        states, f = self.linearisation.forward(w)
        # the optimum is the same on any interval, its rounding error is not
        entering = [state.entering for state in states[: len(self.network.layers)]]
        if self._moves and place_layers(self.network, entering):
            w = self.coordinates.read()
            states, f = self.linearisation.forward(w)
        if bool(self._linear.any()):
            design = self.by_linear(states)
            w = w.clone()
            others = f.flatten() * self.root - design @ w[self.linear]
            w[self.linear] = ridge(design, self.y - others, penalty)
            weighted = others + design @ w[self.linear]
            self.coordinates.write(w)
        else:
            weighted = f.flatten() * self.root
        self._present = w
        return Point(w, self.y - weighted, states, f)

    def by_linear(self, states: list[LayerState]) -> Tensor:
        """Differentiate the weighted outputs by the `linear` coordinates, ``(rows, linear)``."""
        network = self.network
        last, outputs = len(network.layers) - 1, network.out_features
        first = self.coordinates.layer_blocks(last)[0].start
        rows = len(self.x)
        jacobian = torch.zeros(rows, outputs, self.coordinates.size - first, dtype=torch.float64)
        for index, state in enumerate(states[last:], last):
            blocks = self.coordinates.layer_blocks(index)
            for block, features in zip(blocks, state.features, strict=True):
                if features is not None:
                    own = jacobian[:, :, block.start - first : block.stop - first]
                    masked = features * block.bundle.mask  # (rows, p, in, out)
                    places = own.view(rows, outputs, *block.shape).diagonal(dim1=1, dim2=-1)
                    places.copy_(masked)
        start = self.coordinates.bias_starts.get(last)
        if start is not None:
            bias = jacobian[:, :, start - first : start - first + outputs]
            bias.copy_(torch.eye(outputs, dtype=torch.float64))
        return jacobian.flatten(0, 1)[:, self.linear[first:]] * self.root.unsqueeze(-1)

    def system(self, point: Point, penalty: float) -> tuple[Tensor, Tensor]:
        """Return the linear least squares of a step of the inner coordinates.

        The rows of the data and those of the penalty, orthogonal to all that the linear
        coordinates can do: a matrix ``(rows, inner)`` and a target ``(rows,)``.
        """
        root = penalty**0.5
        count = self.parameters
        if self._present is not point.w:
            self.coordinates.write(point.w)
            self._present = point.w
        jacobian = self.linearisation.jacobian_of(point.states, point.f).flatten(0, 1)
        jacobian = jacobian[:, self.living] * self.root.unsqueeze(-1)
        matrix = torch.cat([jacobian, root * torch.eye(count, dtype=torch.float64)])
        target = torch.cat([point.residual, -root * point.w[self.living]])
        own = matrix[:, ~self._linear]
        if bool(self._linear.any()):
            basis, _ = torch.linalg.qr(matrix[:, self._linear])
            own = own - basis @ (basis.mT @ own)
        return own, target


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
