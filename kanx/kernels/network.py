"""Whole small networks on a GPU, many of one shape at a time, as an operator; needs triton.

The kernels are in `network_tiles`. Seven numbers describe a layer: inputs, outputs, functions,
their kind (see `tiles`), the coefficients of a straight line before them (0 or 2), what happens
outside of the domain (see `network_plain.BEYOND`), and whether inputs may be missing (0 or 1).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
import triton
from torch import Tensor

from kanx.kernels import network_plain, network_tiles
from kanx.kernels.network_plain import layers_of, sizes
from kanx.kernels.tuning import Tile, run_best

PROGRAMS = 2048  # that a GPU is kept busy by: so many shares of the rows are made
NUMBERS = 256  # of a layer's values in one tile
MOST_REGISTERS = 224  # of a lane: the assembler would rather spill than use half of them


@functools.cache
def tiles(shape: tuple[int, ...]) -> list[Tile]:
    """Return the tiles for a network: fewer rows where it is wide; the first one is shipped.

    One warp has a tile, so that no sum over the rows has to leave it.
    """
    rows = min(64, max(16, NUMBERS // max(_layout(shape)["WIDE"])))
    own: Tile = {"num_warps": 1, "num_stages": 1}
    if torch.version.hip is None:
        own["maxnreg"] = MOST_REGISTERS
    return [{"BM": count, **own} for count in (rows, 2 * rows, 4 * rows)]


@functools.cache
def _layout(shape: tuple[int, ...]) -> dict[str, Any]:
    layers = layers_of(shape)
    lengths = [sizes(layer) for layer in layers]
    parameters = accumulate((length for length, _ in lengths), initial=0)
    constants = accumulate((length for _, length in lengths), initial=0)
    places = [place for pair in zip(parameters, constants, strict=True) for place in pair]
    widths = [layers[0][0], *(layer[1] for layer in layers)]
    wide = tuple(triton.next_power_of_2(width) for width in widths)
    return {"SHAPE": shape, "WIDE": wide, "AT": tuple(places), "LAYERS": len(layers)}


def _key(name: str, x: Tensor, parameters: Tensor, shape: Sequence[int]) -> tuple[Any, ...]:
    members = triton.next_power_of_2(len(parameters))
    return (name, members, len(x) == 1, *shape)


def forward(x: Tensor, parameters: Tensor, constants: Tensor, shape: Sequence[int]) -> Tensor:
    """Launch the kernel of `small_network`."""
    members, rows = len(parameters), x.shape[1]
    y = x.new_empty(members, rows, layers_of(shape)[-1][1])
    if not y.numel():
        return y
    x, parameters, constants = x.contiguous(), parameters.contiguous(), constants.contiguous()
    layout = _layout(tuple(shape))

    def run(own: Tile) -> Tensor:
        network_tiles.forward_tile[(triton.cdiv(rows, own["BM"]), members)](
            x, parameters, constants, y, rows, len(x), len(constants), **layout, **own
        )
        return y

    return run_best(run, tiles(tuple(shape)), _key("network forward", x, parameters, shape), x[0])


def backward(
    x: Tensor,
    parameters: Tensor,
    constants: Tensor,
    upstream: Tensor,
    shape: Sequence[int],
    by_inputs: bool,
) -> tuple[Tensor, Tensor]:
    """Launch the kernel of `small_network_backward`."""
    members, rows = len(parameters), x.shape[1]
    by_x = x.new_empty(members, rows, x.shape[2]) if by_inputs else None
    if not upstream.numel():
        nothing = x.new_empty(0) if by_x is None else torch.zeros_like(x)
        return nothing, torch.zeros_like(parameters)
    shared = len(x) == 1
    x, parameters, constants = x.contiguous(), parameters.contiguous(), constants.contiguous()
    upstream, layout = upstream.contiguous(), _layout(tuple(shape))

    def run(own: Tile) -> Tensor:
        wanted = max(1, min(PROGRAMS // members, triton.cdiv(rows, own["BM"])))
        share = triton.cdiv(triton.cdiv(rows, wanted), own["BM"]) * own["BM"]
        shares = triton.cdiv(rows, share)
        parts = parameters.new_empty(members, shares, parameters.shape[1])
        network_tiles.backward_tile[(shares, members)](
            x, parameters, constants, upstream, by_x, parts, rows, share, len(x), len(constants),
            **layout, **own,
        )  # fmt: skip
        return parts

    parts = run_best(run, tiles(tuple(shape)), _key("network backward", x, parameters, shape), x[0])
    by_parameters = parts.sum(1)
    if by_x is None:
        return x.new_empty(0), by_parameters
    return by_x.sum(0, keepdim=True) if shared and members > 1 else by_x, by_parameters


@torch.library.custom_op("kanx::small_network", mutates_args=())
def small_network(x: Tensor, parameters: Tensor, constants: Tensor, shape: list[int]) -> Tensor:
    """Evaluate networks of one shape: ``(members or 1, rows, in) -> (members, rows, out)``.

    Parameters
    ----------
    x : Tensor, (members or 1, rows, in), float32
        Inputs of every member, or one set for all.
    parameters : Tensor, (members, parameters)
        Layer by layer: coefficients ``(trend + functions + missing, in, out)``, then the bias
        ``(out,)``. The last coefficient is the value where the input is missing.
    constants : Tensor, (members or 1, constants)
        Layer by layer: the table of the functions ``(2, functions)``, the lower and the upper
        ends of the domains ``(in,)``. They get no gradient.
    shape : list of int
        Seven numbers a layer, see above.
    """
    return forward(x, parameters, constants, shape)


@torch.library.custom_op("kanx::small_network_backward", mutates_args=())
def small_network_backward(
    x: Tensor,
    parameters: Tensor,
    constants: Tensor,
    upstream: Tensor,
    shape: list[int],
    by_inputs: bool,
) -> tuple[Tensor, Tensor]:
    """Differentiate `small_network`: by ``x``, which is empty if not wanted, and by parameters."""
    return backward(x, parameters, constants, upstream, shape, by_inputs)


@small_network.register_fake
def _fake(x: Tensor, parameters: Tensor, constants: Tensor, shape: list[int]) -> Tensor:
    return x.new_empty(parameters.shape[0], x.shape[1], layers_of(shape)[-1][1])


@small_network_backward.register_fake
def _fake_backward(
    x: Tensor,
    parameters: Tensor,
    constants: Tensor,
    upstream: Tensor,
    shape: list[int],
    by_inputs: bool,
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape if by_inputs else (0,)), parameters.new_empty(parameters.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.shape = inputs[3]


def _pull_back(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    wanted = ctx.needs_input_grad[0]
    by_x, by_parameters = small_network_backward(*ctx.saved_tensors, upstream, ctx.shape, wanted)
    return by_x if wanted else None, by_parameters, None, None


def _setup_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.shape, ctx.by_inputs = inputs[4:]


def _pull_back_twice(ctx: Any, *upstreams: Tensor) -> tuple[Tensor | None, ...]:
    x, parameters, constants, upstream = ctx.saved_tensors

    def first(x: Tensor, parameters: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
        def value(x: Tensor, parameters: Tensor) -> Tensor:
            return network_plain.network(x, parameters, constants, ctx.shape)

        gradients: tuple[Tensor, ...] = torch.func.vjp(value, x, parameters)[1](upstream)
        return gradients if ctx.by_inputs else (x.new_empty(0), gradients[1])

    by_x, by_parameters, by_upstream = torch.func.vjp(first, x, parameters, upstream)[1](upstreams)
    return by_x, by_parameters, None, by_upstream, None, None


small_network.register_autograd(_pull_back, setup_context=_setup_context)
small_network_backward.register_autograd(_pull_back_twice, setup_context=_setup_backward)
for _device in ("cpu", "cuda"):
    small_network.register_autocast(_device, torch.float32)


def _members(tensor: Tensor, dim: int | None) -> int:
    """Return the number of members, beside an axis that is mapped over."""
    return tensor.shape[1 if dim == 0 else 0]


def _flat(tensor: Tensor, dim: int | None, batch: int, members: int, alone: bool) -> Tensor:
    """Turn an axis that is mapped over into more members; one set for all may be left alone."""
    if alone and dim is None and len(tensor) == 1:
        return tensor
    own = tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0)
    return own.expand(batch, members, *own.shape[2:]).flatten(0, 1)


@small_network.register_vmap
def _mapped(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    parameters: Tensor,
    constants: Tensor,
    shape: list[int],
) -> tuple[Tensor, int]:
    batch, members = info.batch_size, _members(parameters, in_dims[1])
    pairs = zip((x, parameters, constants), in_dims, (True, False, True), strict=False)
    own = [_flat(tensor, dim, batch, members, alone) for tensor, dim, alone in pairs]
    return small_network(*own, shape).unflatten(0, (batch, members)), 0


@small_network_backward.register_vmap
def _mapped_backward(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    parameters: Tensor,
    constants: Tensor,
    upstream: Tensor,
    shape: list[int],
    by_inputs: bool,
) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    batch, members = info.batch_size, _members(parameters, in_dims[1])
    tensors = (x, parameters, constants, upstream)
    # inputs that all share have a gradient of their own for each of the batch
    pairs = zip(tensors, in_dims, (False, False, True, False), strict=False)
    own = [_flat(tensor, dim, batch, members, alone) for tensor, dim, alone in pairs]
    by_x, by_parameters = small_network_backward(*own, shape, by_inputs)
    by_x = by_x.unflatten(0, (batch, members)) if by_inputs else by_x.expand(batch, 0)
    if by_inputs and _members(x, in_dims[0]) < members:
        by_x = by_x.sum(1, keepdim=True)
    return (by_x, by_parameters.unflatten(0, (batch, members))), (0, 0)
