"""One picture per input: its curves with error bands, where the data are, what missing means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from kanx.explain.curves import Curve
from kanx.explain.report.markup import joined, packed, tag
from kanx.explain.report.scales import Scale, band, number, padded, path, tick_label

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36
MISSING_WIDTH = 34  # strip at the right where the value of a missing entry stands
RUG_HEIGHT = 14
ROW = 17  # height of a category
LABEL_WIDTH = 104
MAX_BANDS = 3  # more error bands in one picture hide each other
COLOURS = 8


def colour(index: int) -> str:
    """Return the style class of the colour of an output or hidden node."""
    return f"c{index % COLOURS}"


def _colour(curve: Curve) -> str:
    return colour(curve.edge[1] if curve.ends_at_output else 0)


def panel(curves: Sequence[Curve], index: int | None = None) -> Markup:
    """Draw curves of the same input, coloured by the output that they lead to.

    Parameters
    ----------
    curves : sequence of Curve
        Of one source.
    index : int, optional
        Place of the picture's `hover_data` in the page's data.
    """
    low, high = _span(curves)
    if curves[0].labels is not None:
        return _categories(curves, low, high)
    return _lines(curves, low, high, index)


def _span(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the vertical range to show: all of the curves, and their bands where the rows are.

    Bands grow without bound where there are no rows; they are cut off there.
    """
    ends = [0.0]
    for curve in curves:
        ends += [float(curve.value.min()), float(curve.value.max())]
        if len(curves) <= MAX_BANDS:
            half = np.where(_is_dense(curve), np.nan_to_num(1.96 * curve.std), 0.0)
            ends += [float((curve.value - half).min()), float((curve.value + half).max())]
        if curve.missing is not None:
            extra = 1.96 * float(np.nan_to_num(curve.missing[1]))
            ends += [curve.missing[0] - extra, curve.missing[0] + extra]
    return min(ends), max(ends)


def _is_dense(curve: Curve) -> NDArray[np.bool_]:
    """Say where on the grid the middle 95 % of the rows are; everywhere for categories."""
    rug = curve.support.rug
    if curve.labels is not None or len(rug) == 0:
        return np.ones(len(curve.grid), bool)
    low, high = np.quantile(rug, [0.025, 0.975])
    return (curve.grid >= low) & (curve.grid <= high)


def hover_data(curves: Sequence[Curve], names: Sequence[str]) -> dict[str, Any] | None:
    """Return what the page's script shows under the pointer; None for categories.

    The grid is even, so its ends and the values on it are enough.
    """
    if curves[0].labels is not None:
        return None
    return {
        "label": curves[0].source,
        "low": float(curves[0].grid[0]),
        "high": float(curves[0].grid[-1]),
        "left": LEFT,
        "right": WIDTH - RIGHT - _missing_width(curves),
        "names": list(names),
        "values": [packed(curve.value) for curve in curves],
        "bands": [
            packed(1.96 * curve.std) if np.isfinite(curve.std).all() else None for curve in curves
        ],
    }


def _missing_width(curves: Sequence[Curve]) -> int:
    return MISSING_WIDTH if any(curve.missing is not None for curve in curves) else 0


def _lines(curves: Sequence[Curve], low: float, high: float, index: int | None) -> Markup:
    grid = curves[0].grid
    x = Scale(float(grid[0]), float(grid[-1]), LEFT, WIDTH - RIGHT - _missing_width(curves))
    y = Scale(*padded(low, high), HEIGHT - BOTTOM - RUG_HEIGHT, TOP)
    parts = [*_axes(x, y), *_histogram(curves[0], x)]
    pixels = x(grid)
    if len(curves) <= MAX_BANDS:
        for curve in curves:
            if np.isfinite(curve.std).all():
                lower, upper = (
                    y(np.clip(end, y.low, y.high)) for end in (curve.lower, curve.upper)
                )
                area = band(pixels, lower, upper)
                parts.append(tag("path", d=area, class_=f"band {_colour(curve)}"))
    for curve in curves:
        line = path(pixels, y(curve.value))
        parts.append(tag("path", d=line, class_=f"line {_colour(curve)}"))
    parts += _missing_marks(curves, y)
    parts.append(tag("line", class_="cross", y1=TOP, y2=HEIGHT - BOTTOM, x1=0, x2=0))
    return _svg(HEIGHT, parts, index)


def _axes(x: Scale, y: Scale) -> list[Markup]:
    bottom = HEIGHT - BOTTOM
    parts = []
    heights = y.ticks(5)
    for value in heights:
        at = float(y(value))
        style = "zero" if value == 0 else "grid"
        parts.append(
            tag("line", x1=LEFT, x2=f"{x.end:g}", y1=f"{at:.1f}", y2=f"{at:.1f}", class_=style)
        )
        parts.append(
            tag("text", tick_label(value, heights), x=LEFT - 5, y=f"{at + 4:.1f}", class_="end")
        )
    places = x.ticks(5)
    for value in places:
        at = float(x(value))
        parts.append(
            tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=bottom, y2=bottom + 4, class_="tick")
        )
        parts.append(
            tag("text", tick_label(value, places), x=f"{at:.1f}", y=bottom + 17, class_="middle")
        )
    parts.append(tag("line", x1=LEFT, x2=f"{x.end:g}", y1=bottom, y2=bottom, class_="tick"))
    return parts


def _histogram(curve: Curve, x: Scale) -> list[Markup]:
    """Draw where the rows are, as grey bars on the axis."""
    counts, edges = curve.support.counts, curve.support.edges
    most = counts.max(initial=0)
    if most == 0:
        return []
    bottom = HEIGHT - BOTTOM
    steps = []
    for count, left, right in zip(counts, x(edges[:-1]), x(edges[1:]), strict=True):
        if count:
            tall = max(1.0, RUG_HEIGHT * float(np.sqrt(count / most)))
            steps.append(f"M{left:.1f} {bottom}V{bottom - tall:.1f}H{right:.1f}V{bottom}Z")
    return [tag("path", d="".join(steps), class_="rug")]


def _missing_marks(curves: Sequence[Curve], y: Scale) -> list[Markup]:
    width = _missing_width(curves)
    if not width:
        return []
    start = WIDTH - RIGHT - width
    parts = [
        tag("line", x1=start + 7, x2=start + 7, y1=TOP, y2=HEIGHT - BOTTOM, class_="split"),
        tag("text", "missing", x=WIDTH - RIGHT + 6, y=HEIGHT - BOTTOM + 17, class_="end"),
    ]
    for k, curve in enumerate(curves):
        if curve.missing is None:
            continue
        value, std = curve.missing
        at = start + 12 + (width - 14) * (k + 0.5) / len(curves)
        if np.isfinite(std):
            ends = y(np.array([value - 1.96 * std, value + 1.96 * std]))
            parts.append(
                tag(
                    "line",
                    x1=f"{at:.1f}",
                    x2=f"{at:.1f}",
                    y1=f"{ends[0]:.1f}",
                    y2=f"{ends[1]:.1f}",
                    class_=f"whisker {_colour(curve)}",
                )
            )
        tip = f"missing: {_with_band(value, std)} ({curve.support.missing} rows)"
        parts.append(
            tag(
                "circle",
                cx=f"{at:.1f}",
                cy=f"{float(y(value)):.1f}",
                r=4,
                class_=f"dot {_colour(curve)}",
                data_tip=tip,
            )
        )
    return parts


def _categories(curves: Sequence[Curve], low: float, high: float) -> Markup:
    labels = list(curves[0].labels or ())
    entries = [
        (label, int(curves[0].support.counts[j]), [(c.value[j], c.std[j]) for c in curves])
        for j, label in enumerate(labels)
    ]
    absent = [c.missing for c in curves if c.missing is not None]
    if len(absent) == len(curves):
        entries.append(("missing", curves[0].support.missing, absent))
    row = max(ROW, 7 * len(curves) + 4)
    height = TOP + row * len(entries) + 22
    x = Scale(*padded(low, high), LABEL_WIDTH + 6, WIDTH - RIGHT)
    parts: list[Markup] = []
    marks = x.ticks(5)
    for value in marks:
        at = f"{float(x(value)):.1f}"
        style = "zero" if value == 0 else "grid"
        parts.append(tag("line", x1=at, x2=at, y1=TOP, y2=height - 20, class_=style))
        parts.append(tag("text", tick_label(value, marks), x=at, y=height - 6, class_="middle"))
    for place, (label, count, values) in enumerate(entries):
        top = TOP + row * place
        shown = label if len(label) <= 16 else label[:15] + "…"
        parts.append(tag("text", shown, x=LABEL_WIDTH, y=f"{top + row / 2 + 4:g}", class_="end"))
        for k, (value, std) in enumerate(values):
            tip = f"{label}: {_with_band(value, std)} ({count} rows)"
            parts += _bar(
                x,
                float(value),
                float(std),
                top + 2 + (row - 4) * k / len(values),
                (row - 4) / len(values),
                _colour(curves[k]),
                tip,
            )
    return _svg(height, parts)


def _bar(
    x: Scale, value: float, std: float, top: float, height: float, style: str, tip: str
) -> list[Markup]:
    start, end = sorted((float(x(0.0)), float(x(value))))
    parts = [
        tag(
            "rect",
            x=f"{start:.1f}",
            y=f"{top:.1f}",
            width=f"{max(end - start, 0.8):.1f}",
            height=f"{height:.1f}",
            class_=f"bar {style}",
            data_tip=tip,
        )
    ]
    if np.isfinite(std):
        ends = x(np.array([value - 1.96 * std, value + 1.96 * std]))
        middle = f"{top + height / 2:.1f}"
        parts.append(
            tag(
                "line",
                x1=f"{ends[0]:.1f}",
                x2=f"{ends[1]:.1f}",
                y1=middle,
                y2=middle,
                class_="whisker",
            )
        )
    return parts


def _with_band(value: float, std: float) -> str:
    if not np.isfinite(std):
        return number(float(value))
    return f"{number(float(value))} ± {number(1.96 * float(std), 2)}"


def _svg(height: float, parts: list[Markup], index: int | None = None) -> Markup:
    box = f"0 0 {WIDTH} {height:g}"
    return tag("svg", joined(parts), viewBox=box, role="img", class_="panel", data_panel=index)
