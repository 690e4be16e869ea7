"""Fused basis and product on a GPU, as operators of `torch.library`; needs triton.

The kernels are in `tiles`. ``mode`` is the precision of the products: ``"bf16"``, ``"tf32"``, or
``"tf32x3"``, which is as accurate as float32. Bases are always evaluated in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from torch.library import triton_op, wrap_triton

from kanx.kernels import tiles

MODES = ("bf16", "tf32", "tf32x3")
# rows, inputs and outputs of a tile, warps and stages of the pipeline
FORWARD = {"BM": 128, "BK": 32, "BN": 128, "num_warps": 8, "num_stages": 3}
INPUT = {"BM": 64, "BK": 32, "BN": 64, "num_warps": 8, "num_stages": 3}
COEFFICIENT = {"BM": 32, "BK": 64, "BN": 64, "num_warps": 4, "num_stages": 3}
ROWS_PER_SHARE = 4096  # of one partial sum of the coefficients' gradient


def _tile(chosen: dict[str, int], inputs: int, outputs: int) -> dict[str, int]:
    """Shrink a tile to a small layer; products need sixteen on every side."""

    def fit(size: int) -> int:
        return max(16, triton.next_power_of_2(size))

    return {
        **chosen,
        "BK": min(chosen["BK"], fit(inputs)),
        "BN": min(chosen["BN"], fit(outputs)),
    }


def _sizes(coefficients: Tensor, kind: int, mode: str) -> dict[str, Any]:
    count, inputs, outputs = coefficients.shape
    sizes = {"INPUTS": inputs, "OUTPUTS": outputs, "COUNT": count}
    return {**sizes, "KIND": kind, "PRECISION": "tf32" if mode == "bf16" else mode}


def _operand(coefficients: Tensor, mode: str) -> Tensor:
    return coefficients.to(torch.bfloat16 if mode == "bf16" else torch.float32).contiguous()


@triton_op("kanx::fused_sum", mutates_args=())
def fused_sum(t: Tensor, coefficients: Tensor, table: Tensor, kind: int, mode: str) -> Tensor:
    """Sum functions of the inputs: ``(rows, in) -> (rows, out)``.

    Parameters
    ----------
    t : Tensor, (rows, in)
    coefficients : Tensor, (functions, in, out)
    table : Tensor, (2, functions)
        What the functions are, see `tiles`.
    kind : int
        Kind of the functions, see `tiles`.
    mode : {"bf16", "tf32", "tf32x3"}
    """
    rows, inputs, outputs = len(t), *coefficients.shape[1:]
    y = t.new_empty(rows, outputs)
    tile = _tile(FORWARD, inputs, outputs)
    grid = (triton.cdiv(rows, tile["BM"]), triton.cdiv(outputs, tile["BN"]))
    if rows:
        wrap_triton(tiles.forward_tile)[grid](
            t.contiguous(), _operand(coefficients, mode), table, y, rows,
            **_sizes(coefficients, kind, mode), **tile,
        )  # fmt: skip
    return y


@triton_op("kanx::fused_sum_backward", mutates_args=())
def fused_sum_backward(
    t: Tensor, coefficients: Tensor, table: Tensor, upstream: Tensor, kind: int, mode: str
) -> tuple[Tensor, Tensor]:
    """Differentiate `fused_sum`: the gradients by ``t`` and by the coefficients."""
    rows, (count, inputs, outputs) = len(t), coefficients.shape
    t, upstream = t.contiguous(), upstream.contiguous()
    sizes = _sizes(coefficients, kind, mode)
    by_t = torch.empty_like(t)
    if not rows:
        return by_t, torch.zeros_like(coefficients, memory_format=torch.contiguous_format)
    tile = _tile(INPUT, inputs, outputs)
    grid = (triton.cdiv(rows, tile["BM"]), triton.cdiv(inputs, tile["BK"]))
    wrap_triton(tiles.input_tile)[grid](
        t, _operand(coefficients, mode), table, upstream, by_t, rows, **sizes, **tile
    )
    tile = _tile(COEFFICIENT, inputs, outputs)
    shares = triton.cdiv(rows, ROWS_PER_SHARE)
    parts = t.new_empty(shares, count, inputs, outputs)
    blocks = (triton.cdiv(inputs, tile["BK"]) * count, triton.cdiv(outputs, tile["BN"]), shares)
    wrap_triton(tiles.coefficient_tile)[blocks](
        t, table, upstream, parts, rows, ROWS_PER_SHARE if shares > 1 else rows,
        **sizes, HALF=mode == "bf16", **tile,
    )  # fmt: skip
    return by_t, parts.sum(0)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.options = inputs[3:]


def _pull_back(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    by_t, by_coefficients = fused_sum_backward(*ctx.saved_tensors, upstream, *ctx.options)
    return by_t, by_coefficients, None, None, None


fused_sum.register_autograd(_pull_back, setup_context=_setup_context)
