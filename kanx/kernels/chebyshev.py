"""Smooth bases written in Chebyshev polynomials, which the fused operator of GPUs can take.

Curves through control points are combinations of kernel sections with large weights of both signs
(the inverse of an ill-conditioned matrix), which products in low precision do not survive. Their
cardinal functions are smooth and of order one, and so are their Chebyshev coefficients: the
operator is given those instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

MOST_FUNCTIONS = 64
TOLERANCE = 1e-7  # of the largest coefficient: the precision of the operator


def projection(basis: Callable[[Tensor], Tensor], inputs: int) -> Tensor | None:
    r"""Return Chebyshev coefficients of a basis, by interpolation at the Chebyshev nodes.

    Parameters
    ----------
    basis : callable
        From normalised inputs in [-1, 1], ``(nodes, in)`` in float64, to ``(nodes, p, in)``.
    inputs : int

    Returns
    -------
    Tensor, (functions, p, in), float64
        None where the basis is not smooth enough for 64 polynomials.

    References
    ----------
    Trefethen: Approximation Theory and Approximation Practice, chapters 3 and 8.
    """
    count = 8
    while count <= MOST_FUNCTIONS:
        angles = math.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count
        values = basis(angles.cos()[:, None].expand(-1, inputs))
        order = torch.arange(count, dtype=torch.float64)
        cosines = torch.cos(order[:, None] * angles) * 2 / count
        cosines[0] /= 2
        found = torch.einsum("gn,npi->gpi", cosines, values)
        size = found.abs().flatten(1).amax(1)
        if bool(size[-2:].max() <= TOLERANCE * size.max()):
            last = int((size > TOLERANCE * size.max()).nonzero()[-1])
            return found[: last + 1]
        count += 8
    return None


def table(count: int) -> Tensor:
    """Return the recurrence of the Chebyshev polynomials as the operator takes it, (2, count)."""
    first = torch.arange(count) == 0
    return torch.stack([torch.where(first, 1.0, 2.0), torch.where(first, 0.0, 1.0)])


class Recurrence:
    """Functions of a recurrence in plain tensor code: an `Expansion`.

    Parameters
    ----------
    table : Tensor, (2, functions)
        ``f_{g+1} = a_g t f_g - b_g f_{g-1}`` with ``f_0 = 1``; ``a`` and ``b`` are the rows.
    in_features : int
    """

    def __init__(self, table: Tensor, in_features: int) -> None:
        self.table = table
        self.in_features = in_features

    def expand(self, x: Tensor) -> Tensor:
        """Evaluate the functions: ``(rows, in) -> (rows, functions, in)``."""
        values = [torch.ones_like(x)]
        before = torch.zeros_like(x)
        for a, b in self.table.T[:-1]:
            values.append(a * x * values[-1] - b * before)
            before = values[-2]
        return torch.stack(values, -2)

    def expand_derivative(self, x: Tensor) -> Tensor:
        """Differentiate `expand` by ``x``."""
        values = self.expand(x)
        slopes = [torch.zeros_like(x)]
        before = torch.zeros_like(x)
        for g, (a, b) in enumerate(self.table.T[:-1]):
            slopes.append(a * (values[..., g, :] + x * slopes[-1]) - b * before)
            before = slopes[-2]
        return torch.stack(slopes, -2)
