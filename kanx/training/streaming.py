"""Rows gone through in batches: one pass to learn their columns, further ones to train.

Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances,
Stanford technical report STAN-CS-79-773, 1979 (moments of the targets).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.tables import MAX_CATEGORIES, Column, encode, learn_columns
from kanx.training.batches import Batches
from kanx.training.first_order import Rows
from kanx.training.options import TrainingOptions
from kanx.training.rows import LARGEST_VALIDATION, Chunk, InMemory, seeded

SAMPLE = 2 * LARGEST_VALIDATION
TINY = 1e-300
NEGLIGIBLE = 1e-12  # weight of the rows that only say how far the columns reach

# from a batch's table, targets and weights (or None) to columns, targets and weights
Reader = Callable[
    [Any, Any, Any, bool], tuple[list[NDArray[Any]], NDArray[Any], NDArray[np.float64]]
]


@dataclass
class Summary:
    """What one pass learns of the rows.

    Attributes
    ----------
    columns : list of Column
    rows : int
        With a positive weight.
    weight : float
        Their sum.
    mean, variance : ndarray, (targets,)
        Weighted, of numeric targets.
    classes : list
        Labels of other targets, sorted.
    sample_columns : list of ndarray
        Columns of a random sample of at most `SAMPLE` rows.
    sample_y, sample_weight, sample_keys : ndarray
        Of the sample; ordered by the random key that every row has.
    """

    columns: list[Column]
    rows: int
    weight: float
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    classes: list[Any]
    sample_columns: list[NDArray[Any]]
    sample_y: NDArray[Any]
    sample_weight: NDArray[np.float64]
    sample_keys: NDArray[np.float64]


class _Columns:
    """Ranges and categories of the columns, gathered batch by batch."""

    def __init__(self, names: Sequence[str], categorical: Any) -> None:
        self.names, self.categorical = names, categorical
        self.columns: list[Column] | None = None
        self.counts = [Counter[Any]() for _ in names]

    def see(self, values: list[NDArray[Any]]) -> None:
        with warnings.catch_warnings():  # too many categories are said once, at the end
            warnings.simplefilter("ignore", UserWarning)
            fresh = learn_columns(self.names, values, self.categorical)
        if self.columns is not None:  # the first batch says which columns hold categories
            fresh = [
                new if new.is_categorical == old.is_categorical else replace(old)
                for old, new in zip(self.columns, fresh, strict=True)
            ]
            fresh = [_merged(o, n) for o, n in zip(self.columns, fresh, strict=True)]
        self.columns = fresh
        for count, column, own in zip(self.counts, fresh, values, strict=True):
            if column.is_categorical:
                count.update(v.item() if isinstance(v, np.generic) else v for v in own.tolist())

    def learned(self) -> list[Column]:
        assert self.columns is not None
        return [
            self._cut(column, count)
            for column, count in zip(self.columns, self.counts, strict=True)
        ]

    @staticmethod
    def _cut(column: Column, count: Counter[Any]) -> Column:
        if column.categories is None:
            return column
        values = [v for v in count if v is not None and v == v]
        if len(values) > MAX_CATEGORIES:
            warnings.warn(
                f"column {column.name!r} has {len(values)} categories; the {MAX_CATEGORIES} most "
                "frequent get a value of their own and the others contribute nothing",
                UserWarning,
                stacklevel=6,
            )
            values = sorted(values, key=lambda v: (-count[v], str(v)))[:MAX_CATEGORIES]
        kept = tuple(sorted(values, key=lambda v: (str(type(v)), v))) or ("",)
        return replace(column, categories=kept, upper=float(max(len(kept) - 1, 0)))


class _Moments:
    """Weighted mean and variance of numeric targets, gathered batch by batch.

    Every batch brings deviations from its own mean: from the mean so far, which is far away at
    first, they would cancel against each other where targets have a large offset.
    """

    def __init__(self) -> None:
        self.weight = 0.0
        self.mean = self._square = np.zeros(1)
        self._seen = False

    def see(self, y: NDArray[np.float64], weight: NDArray[np.float64], batch: int) -> None:
        if self._seen and y.shape[1:] != self.mean.shape:
            raise ValueError(
                f"every batch must have the same number of targets; batch {batch}, counted from 0 "
                f"without empty ones, has {y.shape[1]}, those before it {len(self.mean)}"
            )
        own = weight.sum()
        total = self.weight + own
        mean = y[0] + (weight[:, None] * (y - y[0])).sum(0) / own  # exact for equal targets
        square = (weight[:, None] * (y - mean) ** 2).sum(0)
        if self._seen:
            away = mean - self.mean
            square = self._square + square + away**2 * (self.weight * own / total)
            mean = self.mean + away * (own / total)
        self.weight, self.mean, self._square, self._seen = total, mean, square, True

    @property
    def variance(self) -> NDArray[np.float64]:
        variance: NDArray[np.float64] = self._square / max(self.weight, TINY)
        if not (np.isfinite(self.mean).all() and np.isfinite(variance).all()):
            raise ValueError(
                f"the targets of the batches have mean {self.mean.tolist()} and variance "
                f"{variance.tolist()}, which must be finite numbers; correct targets that are too "
                "large, or divide all of them by a constant"
            )
        return variance


def _merged(old: Column, new: Column) -> Column:
    lower, upper = min(old.lower, new.lower), max(old.upper, new.upper)
    return replace(old, missing=old.missing or new.missing, lower=lower, upper=upper)


def summarise(
    batches: Batches, read: Reader, names: Callable[[], list[str]], categorical: Any, seed: int
) -> Summary:
    """Go through the batches once.

    Parameters
    ----------
    batches : Batches
    read : callable
        Checks a batch and returns its columns, targets and weights.
    names : callable
        Names of the columns, once the first batch has been read.
    categorical
        See `learn_columns`.
    seed : int
        Of the sample.

    Raises
    ------
    ValueError
        If there are no rows, or targets differ in number between batches or are too large.
    """
    columns: _Columns | None = None
    rows, weights = 0, 0.0
    moments = _Moments()
    labels: set[Any] = set()
    sample: list[NDArray[Any]] = []
    for index, batch in enumerate(batches):
        values, y, weight = read(*batch, columns is None)
        if columns is None:
            columns = _Columns(names(), categorical)
        keys = _keys(seed, index, len(weight))
        keep = weight > 0  # a row of weight zero is no row
        values, y, weight = [v[keep] for v in values], y[keep], weight[keep]
        if not len(y):
            continue
        columns.see(values)
        rows, weights = rows + len(y), weights + weight.sum()
        if y.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):  # refused at the end
                moments.see(y, weight, index)
        else:
            labels.update(np.unique(y).tolist())
        sample = _smallest(sample, [*values, y, weight, keys[keep]])
    if columns is None or rows == 0:
        raise ValueError("the batches hold 0 sample(s) while a minimum of 1 is required.")
    *own, y, weight, keys = sample
    classes = sorted(labels, key=lambda label: (isinstance(label, str), label))
    mean, variance = moments.mean, moments.variance
    return Summary(columns.learned(), rows, weights, mean, variance, classes, own, y, weight, keys)


def _keys(seed: int, index: int, count: int) -> NDArray[np.float64]:
    """Return the random keys of a batch's rows, the same in every pass."""
    return torch.rand(count, generator=seeded(seed, index, 1), dtype=torch.float64).numpy()


def _smallest(sample: list[NDArray[Any]], fresh: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Keep the rows with the smallest keys: a uniform sample, whatever the batches are."""
    if sample:
        fresh = [np.concatenate([old, new]) for old, new in zip(sample, fresh, strict=True)]
    order = np.argsort(fresh[-1], kind="stable")[:SAMPLE]
    return [part[order] for part in fresh]


@dataclass
class TableStream:
    """Training rows of batches, encoded; held-out rows are left out.

    Parameters
    ----------
    batches : Batches
    read : callable
        See `summarise`.
    summary : Summary
    target : callable
        From a batch's targets to the tensor that the loss takes.
    held : int
        Number of rows held out: those with the smallest keys.
    seed : int
    """

    batches: Batches
    read: Reader
    summary: Summary
    target: Callable[[NDArray[Any]], Tensor]
    held: int
    seed: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.summary.rows - self.held

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return float(self.summary.weight - self.summary.sample_weight[: self.held].sum())

    def __iter__(self) -> Iterator[Chunk]:
        last = self.summary.sample_keys[self.held - 1] if self.held else -1.0
        for index, batch in enumerate(self.batches):
            values, y, weight = self.read(*batch, False)
            keep = (weight > 0) & (_keys(self.seed, index, len(weight)) > last)
            if keep.any():
                yield self._encoded([v[keep] for v in values], y[keep], weight[keep])

    def sample(self, part: slice) -> InMemory:
        """Return some rows of the sample."""
        summary = self.summary
        values = [v[part] for v in summary.sample_columns]
        return InMemory(*self._encoded(values, summary.sample_y[part], summary.sample_weight[part]))

    def _encoded(
        self, values: list[NDArray[Any]], y: NDArray[Any], weight: NDArray[np.float64]
    ) -> Chunk:
        x = torch.from_numpy(encode(self.summary.columns, values))
        return x, self.target(y), torch.from_numpy(weight)


def stream_rows(
    batches: Batches,
    read: Reader,
    summary: Summary,
    target: Callable[[NDArray[Any]], Tensor],
    options: TrainingOptions,
    seed: int,
) -> Rows:
    """Return the rows of a fit that reads them in batches; memory does not grow with them.

    Parameters as for `TableStream`; the sample gets two rows of negligible weight that say how far
    every column reaches.
    """
    held = min(round(options.validation_fraction * summary.rows), LARGEST_VALIDATION)
    held = held if held < len(summary.sample_keys) else 0
    stream = TableStream(batches, read, summary, target, held, seed)
    sample = stream.sample(slice(held, None))
    reach = torch.tensor([[c.lower for c in summary.columns], [c.upper for c in summary.columns]])
    ends = InMemory(
        torch.cat([sample.x, reach.double()]),
        torch.cat([sample.y, sample.y[:1].expand(2, *sample.y.shape[1:])]),
        torch.cat([sample.weight, torch.full((2,), NEGLIGIBLE, dtype=torch.float64)]),
    )
    held_out = stream.sample(slice(0, held)) if held else None
    aside = None if held_out is None else (held_out.x, held_out.y, held_out.weight)
    return Rows(stream, aside, ends)
