"""Quotients of polynomials on a GPU, as operators of `torch.library`; needs triton.

The kernels are in `rational_tiles`: ``f(t) = sum_j a_j t^j / (1 + (sum_k b_k t^k)^2)`` with
``j = 0 .. m`` and ``k = 1 .. n``, in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor
from torch.library import triton_op, wrap_triton

from kanx.kernels import mapped, rational_tiles
from kanx.kernels.fused import plain_gradients
from kanx.kernels.rational_device import plain, plain_sum
from kanx.kernels.tuning import Tile, distinct, run_best, tile

# rows and columns of a tile, warps and stages of the pipeline
EDGE_FORWARD = {"BM": 64, "BN": 64, "num_warps": 4, "num_stages": 2}
EDGE_INPUT = {"BM": 64, "BK": 8, "BN": 32, "num_warps": 4, "num_stages": 2}
EDGE_COEFFICIENT = {"BM": 16, "BN": 64, "num_warps": 4, "num_stages": 2}
INPUT_FORWARD = {"BM": 64, "BK": 64, "num_warps": 8, "num_stages": 2}
INPUT_BACKWARD = {"BM": 16, "BK": 64, "num_warps": 4, "num_stages": 2}
# what else is measured on request
EDGE_FORWARDS = (EDGE_FORWARD, tile(32, None, 64, 4, 2), tile(64, None, 64, 8, 2))
EDGE_INPUTS = (EDGE_INPUT, tile(32, 8, 64, 4, 2), tile(64, 8, 64, 8, 2))
EDGE_COEFFICIENTS = (EDGE_COEFFICIENT, tile(32, None, 32, 4, 2), tile(16, None, 64, 8, 2))
INPUT_FORWARDS = (INPUT_FORWARD, tile(32, 128, None, 8, 2), tile(32, 64, None, 4, 2))
INPUT_BACKWARDS = (INPUT_BACKWARD, tile(8, 128, None, 4, 2), tile(32, 64, None, 8, 2))
PROGRAMS = 2048  # that a GPU is kept busy by: so many shares of the rows are made
FEWEST_ROWS = 256  # of one share


def fitted(
    candidates: Sequence[Tile], key: str, columns: int, sums: int | None = None
) -> list[Tile]:
    """Fit tiles to a layer.

    No more columns than there are, and more rows instead; fewer rows where a tile holds the
    ``sums`` of more than eight coefficients.
    """
    tiles = []
    for chosen in candidates:
        own = min(chosen[key], triton.next_power_of_2(columns))
        rows = chosen["BM"] * chosen[key] // own
        if sums is not None:
            rows = max(1, rows * 8 // max(8, triton.next_power_of_2(sums)))
        tiles.append({**chosen, key: own, "BM": rows})
    return distinct(tiles)


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
    if not rows:
        return y
    t, above, below = t.contiguous(), above.contiguous(), below.contiguous()
    sizes = {**_degrees(above, below), "OUTPUTS": outputs}

    def run(own: Tile) -> Tensor:
        grid = (triton.cdiv(rows, own["BM"]), triton.cdiv(outputs, own["BN"]))
        wrap_triton(rational_tiles.edge_forward_tile)[grid](
            t, above, below, y, rows, **sizes, **own
        )
        return y

    tiles = fitted(EDGE_FORWARDS, "BN", outputs)
    return run_best(run, tiles, ("edge forward", *sizes.values()), t)


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
    count = len(above) + len(below)

    def by_inputs(own: Tile) -> Tensor:
        grid = (triton.cdiv(rows, own["BM"]), triton.cdiv(inputs, own["BK"]))
        wrap_triton(rational_tiles.edge_input_tile)[grid](
            t, above, below, upstream, by_t, rows, **sizes, **own
        )
        return by_t

    def by_coefficients(own: Tile) -> Tensor:
        blocks = triton.cdiv(outputs, own["BN"])
        shares, share = _shares(rows, inputs * blocks)
        parts = t.new_empty(shares, count, inputs, outputs)
        wrap_triton(rational_tiles.edge_coefficient_tile)[(inputs, blocks, shares)](
            t, above, below, upstream, parts, rows, share, **sizes, **own
        )
        return parts.sum(0)

    key = tuple(sizes.values())
    run_best(by_inputs, fitted(EDGE_INPUTS, "BN", outputs), ("edge input", *key), t)
    tiles = fitted(EDGE_COEFFICIENTS, "BN", outputs, count)
    sums = run_best(by_coefficients, tiles, ("edge coefficient", *key), t)
    by_above, by_below = sums.split([len(above), len(below)])
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
    if not rows:
        return y
    t, above, below = t.contiguous(), above.contiguous(), below.contiguous()
    sizes = _degrees(above, below)

    def run(own: Tile) -> Tensor:
        grid = (triton.cdiv(rows, own["BM"]), triton.cdiv(inputs, own["BK"]))
        wrap_triton(rational_tiles.input_forward_tile)[grid](
            t, above, below, y, rows, **sizes, **own
        )
        return y

    tiles = fitted(INPUT_FORWARDS, "BK", inputs)
    return run_best(run, tiles, ("input forward", *sizes.values()), t)


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
    t, above, below = t.contiguous(), above.contiguous(), below.contiguous()
    upstream, sizes = upstream.contiguous(), _degrees(above, below)

    def run(own: Tile) -> Tensor:
        blocks = triton.cdiv(inputs, own["BK"])
        shares, share = _shares(rows, blocks)
        parts = t.new_empty(shares, count, inputs)
        wrap_triton(rational_tiles.input_backward_tile)[(blocks, shares)](
            t, above, below, upstream, by_t, parts, rows, share, **sizes, **own
        )
        return parts.sum(0)

    tiles = fitted(INPUT_BACKWARDS, "BK", inputs, count)
    sums = run_best(run, tiles, ("input backward", *sizes.values()), t)
    by_above, by_below = sums.split([len(above), len(below)])
    return by_t, by_above.clone(), by_below.clone()


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _pull_back_sum(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():
        return plain_gradients(plain_sum, ctx.saved_tensors, upstream)
    return quotient_sum_backward(*ctx.saved_tensors, upstream)


def _pull_back(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():
        return plain_gradients(plain, ctx.saved_tensors, upstream)
    return quotient_backward(*ctx.saved_tensors, upstream)


quotient_sum.register_autograd(_pull_back_sum, setup_context=_setup_context)
quotient.register_autograd(_pull_back, setup_context=_setup_context)
mapped.register(quotient_sum, rows=(0,))
mapped.register(quotient, rows=(0,))
mapped.register(quotient_sum_backward)
mapped.register(quotient_backward)
