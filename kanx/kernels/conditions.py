"""When a fused operator may stand in for plain tensor code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as globally


def plain_eager(first: Tensor, *others: Tensor | None) -> bool:
    """Say whether these are ordinary CPU tensors outside of every transform; None may be left out.

    Fused operators know first derivatives in reverse mode only. What traces, batches or
    differentiates in another way (`torch.compile`, `torch.export`, `torch.func`, forward mode,
    dispatch modes, autocast) gets the plain tensor code, which it can take apart.
    """
    if torch.compiler.is_compiling() or torch._C._is_tracing():
        return False
    if torch._C._are_functorch_transforms_active() or torch._C._len_torch_dispatch_stack():
        return False
    if forward_ad._current_level >= 0 or torch.is_autocast_enabled("cpu"):
        return False
    dtype = first.dtype
    if dtype != torch.float32 and dtype != torch.float64:
        return False
    for tensor in (first, *others):
        if tensor is None:
            continue
        if type(tensor) is not Tensor and type(tensor) is not torch.nn.Parameter:
            return False
        if tensor.dtype != dtype or not tensor.is_cpu:
            return False
    return True


def called_plainly(*modules: nn.Module) -> bool:
    """Say whether calling the modules does nothing but run their class's ``forward``."""
    if globally._has_any_global_hook():
        return False
    for module in modules:
        own = module.__dict__
        if own["_forward_hooks"] or own["_forward_pre_hooks"]:
            return False
        if own["_backward_hooks"] or own["_backward_pre_hooks"] or "forward" in own:
            return False
    return True
