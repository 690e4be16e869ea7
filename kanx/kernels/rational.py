"""Quotients of polynomials on a GPU, as operators of `torch.library`; needs triton.

The kernels are in `rational_tiles`: ``f(t) = sum_j a_j t^j / (1 + (sum_k b_k t^k)^2)`` with
``j = 0 .. m`` and ``k = 1 .. n``, in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from torch.library import triton_op, wrap_triton

from kanx.kernels import rational_tiles
from kanx.kernels.fused import plain_gradients
from kanx.layers.denominators import DENOMINATORS
from kanx.layers.polynomials import horner

# rows and columns of a tile, warps and stages of the pipeline
EDGE_FORWARD = {"BM": 64, "BN": 64, "num_warps": 4, "num_stages": 2}
EDGE_INPUT = {"BM": 64, "BK": 8, "BN": 32, "num_warps": 4, "num_stages": 2}
EDGE_COEFFICIENT = {"BM": 16, "BN": 64, "num_warps": 4, "num_stages": 2}
INPUT_FORWARD = {"BM": 64, "BK": 64, "num_warps": 8, "num_stages": 2}
INPUT_BACKWARD = {"BM": 16, "BK": 64, "num_warps": 4, "num_stages": 2}
PROGRAMS = 2048  # that a GPU is kept busy by: so many shares of the rows are made
FEWEST_ROWS = 256  # of one share


def shrunk(chosen: dict[str, int], key: str, columns: int) -> dict[str, int]:
    """Give a tile no more columns than there are, and more rows instead."""
    own = min(chosen[key], triton.next_power_of_2(columns))
    return {**chosen, key: own, "BM": chosen["BM"] * chosen[key] // own}


def with_sums(chosen: dict[str, int], count: int) -> dict[str, int]:
    """Take fewer rows where a tile holds the sums of more than eight coefficients."""
    rows = max(1, chosen["BM"] * 8 // max(8, triton.next_power_of_2(count)))
    return {**chosen, "BM": rows}


def _shares(rows: int, programs: int) -> tuple[int, int]:
    """Return how many shares of the rows are summed apart, and the rows of one."""
    wanted = max(1, min(triton.cdiv(PROGRAMS, programs), rows // FEWEST_ROWS))
    share = triton.cdiv(rows, wanted)
    return triton.cdiv(rows, share), share


def _degrees(above: Tensor, below: Tensor) -> dict[str, int]:
    return {"INPUTS": above.shape[1], "ABOVE": len(above) - 1, "BELOW": len(below)}


@triton_op("kanx::quotient_sum", mutates_args=())
def quotient_sum(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Sum a quotient per edge over the inputs: ``(rows, in) -> (rows, out)``.

    Parameters
    ----------
    t : Tensor, (rows, in), float32
    above : Tensor, (m + 1, in, out)
        Coefficients of the numerators, lowest power first.
    below : Tensor, (n, in, out)
        Coefficients of the sums in the denominators, from the first power on.
    """
    rows, outputs = len(t), above.shape[2]
    y = t.new_empty(rows, outputs)
    tile = shrunk(EDGE_FORWARD, "BN", outputs)
    grid = (triton.cdiv(rows, tile["BM"]), triton.cdiv(outputs, tile["BN"]))
    if rows:
        wrap_triton(rational_tiles.edge_forward_tile)[grid](
            t.contiguous(), above.contiguous(), below.contiguous(), y, rows,
            **_degrees(above, below), OUTPUTS=outputs, **tile,
        )  # fmt: skip
    return y


@triton_op("kanx::quotient_sum_backward", mutates_args=())
def quotient_sum_backward(
    t: Tensor, above: Tensor, below: Tensor, upstream: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Differentiate `quotient_sum`: by ``t``, by the numerators and by the denominators."""
    (rows, inputs), outputs = t.shape, above.shape[2]
    by_t = torch.empty_like(t, memory_format=torch.contiguous_format)
    if not rows:
        return by_t, torch.zeros_like(above), torch.zeros_like(below)
    t, above, below = t.contiguous(), above.contiguous(), below.contiguous()
    upstream = upstream.contiguous()
    sizes = {**_degrees(above, below), "OUTPUTS": outputs}
    tile = shrunk(EDGE_INPUT, "BN", outputs)
    grid = (triton.cdiv(rows, tile["BM"]), triton.cdiv(inputs, tile["BK"]))
    wrap_triton(rational_tiles.edge_input_tile)[grid](
        t, above, below, upstream, by_t, rows, **sizes, **tile
    )
    count = len(above) + len(below)
    tile = with_sums(shrunk(EDGE_COEFFICIENT, "BN", outputs), count)
    blocks = triton.cdiv(outputs, tile["BN"])
    shares, share = _shares(rows, inputs * blocks)
    parts = t.new_empty(shares, count, inputs, outputs)
    wrap_triton(rational_tiles.edge_coefficient_tile)[(inputs, blocks, shares)](
        t, above, below, upstream, parts, rows, share, **sizes, **tile
    )
    by_above, by_below = parts.sum(0).split([len(above), len(below)])
    return by_t, by_above.clone(), by_below.clone()


@triton_op("kanx::quotient", mutates_args=())
def quotient(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Evaluate a quotient per input: ``(rows, in) -> (rows, in)``.

    Parameters
    ----------
    t : Tensor, (rows, in), float32
    above : Tensor, (m + 1, in)
        Coefficients of the numerators, lowest power first.
    below : Tensor, (n, in)
        Coefficients of the sums in the denominators, from the first power on.
    """
    rows, inputs = t.shape
    y = torch.empty_like(t, memory_format=torch.contiguous_format)
    tile = shrunk(INPUT_FORWARD, "BK", inputs)
    grid = (triton.cdiv(rows, tile["BM"]), triton.cdiv(inputs, tile["BK"]))
    if rows:
        wrap_triton(rational_tiles.input_forward_tile)[grid](
            t.contiguous(), above.contiguous(), below.contiguous(), y, rows,
            **_degrees(above, below), **tile,
        )  # fmt: skip
    return y


@triton_op("kanx::quotient_backward", mutates_args=())
def quotient_backward(
    t: Tensor, above: Tensor, below: Tensor, upstream: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Differentiate `quotient`: by ``t``, by the numerators and by the denominators."""
    rows, inputs = t.shape
    by_t = torch.empty_like(t, memory_format=torch.contiguous_format)
    if not rows:
        return by_t, torch.zeros_like(above), torch.zeros_like(below)
    count = len(above) + len(below)
    tile = with_sums(shrunk(INPUT_BACKWARD, "BK", inputs), count)
    blocks = triton.cdiv(inputs, tile["BK"])
    shares, share = _shares(rows, blocks)
    parts = t.new_empty(shares, count, inputs)
    wrap_triton(rational_tiles.input_backward_tile)[(blocks, shares)](
        t.contiguous(), above.contiguous(), below.contiguous(), upstream.contiguous(),
        by_t, parts, rows, share, **_degrees(above, below), **tile,
    )  # fmt: skip
    by_above, by_below = parts.sum(0).split([len(above), len(below)])
    return by_t, by_above.clone(), by_below.clone()


def _plain(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    return horner(above, t)[0] / DENOMINATORS["smooth"].evaluate(below, t)[0]


def _plain_sum(t: Tensor, above: Tensor, below: Tensor) -> Tensor:
    return _plain(t.unsqueeze(-1), above, below).sum(-2)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _pull_back_sum(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():
        return plain_gradients(_plain_sum, ctx.saved_tensors, upstream)
    return quotient_sum_backward(*ctx.saved_tensors, upstream)


def _pull_back(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():
        return plain_gradients(_plain, ctx.saved_tensors, upstream)
    return quotient_backward(*ctx.saved_tensors, upstream)


quotient_sum.register_autograd(_pull_back_sum, setup_context=_setup_context)
quotient.register_autograd(_pull_back, setup_context=_setup_context)
