"""Ctrl-C ends a fit at the next good place instead of throwing its work away."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the user has asked the fit to end."""

    requested = False

    def __call__(self) -> bool:
        return self.requested


def never() -> bool:
    """Say that nobody has asked the fit to end."""
    return False


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first Ctrl-C within the block; a second one raises `KeyboardInterrupt` at once.

    Only the main thread receives signals; elsewhere, or where the program has a handler of its
    own, nothing changes.

    Warns
    -----
    UserWarning
        At the end, if the block was interrupted.
    """
    interruption = Interruption()
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or before is not signal.default_int_handler:
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
    if interruption.requested:
        warnings.warn(
            "the fit was interrupted; the model is the best found so far and can be used. Fit "
            "again, with a checkpoint if it takes long, to finish it",
            UserWarning,
            stacklevel=3,
        )
