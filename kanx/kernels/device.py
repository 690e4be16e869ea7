"""Sums of curves on a GPU by the fused operator; what it leaves out is plain tensor code."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kanx.kernels.chebyshev import Recurrence
from kanx.kernels.derivatives import Expansion, coefficient_gradient, input_gradient

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
    """Say whether GPUs use the fused operator: KANX_TRITON asks for it and triton is installed.

    ``on`` takes the shipped tiles, ``autotune`` measures several at the first call with a shape.
    """
    asked = os.environ.get("KANX_TRITON", "off").lower()
    return (
        asked in ("on", "1", "yes", "true", "autotune")
        and importlib.util.find_spec("triton") is not None
    )


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

    None where the operator does not apply: float64, a basis it does not know, a transform.

    Parameters
    ----------
    family : FusedFamily
    x : Tensor, (..., in), float32
    mask : Tensor, (in, out)
    mode : {"bf16", "tf32", "tf32x3"}
        Precision of the products.
    """
    functions = family.fused_functions() if applies(x) else None
    if functions is None:
        return None
    with torch.autocast(x.device.type, enabled=False):
        return _composed(family, functions, x, family.coefficients * mask, mode)


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
        end = torch.ones(1, family.in_features).to(t)
        slopes = family.basis_derivative(torch.cat([-end, end]))  # (2, n_basis, in)
        below, above = torch.einsum("egi,gio->eio", slopes, own)
        beyond = t - inside
        total = total + beyond.clamp_max(0) @ below + beyond.clamp_min(0) @ above
    if absent is not None:  # missing values were filled with the middle of the domain
        middle = family.basis(torch.zeros(1, family.in_features).to(t))[0]
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
        ctx.functions, ctx.family, ctx.mode = functions, family, mode
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
