"""Small fits run fastest on one thread: waking the others costs more than their work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_ROWS = 3000


@contextmanager
def threads_for(rows: int) -> Iterator[None]:
    """Use one thread of torch within the block where there are few rows, as before after it."""
    before = torch.get_num_threads()
    if rows <= SMALL_ROWS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
