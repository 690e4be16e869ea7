"""The choice of a kernel's tile: the shipped one, or on request the fastest of several.

``KANX_TRITON=autotune`` measures the candidates at the first call with a new shape. Another tile
adds in another order: results differ by rounding between processes that chose differently; without
the request they are the same every time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch
import triton
from torch import Tensor

Tile = dict[str, int]
_fastest: dict[Hashable, Tile] = {}  # of this process, by kernel, shape and device


def requested(t: Tensor) -> bool:
    """Say whether tiles are measured: on request, where kernels really run."""
    if os.environ.get("KANX_TRITON", "off").lower() != "autotune" or not t.is_cuda:
        return False
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return False
    return not torch.cuda.is_current_stream_capturing()


def milliseconds(call: Callable[[], Tensor]) -> float:
    """Measure a call on the GPU; one that needs more than the GPU has takes for ever."""
    try:
        return float(triton.testing.do_bench(call, warmup=5, rep=20, return_mode="median"))
    except triton.OutOfResources:
        return float("inf")


def run_best(
    run: Callable[[Tile], Tensor], candidates: Sequence[Tile], key: tuple[Hashable, ...], t: Tensor
) -> Tensor:
    """Run a kernel with the first of the candidates, or with the fastest on request.

    It runs on the GPU of its inputs, which need not be the current one.

    Parameters
    ----------
    run : callable
        Launches the kernel with a tile and returns what it has written.
    candidates : sequence of dict
        Tiles; the first is the shipped one.
    key : tuple
        Name of the kernel and all that it is compiled for, the rows aside.
    t : Tensor, (rows, in)
        Inputs. Numbers of rows between two powers of two share a choice.
    """
    with torch.cuda.device_of(t):
        if not requested(t):
            return run(candidates[0])
        key = (*key, triton.next_power_of_2(len(t)), t.device)
        if key not in _fastest:
            times = [milliseconds(partial(run, own)) for own in candidates]
            _fastest[key] = candidates[times.index(min(times))]
        return run(_fastest[key])


def distinct(tiles: Sequence[Tile]) -> list[Tile]:
    """Leave out tiles that are the same once they are fitted to a small layer."""
    return [tile for number, tile in enumerate(tiles) if tile not in tiles[:number]]


def tile(rows: int | None, inner: int | None, columns: int | None, warps: int, stages: int) -> Tile:
    """Return a tile: rows ``BM``, inputs ``BK``, outputs ``BN`` where the kernel has them."""
    sizes = {"BM": rows, "BK": inner, "BN": columns}
    own = {name: size for name, size in sizes.items() if size is not None}
    return {**own, "num_warps": warps, "num_stages": stages}
