"""What the kernels of small networks compute, in plain tensor code that can be differentiated.

The functions are those of `kanx.kernels.tiles`. Kernels are compared with this, and derivatives of
second order go through it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FIELDS = 7  # numbers that describe a layer, see `kanx.kernels.network`
KINDS = ("recurrence", "gaussian", "wave", "quadratic", "cubic")  # by their number in `tiles`
BEYOND = ("linear", "constant", "family", "periodic")


def layers_of(shape: Sequence[int]) -> list[Sequence[int]]:
    """Split the description of a network into its layers."""
    return [shape[start : start + FIELDS] for start in range(0, len(shape), FIELDS)]


def sizes(layer: Sequence[int]) -> tuple[int, int]:
    """Return how many parameters and how many constants a layer has."""
    inputs, outputs, count, _, trend, _, missing = layer
    return (trend + count + missing) * inputs * outputs + outputs, 2 * (count + inputs)


def network(x: Tensor, parameters: Tensor, constants: Tensor, shape: Sequence[int]) -> Tensor:
    """Evaluate the members: ``(members or 1, rows, in) -> (members, rows, out)``.

    Parameters
    ----------
    x, parameters, constants, shape
        See `kanx.kernels.network.small_network`.
    """
    layers = layers_of(shape)
    lengths = [sizes(layer) for layer in layers]
    own = parameters.split([length for length, _ in lengths], -1)
    fixed = constants.split([length for _, length in lengths], -1)
    h = x.expand(len(parameters), -1, -1)
    for layer, theta, known in zip(layers, own, fixed, strict=True):
        h = _layer(h, theta, known, layer)
    return h


def _layer(h: Tensor, theta: Tensor, constants: Tensor, layer: Sequence[int]) -> Tensor:
    inputs, outputs, count, kind, trend, beyond, missing = layer
    coefficients = theta[:, :-outputs].unflatten(-1, (-1, inputs, outputs))
    table, domain = constants.split([2 * count, 2 * inputs], -1)
    lower, upper = domain.unflatten(-1, (2, 1, inputs)).unbind(1)  # (members, 1, in)
    absent = h.isnan()
    x = torch.where(absent, (lower + upper) / 2, h) if missing else h
    t = (2 * x - (upper + lower)) / (upper - lower)
    inside = t.clamp(-1, 1)
    if BEYOND[beyond] == "family":
        inside = t
    elif BEYOND[beyond] == "periodic":
        inside = t - 2 * torch.floor((t + 1) / 2)
    values, slopes = functions(inside, table.unflatten(-1, (2, count)), kind)
    line = inside
    if BEYOND[beyond] == "linear":
        values, line = values + slopes * (t - inside).unsqueeze(-2), t
    if trend:
        values = torch.cat([torch.stack([torch.ones_like(line), line], -2), values], -2)
    if missing:
        values = torch.where(absent.unsqueeze(-2), 0, values)
        values = torch.cat([values, absent.unsqueeze(-2).to(values)], -2)
    return torch.einsum("kmgi,kgio->kmo", values, coefficients) + theta[:, None, -outputs:]


def functions(t: Tensor, table: Tensor, kind: int) -> tuple[Tensor, Tensor]:
    """Evaluate functions and their slopes, ``(members, rows, functions, in)`` each.

    Parameters
    ----------
    t : Tensor, (members, rows, in)
    table : Tensor, (members or 1, 2, functions)
    kind : int
        See `kanx.kernels.tiles`.
    """
    a, b = table[:, :, None, :, None].unbind(1)  # (members, 1, functions, 1)
    if KINDS[kind] == "recurrence":
        return _recurrence(t, a, b)
    u = t.unsqueeze(-2)
    if KINDS[kind] == "wave":
        return (a * u + b).cos(), -a * (a * u + b).sin()
    u = (u - a) * b
    if KINDS[kind] == "gaussian":
        value = (-u * u).exp()
        return value, -2 * b * u * value
    u = u - (1.5 if KINDS[kind] == "quadratic" else 2.0)  # from the middle of the spline
    side, v = torch.where(u < 0, b, -b), u.abs()
    if KINDS[kind] == "quadratic":
        p, q = (1.5 - v).clamp_min(0), (0.5 - v).clamp_min(0)
        return (p**2 - 3 * q**2) / 2, side * (p - 3 * q)
    p, q = (2 - v).clamp_min(0), (1 - v).clamp_min(0)
    return (p**3 - 4 * q**3) / 6, side * (p**2 / 2 - 2 * q**2)


def _recurrence(t: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    values, slopes = [torch.ones_like(t)], [torch.zeros_like(t)]
    before, steep_before = torch.zeros_like(t), torch.zeros_like(t)
    for g in range(a.shape[2] - 1):
        rise, drop = a[:, :, g], b[:, :, g]
        slopes.append(rise * (values[-1] + t * slopes[-1]) - drop * steep_before)
        values.append(rise * t * values[-1] - drop * before)
        before, steep_before = values[-2], slopes[-2]
    return torch.stack(values, -2), torch.stack(slopes, -2)
