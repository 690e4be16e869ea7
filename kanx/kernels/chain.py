"""Sums of splines one after the other as one operator: a call takes longer than a small sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kanx.kernels.conditions import plain_eager
from kanx.kernels.derivatives import snapshot
from kanx.kernels.spline import (
    EXTRAPOLATIONS,
    Call,
    SplineFamily,
    SplineSum,
    available,
    options_of,
)


def chain(
    families: Sequence[SplineFamily],
    x: Tensor,
    trained: Sequence[Tensor | None],
    fixed: Sequence[Tensor],
) -> Tensor | None:
    """Apply layers of splines in turn: ``(rows, in) -> (rows, out)``.

    None where the kernel does not apply, as in `kanx.kernels.spline.edge_sum`.

    Parameters
    ----------
    families : sequence of SplineFamily
    x : Tensor, (rows, in)
    trained : sequence of Tensor
        Coefficients and the bias or None of every layer.
    fixed : sequence of Tensor
        Mask, knots and the lower and upper ends of the domain of every layer.
    """
    if x.dim() != 2 or not plain_eager(x, *trained, *fixed):
        return None
    width = x.shape[1]
    for k, family in enumerate(families):
        coefficients = trained[2 * k]
        if coefficients is None or fixed[4 * k].requires_grad:
            return None
        if family.extrapolate not in EXTRAPOLATIONS or not available(x.dtype, family.degree):
            return None
        _, inputs, outputs = coefficients.shape
        if inputs != width:
            return None  # the layers say what is wrong
        width = outputs
    return _Chain.apply(families, fixed, x, *trained)


class _Chain(torch.autograd.Function):
    """The layers outside of every transform."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        families, fixed, x, *trained = arguments
        ctx.save_for_backward(x, *trained, *fixed)
        # functional_call lends buffers while the module runs, and the backward pass comes later
        ctx.families = [snapshot(family) for family in families]
        ctx.calls = []
        h = x
        for k, family in enumerate(families):
            own = [h, trained[2 * k], *fixed[4 * k : 4 * k + 4]]
            call = Call(own, options_of(family), trained[2 * k + 1])
            ctx.calls.append(call)
            h = call.forward()
        return h

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> Any:
        saved = ctx.saved_tensors  # an error where they were changed or freed
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            return None, None, *_differentiable(ctx.families, saved, upstreams[0], needed)
        found: list[Tensor | None] = [None] * len(needed)
        upstream: Tensor | None = upstreams[0]
        for k in reversed(range(len(ctx.calls))):
            if upstream is None:
                break
            place = 1 + 2 * k
            by_coefficients, by_bias = needed[place : place + 2]
            upstream, *found[place : place + 2] = ctx.calls[k].backward(
                upstream, any(needed[:place]), by_coefficients, by_bias
            )
        found[0] = upstream if needed[0] else None
        return None, None, *found


def _differentiable(
    families: Sequence[SplineFamily],
    saved: Sequence[Tensor],
    upstream: Tensor,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradients layer by layer, where the operators have second derivatives."""
    leaves = saved[: len(needed)]
    h, *trained = leaves
    fixed = saved[len(needed) :]
    for k, family in enumerate(families):
        coefficients, bias = trained[2 * k : 2 * k + 2]
        h = SplineSum.apply(h, coefficients, *fixed[4 * k : 4 * k + 4], bias, family)
    wanted = [tensor for tensor, asked in zip(leaves, needed, strict=True) if asked]
    gradients = iter(torch.autograd.grad(h, wanted, upstream, create_graph=True))
    return [next(gradients) if asked else None for asked in needed]
