"""Memory is stated before it is taken, and refused with a clear error where it will not fit."""

from __future__ import annotations

import contextlib
import os

__all__ = ["available_bytes", "require_bytes"]

RESERVE = 0.9  # share of what is free that one object may take


def available_bytes() -> int | None:
    """Return how much memory this process may still take, None where the system does not say.

    The smaller of what the machine has free and of what the process's limit leaves.
    """
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            with open("/proc/self/statm", encoding="ascii") as file:
                used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            found.append(max(0, limit - used))
    return min(found) if found else None


def require_bytes(needed: int, what: str, advice: str) -> None:
    """Refuse to begin something that will not fit.

    Parameters
    ----------
    needed : int
        Bytes that will be taken.
    what : str
        What takes them, as the message's subject.
    advice : str
        What to do instead, as a sentence.

    Raises
    ------
    MemoryError
        If less than that is free.
    """
    free = available_bytes()
    if free is not None and needed > RESERVE * free:
        raise MemoryError(
            f"{what} needs {_shown(needed)} of memory, and {_shown(free)} are free. {advice}"
        )


def _shown(size: int) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    value, unit = float(size), 0
    while value >= 1000 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {units[unit]}"
