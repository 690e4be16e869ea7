"""When a fused operator may stand in for plain tensor code."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


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
