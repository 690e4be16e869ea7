"""How many rows are computed at a time, halved when memory runs out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

Found = TypeVar("Found")


class Portion:
    """The number of rows that a computation takes at a time.

    Parameters
    ----------
    rows : int
        To begin with.

    Attributes
    ----------
    rows : int
        Never more than what was found to fit.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._said = False

    def attempt(self, work: Callable[[], Found], rows: int) -> Found:
        """Run a computation; where memory runs out, halve the portion and run it from its start.

        Parameters
        ----------
        work : callable
            Computes at most `self.rows` rows at a time, and leaves nothing behind when it fails.
        rows : int
            How many rows it has in all.

        Warns
        -----
        RuntimeWarning
            When the portion is halved for the first time.

        Raises
        ------
        MemoryError
            If not even one row fits.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError as error:
                failure = error.with_traceback(None)  # which would keep the tensors alive
            tried = min(self.rows, rows)
            if tried <= 1:
                raise MemoryError(
                    "not even one row of this network fits into the device's memory; train on "
                    "the CPU, in float32, or fit fewer nodes"
                ) from failure
            self._halve(tried)

    def _halve(self, tried: int) -> None:
        self.rows = tried // 2
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if not self._said:
            self._said = True
            warnings.warn(
                f"memory ran out on {tried} rows at a time; going on with at most {self.rows}, "
                "which is slower",
                RuntimeWarning,
                stacklevel=3,
            )
