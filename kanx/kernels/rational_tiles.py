"""Triton kernels of quotients of polynomials, in float32 on the ordinary cores of a GPU.

Importing this module needs triton. All quotients have the smooth form
``f(t) = P(t) / (1 + S(t)^2)``, ``P = sum_{j=0}^m a_j t^j``, ``S = sum_{k=1}^n b_k t^k``. Two shapes
of the problem share the arithmetic: a curve per edge, summed over the inputs, and a curve per
input, whose values are kept. Gradients by the coefficients are partial sums over shares of the
rows, which are added up afterwards: nothing is added atomically, so results are repeatable.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def value_parts(t, a_ptr, b_ptr, place, step, mask, ABOVE: tl.constexpr, BELOW: tl.constexpr):
    """Evaluate ``P`` and ``S``; coefficient j is at ``place + j step``."""
    p = tl.load(a_ptr + ABOVE * step + place, mask=mask, other=0.0)
    for j in tl.static_range(ABOVE):
        p = p * t + tl.load(a_ptr + (ABOVE - 1 - j) * step + place, mask=mask, other=0.0)
    s = tl.load(b_ptr + (BELOW - 1) * step + place, mask=mask, other=0.0) * t
    for k in tl.static_range(BELOW - 1):
        s = (s + tl.load(b_ptr + (BELOW - 2 - k) * step + place, mask=mask, other=0.0)) * t
    return p, s


@triton.jit
def slope_parts(t, a_ptr, b_ptr, place, step, mask, ABOVE: tl.constexpr, BELOW: tl.constexpr):
    """Evaluate ``P``, ``P'``, ``S`` and ``S'``."""
    p = tl.load(a_ptr + ABOVE * step + place, mask=mask, other=0.0)
    dp = 0.0 * t
    for j in tl.static_range(ABOVE):
        dp = dp * t + p
        p = p * t + tl.load(a_ptr + (ABOVE - 1 - j) * step + place, mask=mask, other=0.0)
    ds = tl.load(b_ptr + (BELOW - 1) * step + place, mask=mask, other=0.0)
    s = ds * t
    for k in tl.static_range(BELOW - 1):
        s = s + tl.load(b_ptr + (BELOW - 2 - k) * step + place, mask=mask, other=0.0)
        ds = ds * t + s
        s = s * t
    return p, dp, s, ds


@triton.jit
def slope_of(p, dp, s, ds):
    """Return ``f'``."""
    r = 1.0 / (1.0 + s * s)
    return (dp - 2.0 * (p * r) * s * ds) * r


@triton.jit
def no_sums(ABOVE: tl.constexpr, BELOW: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return the sums of the coefficients' gradients before any row: one tile per coefficient."""
    sums = tl.tuple(())
    for _ in tl.static_range(ABOVE + 1 + BELOW):
        sums += (tl.zeros((ROWS, COLUMNS), dtype=tl.float32),)
    return sums


@triton.jit
def added(sums, t, p, s, up, ABOVE: tl.constexpr, BELOW: tl.constexpr):
    """Add a tile's part of the gradients by ``a`` and by ``b``."""
    r = 1.0 / (1.0 + s * s)
    power = up * r
    below = -2.0 * power * (p * r) * s
    after = tl.tuple(())
    for j in tl.static_range(ABOVE + 1):
        after += (sums[j] + power,)
        power = power * t
    for k in tl.static_range(BELOW):
        below = below * t
        after += (sums[ABOVE + 1 + k] + below,)
    return after


@triton.jit
def edge_forward_tile(
    t_ptr, a_ptr, b_ptr, y_ptr, rows,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, ABOVE: tl.constexpr, BELOW: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Compute a tile of ``y[m, n] = sum_i f_in(t[m, i])``."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]
    n = tl.program_id(1) * BN + tl.arange(0, BN)[None, :]
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for i in range(0, INPUTS):
        t = tl.load(t_ptr + m.to(tl.int64) * INPUTS + i, mask=m < rows, other=0.0)
        p, s = value_parts(
            t, a_ptr, b_ptr, i * OUTPUTS + n, INPUTS * OUTPUTS, n < OUTPUTS, ABOVE, BELOW
        )
        total += p / (1.0 + s * s)
    place = m.to(tl.int64) * OUTPUTS + n
    tl.store(y_ptr + place, total, mask=(m < rows) & (n < OUTPUTS))


@triton.jit
def edge_input_tile(
    t_ptr, a_ptr, b_ptr, up_ptr, out_ptr, rows,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, ABOVE: tl.constexpr, BELOW: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Compute a tile of ``sum_n up[m, n] f_in'(t[m, i])``; its inputs come one after the other."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]
    start = tl.program_id(1) * BK
    for i in range(start, tl.minimum(start + BK, INPUTS)):
        place = m.to(tl.int64) * INPUTS + i
        t = tl.load(t_ptr + place, mask=m < rows, other=0.0)
        total = tl.zeros((BM, BN), dtype=tl.float32)
        for first in range(0, OUTPUTS, BN):
            n = first + tl.arange(0, BN)[None, :]
            up_place = m.to(tl.int64) * OUTPUTS + n
            up = tl.load(up_ptr + up_place, mask=(m < rows) & (n < OUTPUTS), other=0.0)
            p, dp, s, ds = slope_parts(
                t, a_ptr, b_ptr, i * OUTPUTS + n, INPUTS * OUTPUTS, n < OUTPUTS, ABOVE, BELOW
            )
            total += up * slope_of(p, dp, s, ds)
        tl.store(out_ptr + place, tl.sum(total, 1, keep_dims=True), mask=m < rows)


@triton.jit
def edge_coefficient_tile(
    t_ptr, a_ptr, b_ptr, up_ptr, part_ptr, rows, share,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, ABOVE: tl.constexpr, BELOW: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Compute the gradients by the coefficients of one input over one share of the rows."""
    i = tl.program_id(0)
    n = tl.program_id(1) * BN + tl.arange(0, BN)[None, :]
    part = tl.program_id(2)
    sums = no_sums(ABOVE, BELOW, BM, BN)
    for first in range(0, share, BM):
        m = part * share + first + tl.arange(0, BM)[:, None]
        mask = (m < rows) & (first + tl.arange(0, BM)[:, None] < share)
        t = tl.load(t_ptr + m.to(tl.int64) * INPUTS + i, mask=mask, other=0.0)
        up_place = m.to(tl.int64) * OUTPUTS + n
        up = tl.load(up_ptr + up_place, mask=mask & (n < OUTPUTS), other=0.0)
        p, s = value_parts(
            t, a_ptr, b_ptr, i * OUTPUTS + n, INPUTS * OUTPUTS, n < OUTPUTS, ABOVE, BELOW
        )
        sums = added(sums, t, p, s, up, ABOVE, BELOW)
    for j in tl.static_range(ABOVE + 1 + BELOW):
        row = (part * (ABOVE + 1 + BELOW) + j).to(tl.int64) * INPUTS + i
        tl.store(part_ptr + row * OUTPUTS + n, tl.sum(sums[j], 0, keep_dims=True), n < OUTPUTS)


@triton.jit
def input_forward_tile(
    t_ptr, a_ptr, b_ptr, y_ptr, rows,
    INPUTS: tl.constexpr, ABOVE: tl.constexpr, BELOW: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Compute a tile of ``y[m, i] = f_i(t[m, i])``."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]
    i = tl.program_id(1) * BK + tl.arange(0, BK)[None, :]
    mask = (m < rows) & (i < INPUTS)
    place = m.to(tl.int64) * INPUTS + i
    t = tl.load(t_ptr + place, mask=mask, other=0.0)
    p, s = value_parts(t, a_ptr, b_ptr, i, INPUTS, i < INPUTS, ABOVE, BELOW)
    tl.store(y_ptr + place, p / (1.0 + s * s), mask=mask)


@triton.jit
def input_backward_tile(
    t_ptr, a_ptr, b_ptr, up_ptr, out_ptr, part_ptr, rows, share,
    INPUTS: tl.constexpr, ABOVE: tl.constexpr, BELOW: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Compute ``up[m, i] f_i'(t[m, i])`` and the coefficients' gradients on a share of the rows."""
    i = tl.program_id(0) * BK + tl.arange(0, BK)[None, :]
    part = tl.program_id(1)
    sums = no_sums(ABOVE, BELOW, BM, BK)
    for first in range(0, share, BM):
        m = part * share + first + tl.arange(0, BM)[:, None]
        mask = (m < rows) & (first + tl.arange(0, BM)[:, None] < share) & (i < INPUTS)
        place = m.to(tl.int64) * INPUTS + i
        t = tl.load(t_ptr + place, mask=mask, other=0.0)
        up = tl.load(up_ptr + place, mask=mask, other=0.0)
        p, dp, s, ds = slope_parts(t, a_ptr, b_ptr, i, INPUTS, i < INPUTS, ABOVE, BELOW)
        tl.store(out_ptr + place, up * slope_of(p, dp, s, ds), mask=mask)
        sums = added(sums, t, p, s, up, ABOVE, BELOW)
    for j in tl.static_range(ABOVE + 1 + BELOW):
        row = (part * (ABOVE + 1 + BELOW) + j).to(tl.int64) * INPUTS
        tl.store(part_ptr + row + i, tl.sum(sums[j], 0, keep_dims=True), i < INPUTS)
