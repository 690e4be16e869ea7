"""Sums of curves in blocks of rows, for every family that is linear in its coefficients."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from kanx.kernels.conditions import plain_eager
from kanx.kernels.derivatives import Expansion, coefficient_gradient, input_gradient, snapshot

# numbers of the basis that are held at a time: they fit in the cache
BLOCK_NUMBERS = 2**18
# from which on blocks are worth evaluating the basis twice: plain tensor code leaves the caches
FEWEST_NUMBERS = 2**21


class LinearBundle(Expansion, Protocol):
    """What the blocks need to know of a bundle of edges."""

    @property
    def coefficients(self) -> Tensor:
        """Coefficients, ``(p, in, out)``."""

    @property
    def basis_is_fixed(self) -> bool:
        """Whether the coefficients are the only parameters."""

    def expand_block(self, x: Tensor) -> Tensor:
        """Evaluate the basis as `expand` does, for values only."""


def edge_sum(family: LinearBundle, x: Tensor, mask: Tensor) -> Tensor | None:
    """Sum the edges of each output: ``(..., in), (in, out) -> (..., out)``.

    A block of rows is expanded, multiplied and forgotten; the backward pass expands it again. The
    largest tensors beside the gradients hold `BLOCK_NUMBERS` numbers, or one row.

    None where plain tensor code does as well or the blocks do not apply: few rows, a basis with
    parameters of its own, a gradient by the mask, another device or type, or a transform.
    """
    coefficients = family.coefficients
    if torch.compiler.is_compiling() or not plain_eager(x, coefficients):
        return None
    if x.numel() * coefficients.shape[0] <= FEWEST_NUMBERS:
        return None
    if mask.requires_grad or mask.dtype != x.dtype or not family.basis_is_fixed:
        return None
    if x.dim() == 2:
        return _BlockedSum.apply(x, coefficients, mask, family)
    total = _BlockedSum.apply(x.reshape(-1, x.shape[-1]), coefficients, mask, family)
    return total.view(*x.shape[:-1], total.shape[-1])


def _blocks(x: Tensor, coefficients: Tensor) -> range:
    step = max(1, BLOCK_NUMBERS // (coefficients.shape[0] * coefficients.shape[1]))
    return range(0, len(x), step)


class _BlockedSum(torch.autograd.Function):
    """The sum outside of every transform; a second derivative goes through plain tensor code."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        x, coefficients, mask, family = arguments
        ctx.save_for_backward(x, coefficients, mask)
        ctx.family = snapshot(family)
        weight = (coefficients * mask).flatten(0, 1)  # (p * in, out)
        y = x.new_empty(len(x), weight.shape[1])
        blocks = _blocks(x, coefficients)
        for start in blocks:
            rows = slice(start, start + blocks.step)
            torch.mm(family.expand_block(x[rows]).flatten(-2), weight, out=y[rows])
        return y

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> Any:
        (x, coefficients, mask), family, upstream = ctx.saved_tensors, ctx.family, upstreams[0]
        by_x, by_coefficients = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():
            return (
                input_gradient(family, x, coefficients, mask, upstream) if by_x else None,
                coefficient_gradient(family, x, mask, upstream) if by_coefficients else None,
                None,
                None,
            )
        p, inputs, outputs = coefficients.shape
        weight = (coefficients * mask).flatten(0, 1).T
        gradient = torch.zeros_like(coefficients, memory_format=torch.contiguous_format)
        pulled = torch.empty_like(x, memory_format=torch.contiguous_format) if by_x else None
        blocks = _blocks(x, coefficients)
        for start in blocks:
            rows = slice(start, start + blocks.step)
            own, up = x[rows], upstream[rows]
            if by_coefficients:
                features = family.expand_block(own).flatten(-2)
                gradient.view(p * inputs, outputs).addmm_(features.T, up)
            if pulled is not None:
                slopes = family.expand_derivative(own)
                torch.sum(slopes.mul_((up @ weight).view_as(slopes)), dim=-2, out=pulled[rows])
        return pulled, gradient.mul_(mask) if by_coefficients else None, None, None
