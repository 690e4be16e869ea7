"""The derivatives of a sum of curves in plain tensor code, differentiable in turn."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class Expansion(Protocol):
    """What the operators need to know of an edge family that is linear in its coefficients."""

    in_features: int

    def expand(self, x: Tensor) -> Tensor:
        """Evaluate the basis: ``(rows, in) -> (rows, p, in)``."""

    def expand_derivative(self, x: Tensor) -> Tensor:
        """Differentiate `expand` by ``x``."""


def snapshot(family: Any) -> Any:
    """Return a family that keeps the tensors it has now, for a backward pass that comes later.

    `torch.func.functional_call` lends a module other tensors only while the module runs.
    """
    own = object.__new__(type(family))  # `copy.copy` takes ten times as long
    lent = {"_parameters": dict(family._parameters), "_buffers": dict(family._buffers)}
    own.__dict__.update(family.__dict__, **lent)
    return own


def input_gradient(
    family: Expansion, x: Tensor, coefficients: Tensor, mask: Tensor, upstream: Tensor
) -> Tensor:
    """Pull ``upstream (rows, out)`` back to the inputs, ``(rows, in)``."""
    weight = (coefficients * mask).flatten(0, 1)  # (p * in, out)
    pulled = (upstream @ weight.T).unflatten(-1, (-1, family.in_features))
    return (family.expand_derivative(x) * pulled).sum(-2)


def coefficient_gradient(family: Expansion, x: Tensor, mask: Tensor, upstream: Tensor) -> Tensor:
    """Pull ``upstream (rows, out)`` back to the coefficients, ``(p, in, out)``."""
    flat = family.expand(x).flatten(-2).T @ upstream  # (p * in, out)
    return flat.unflatten(0, (-1, family.in_features)) * mask
