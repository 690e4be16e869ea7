"""Sums over rows of products of pairs, by a compiled kernel or by plain tensor code."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.kernels.compiler import library

CHUNK = 256  # rows of a triangle that plain tensor code multiplies together
NUMBERS = 2**20  # products that plain tensor code holds at a time
_LEAST = 2**20  # multiplications from which on the kernel is used: less is not worth a compiler
_GRAIN = 2**23  # multiplications that are worth a further thread


@dataclass(frozen=True)
class Pairs:
    """Products of two numbers of a row, ``table[:, first] * table[:, second]``.

    Attributes
    ----------
    table : Tensor, (rows, columns), float64
    first, second : Tensor, int32 (pairs,)
    """

    table: Tensor
    first: Tensor
    second: Tensor

    def transposed(self, rows: slice) -> Tensor:
        """Return the products of some rows, ``(pairs, rows)``."""
        columns = self.table[
            rows
        ].mT.contiguous()  # whole rows are copied faster than single numbers
        return columns.index_select(0, self.first).mul_(columns.index_select(0, self.second))


class _Side(ctypes.Structure):
    """`Side` of products.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("table", "first", "second")),
        *((name, ctypes.c_int64) for name in ("stride", "count")),
    )


class _Problem(ctypes.Structure):
    """`Problem` of products.cpp."""

    _fields_ = (
        ("left", _Side),
        ("right", _Side),
        ("out", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("rows", "stride")),
        *((name, ctypes.c_int32) for name in ("upper", "threads")),
    )


def add_products(out: Tensor, left: Pairs, right: Pairs, *, upper: bool = False) -> None:
    r"""Add :math:`\sum_n l_{ni} r_{nj}` over the rows to ``out``, ``(left pairs, right pairs)``.

    Parameters
    ----------
    out : Tensor, float64
        Its rows are contiguous.
    left, right : Pairs
        Of the same rows.
    upper : bool, default=False
        Whether entries left of the diagonal are of no interest; they are left undefined.
    """
    work = len(left.table) * out.numel()
    kernel = _library() if work >= _LEAST and out.device.type == "cpu" else None
    if kernel is None:
        _add_plainly(out, left, right, upper)
        return
    problem = _Problem(
        _side(left),
        _side(right),
        out.data_ptr(),
        *(len(left.table), out.stride(0)),
        *(upper, max(1, min(work // _GRAIN, torch.get_num_threads()))),
    )
    if kernel.add_products(ctypes.byref(problem)):
        raise MemoryError("there is not enough memory for the sums of products")


@functools.cache
def _library() -> ctypes.CDLL | None:
    return library("products")


def _side(pairs: Pairs) -> _Side:
    places = (pairs.table.data_ptr(), pairs.first.data_ptr(), pairs.second.data_ptr())
    return _Side(*places, pairs.table.stride(0), len(pairs.first))


def _add_plainly(out: Tensor, left: Pairs, right: Pairs, upper: bool) -> None:
    step = max(32, NUMBERS // out.shape[1])
    for row in range(0, len(left.table), step):
        own = left.transposed(slice(row, row + step))
        other = right.transposed(slice(row, row + step)).mT
        if not upper:
            out.addmm_(own, other)
            continue
        for start in range(0, len(own), CHUNK):
            stop = start + CHUNK
            out[start:stop, start:].addmm_(own[start:stop], other[:, start:])
