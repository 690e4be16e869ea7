"""Fused basis and product on a GPU, as operators of `torch.library`; needs triton.

The kernels are in `tiles`. ``mode`` is the precision of the products: ``"bf16"``, ``"tf32"``, or
``"tf32x3"``, which is as accurate as float32. Bases are always evaluated in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton
from torch import Tensor
from torch.library import triton_op, wrap_triton

from kanx.kernels import mapped, tiles
from kanx.kernels.chebyshev import Recurrence
from kanx.kernels.tuning import Tile, distinct, run_best, tile

MODES = ("bf16", "tf32", "tf32x3")
# rows, inputs and outputs of a tile, warps and stages of the pipeline
FORWARD = {"BM": 128, "BK": 32, "BN": 128, "num_warps": 8, "num_stages": 3}
INPUT = {"BM": 64, "BK": 32, "BN": 64, "num_warps": 8, "num_stages": 3}
COEFFICIENT = {"BM": 32, "BK": 64, "BN": 64, "num_warps": 4, "num_stages": 3}
# what else is measured on request
FORWARDS = (FORWARD, tile(128, 32, 64, 4, 3), tile(64, 32, 128, 4, 3), tile(64, 32, 64, 4, 3))
INPUTS = (INPUT, tile(64, 16, 64, 4, 3), tile(64, 16, 128, 8, 2), tile(32, 32, 64, 4, 3))
COEFFICIENTS = (
    COEFFICIENT,
    tile(32, 64, 128, 8, 3),
    tile(64, 64, 64, 4, 2),
    tile(32, 32, 64, 4, 3),
)
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


def _tiles(candidates: Sequence[Tile], inputs: int, outputs: int) -> list[Tile]:
    return distinct([_tile(own, inputs, outputs) for own in candidates])


def _key(name: str, start: Tensor | None, sizes: dict[str, Any], mode: str) -> tuple[Any, ...]:
    return (name, start is None, mode, *sizes.values())


def _sizes(coefficients: Tensor, kind: int, mode: str) -> dict[str, Any]:
    count, inputs, outputs = coefficients.shape
    sizes = {"INPUTS": inputs, "OUTPUTS": outputs, "COUNT": count}
    return {**sizes, "KIND": kind, "PRECISION": "tf32" if mode == "bf16" else mode}


def _operand(coefficients: Tensor, mode: str) -> Tensor:
    return coefficients.to(torch.bfloat16 if mode == "bf16" else torch.float32).contiguous()


def _forward(
    t: Tensor, start: Tensor | None, coefficients: Tensor, table: Tensor, kind: int, mode: str
) -> Tensor:
    rows, inputs, outputs = len(t), *coefficients.shape[1:]
    y = t.new_empty(rows, outputs)
    sizes, t, operand = (
        _sizes(coefficients, kind, mode),
        t.contiguous(),
        _operand(coefficients, mode),
    )
    if not rows:
        return y

    def run(own: Tile) -> Tensor:
        grid = (triton.cdiv(rows, own["BM"]), triton.cdiv(outputs, own["BN"]))
        wrap_triton(tiles.forward_tile)[grid](t, start, operand, table, y, rows, **sizes, **own)
        return y

    return run_best(run, _tiles(FORWARDS, inputs, outputs), _key("forward", start, sizes, mode), t)


def _backward(
    t: Tensor,
    start: Tensor | None,
    coefficients: Tensor,
    table: Tensor,
    upstream: Tensor,
    kind: int,
    mode: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients by t, by the start (whatever is there without one), by coefficients."""
    rows, (count, inputs, outputs) = len(t), coefficients.shape
    t, upstream = t.contiguous(), upstream.contiguous()
    sizes = _sizes(coefficients, kind, mode)
    by_t = torch.empty_like(t)
    by_start = torch.empty_like(t if start is not None else t[:0])
    if not rows:
        empty = torch.zeros_like(coefficients, memory_format=torch.contiguous_format)
        return by_t, by_start, empty
    operand, written = _operand(coefficients, mode), None if start is None else by_start
    shares = triton.cdiv(rows, ROWS_PER_SHARE)
    share = ROWS_PER_SHARE if shares > 1 else rows
    parts = t.new_empty(shares, count, inputs, outputs)

    def by_inputs(own: Tile) -> Tensor:
        grid = (triton.cdiv(rows, own["BM"]), triton.cdiv(inputs, own["BK"]))
        wrap_triton(tiles.input_tile)[grid](
            t, start, operand, table, upstream, by_t, written, rows, **sizes, **own
        )
        return by_t

    def by_coefficients(own: Tile) -> Tensor:
        wide, blocks = triton.cdiv(inputs, own["BK"]), triton.cdiv(outputs, own["BN"])
        wrap_triton(tiles.coefficient_tile)[(wide * count, blocks, shares)](
            t, start, table, upstream, parts, rows, share, **sizes, HALF=mode == "bf16", **own
        )
        return parts

    names = (("input", by_inputs, INPUTS), ("coefficient", by_coefficients, COEFFICIENTS))
    for name, run, candidates in names:
        fitted = _tiles(candidates, inputs, outputs)
        run_best(run, fitted, _key(name, start, sizes, mode), t)
    return by_t, by_start, parts.sum(0)


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
    return _forward(t, None, coefficients, table, kind, mode)


@triton_op("kanx::fused_sum_backward", mutates_args=())
def fused_sum_backward(
    t: Tensor, coefficients: Tensor, table: Tensor, upstream: Tensor, kind: int, mode: str
) -> tuple[Tensor, Tensor]:
    """Differentiate `fused_sum`: the gradients by ``t`` and by the coefficients."""
    by_t, _, by_coefficients = _backward(t, None, coefficients, table, upstream, kind, mode)
    return by_t, by_coefficients


@triton_op("kanx::started_sum", mutates_args=())
def started_sum(t: Tensor, start: Tensor, coefficients: Tensor, table: Tensor, mode: str) -> Tensor:
    """Sum functions of a recurrence that starts with given values: ``(rows, in) -> (rows, out)``.

    Parameters
    ----------
    t : Tensor, (rows, in)
    start : Tensor, (rows, in)
        Function number 0, a factor of all others.
    coefficients, table, mode
        See `fused_sum`; the kind is that of a recurrence.
    """
    return _forward(t, start.contiguous(), coefficients, table, tiles.RECURRENCE, mode)


@triton_op("kanx::started_sum_backward", mutates_args=())
def started_sum_backward(
    t: Tensor, start: Tensor, coefficients: Tensor, table: Tensor, upstream: Tensor, mode: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Differentiate `started_sum`: by ``t``, by the start and by the coefficients."""
    return _backward(t, start.contiguous(), coefficients, table, upstream, tiles.RECURRENCE, mode)


def plain_gradients(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], upstream: Tensor
) -> tuple[Tensor | None, ...]:
    """Differentiate plain tensor code such that the gradients can be differentiated in turn."""
    own = [value.view_as(value) for value in tensors]  # one may be a function of another
    wanted = [value for value in own if value.requires_grad]
    found = iter(torch.autograd.grad(function(*own), wanted, upstream, create_graph=True))
    return tuple(next(found) if value.requires_grad else None for value in own)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.options = inputs[3:]


def _pull_back(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    by_t, by_coefficients = fused_sum_backward(*ctx.saved_tensors, upstream, *ctx.options)
    return by_t, by_coefficients, None, None, None


fused_sum.register_autograd(_pull_back, setup_context=_setup_context)


def _setup_started(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.mode = inputs[4]


def _pull_back_started(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, table = ctx.saved_tensors
    if torch.is_grad_enabled():

        def plain(t: Tensor, start: Tensor, coefficients: Tensor) -> Tensor:
            features = Recurrence(table, t.shape[-1]).expand(t) * start.unsqueeze(-2)
            return features.flatten(-2) @ coefficients.flatten(0, 1)

        return *plain_gradients(plain, tensors, upstream), None, None
    return *started_sum_backward(*tensors, table, upstream, ctx.mode), None, None


started_sum.register_autograd(_pull_back_started, setup_context=_setup_started)
mapped.register(fused_sum, rows=(0,))
mapped.register(started_sum, rows=(0, 1))
mapped.register(fused_sum_backward)
mapped.register(started_sum_backward)
