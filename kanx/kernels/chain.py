"""Sums of splines one after the other as one operator: a call takes longer than a small sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kanx.kernels.conditions import plain_eager
from kanx.kernels.spline import (
    EXTRAPOLATIONS,
    Call,
    SplineFamily,
    SplineSum,
    available,
    options_of,
)

_OWN = 6  # tensors of a layer


def chain(
    families: Sequence[SplineFamily], x: Tensor, tensors: Sequence[Tensor | None]
) -> Tensor | None:
    """Apply layers of splines in turn: ``(rows, in) -> (rows, out)``.

    None where the kernel does not apply, as in `kanx.kernels.spline.edge_sum`.

    Parameters
    ----------
    families : sequence of SplineFamily
    x : Tensor, (rows, in)
    tensors : sequence of Tensor
        Coefficients, mask, knots, the lower and upper ends of the domain, and the bias or None, of
        every layer.
    """
    if x.dim() != 2 or not plain_eager(x, *tensors):
        return None
    width = x.shape[1]
    for k, family in enumerate(families):
        coefficients, mask = tensors[k * _OWN : k * _OWN + 2]
        if coefficients is None or mask is None or mask.requires_grad:
            return None
        if family.extrapolate not in EXTRAPOLATIONS or not available(x.dtype, family.degree):
            return None
        _, inputs, outputs = coefficients.shape
        if inputs != width:
            return None  # the layers say what is wrong
        width = outputs
    return _Chain.apply(families, x, *tensors)


class _Chain(torch.autograd.Function):
    """The layers outside of every transform."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        families, x, *tensors = arguments
        ctx.save_for_backward(x, *tensors)
        ctx.families = families
        ctx.calls = []
        h = x
        for family, (*own, bias) in zip(families, _by_layer(tensors), strict=True):
            call = Call([h, *own], options_of(family), bias)
            ctx.calls.append(call)
            h = call.forward()
        return h

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> Any:
        saved = ctx.saved_tensors  # an error where they were changed or freed
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *_differentiable(ctx.families, saved, upstreams[0], needed)
        found: list[Tensor | None] = [None] * len(needed)
        upstream: Tensor | None = upstreams[0]
        for k in reversed(range(len(ctx.calls))):
            place = 1 + k * _OWN
            if upstream is None:
                break
            by_coefficients, by_bias = needed[place], needed[place + _OWN - 1]
            upstream, found[place], found[place + _OWN - 1] = ctx.calls[k].backward(
                upstream, any(needed[:place]), by_coefficients, by_bias
            )
        found[0] = upstream if needed[0] else None
        return None, *found


def _by_layer(tensors: Sequence[Any]) -> list[Sequence[Any]]:
    return [tensors[k : k + _OWN] for k in range(0, len(tensors), _OWN)]


def _differentiable(
    families: Sequence[SplineFamily],
    saved: Sequence[Tensor],
    upstream: Tensor,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradients layer by layer, where the operators have second derivatives."""
    h, *tensors = saved
    for family, (*own, bias) in zip(families, _by_layer(tensors), strict=True):
        h = SplineSum.apply(h, *own, bias, family)
    wanted = [tensor for tensor, asked in zip(saved, needed, strict=True) if asked]
    gradients = iter(torch.autograd.grad(h, wanted, upstream, create_graph=True))
    return [next(gradients) if asked else None for asked in needed]
