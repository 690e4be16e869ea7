"""Random starts side by side, through any joblib back end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from joblib import Parallel, delayed, effective_n_jobs

T = TypeVar("T")


def fit_starts(
    fit: Callable[[int], T], alone: Callable[[int], T], starts: Iterable[int], n_jobs: int | None
) -> list[T]:
    """Fit from several starts, in as many processes as `n_jobs` or `joblib.parallel_config` say.

    Parameters
    ----------
    fit : callable
        From the number of a start, in this process.
    alone : callable
        The same in another process: it must be picklable, so it reports to no callback.
    starts : iterable of int
    n_jobs : int, optional
        As in scikit-learn: None is one, unless a `joblib.parallel_config` says otherwise; -1 is
        all cores.
    """
    if effective_n_jobs(n_jobs) == 1:
        return [fit(start) for start in starts]
    return list(Parallel(n_jobs=n_jobs)(delayed(alone)(start) for start in starts))
