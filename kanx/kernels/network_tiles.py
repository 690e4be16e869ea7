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
def place(inside, past, BEYOND: tl.constexpr):
    """Return where the straight line is evaluated: it goes on where tangents do."""
    return inside + past if BEYOND == 0 else inside


@triton.jit
def before_the_first(BM: tl.constexpr):
    """Return the state of a recurrence: this function and the last, and the slopes of both."""
    zero = tl.zeros((BM,), dtype=tl.float32)
    return zero + 1.0, zero, zero, zero


@triton.jit
def following(t, table_ptr, g, now, last, steep, steep_last,
              COUNT: tl.constexpr, KIND: tl.constexpr):  # fmt: skip
    """Return function g and its slope, and the state of the recurrence after it."""
    a = tl.load(table_ptr + g)
    b = tl.load(table_ptr + COUNT + g)
    if KIND == 0:
        after = a * t * now - b * last
        steep_after = a * (t * steep + now) - b * steep_last
        return now, steep, after, now, steep_after, steep
    else:
        value, slope = closed_form(t, a, b, KIND)
        return value, slope, now, last, steep, steep_last


@triton.jit
def feature(value, slope, past, absent, BEYOND: tl.constexpr, MISSING: tl.constexpr):
    """Continue a function by its tangent, and leave it out where its input is missing."""
    if BEYOND == 0:
        value = value + slope * past
    if MISSING:
        value = tl.where(absent, 0.0, value)
    return value


@triton.jit
def layer_forward(
    h, parameter_ptr, constant_ptr, D: tl.constexpr,
    SHAPE: tl.constexpr, WIDE: tl.constexpr, AT: tl.constexpr, BM: tl.constexpr,
):  # fmt: skip
    """Compute ``y[m, n] = bias[n] + sum_gi f_g(h[m, i]) c[g, i, n]`` of layer D."""
    INPUTS: tl.constexpr = SHAPE[FIELDS * D]
    OUTPUTS: tl.constexpr = SHAPE[FIELDS * D + 1]
    COUNT: tl.constexpr = SHAPE[FIELDS * D + 2]
    KIND: tl.constexpr = SHAPE[FIELDS * D + 3]
    TREND: tl.constexpr = SHAPE[FIELDS * D + 4]
    BEYOND: tl.constexpr = SHAPE[FIELDS * D + 5]
    MISSING: tl.constexpr = SHAPE[FIELDS * D + 6]
    STEP: tl.constexpr = INPUTS * OUTPUTS
    n = tl.arange(0, WIDE[D + 1])
    alive = n < OUTPUTS
    own_ptr = parameter_ptr + AT[2 * D] + n
    table_ptr = constant_ptr + AT[2 * D + 1]
    bias = tl.load(own_ptr + (TREND + COUNT + MISSING) * STEP, mask=alive, other=0.0)
    y = tl.zeros((BM, WIDE[D + 1]), dtype=tl.float32) + bias[None, :]
    for i in range(0, INPUTS):
        inside, past, absent, _ = column(
            h, i, table_ptr + 2 * COUNT, INPUTS, BEYOND, MISSING, WIDE[D]
        )
        c_ptr = own_ptr + i * OUTPUTS
        if TREND:
            level = tl.load(c_ptr, mask=alive, other=0.0)
            rise = tl.load(c_ptr + STEP, mask=alive, other=0.0)
            line = level[None, :] + place(inside, past, BEYOND)[:, None] * rise[None, :]
            if MISSING:
                line = tl.where(absent[:, None], 0.0, line)
            y += line
        now, last, steep, steep_last = before_the_first(BM)
        for g in range(0, COUNT):
            value, slope, now, last, steep, steep_last = following(
                inside, table_ptr, g, now, last, steep, steep_last, COUNT, KIND
            )
            value = feature(value, slope, past, absent, BEYOND, MISSING)
            c = tl.load(c_ptr + (TREND + g) * STEP, mask=alive, other=0.0)
            y += value[:, None] * c[None, :]
        if MISSING:
            c = tl.load(c_ptr + (TREND + COUNT) * STEP, mask=alive, other=0.0)
            y += tl.where(absent[:, None], c[None, :], 0.0)
    return y


@triton.jit
def add(ptr, value, alive, first):
    """Add to what the program itself has written for the rows before."""
    held = tl.load(ptr, mask=alive & (first > 0), other=0.0)
    tl.store(ptr, held + value, mask=alive)


@triton.jit
def layer_backward(
    h, up, parameter_ptr, constant_ptr, part_ptr, first, D: tl.constexpr,
    SHAPE: tl.constexpr, WIDE: tl.constexpr, AT: tl.constexpr, BM: tl.constexpr,
):  # fmt: skip
    """Add the gradients by the parameters of layer D, and return that by its inputs."""
    INPUTS: tl.constexpr = SHAPE[FIELDS * D]
    OUTPUTS: tl.constexpr = SHAPE[FIELDS * D + 1]
    COUNT: tl.constexpr = SHAPE[FIELDS * D + 2]
    KIND: tl.constexpr = SHAPE[FIELDS * D + 3]
    TREND: tl.constexpr = SHAPE[FIELDS * D + 4]
    BEYOND: tl.constexpr = SHAPE[FIELDS * D + 5]
    MISSING: tl.constexpr = SHAPE[FIELDS * D + 6]
    STEP: tl.constexpr = INPUTS * OUTPUTS
    n = tl.arange(0, WIDE[D + 1])
    alive = n < OUTPUTS
    table_ptr = constant_ptr + AT[2 * D + 1]
    by_h = tl.zeros((BM, WIDE[D]), dtype=tl.float32)
    bias_ptr = part_ptr + AT[2 * D] + (TREND + COUNT + MISSING) * STEP + n
    add(bias_ptr, tl.sum(up, 0), alive, first)
    for i in range(0, INPUTS):
        inside, past, absent, rate = column(
            h, i, table_ptr + 2 * COUNT, INPUTS, BEYOND, MISSING, WIDE[D]
        )
        at = AT[2 * D] + i * OUTPUTS + n
        total = tl.zeros((BM,), dtype=tl.float32)
        if TREND:
            here = tl.where(absent[:, None], 0.0, up) if MISSING else up
            line = place(inside, past, BEYOND)[:, None] * here
            add(part_ptr + at, tl.sum(here, 0), alive, first)
            add(part_ptr + at + STEP, tl.sum(line, 0), alive, first)
            rise = tl.load(parameter_ptr + at + STEP, mask=alive, other=0.0)
            total += tl.sum(up * rise[None, :], 1)
        now, last, steep, steep_last = before_the_first(BM)
        for g in range(0, COUNT):
            value, slope, now, last, steep, steep_last = following(
                inside, table_ptr, g, now, last, steep, steep_last, COUNT, KIND
            )
            value = feature(value, slope, past, absent, BEYOND, MISSING)
            at_g = at + (TREND + g) * STEP
            add(part_ptr + at_g, tl.sum(value[:, None] * up, 0), alive, first)
            c = tl.load(parameter_ptr + at_g, mask=alive, other=0.0)
            total += tl.sum(up * c[None, :], 1) * slope
        if MISSING:
            lost = tl.sum(tl.where(absent[:, None], up, 0.0), 0)
            add(part_ptr + at + (TREND + COUNT) * STEP, lost, alive, first)
        by_h = tl.where(tl.arange(0, WIDE[D])[None, :] == i, (total * rate)[:, None], by_h)
    return by_h


@triton.jit
def row_places(member, m, rows, WIDTH: tl.constexpr, WIDE: tl.constexpr):
    """Return where rows of a member lie, ``(BM, WIDE)``."""
    return (member.to(tl.int64) * rows + m[:, None]) * WIDTH + tl.arange(0, WIDE)[None, :]


@triton.jit
def inputs_of(ptr, member, m, rows, WIDTH: tl.constexpr, WIDE: tl.constexpr):
    """Load the inputs of rows, ``(BM, WIDE)``; rows beyond the last one are copies of it.

    Functions may overflow at numbers that are no inputs, and zero times infinity would be seen.
    """
    places = row_places(member, tl.minimum(m, rows - 1), rows, WIDTH, WIDE)
    return tl.load(ptr + places, mask=tl.arange(0, WIDE)[None, :] < WIDTH, other=0.0)


@triton.jit
def forward_tile(
    x_ptr, parameter_ptr, constant_ptr, y_ptr, rows, x_members, constant_members,
    SHAPE: tl.constexpr, WIDE: tl.constexpr, AT: tl.constexpr, LAYERS: tl.constexpr,
    BM: tl.constexpr,
):  # fmt: skip
    """Compute the outputs of one member for a block of rows."""
    OUTPUTS: tl.constexpr = SHAPE[FIELDS * LAYERS - 6]
    member = tl.program_id(1)
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    parameter_ptr += member.to(tl.int64) * AT[2 * LAYERS]
    constant_ptr += (member % constant_members).to(tl.int64) * AT[2 * LAYERS + 1]
    h = inputs_of(x_ptr, member % x_members, m, rows, SHAPE[0], WIDE[0])
    for d in tl.static_range(LAYERS):
        h = layer_forward(h, parameter_ptr, constant_ptr, d, SHAPE, WIDE, AT, BM)
    within = (m < rows)[:, None] & (tl.arange(0, WIDE[LAYERS])[None, :] < OUTPUTS)
    tl.store(y_ptr + row_places(member, m, rows, OUTPUTS, WIDE[LAYERS]), h, mask=within)


@triton.jit
def backward_tile(
    x_ptr, parameter_ptr, constant_ptr, up_ptr, by_x_ptr, part_ptr, rows, share, x_members,
    constant_members,
    SHAPE: tl.constexpr, WIDE: tl.constexpr, AT: tl.constexpr, LAYERS: tl.constexpr,
    BM: tl.constexpr,
):  # fmt: skip
    """Compute the gradients of one member over one share of the rows."""
    OUTPUTS: tl.constexpr = SHAPE[FIELDS * LAYERS - 6]
    part = tl.program_id(0)
    member = tl.program_id(1)
    parameter_ptr += member.to(tl.int64) * AT[2 * LAYERS]
    constant_ptr += (member % constant_members).to(tl.int64) * AT[2 * LAYERS + 1]
    part_ptr += (member.to(tl.int64) * tl.num_programs(0) + part) * AT[2 * LAYERS]
    for first in range(0, share, BM):
        in_share = first + tl.arange(0, BM)
        m = part * share + in_share
        mask = (m < rows) & (in_share < share)
        held = tl.tuple((inputs_of(x_ptr, member % x_members, m, rows, SHAPE[0], WIDE[0]),))
        for d in tl.static_range(LAYERS - 1):
            held += (layer_forward(held[d], parameter_ptr, constant_ptr, d, SHAPE, WIDE, AT, BM),)
        within = mask[:, None] & (tl.arange(0, WIDE[LAYERS])[None, :] < OUTPUTS)
        places = row_places(member, m, rows, OUTPUTS, WIDE[LAYERS])
        up = tl.load(up_ptr + places, mask=within, other=0.0)
        for d in tl.static_range(LAYERS - 1, -1, -1):
            up = layer_backward(
                held[d], up, parameter_ptr, constant_ptr, part_ptr, first, d, SHAPE, WIDE, AT, BM
            )
        if by_x_ptr is not None:
            within = mask[:, None] & (tl.arange(0, WIDE[0])[None, :] < SHAPE[0])
            places = row_places(member, m, rows, SHAPE[0], WIDE[0])
            tl.store(by_x_ptr + places, up, mask=within)
        tl.debug_barrier()  # other lanes read what this one has added
