"""Sums of B-spline curves by a compiled kernel that uses only the functions that are not zero."""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from kanx.kernels.compiler import library
from kanx.kernels.conditions import plain_eager
from kanx.kernels.derivatives import Expansion, coefficient_gradient, input_gradient, snapshot

EXTRAPOLATIONS = {"linear": 0, "constant": 1, "periodic": 2}  # as in spline.cpp
_SCALARS = {torch.float32: "float", torch.float64: "double"}
_GRAIN = 2**21  # multiplications that are worth a further thread


class SplineFamily(Expansion, Protocol):
    """What the kernel needs to know of a family of splines."""

    knots: Tensor
    lower: Tensor
    upper: Tensor
    degree: int
    extrapolate: str
    missing: bool

    @property
    def coefficients(self) -> Tensor:
        """Coefficients, ``(p, in, out)``."""


# `Problem` of spline.cpp; packing it takes half the time of a ctypes.Structure
_PROBLEM = struct.Struct("@7P5q3i")


def available(dtype: torch.dtype, degree: int) -> bool:
    """Say whether there is a kernel for splines of a degree; compiles it at the first call."""
    return dtype in _SCALARS and _library(dtype, degree) is not None


def takes(family: SplineFamily, x: Tensor) -> bool:
    """Say whether the kernel evaluates a family at such inputs."""
    known = family.extrapolate in EXTRAPOLATIONS and not torch.compiler.is_compiling()
    return known and plain_eager(x) and available(x.dtype, family.degree)


def edge_sum(
    family: SplineFamily, x: Tensor, mask: Tensor, bias: Tensor | None = None
) -> Tensor | None:
    """Sum the splines of each output and a bias: ``(..., in), (in, out), (out,) -> (..., out)``.

    None where the kernel does not apply: another device or type, a transform (see `conditions`),
    a gradient by the mask, splines that fall to zero outside, or no compiler.
    """
    if family.extrapolate not in EXTRAPOLATIONS or mask.requires_grad:
        return None
    tensors = (x, family.coefficients, mask, family.knots, family.lower, family.upper)
    if torch.compiler.is_compiling():
        total = _traced(family, tensors)
        return total if total is None or bias is None else total + bias
    if not plain_eager(*tensors, bias):
        return None
    if not available(x.dtype, family.degree):
        return None
    if (x.shape[-1], mask.shape[-1]) != tensors[1].shape[1:]:
        return None  # plain tensor code says what is wrong
    if x.dim() == 2:
        return SplineSum.apply(*tensors, bias, family)
    total = SplineSum.apply(x.reshape(-1, x.shape[-1]), *tensors[1:], bias, family)
    return total.view(*x.shape[:-1], total.shape[-1])


class SplineSum(torch.autograd.Function):
    """The sum outside of every transform; a second derivative goes through plain tensor code."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *tensors, bias, family = arguments
        ctx.save_for_backward(*tensors)
        ctx.family = snapshot(family)
        ctx.call = Call(tensors, options_of(family), bias)
        return ctx.call.forward()

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> Any:
        (x, coefficients, mask, *_), upstream = ctx.saved_tensors, upstreams[0]
        by_x, by_coefficients, *_, by_bias, _ = ctx.needs_input_grad
        found: tuple[Tensor | None, Tensor | None, Tensor | None]
        if torch.is_grad_enabled():
            family = ctx.family
            found = (
                input_gradient(family, x, coefficients, mask, upstream) if by_x else None,
                coefficient_gradient(family, x, mask, upstream) if by_coefficients else None,
                upstream.sum(0) if by_bias else None,
            )
        else:
            found = ctx.call.backward(upstream, by_x, by_coefficients, by_bias)
        return found[0], found[1], None, None, None, None, found[2], None


def options_of(family: SplineFamily) -> tuple[int, int, bool]:
    """Return degree, extrapolation and whether values may be missing, as the kernel takes them."""
    return family.degree, EXTRAPOLATIONS[family.extrapolate], family.missing


@functools.cache
def _library(dtype: torch.dtype, degree: int) -> ctypes.CDLL | None:
    found = library("spline", SCALAR=_SCALARS[dtype], ACTIVE=degree + 1)
    if found is not None:
        found.spline_forward.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
        found.spline_backward.argtypes = (ctypes.c_char_p, *[ctypes.c_void_p] * 4)
    return found


class Call:
    """A sum of splines as the kernel takes it; holds the memory that the kernel reads.

    Parameters
    ----------
    tensors : sequence of Tensor
        ``x``, coefficients, mask, knots, and the lower and upper ends of the domain.
    options : tuple
        Degree, extrapolation and whether values may be missing.
    bias : Tensor, (out,), optional
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        options: tuple[int, int, bool],
        bias: Tensor | None = None,
    ) -> None:
        degree, extrapolation, missing = options
        x, coefficients, mask, knots, lower, upper = tensors
        rows, width = x.shape
        p, inputs, outputs = coefficients.shape
        intervals = p - missing - degree
        if (
            width != inputs
            or intervals < 1
            or lower.shape != (inputs,)
            or upper.shape != (inputs,)
            or mask.shape != (inputs, outputs)
            or knots.shape != (intervals + 2 * degree + 1, inputs)
            or (bias is not None and bias.shape != (outputs,))
        ):
            shapes = [None if t is None else tuple(t.shape) for t in (*tensors, bias)]
            raise ValueError(
                "x, coefficients, mask, knots, lower, upper and bias of a sum of splines of "
                f"degree {degree} do not fit together: {shapes}"
            )
        kernel = _library(x.dtype, degree)
        if kernel is None:
            raise RuntimeError("there is no kernel for splines: see kanx.kernels.compiler")
        threads = rows * inputs * outputs * (degree + 1) // _GRAIN
        if threads > 1:
            threads = min(threads, torch.get_num_threads())
        self.kernel = kernel
        self.tensors = [t if t.is_contiguous() else t.contiguous() for t in tensors]
        self.bias = None if bias is None else bias.contiguous()
        self.problem = _PROBLEM.pack(
            *[tensor.data_ptr() for tensor in self.tensors],
            0 if self.bias is None else self.bias.data_ptr(),
            *(rows, inputs, outputs, p, intervals, extrapolation, missing, max(1, threads)),
        )

    def forward(self) -> Tensor:
        """Return the sums, ``(rows, out)``."""
        x, coefficients = self.tensors[:2]
        y = x.new_empty(x.shape[0], coefficients.shape[2])
        _check(self.kernel.spline_forward(self.problem, y.data_ptr()))
        return y

    def backward(
        self, upstream: Tensor, by_x: bool, by_coefficients: bool, by_bias: bool = False
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients that are asked for."""
        upstream = upstream.contiguous()
        x = torch.empty_like(self.tensors[0]) if by_x else None
        coefficients = torch.empty_like(self.tensors[1]) if by_coefficients else None
        bias = upstream.new_empty(upstream.shape[1]) if by_bias else None
        found = x, coefficients, bias
        places = [0 if tensor is None else tensor.data_ptr() for tensor in found]
        _check(self.kernel.spline_backward(self.problem, upstream.data_ptr(), *places))
        return found


def _check(code: int) -> None:
    if code:
        raise MemoryError("there is not enough memory for the sum of splines")


# -- the operator of compiled graphs ------------------------------------------------------------


@torch.compiler.assume_constant_result
def _available_to_graphs(dtype: torch.dtype, degree: int) -> bool:
    return available(dtype, degree)


def _traced(family: SplineFamily, tensors: tuple[Tensor, ...]) -> Tensor | None:
    x = tensors[0]
    # exported programs keep to operators that exist everywhere
    if torch.compiler.is_exporting() or x.dtype not in _SCALARS:
        return None
    if any(t.device.type != "cpu" or t.dtype != x.dtype for t in tensors):
        return None
    if torch._C._are_functorch_transforms_active():
        return None
    if not _available_to_graphs(x.dtype, family.degree):
        return None
    flat = x.reshape(-1, x.shape[-1])
    total = spline_sum(flat, *tensors[1:], *options_of(family))
    return total.view(*x.shape[:-1], total.shape[-1])


@torch.library.custom_op("kanx::spline_sum", mutates_args=(), device_types="cpu")
def spline_sum(
    x: Tensor,
    coefficients: Tensor,
    mask: Tensor,
    knots: Tensor,
    lower: Tensor,
    upper: Tensor,
    degree: int,
    extrapolation: int,
    missing: bool,
) -> Tensor:
    """Sum splines over the inputs of a layer: ``(rows, in) -> (rows, out)``.

    Parameters
    ----------
    x : Tensor, (rows, in)
    coefficients : Tensor, (p, in, out)
    mask : Tensor, (in, out)
    knots : Tensor, (intervals + 2 degree + 1, in)
    lower, upper : Tensor, (in,)
        The domain.
    degree : int
    extrapolation : int
        See `EXTRAPOLATIONS`.
    missing : bool
        Whether the last coefficient is the value where the input is NaN.
    """
    tensors = [x, coefficients, mask, knots, lower, upper]
    return Call(tensors, (degree, extrapolation, missing)).forward()


@torch.library.custom_op("kanx::spline_sum_backward", mutates_args=(), device_types="cpu")
def spline_sum_backward(
    x: Tensor,
    coefficients: Tensor,
    mask: Tensor,
    knots: Tensor,
    lower: Tensor,
    upper: Tensor,
    upstream: Tensor,
    degree: int,
    extrapolation: int,
    missing: bool,
) -> tuple[Tensor, Tensor]:
    """Differentiate `spline_sum`: the gradients by ``x`` and by the coefficients."""
    tensors = [x, coefficients, mask, knots, lower, upper]
    call = Call(tensors, (degree, extrapolation, missing))
    by_x, by_coefficients, _ = call.backward(upstream, True, True)
    assert by_x is not None and by_coefficients is not None
    return by_x, by_coefficients


@spline_sum.register_fake
def _(x: Tensor, coefficients: Tensor, *rest: Any) -> Tensor:
    return x.new_empty(x.shape[0], coefficients.shape[2])


@spline_sum_backward.register_fake
def _(x: Tensor, coefficients: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(coefficients, memory_format=torch.contiguous_format),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:6])
    ctx.options = inputs[6:]


def _pull_back(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    found = spline_sum_backward(*ctx.saved_tensors, upstream, *ctx.options)
    return *found, None, None, None, None, None, None, None


spline_sum.register_autograd(_pull_back, setup_context=_setup_context)
spline_sum.register_autocast("cpu", torch.float32)


@spline_sum.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    if all(dim is None for dim in in_dims[1:]):  # further rows of the same layer
        x = arguments[0].movedim(in_dims[0], 0)
        flat = spline_sum(x.flatten(0, 1), *arguments[1:])
        return flat.unflatten(0, x.shape[:2]), 0
    slices = (
        [a if dim is None else a.select(dim, k) for a, dim in zip(arguments, in_dims, strict=True)]
        for k in range(info.batch_size)
    )
    return torch.stack([spline_sum(*own) for own in slices]), 0
