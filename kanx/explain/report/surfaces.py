"""What two inputs do together, as a coloured map."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from kanx.explain.interactions import Surface
from kanx.explain.report.markup import joined, tag
from kanx.explain.report.scales import Scale, number, tick_label, ticks

WIDTH, HEIGHT = 340, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 8, 34
CELLS = 21
# blue through white to orange, told apart by every kind of colour vision
NEGATIVE, MIDDLE, POSITIVE = (0, 114, 178), (245, 245, 245), (213, 94, 0)


def surface_map(surface: Surface) -> Markup:
    """Draw the interaction of two inputs: the first across, the second up."""
    values = surface.interaction
    places = [_chosen(len(grid)) for grid in surface.grids]
    values = values[np.ix_(*places)]
    most = max(float(np.abs(values).max()), 1e-300)
    x = _scale(surface.grids[0], surface.labels[0], LEFT, WIDTH - RIGHT)
    y = _scale(surface.grids[1], surface.labels[1], HEIGHT - BOTTOM, TOP)
    wide, tall = (WIDTH - RIGHT - LEFT) / len(places[0]), (HEIGHT - BOTTOM - TOP) / len(places[1])
    cells = []
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            tip = (
                f"{surface.names[0]} = {_shown(surface, 0, places[0][i])}\n"
                f"{surface.names[1]} = {_shown(surface, 1, places[1][j])}\n"
                f"{number(float(value))}"
            )
            cells.append(
                tag(
                    "rect",
                    x=f"{LEFT + i * wide:.1f}",
                    y=f"{HEIGHT - BOTTOM - (j + 1) * tall:.1f}",
                    width=f"{wide + 0.4:.1f}",
                    height=f"{tall + 0.4:.1f}",
                    fill=_colour(float(value) / most),
                    data_tip=tip,
                )
            )
    marks = [
        *_marks(surface.grids[0], surface.labels[0], x, across=True),
        *_marks(surface.grids[1], surface.labels[1], y, across=False),
    ]
    box = f"0 0 {WIDTH} {HEIGHT}"
    return tag("svg", joined(cells), joined(marks), viewBox=box, role="img", class_="panel")


def _chosen(count: int) -> NDArray[np.intp]:
    if count <= CELLS:
        return np.arange(count)
    return np.linspace(0, count - 1, CELLS).round().astype(int)


def _scale(
    grid: NDArray[np.float64], labels: tuple[str, ...] | None, start: float, end: float
) -> Scale:
    if labels is not None or len(grid) < 2:
        return Scale(-0.5, len(grid) - 0.5, start, end)
    return Scale(float(grid[0]), float(grid[-1]), start, end)


def _marks(
    grid: NDArray[np.float64], labels: tuple[str, ...] | None, scale: Scale, across: bool
) -> list[Markup]:
    if labels is not None:
        pairs = [
            (float(k), label if len(label) < 9 else label[:8] + "…")
            for k, label in enumerate(labels)
        ]
    else:
        places = ticks(scale.low, scale.high, 4)
        pairs = [(value, tick_label(value, places)) for value in places]
    found = []
    for value, label in pairs[:30]:
        at = float(scale(value))
        if across:
            found.append(tag("text", label, x=f"{at:.1f}", y=HEIGHT - 14, class_="middle"))
        else:
            found.append(tag("text", label, x=LEFT - 5, y=f"{at + 4:.1f}", class_="end"))
    return found


def _shown(surface: Surface, axis: int, place: int) -> str:
    labels = surface.labels[axis]
    return labels[place] if labels is not None else number(float(surface.grids[axis][place]))


def _colour(part: float) -> str:
    end = POSITIVE if part > 0 else NEGATIVE
    mixed = [round(m + abs(part) * (e - m)) for m, e in zip(MIDDLE, end, strict=True)]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
