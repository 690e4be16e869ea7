"""Whether a kernel gives what plain tensor code gives, tried once before it is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

_log = logging.getLogger("kanx.kernels")
_verdicts: dict[Hashable, bool] = {}  # of this process
TOLERANCES = {"tf32x3": 1e-4, "tf32": 2e-2, "bf16": 1e-1}  # of the norm, by the mode of products


def agrees(
    key: tuple[Hashable, ...],
    device: torch.device,
    found: Callable[[], Sequence[Tensor]],
    wanted: Callable[[], Sequence[Tensor]],
    tolerance: float,
) -> bool:
    """Say whether a kernel may be used: it runs, and agrees with plain tensor code.

    It is tried at the first call with a key. Where it does not compile, or is wrong, this is logged
    as a warning and the answer stays no. While a CUDA graph is captured nothing can be compared:
    what was not tried before is not used.

    Parameters
    ----------
    key : tuple
        Name of the kernel, and all that it is compiled for.
    device : torch.device
    found, wanted : callable
        Return results of the kernel and of plain tensor code, on a small problem.
    tolerance : float
        Largest norm of a difference, relative to what is wanted.
    """
    key = (*key, device)
    if key not in _verdicts:
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return False
        with torch.inference_mode(False), torch.autocast(device.type, enabled=False):
            trouble = _trouble(found, wanted, tolerance)
        if trouble is not None:
            _log.warning(
                "the kernel %s is not used on %s, plain tensor code is: %s",
                key[:-1],
                device,
                trouble,
            )
        _verdicts[key] = trouble is None
    return _verdicts[key]


def _trouble(
    found: Callable[[], Sequence[Tensor]],
    wanted: Callable[[], Sequence[Tensor]],
    tolerance: float,
) -> str | None:
    """Return what is wrong with a kernel, None where it is right."""
    try:
        with torch.no_grad():
            results = [value.double() for value in found()]
        errors = [
            ((own - other).norm() / other.norm().clamp_min(1e-30)).item()
            for own, other in zip(results, wanted(), strict=True)
        ]
    except Exception as error:  # a compiler, its tools, a driver, memory: no common class
        return f"it failed with {type(error).__name__}: {error}"
    if all(error <= tolerance for error in errors):
        return None
    return f"its relative errors are {errors}, more than {tolerance}"


def noise(seed: int, *shape: int) -> Tensor:
    """Return normal numbers that do not touch the global generator, in float32 on the CPU."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")


def pulled_back(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], upstream: Tensor
) -> list[Tensor]:
    """Return a function's value and gradients in double precision."""
    with torch.enable_grad():
        own = [value.detach().double().requires_grad_() for value in tensors]
        y = function(*own)
        return [y.detach(), *torch.autograd.grad(y, own, upstream.double())]
