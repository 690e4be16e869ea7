"""Triton kernels of a whole small network, many networks of one shape at a time.

Importing this module needs triton. One program takes a block of rows through all layers of one
member; what the layers hold stays in registers, and the coefficients are few enough for the
nearest cache. The backward pass evaluates the layers again. A program adds its part of the
gradients by the parameters to a row of its own; nothing is added atomically, so results are
repeatable. Everything is float32 on the ordinary cores of a GPU.

``SHAPE`` holds the numbers that describe the layers, and ``WIDE`` the widths between them, rounded
up to powers of two; `kanx.kernels.network` says what they are and where parameters and constants
lie.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kanx.kernels.tiles import closed_form

FIELDS = tl.constexpr(7)  # numbers that describe a layer


@triton.jit
def column(
    h, i, domain_ptr,
    INPUTS: tl.constexpr, BEYOND: tl.constexpr, MISSING: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Return input i inside of its domain, how far it is beyond, if it is absent, and dt / dx."""
    x = tl.sum(tl.where(tl.arange(0, WIDE)[None, :] == i, h, 0.0), 1)
    lower = tl.load(domain_ptr + i)
    upper = tl.load(domain_ptr + INPUTS + i)
    absent = x != x
    if MISSING:
        x = tl.where(absent, 0.5 * (lower + upper), x)
    t = (2.0 * x - (upper + lower)) / (upper - lower)
    inside = t
    if BEYOND == 3:
        inside = t - 2.0 * tl.floor(0.5 * (t + 1.0))
    elif BEYOND != 2:
        inside = tl.where(t > 1.0, 1.0, tl.where(t < -1.0, -1.0, t))  # NaN stays what it is
    slope = 0.0 * t + 2.0 / (upper - lower)
    if BEYOND == 1:
        slope = tl.where(tl.abs(t) > 1.0, 0.0, slope)
    if MISSING:
        slope = tl.where(absent, 0.0, slope)
    return inside, t - inside, absent, slope


@triton.jit
def layer_forward(
    h, parameter_ptr, constant_ptr,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, COUNT: tl.constexpr, KIND: tl.constexpr,
    TREND: tl.constexpr, BEYOND: tl.constexpr, MISSING: tl.constexpr,
    BM: tl.constexpr, WIDE: tl.constexpr, WIDE_OUT: tl.constexpr,
):  # fmt: skip
    """Compute ``y[m, n] = bias[n] + sum_gi f_g(h[m, i]) c[g, i, n]``."""
    n = tl.arange(0, WIDE_OUT)
    alive = n < OUTPUTS
    step = INPUTS * OUTPUTS
    bias = tl.load(parameter_ptr + (TREND + COUNT + MISSING) * step + n, mask=alive, other=0.0)
    y = tl.zeros((BM, WIDE_OUT), dtype=tl.float32) + bias[None, :]
    for i in range(0, INPUTS):
        inside, past, absent, _ = column(h, i, constant_ptr + 2 * COUNT, INPUTS, BEYOND, MISSING, WIDE)
        c_ptr = parameter_ptr + i * OUTPUTS + n
        if TREND:
            level = tl.load(c_ptr, mask=alive, other=0.0)
            rise = tl.load(c_ptr + step, mask=alive, other=0.0)
            line = level[None, :] + place(inside, past, BEYOND)[:, None] * rise[None, :]
            if MISSING:
                line = tl.where(absent[:, None], 0.0, line)
            y += line
        now = tl.zeros((BM,), dtype=tl.float32) + 1.0
        before = tl.zeros((BM,), dtype=tl.float32)
        steep = tl.zeros((BM,), dtype=tl.float32)
        steep_before = tl.zeros((BM,), dtype=tl.float32)
        for g in range(0, COUNT):
            a = tl.load(constant_ptr + g)
            b = tl.load(constant_ptr + COUNT + g)
            if KIND == 0:
                value = now
                slope = steep
                after, steep_after = advanced(inside, a, b, now, before, steep, steep_before)
                steep_before = steep
                steep = steep_after
                before = now
                now = after
            else:
                value, slope = closed_form(inside, a, b, KIND)
            value = feature(value, slope, past, absent, BEYOND, MISSING)
            c = tl.load(c_ptr + (TREND + g) * step, mask=alive, other=0.0)
            y += value[:, None] * c[None, :]
        if MISSING:
            c = tl.load(c_ptr + (TREND + COUNT) * step, mask=alive, other=0.0)
            y += tl.where(absent[:, None], c[None, :], 0.0)
    return y


@triton.jit
def place(inside, past, BEYOND: tl.constexpr):
    """Return where the straight line is evaluated: it goes on where tangents do."""
    return inside + past if BEYOND == 0 else inside


@triton.jit
def advanced(t, a, b, now, before, steep, steep_before):
    """Return the next function of a recurrence and its slope."""
    return a * t * now - b * before, a * (t * steep + now) - b * steep_before


@triton.jit
def feature(value, slope, past, absent, BEYOND: tl.constexpr, MISSING: tl.constexpr):
    """Continue a function by its tangent, and leave it out where its input is missing."""
    if BEYOND == 0:
        value = value + slope * past
    if MISSING:
        value = tl.where(absent, 0.0, value)
    return value


@triton.jit
def add(ptr, value, alive, first):
    """Add to what the program itself has written for the rows before."""
    held = tl.load(ptr, mask=alive & (first > 0), other=0.0)
    tl.store(ptr, held + value, mask=alive)


@triton.jit
def layer_backward(
    h, up, parameter_ptr, constant_ptr, part_ptr, first,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, COUNT: tl.constexpr, KIND: tl.constexpr,
    TREND: tl.constexpr, BEYOND: tl.constexpr, MISSING: tl.constexpr,
    BM: tl.constexpr, WIDE: tl.constexpr, WIDE_OUT: tl.constexpr,
):  # fmt: skip
    """Add the gradients by the layer's parameters, and return that by its inputs."""
    k = tl.arange(0, WIDE)[None, :]
    n = tl.arange(0, WIDE_OUT)
    alive = n < OUTPUTS
    step = INPUTS * OUTPUTS
    by_h = tl.zeros((BM, WIDE), dtype=tl.float32)
    add(part_ptr + (TREND + COUNT + MISSING) * step + n, tl.sum(up, 0), alive, first)
    for i in range(0, INPUTS):
        inside, past, absent, rate = column(
            h, i, constant_ptr + 2 * COUNT, INPUTS, BEYOND, MISSING, WIDE
        )
        c_ptr = parameter_ptr + i * OUTPUTS + n
        own_ptr = part_ptr + i * OUTPUTS + n
        total = tl.zeros((BM,), dtype=tl.float32)
        if TREND:
            here = up
            if MISSING:
                here = tl.where(absent[:, None], 0.0, up)
            add(own_ptr, tl.sum(here, 0), alive, first)
            line = place(inside, past, BEYOND)
            add(own_ptr + step, tl.sum(line[:, None] * here, 0), alive, first)
            rise = tl.load(c_ptr + step, mask=alive, other=0.0)
            total += tl.sum(up * rise[None, :], 1)
        now = tl.zeros((BM,), dtype=tl.float32) + 1.0
        before = tl.zeros((BM,), dtype=tl.float32)
        steep = tl.zeros((BM,), dtype=tl.float32)
        steep_before = tl.zeros((BM,), dtype=tl.float32)
        for g in range(0, COUNT):
            a = tl.load(constant_ptr + g)
            b = tl.load(constant_ptr + COUNT + g)
            if KIND == 0:
                value = now
                slope = steep
                after, steep_after = advanced(inside, a, b, now, before, steep, steep_before)
                steep_before = steep
                steep = steep_after
                before = now
                now = after
            else:
                value, slope = closed_form(inside, a, b, KIND)
            value = feature(value, slope, past, absent, BEYOND, MISSING)
            place_of_g = (TREND + g) * step
            add(own_ptr + place_of_g, tl.sum(value[:, None] * up, 0), alive, first)
            c = tl.load(c_ptr + place_of_g, mask=alive, other=0.0)
            total += tl.sum(up * c[None, :], 1) * slope
        if MISSING:
            lost = tl.where(absent[:, None], up, 0.0)
            add(own_ptr + (TREND + COUNT) * step, tl.sum(lost, 0), alive, first)
        by_h = tl.where(k == i, (total * rate)[:, None], by_h)
    return by_h


@triton.jit
def load_rows(
    ptr, member, m, mask, rows, WIDTH: tl.constexpr, WIDE: tl.constexpr
):  # fmt: skip
    """Load rows of a member, ``(BM, WIDE)``."""
    k = tl.arange(0, WIDE)[None, :]
    offset = (member.to(tl.int64) * rows + m[:, None]) * WIDTH + k
    return tl.load(ptr + offset, mask=mask[:, None] & (k < WIDTH), other=0.0)


@triton.jit
def forward_tile(
    x_ptr, parameter_ptr, constant_ptr, y_ptr, rows, x_members, constant_members,
    SHAPE: tl.constexpr, WIDE: tl.constexpr, AT: tl.constexpr, LAYERS: tl.constexpr,
    BM: tl.constexpr,
):  # fmt: skip
    """Compute the outputs of one member for a block of rows."""
    member = tl.program_id(1)
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    parameter_ptr += member.to(tl.int64) * AT[2 * LAYERS]
    constant_ptr += (member % constant_members) * AT[2 * LAYERS + 1]
    h = load_rows(x_ptr, member % x_members, m, m < rows, rows, SHAPE[0], WIDE[0])
    for d in tl.static_range(LAYERS):
        h = layer_forward(
            h, parameter_ptr + AT[2 * d], constant_ptr + AT[2 * d + 1],
            SHAPE[FIELDS * d], SHAPE[FIELDS * d + 1], SHAPE[FIELDS * d + 2], SHAPE[FIELDS * d + 3],
            SHAPE[FIELDS * d + 4], SHAPE[FIELDS * d + 5], SHAPE[FIELDS * d + 6],
            BM, WIDE[d], WIDE[d + 1],
        )  # fmt: skip
    n = tl.arange(0, WIDE[LAYERS])[None, :]
    outputs: tl.constexpr = SHAPE[FIELDS * (LAYERS - 1) + 1]
    offset = (member.to(tl.int64) * rows + m[:, None]) * outputs + n
    tl.store(y_ptr + offset, h, mask=(m < rows)[:, None] & (n < outputs))


@triton.jit
def backward_tile(
    x_ptr, parameter_ptr, constant_ptr, up_ptr, by_x_ptr, part_ptr, rows, share, x_members,
    constant_members,
    SHAPE: tl.constexpr, WIDE: tl.constexpr, AT: tl.constexpr, LAYERS: tl.constexpr,
    BM: tl.constexpr,
):  # fmt: skip
    """Compute the gradients of one member over one share of the rows."""
    part = tl.program_id(0)
    member = tl.program_id(1)
    parameter_ptr += member.to(tl.int64) * AT[2 * LAYERS]
    constant_ptr += (member % constant_members) * AT[2 * LAYERS + 1]
    part_ptr += (member.to(tl.int64) * tl.num_programs(0) + part) * AT[2 * LAYERS]
    outputs: tl.constexpr = SHAPE[FIELDS * (LAYERS - 1) + 1]
    for first in range(0, share, BM):
        place_in_share = first + tl.arange(0, BM)
        m = part * share + place_in_share
        mask = (m < rows) & (place_in_share < share)
        held = (load_rows(x_ptr, member % x_members, m, mask, rows, SHAPE[0], WIDE[0]),)
        for d in tl.static_range(LAYERS - 1):
            held += (
                layer_forward(
                    held[d], parameter_ptr + AT[2 * d], constant_ptr + AT[2 * d + 1],
                    SHAPE[FIELDS * d], SHAPE[FIELDS * d + 1], SHAPE[FIELDS * d + 2],
                    SHAPE[FIELDS * d + 3], SHAPE[FIELDS * d + 4], SHAPE[FIELDS * d + 5],
                    SHAPE[FIELDS * d + 6], BM, WIDE[d], WIDE[d + 1],
                ),
            )  # fmt: skip
        up = load_rows(up_ptr, member, m, mask, rows, outputs, WIDE[LAYERS])
        for d in tl.static_range(LAYERS - 1, -1, -1):
            up = layer_backward(
                held[d], up, parameter_ptr + AT[2 * d], constant_ptr + AT[2 * d + 1],
                part_ptr + AT[2 * d], first,
                SHAPE[FIELDS * d], SHAPE[FIELDS * d + 1], SHAPE[FIELDS * d + 2],
                SHAPE[FIELDS * d + 3], SHAPE[FIELDS * d + 4], SHAPE[FIELDS * d + 5],
                SHAPE[FIELDS * d + 6], BM, WIDE[d], WIDE[d + 1],
            )  # fmt: skip
        if by_x_ptr is not None:
            k = tl.arange(0, WIDE[0])[None, :]
            offset = (member.to(tl.int64) * rows + m[:, None]) * SHAPE[0] + k
            tl.store(by_x_ptr + offset, up, mask=mask[:, None] & (k < SHAPE[0]))
        tl.debug_barrier()  # other lanes read what this one has added
