"""Colours and small helpers that all pictures share.

The colours are those of Okabe and Ito (2008), told apart by colour-blind people and in print; what
a colour says is always said a second time, by place, line style or text. They keep a contrast of
3 to 1 on white and on a dark page. Text and outlines take matplotlib's own colours, so that every
picture follows the page it is drawn for; see `theme`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from kanx.explain.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
YELLOW = "#E69F00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
GREY = "#7F7F7F"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)

DARK_PAGE = "#14181E"
_PAPERS = {"light": ("white", "#202020"), "dark": (DARK_PAGE, "#E6E6E6")}  # page, text

BAND_ALPHA = 0.25
MOST_LABELS = 12  # categories that are named on an axis


def theme(name: str = "dark") -> AbstractContextManager[None]:
    """Draw for a light or a dark page: ``with theme("dark"): view.plot()``.

    Matplotlib's own styles, such as ``plt.style.use("dark_background")``, work just as well.

    Parameters
    ----------
    name : {"dark", "light"}

    Returns
    -------
    context manager
        It sets matplotlib's colours inside and restores them afterwards; figures are to be made
        and saved inside.

    Raises
    ------
    ValueError
        If the theme is unknown.
    """
    if name not in _PAPERS:
        raise ValueError(f"theme {name!r} is unknown; choose one of {sorted(_PAPERS)}")
    import matplotlib as mpl

    page, text = _PAPERS[name]
    pages = ("figure.facecolor", "figure.edgecolor", "axes.facecolor", "savefig.facecolor")
    texts = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    colours: dict[Any, Any] = dict.fromkeys(pages, page) | dict.fromkeys(texts, text)
    return mpl.rc_context(colours)


def ink() -> str:
    """Return the colour of text, which outlines share."""
    import matplotlib as mpl

    return mpl.rcParams["text.color"]


def is_dark() -> bool:
    """Say whether pictures are drawn for a dark page, which is one with light text."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(ink())
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5


def paper(ax: Axes) -> Any:
    """Return an opaque colour of the page behind the axes, even where those are transparent."""
    from matplotlib.colors import to_rgba

    own = to_rgba(ax.get_facecolor())
    return own if own[3] == 1 else _PAPERS["dark" if is_dark() else "light"][0]


def get_axes(ax: Axes | None, size: tuple[float, float] = (5.0, 3.5)) -> Axes:
    """Return the given axes, or those of a new figure of a size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def tidy(ax: Axes) -> None:
    """Take away the box's upper and right sides and the margins nobody reads."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_fontsize(9)
    ax.yaxis.label.set_fontsize(9)


def shortened(text: str, most: int = 28) -> str:
    """Cut a long name in the middle, so that both of its ends stay readable."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def plain(text: str) -> str:
    """Keep matplotlib from reading a name as mathematics."""
    return text.replace("$", r"\$")


def label(text: str, most: int = 28) -> str:
    """Shorten a name and keep it literal."""
    return plain(shortened(text, most))


def draw_line(ax: Axes, curve: Curve, colour: str, width: float = 1.8) -> None:
    """Draw a numeric curve with its band."""
    if np.isfinite(curve.std).all():
        ax.fill_between(
            curve.grid, curve.lower, curve.upper, color=colour, alpha=BAND_ALPHA, linewidth=0
        )
    ax.plot(curve.grid, curve.value, color=colour, linewidth=width)
