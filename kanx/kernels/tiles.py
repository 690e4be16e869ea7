"""Triton kernels: a basis evaluated in registers as one side of the matrix product.

Importing this module needs triton. The basis functions of a tile of inputs are computed one after
the other, each is multiplied with its coefficients at once, and none is written to memory. The
backward pass evaluates them again. Coefficients are ``(G, I, O)``. A recurrence may start with
other values than 1, ``start (rows, I)``, a factor of all its functions.

=============  ================================================================================
kind           function number g of t; ``a`` and ``b`` are the rows of the table ``(2, G)``
=============  ================================================================================
RECURRENCE     f_0 = 1, f_{g+1} = a_g t f_g - b_g f_{g-1} (orthogonal polynomials, powers)
GAUSSIAN       exp(-((t - a_g) b_g)^2)
WAVE           cos(a_g t + b_g)
QUADRATIC      the B-spline of degree 2 on an even grid that starts at a_g, b_g intervals per unit
CUBIC          the same of degree 3
=============  ================================================================================
"""

from __future__ import annotations

import triton
import triton.language as tl

RECURRENCE, GAUSSIAN, WAVE, QUADRATIC, CUBIC = range(5)


@triton.jit
def closed_form(t, a, b, KIND: tl.constexpr):
    """Evaluate one function that has a closed form, and its slope."""
    if KIND == 1:
        u = (t - a) * b
        value = tl.exp(-u * u)
        slope = -2.0 * b * u * value
    elif KIND == 2:
        value = tl.cos(a * t + b)
        slope = -a * tl.sin(a * t + b)
    elif KIND == 3:
        u = (t - a) * b - 1.5
        v = tl.abs(u)
        p = tl.maximum(1.5 - v, 0.0, propagate_nan=tl.PropagateNan.ALL)
        q = tl.maximum(0.5 - v, 0.0, propagate_nan=tl.PropagateNan.ALL)
        value = (p * p - 3.0 * q * q) * 0.5
        slope = tl.where(u < 0, b, -b) * (p - 3.0 * q)
    else:
        u = (t - a) * b - 2.0
        v = tl.abs(u)
        p = tl.maximum(2.0 - v, 0.0, propagate_nan=tl.PropagateNan.ALL)
        q = tl.maximum(1.0 - v, 0.0, propagate_nan=tl.PropagateNan.ALL)
        value = (p * p * p - 4.0 * q * q * q) * (1.0 / 6.0)
        slope = tl.where(u < 0, b, -b) * (0.5 * p * p - 2.0 * q * q)
    return value, slope


@triton.jit
def forward_tile(
    t_ptr, start_ptr, c_ptr, table_ptr, y_ptr, rows,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, COUNT: tl.constexpr,
    KIND: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Compute a tile of ``y[m, n] = sum_ig f_g(t[m, i]) c[g, i, n]``."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for first in range(0, INPUTS, BK):
        k = first + tl.arange(0, BK)
        place = m[:, None].to(tl.int64) * INPUTS + k[None, :]
        mask = (m[:, None] < rows) & (k[None, :] < INPUTS)
        t = tl.load(t_ptr + place, mask=mask, other=0.0)
        c_place = c_ptr + k[:, None] * OUTPUTS + n[None, :]
        c_mask = (k[:, None] < INPUTS) & (n[None, :] < OUTPUTS)
        now = tl.zeros((BM, BK), dtype=tl.float32) + 1.0
        if start_ptr is not None:
            now = tl.load(start_ptr + place, mask=mask, other=0.0)
        before = tl.zeros((BM, BK), dtype=tl.float32)
        for g in range(0, COUNT):
            a = tl.load(table_ptr + g)
            b = tl.load(table_ptr + COUNT + g)
            c = tl.load(c_place + g * INPUTS * OUTPUTS, mask=c_mask, other=0.0)
            if KIND == 0:
                total = tl.dot(now.to(c.dtype), c, total, input_precision=PRECISION)
                after = a * t * now - b * before
                before = now
                now = after
            else:
                value, _ = closed_form(t, a, b, KIND)
                total = tl.dot(value.to(c.dtype), c, total, input_precision=PRECISION)
    y_place = m[:, None].to(tl.int64) * OUTPUTS + n[None, :]
    tl.store(y_ptr + y_place, total, mask=(m[:, None] < rows) & (n[None, :] < OUTPUTS))


@triton.jit
def input_tile(
    t_ptr, start_ptr, c_ptr, table_ptr, up_ptr, out_ptr, out_start_ptr, rows,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, COUNT: tl.constexpr,
    KIND: tl.constexpr, PRECISION: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Compute a tile of ``sum_gn f_g'(t[m, i]) up[m, n] c[g, i, n]``.

    The start is held fixed; the derivative by it is a tile of its own.
    """
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    k = tl.program_id(1) * BK + tl.arange(0, BK)
    place = m[:, None].to(tl.int64) * INPUTS + k[None, :]
    mask = (m[:, None] < rows) & (k[None, :] < INPUTS)
    t = tl.load(t_ptr + place, mask=mask, other=0.0)
    total = tl.zeros((BM, BK), dtype=tl.float32)
    by_start = tl.zeros((BM, BK), dtype=tl.float32)
    for first in range(0, OUTPUTS, BN):
        n = first + tl.arange(0, BN)
        up_place = m[:, None].to(tl.int64) * OUTPUTS + n[None, :]
        up = tl.load(
            up_ptr + up_place, mask=(m[:, None] < rows) & (n[None, :] < OUTPUTS), other=0.0
        )
        c_place = c_ptr + k[None, :] * OUTPUTS + n[:, None]
        c_mask = (k[None, :] < INPUTS) & (n[:, None] < OUTPUTS)
        now = tl.zeros((BM, BK), dtype=tl.float32) + 1.0
        before = tl.zeros((BM, BK), dtype=tl.float32)
        slope = tl.zeros((BM, BK), dtype=tl.float32)
        slope_before = tl.zeros((BM, BK), dtype=tl.float32)
        for g in range(0, COUNT):
            a = tl.load(table_ptr + g)
            b = tl.load(table_ptr + COUNT + g)
            c = tl.load(c_place + g * INPUTS * OUTPUTS, mask=c_mask, other=0.0)
            pulled = tl.dot(up.to(c.dtype), c, input_precision=PRECISION)
            if KIND == 0:
                total += pulled * slope
                if start_ptr is not None:
                    by_start += pulled * now
                slope_after = a * (t * slope + now) - b * slope_before
                after = a * t * now - b * before
                slope_before = slope
                slope = slope_after
                before = now
                now = after
            else:
                _, steep = closed_form(t, a, b, KIND)
                total += pulled * steep
    if start_ptr is not None:
        total *= tl.load(start_ptr + place, mask=mask, other=0.0)
        tl.store(out_start_ptr + place, by_start, mask=mask)
    tl.store(out_ptr + place, total, mask=mask)


@triton.jit
def coefficient_tile(
    t_ptr, start_ptr, table_ptr, up_ptr, part_ptr, rows, share,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, COUNT: tl.constexpr,
    KIND: tl.constexpr, PRECISION: tl.constexpr, HALF: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Compute a tile of ``sum_m f_g(t[m, i]) up[m, n]`` over one share of the rows."""
    g = tl.program_id(0) % COUNT
    k = (tl.program_id(0) // COUNT) * BK + tl.arange(0, BK)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    part = tl.program_id(2)
    a = tl.load(table_ptr + g)
    b = tl.load(table_ptr + COUNT + g)
    total = tl.zeros((BK, BN), dtype=tl.float32)
    for first in range(0, share, BM):
        m = part * share + first + tl.arange(0, BM)
        t_place = m[None, :].to(tl.int64) * INPUTS + k[:, None]
        t_mask = (m[None, :] < rows) & (k[:, None] < INPUTS)
        t = tl.load(t_ptr + t_place, mask=t_mask, other=0.0)
        up_place = m[:, None].to(tl.int64) * OUTPUTS + n[None, :]
        up_mask = (m[:, None] < rows) & (n[None, :] < OUTPUTS)
        up = tl.load(up_ptr + up_place, mask=up_mask, other=0.0)
        if KIND == 0:
            value = tl.zeros((BK, BM), dtype=tl.float32) + 1.0
            if start_ptr is not None:
                value = tl.load(start_ptr + t_place, mask=t_mask, other=0.0)
            before = tl.zeros((BK, BM), dtype=tl.float32)
            for q in range(0, g):
                after = tl.load(table_ptr + q) * t * value - tl.load(table_ptr + COUNT + q) * before
                before = value
                value = after
        else:
            value, _ = closed_form(t, a, b, KIND)
        if HALF:
            total = tl.dot(value.to(tl.bfloat16), up.to(tl.bfloat16), total)
        else:
            total = tl.dot(value, up, total, input_precision=PRECISION)
    place = ((part * COUNT + g) * INPUTS + k[:, None]).to(tl.int64) * OUTPUTS + n[None, :]
    tl.store(part_ptr + place, total, mask=(k[:, None] < INPUTS) & (n[None, :] < OUTPUTS))
