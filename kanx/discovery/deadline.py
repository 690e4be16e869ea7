"""When to stop."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """Tell whether a number of seconds has passed.

    Parameters
    ----------
    seconds : float
        Time allowed from now on.
    clock : callable
        Returns seconds; the wall clock unless processor time is wanted.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.end = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, negative once the time is up."""
        return self.end - self.clock()

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.remaining <= 0.0
