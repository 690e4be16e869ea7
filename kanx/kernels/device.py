"""Sums of curves on a GPU by the fused operator; what it leaves out is plain tensor code."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kanx.kernels import network_plain, verified
from kanx.kernels.chebyshev import Recurrence
from kanx.kernels.derivatives import Expansion, coefficient_gradient, input_gradient, snapshot

ROWS_TRIED = 48  # when a kernel is compared with plain tensor code
MODES = {"highest": "tf32x3", "high": "tf32", "medium": "bf16"}


@dataclass(frozen=True)
class Functions:
    """The functions of a basis as the operator takes them.

    Attributes
    ----------
    kind : str
        ``"recurrence"``, ``"gaussian"``, ``"wave"``, ``"quadratic"`` or ``"cubic"``; see `tiles`.
    table : Tensor, (2, functions)
    trend : bool, default=False
        Whether 1 and t stand before them in the basis.
    projection : Tensor, (functions, p, in), optional
        What the ``p`` functions of the basis are in them, where they are not the basis itself;
        only of kind ``"recurrence"``.
    start : callable, optional
        From normalised inputs ``(rows, in)`` to function number 0, a factor of all others, where
        it is not 1; only of kind ``"recurrence"``.
    """

    kind: str
    table: Tensor
    trend: bool = False
    projection: Tensor | None = None
    start: Callable[[Tensor], Tensor] | None = None


class FusedFamily(Protocol):
    """What the operator needs to know of a bundle of edges."""

    n_basis: int
    in_features: int
    extrapolate: str

    @property
    def coefficients(self) -> Tensor:
        """Coefficients, ``(p, in, out)``."""

    def fused_functions(self) -> Functions | None:
        """Return the functions of the basis, None where the operator does not know them."""

    def filled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Fill missing values; return also where they are, None where NaN is not legal."""

    def normalise(self, x: Tensor) -> Tensor:
        """Map the domain to [-1, 1]."""

    def inside(self, t: Tensor) -> Tensor:
        """Move normalised inputs into the domain."""

    def basis(self, t: Tensor) -> Tensor:
        """Evaluate the basis, ``(..., in) -> (..., n_basis, in)``."""

    def basis_derivative(self, t: Tensor) -> Tensor:
        """Differentiate the basis by ``t``."""


def enabled() -> bool:
    """Say whether GPUs use the kernels: triton is installed and KANX_TRITON is not ``off``.

    ``autotune`` measures several tiles at the first call with a shape; see `tuning`.
    """
    refused = os.environ.get("KANX_TRITON", "on").lower() in ("off", "0", "no", "false")
    return not refused and _installed()


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def precision(device: torch.device) -> str:
    """Return the mode of the products that torch's own settings ask for."""
    if torch.is_autocast_enabled(device.type):
        return "bf16"
    return MODES[torch.get_float32_matmul_precision()]


def applies(x: Tensor) -> bool:
    """Say whether operators take these inputs: float32 outside of every transform."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    if torch._C._len_torch_dispatch_stack() or forward_ad._current_level >= 0:
        return False
    return x.dtype == torch.float32


def edge_sum(family: FusedFamily, x: Tensor, mask: Tensor, mode: str) -> Tensor | None:
    """Sum the edges of each output: ``(..., in), (in, out) -> (..., out)``.

    None where the operator does not apply: float64, a basis it does not know, a transform, a kernel
    that was tried and does not agree with plain tensor code.

    Parameters
    ----------
    family : FusedFamily
    x : Tensor, (..., in), float32
    mask : Tensor, (in, out)
    mode : {"bf16", "tf32", "tf32x3"}
        Precision of the products.
    """
    functions = functions_of(family) if applies(x) else None
    if functions is None or not _agrees(functions, family.coefficients.shape[1:], mode, x.device):
        return None
    with torch.autocast(x.device.type, enabled=False):
        return _composed(family, functions, x, family.coefficients * mask, mode)


_KNOWN: WeakKeyDictionary[Any, tuple[Any, Functions | None]] = WeakKeyDictionary()


def functions_of(family: FusedFamily) -> Functions | None:
    """Return the functions of a basis, kept until a buffer of the family changes.

    Making their table waits for the GPU, which is not allowed while a CUDA graph is captured.
    """
    state = buffer_state(family)
    known = _KNOWN.get(family)
    if known is None or not same_state(known[0], state):
        with torch.no_grad(), torch.inference_mode(False):  # also kept for training
            functions = family.fused_functions()
        if functions is not None and functions.start is not None:
            return functions  # it holds on to the family
        _KNOWN[family] = known = (state, functions)
    return known[1]


State = list[tuple[Tensor, int]]


def buffer_state(module: Any) -> State:
    """Return a module's own buffers with their versions."""
    return [
        (value, 0 if value.is_inference() else value._version)
        for name, value in module._buffers.items()
        if name != "mask"
    ]


def same_state(one: State, other: State) -> bool:
    """Say whether no buffer was replaced or written to."""
    return len(one) == len(other) and all(
        a is b and v == w for (a, v), (b, w) in zip(one, other, strict=True)
    )


def _agrees(functions: Functions, sizes: tuple[int, ...], mode: str, device: torch.device) -> bool:
    """Try the kernels of a layer on a few rows, with as many inputs and outputs as it has."""
    (count, (inputs, outputs)), rows = (functions.table.shape[1], sizes), ROWS_TRIED
    started, kind = functions.start is not None, network_plain.KINDS.index(functions.kind)
    if started and count == 1:
        return True  # no kernel

    def problem() -> list[Tensor]:
        t = verified.noise(0, rows, inputs).clamp(-1, 1)
        start = 1 + 0.2 * verified.noise(1, rows, inputs)
        own = [
            t,
            start,
            verified.noise(2, count, inputs, outputs),
            verified.noise(3, rows, outputs),
        ]
        return [value.to(device) for value in own]

    def found() -> list[Tensor]:
        from kanx.kernels import fused

        (t, start, c, upstream), table = problem(), functions.table
        if started:
            value = fused.started_sum(t, start, c, table, mode)
            return [value, *fused.started_sum_backward(t, start, c, table, upstream, mode)]
        value = fused.fused_sum(t, c, table, kind, mode)
        return [value, *fused.fused_sum_backward(t, c, table, upstream, kind, mode)]

    def plain(t: Tensor, start: Tensor, c: Tensor) -> Tensor:
        values = network_plain.functions(t[None], functions.table.double()[None], kind)[0][0]
        return (start.unsqueeze(-2) * values).flatten(-2) @ c.flatten(0, 1)

    def wanted() -> list[Tensor]:
        t, start, c, upstream = problem()
        if started:
            return verified.pulled_back(plain, [t, start, c], upstream)
        ones = torch.ones_like(t, dtype=torch.float64)
        return verified.pulled_back(lambda t, c: plain(t, ones, c), [t, c], upstream)

    key = ("started_sum" if started else "fused_sum", functions.kind, mode, count, inputs, outputs)
    return verified.agrees(key, device, found, wanted, verified.TOLERANCES[mode])


def _composed(
    family: FusedFamily, functions: Functions, x: Tensor, weight: Tensor, mode: str
) -> Tensor:
    filled, absent = family.filled(x.reshape(-1, x.shape[-1]))
    t = family.normalise(filled)
    inside = family.inside(t)
    own = weight[: family.n_basis]
    start = 2 if functions.trend else 0
    fused = own[start:]
    if functions.projection is not None:
        fused = torch.einsum("gpi,pio->gio", functions.projection, fused)
    if functions.start is None:
        total = _FusedSum.apply(inside, fused, functions, family, mode)
    else:
        total = _started(functions, inside, fused, mode)
    if functions.trend:
        total = total + own[0].sum(0) + inside @ own[1]
    if family.extrapolate == "linear":
        end = t.new_ones(1, family.in_features)
        slopes = family.basis_derivative(torch.cat([-end, end]))  # (2, n_basis, in)
        below, above = torch.einsum("egi,gio->eio", slopes, own)
        beyond = t - inside
        total = total + beyond.clamp_max(0) @ below + beyond.clamp_min(0) @ above
    if absent is not None:  # missing values were filled with the middle of the domain
        middle = family.basis(t.new_zeros(1, family.in_features))[0]
        filling = torch.einsum("gi,gio->io", middle, own)
        total = total + absent.to(t) @ (weight[-1] - filling)
    return total.view(*x.shape[:-1], total.shape[-1])


def _started(functions: Functions, inside: Tensor, weight: Tensor, mode: str) -> Tensor:
    assert functions.start is not None
    start = functions.start(inside)
    if len(weight) > 1:
        from kanx.kernels import fused

        return fused.started_sum(inside, start, weight, functions.table, mode)
    if mode == "bf16":  # one function: a product of matrices
        return (start.bfloat16() @ weight[0].bfloat16()).float()
    return start @ weight[0]


class _FusedSum(torch.autograd.Function):
    """The operator in eager mode; a second derivative goes through plain tensor code."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        from kanx.kernels import fused, tiles

        t, weight, functions, family, mode = arguments
        ctx.save_for_backward(t, weight)
        ctx.functions, ctx.family, ctx.mode = functions, snapshot(family), mode
        kind = getattr(tiles, functions.kind.upper())
        return fused.fused_sum(t, weight, functions.table, kind, mode)

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> Any:
        from kanx.kernels import fused, tiles

        (t, weight), functions, upstream = ctx.saved_tensors, ctx.functions, upstreams[0]
        if torch.is_grad_enabled():
            plain: Expansion = _Plain(ctx.family, functions.trend)
            if functions.projection is not None:
                plain = Recurrence(functions.table, ctx.family.in_features)
            alive = torch.ones_like(weight[0])
            by_t = input_gradient(plain, t, weight, alive, upstream)
            by_weight = coefficient_gradient(plain, t, alive, upstream)
        else:
            kind = getattr(tiles, functions.kind.upper())
            by_t, by_weight = fused.fused_sum_backward(
                t, weight, functions.table, upstream, kind, ctx.mode
            )
        return by_t, by_weight, None, None, None


class _Plain:
    """The functions of a family in plain tensor code, without the trend."""

    def __init__(self, family: FusedFamily, trend: bool) -> None:
        self.family = family
        self.first = 2 if trend else 0
        self.in_features = family.in_features

    def expand(self, x: Tensor) -> Tensor:
        return self.family.basis(x)[..., self.first :, :]

    def expand_derivative(self, x: Tensor) -> Tensor:
        return self.family.basis_derivative(x)[..., self.first :, :]
