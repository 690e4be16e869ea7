"""From data to pixels: scales, round tick marks and short paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOLERANCE = 0.12  # pixels that a simplified line may stray


@dataclass(frozen=True)
class Scale:
    """Map an interval of data linearly to an interval of pixels.

    Attributes
    ----------
    low, high : float
        Ends in the data; different.
    start, end : float
        Where they lie, in pixels.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: Array | float) -> Array:
        """Return pixels."""
        part = (np.asarray(values, dtype=float) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about `count` round numbers within the interval."""
        return ticks(self.low, self.high, count)


def score(value: float) -> str:
    """Write a score; one just below 1 with enough digits to be told from it."""
    if not 0.99 < value < 1:
        return number(value, 4)
    decimals = min(max(4, math.ceil(-math.log10(1 - value)) + 1), 9)
    return f"{value:.{decimals}f}".rstrip("0")


def padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """Widen an interval by a share of its length at both ends; one of length zero to length one."""
    if not low < high:
        return low - 0.5, high + 0.5
    return low - share * (high - low), high + share * (high - low)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` multiples of 1, 2 or 5 times a power of ten between two numbers."""
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.85)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step + 0.0 for k in range(first, last + 1)]


def tick_label(value: float, values: Sequence[float]) -> str:
    """Return a tick's text with the digits that tell it from its neighbours."""
    step = min(np.diff(values), default=abs(value) or 1.0)
    largest = max((abs(v) for v in values), default=1.0)
    if largest >= 1e6 or 0 < largest < 1e-4:
        return f"{value:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 3
    return f"{value:.{digits}f}".replace("-", "−")


def number(value: float, digits: int = 3) -> str:
    """Return a number for a sentence, with so many significant digits and a true minus sign."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:.0f}"
    return text.replace("-", "−")


def path(x: Array, y: Array, close: bool = False) -> str:
    """Return the ``d`` of an SVG path through points, without those that make no difference."""
    keep = _kept(x, y)
    points = [f"{_short(a)} {_short(b)}" for a, b in zip(x[keep], y[keep], strict=True)]
    return "M" + "L".join(points) + ("Z" if close else "")


def band(x: Array, lower: Array, upper: Array) -> str:
    """Return the ``d`` of the area between two lines."""
    up, down = _kept(x, upper), _kept(x, lower)
    xs = np.concatenate([x[up], x[down][::-1]])
    ys = np.concatenate([upper[up], lower[down][::-1]])
    points = [f"{_short(a)} {_short(b)}" for a, b in zip(xs, ys, strict=True)]
    return "M" + "L".join(points) + "Z"


def _short(pixels: float) -> str:
    text = f"{pixels:.1f}"
    return text.removesuffix(".0")


def _kept(x: Array, y: Array) -> NDArray[np.intp]:
    """Return the points to keep (Ramer 1972, Douglas and Peucker 1973)."""
    keep = np.zeros(len(x), bool)
    keep[[0, -1]] = True
    stack = [(0, len(x) - 1)]
    while stack:
        first, last = stack.pop()
        if last - first < 2:
            continue
        inner = slice(first + 1, last)
        dx, dy = x[last] - x[first], y[last] - y[first]
        distance = np.abs(dx * (y[inner] - y[first]) - dy * (x[inner] - x[first]))
        distance = distance / max(math.hypot(dx, dy), 1e-12)
        worst = int(distance.argmax())
        if distance[worst] > TOLERANCE:
            middle = first + 1 + worst
            keep[middle] = True
            stack += [(first, middle), (middle, last)]
    return np.flatnonzero(keep)
