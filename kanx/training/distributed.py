"""Sums over rows that several processes share, under `torchrun` or any process group.

Every process holds the same rows and adds up its own share; nothing else differs between them, so
a fit is the same as in one process up to the rounding of a different order of additions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, distributed

# what gloo and NCCL say of a process that does not answer
_LOST = re.compile(r"closed by peer|reset by peer|broken pipe|timed? ?out|remote process", re.I)
_SHARED: ContextVar[bool] = ContextVar("rows are shared between processes", default=False)


@contextmanager
def shared_rows(active: bool = True) -> Iterator[None]:
    """Share the rows of all sums within the block between the processes of the group.

    Parameters
    ----------
    active : bool, default=True
        Without it the block does nothing.

    Raises
    ------
    RuntimeError
        If there is no process group, or another process of it is lost on the way.
    """
    if active and not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "distributed training needs a process group: start with torchrun and call "
            "torch.distributed.init_process_group() before fit"
        )
    token = _SHARED.set(active)
    try:
        yield
    except RuntimeError as error:
        if active and _LOST.search(str(error)):
            raise RuntimeError(
                "another process of the group is gone, and this fit cannot go on without its "
                "rows; start the group again: with checkpoint=FOLDER the fit goes on from its "
                "last round"
            ) from error
        raise
    finally:
        _SHARED.reset(token)


def processes() -> int:
    """Return the number of processes that share the rows."""
    return distributed.get_world_size() if _SHARED.get() else 1


def own_share(rows: int) -> slice:
    """Return the rows that this process adds up: one contiguous part."""
    if not _SHARED.get():
        return slice(None)
    rank, count = distributed.get_rank(), distributed.get_world_size()
    return slice(rank * rows // count, (rank + 1) * rows // count)


def total(own: Tensor) -> Tensor:
    """Add up what every process has found; the same tensor in all of them, in place."""
    if _SHARED.get():
        distributed.all_reduce(own)
    return own


def everywhere(flags: Tensor) -> Tensor:
    """Say what holds in every process, ``bool``."""
    return total(flags.double()) > processes() - 0.5


def is_first() -> bool:
    """Say whether this is the process that writes files."""
    return not _SHARED.get() or distributed.get_rank() == 0


def gathered(own: Tensor) -> Tensor:
    """Return the rows of all processes one after another, in all of them."""
    if not _SHARED.get():
        return own
    counts = torch.zeros(processes(), dtype=torch.int64)
    counts[distributed.get_rank()] = len(own)
    longest = int(total(counts).max())
    padded = own.new_zeros(longest, *own.shape[1:])
    padded[: len(own)] = own
    parts = [torch.zeros_like(padded) for _ in range(processes())]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts.tolist(), strict=True)])
