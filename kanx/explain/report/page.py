"""Put the report together: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import ArrayLike

import kanx
from kanx.explain.explanation import Explanation
from kanx.explain.formula import Formula
from kanx.explain.report import sections, story
from kanx.explain.report.cases import choose_cases, class_names
from kanx.explain.report.drawing import drawing
from kanx.explain.report.markup import json_block
from kanx.explain.report.playable import largest_error, playable
from kanx.explain.report.scales import number
from kanx.explain.report.shares import Shares, input_shares
from kanx.explain.report.trial import Trial
from kanx.explain.written import written_formulas

MOST_DISTINCT = 60  # whole numbers with fewer distinct values get a slider of whole numbers


def render(
    view: Explanation,
    *,
    title: str | None = None,
    target_name: str | None = None,
    trial: Trial | None = None,
    y: ArrayLike | None = None,
    formulas: Sequence[Formula] | None = None,
    notes: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Build the report of an explained model as one HTML page.

    The page loads nothing, and its security policy forbids it to: style, script, pictures and
    data are inside. All names and values are escaped.

    Parameters
    ----------
    view : Explanation
    title : str, optional
    target_name : str, optional
        Name of the target; for a classifier the model itself knows only its classes.
    trial : Trial, optional
        Held-out scores beside a rival's.
    y : array, (rows,), optional
        True targets of the table that was explained, to show mistakes.
    formulas : sequence of Formula, optional
        `written_formulas` by default.
    notes : sequence of str
        Warnings of the fit and of the data.
    settings : mapping, optional
        How the model was fitted: file, seed, parameters.

    Returns
    -------
    str
    """
    if target_name is None:
        target_name = "the target" if view.link != "identity" else story.listed(view.target_names)
    if formulas is None:
        formulas = written_formulas(view)
    shares = input_shares(view)
    gallery = sections.Gallery()
    pictures, small_pictures = sections.effect_pictures(view, gallery, shares)
    groups = sections.edge_groups(view, gallery)
    model = playable(view.subject)
    error = largest_error(model, view.subject, view.random_state)
    data = _data(view, model.to_dict(), gallery, shares, y)
    script, style = _resource("report.js"), _resource("style.css")
    return _template().render(
        version=kanx.__version__,
        title=title or f"What predicts {target_name}",
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(style),
        data=json_block("kanx-data", data),
        summary=story.summary(view, target_name, trial, shares),
        trial=trial,
        scores=sections.score_rows(trial),
        quantity=("" if story.is_plain(view) else "the ") + story.quantity(view, target_name),
        bars=sections.importance_bars(view, shares),
        share_note=shares.note,
        pruned=story.pruned_inputs(view),
        legend=sections.legend(view),
        curve_note=sections.curve_note(view, target_name),
        pictures=pictures,
        small_pictures=small_pictures,
        groups=groups,
        interactions=sections.interactions(view),
        drawing=drawing(view, shares),
        page_error=_error_text(view, error),
        formulas=sections.formula_blocks(formulas),
        n_curves=view.subject.network.n_edges,
        notes=list(notes),
        limits=story.limits(view),
        ranges=sections.range_rows(view),
        making=sections.making(view, settings or {}),
        edits=sections.edits(view),
    )


def _data(
    view: Explanation,
    model: dict[str, Any],
    gallery: sections.Gallery,
    shares: Shares,
    y: ArrayLike | None,
) -> dict[str, Any]:
    """Return what the page's script works with."""
    gone = set(story.pruned_places(view))
    folded = set(shares.split(gone)[1])
    cases, note = choose_cases(view, y, [view.names[j] for j in gone | folded])
    return {
        "model": model,
        "additive": view.subject.is_additive,
        "inputs": [
            {**_input(view, j, shares), "alive": j not in gone, "folded": j in folded}
            for j in range(len(view.names))
        ],
        "outputs": [view.subject.output_label(k) for k in range(view.subject.n_outputs)],
        "classes": class_names(view),
        # of counts: the model's outputs are logarithms, its predictions are not
        "counts": [f"expected {name}" for name in view.target_names] if view.subject.counts else [],
        "cases": [case.to_dict() for case in cases],
        "note": f"Bars: contributions of the inputs. {note}",
        "panels": gallery.hover,
    }


def _input(view: Explanation, j: int, shares: Shares) -> dict[str, Any]:
    """Describe a column for its slider."""
    column = view.subject.columns[j]
    values = view.subject.x[:, j].numpy()
    values = np.unique(values[~np.isnan(values)])
    low, high = column.lower, column.upper
    whole = 0 < len(values) <= MOST_DISTINCT and bool((values == np.round(values)).all())
    means = [0.0] * view.subject.n_outputs
    if view.subject.is_additive:
        for curve in view.curves.select(source=column.name):
            means[curve.edge[1]] = curve.offset
    return {
        "label": view.subject.input_label(j),
        "low": low,
        "high": high,
        "step": 1.0 if whole else (high - low) / 400 or 1.0,
        "categories": None if column.categories is None else [str(c) for c in column.categories],
        "missing": column.missing,
        "share": float(shares.values[j]),
        "means": means,
    }


def _error_text(view: Explanation, error: float) -> str:
    if view.link != "identity":
        return f"{number(100 * error, 2)} % of probability"
    if view.subject.counts:
        return f"{number(100 * np.expm1(error), 2)} %"
    spread = float(view.subject.target_scale.max())
    return f"{number(error, 2)} ({number(100 * error / spread, 2)} % of a standard deviation)"


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_resource("page.html.jinja"))


def _resource(name: str) -> str:
    return resources.files("kanx.explain.report").joinpath(name).read_text(encoding="utf-8")
