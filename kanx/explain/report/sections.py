"""What the page's sections hold, as plain data for the template."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import kanx
from kanx.explain.curves import Curve
from kanx.explain.explanation import Explanation
from kanx.explain.formula import Formula
from kanx.explain.report.mathml import mathml
from kanx.explain.report.panels import colour, hover_data, panel
from kanx.explain.report.scales import number, score
from kanx.explain.report.shares import Shares
from kanx.explain.report.story import is_plain, pruned_places, quantity
from kanx.explain.report.surfaces import surface_map
from kanx.explain.report.trial import Trial

MOST_PAIRS = 8
MOST_SURFACES = 3
LONG_TEXT = 3000  # characters
SMALL_SHARE = 0.001  # of the variance; weaker interactions are not shown


class Gallery:
    """Pictures with captions, and the data that the page's script shows under the pointer.

    Attributes
    ----------
    hover : list of dict or None
        By the number that a picture carries.
    """

    def __init__(self) -> None:
        self.hover: list[dict[str, Any] | None] = []

    def picture(
        self, curves: Sequence[Curve], title: str, subtitle: str, names: Sequence[str]
    ) -> dict[str, Any]:
        """Draw curves of one input; `names` tell several curves apart."""
        drawn = panel(curves, len(self.hover))
        self.hover.append(hover_data(curves, names))
        return {"title": title, "subtitle": subtitle, "svg": drawn}


def effect_pictures(
    view: Explanation, gallery: Gallery, shares: Shares
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw the effect of every living input on all outputs: those to show, those to fold away."""
    shown, folded = shares.split(pruned_places(view))
    pictures = _pictures(view, gallery, shares, [*shown, *folded])
    return pictures[: len(shown)], pictures[len(shown) :]


def _pictures(
    view: Explanation, gallery: Gallery, shares: Shares, places: Sequence[int]
) -> list[dict[str, Any]]:
    several = view.subject.n_outputs > 1
    found = []
    for j in places:
        curves = list(view.effects.select(source=view.names[j], alive=True))
        subtitle = f"{100 * shares.values[j]:.1f} %"
        names = [curve.target if several else "" for curve in curves]
        found.append(gallery.picture(curves, view.subject.input_label(j), subtitle, names))
    return found


def edge_groups(view: Explanation, gallery: Gallery) -> list[dict[str, Any]]:
    """Draw all living curves of a network that is not additive, by the node they lead to."""
    if view.subject.is_additive:
        return []
    found = []
    for layer, shares in enumerate(view.importances.edges):
        alive = view.curves.select(layer=layer, alive=True)
        for target in dict.fromkeys(curve.target for curve in alive):
            curves = sorted(
                alive.select(target=target), key=lambda c: -shares[c.edge[0], c.edge[1]].mean()
            )
            pictures = [
                gallery.picture(
                    [curve],
                    curve.source_label or curve.source,
                    f"{100 * shares[curve.edge[0], curve.edge[1]].mean():.1f} %",
                    [""],
                )
                for curve in curves
            ]
            direct = " (direct)" if layer == len(view.subject.network.layers) else ""
            found.append({"target": f"to {target}{direct}", "pictures": pictures})
    return found


def legend(view: Explanation) -> list[dict[str, str]]:
    """Return the colours of several outputs."""
    if view.subject.n_outputs == 1:
        return []
    return [{"name": name, "style": colour(k)} for k, name in enumerate(view.target_names)]


def importance_bars(view: Explanation, shares: Shares) -> list[dict[str, Any]]:
    """Return the shares of the living inputs, the largest first, with their errors.

    Those that are folded away share the last bar.
    """
    share, std = shares.values, np.nan_to_num(shares.std)
    shown, folded = shares.split(pruned_places(view))
    rest = float(share[folded].sum())
    most = max((min(1.0, float(share[j] + 1.96 * std[j])) for j in shown), default=1.0) or 1.0
    most = max(most, rest)
    found = []
    for j in shown:
        low, high = max(0.0, share[j] - 1.96 * std[j]), min(1.0, share[j] + 1.96 * std[j])
        found.append(
            {
                "name": view.names[j],
                "width": f"{100 * share[j] / most:.1f}",
                "low": f"{100 * low / most:.1f}",
                "span": f"{100 * (high - low) / most:.1f}",
                "text": shares.text(j),
            }
        )
    if folded:
        width = f"{100 * rest / most:.1f}"
        name = f"{len(folded)} other inputs"
        text = f"{100 * rest:.1f} %"
        found.append({"name": name, "width": width, "low": width, "span": "0", "text": text})
    return found


def interactions(view: Explanation) -> dict[str, Any] | None:
    """Return the strongest pairs and maps of them; None where nothing can interact."""
    if view.subject.is_additive:
        return None
    terms = view.interactions
    pairs: list[dict[str, Any]] = []
    for n, (i, j) in enumerate(terms.pairs[:MOST_PAIRS]):
        share = float(terms.share[n].mean())
        if share < SMALL_SHARE:
            continue
        output = int(terms.share[n].argmax())
        first, second = view.names[i], view.names[j]
        entry = {"first": first, "second": second, "share": f"{100 * share:.1f} %", "svg": None}
        if len(pairs) < MOST_SURFACES:
            surface = view.surface(first, second, output)
            entry |= {
                "svg": surface_map(surface),
                "axes": f"across: {surface.axis_labels[0]}; up: {surface.axis_labels[1]}",
                "target": surface.target_label,
                "most": number(float(np.abs(surface.interaction).max())),
            }
        pairs.append(entry)
    main = 100 * float(terms.main.sum(0).mean())
    return {
        "pairs": pairs,
        "main": f"{main:.1f} %",
        "higher": f"{100 * float(terms.higher.mean()):.1f} %",
        "note": terms.note,
    }


def score_rows(trial: Trial | None) -> dict[str, Any] | None:
    """Return the table of scores."""
    if trial is None:
        return None
    heads = list(trial.scores[trial.model])
    rows = [
        {"name": name, "own": name == trial.model, "cells": [score(s[h]) for h in heads]}
        for name, s in trial.scores.items()
    ]
    return {"heads": heads, "rows": rows}


def range_rows(view: Explanation) -> list[dict[str, str]]:
    """Return what the model has seen of every column."""
    found = []
    for column in view.subject.columns:
        if column.categories is not None:
            labels = [str(label) for label in column.categories]
            seen = ", ".join(labels[:12]) + (
                f" and {len(labels) - 12} more" if len(labels) > 12 else ""
            )
        else:
            seen = f"{number(column.lower, 5)} to {number(column.upper, 5)}"
        unit = view.subject.unit(column.name) or ""
        missing = "yes" if column.missing else "no"
        found.append({"name": column.name, "seen": seen, "unit": unit, "missing": missing})
    return found


def formula_blocks(formulas: Sequence[Formula]) -> list[dict[str, Any]]:
    """Return formulas as text, folded where it is long, and drawn where they are short enough."""
    found = []
    for formula in formulas:
        text = str(formula)
        folded = f"{formula.target}, written out ({len(text)} characters)"
        found.append(
            {
                "text": text,
                "math": mathml(formula),
                "folded": folded if len(text) > LONG_TEXT else None,
            }
        )
    return found


def making(view: Explanation, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how the model and the page came about."""
    import sklearn
    import torch

    subject = view.subject
    network = subject.network
    widths = [network.in_features, *(nodes.width for nodes in network.nodes)]
    families = dict.fromkeys(bundle.name for _, bundle, _ in network.bundles())
    found = [(name, str(value)) for name, value in settings.items()]
    found += [
        ("nodes", " → ".join(map(str, widths)) + (", direct curves too" if network.skip else "")),
        ("edge families", ", ".join(families)),
        ("curves in use", str(network.n_edges)),
        ("parameters", str(network.n_parameters)),
        ("rows explained", str(view.n_rows)),
    ]
    if subject.members:
        found += [
            ("networks averaged", str(len(subject.members))),
            ("log evidence", ", ".join(number(m.evidence, 5) for m in subject.members)),
            ("rounds", ", ".join(str(len(m.trace)) for m in subject.members)),
        ]
    found.append(
        (
            "versions",
            f"kanx {kanx.__version__}, torch {torch.__version__}, scikit-learn "
            f"{sklearn.__version__}, numpy {np.__version__}, Python {platform.python_version()}",
        )
    )
    return found


def edits(view: Explanation) -> dict[str, Any] | None:
    """Return what was done to the model after the fit, in order; None where nothing was."""
    history = [] if view.subject.model is None else view.subject.model.history
    if not history:
        return None
    heads = list(dict.fromkeys(name for step in history for name in step.get("before", {})))
    rows = []
    for step in history:
        before, after = step.get("before", {}), step.get("after", {})
        rows.append(
            {
                "what": str(step.get("edit", "edit")).replace("_", " "),
                "term": str(step.get("term", "")),
                "details": str(step.get("details", "")),
                "refit": "yes" if step.get("refit") else "no",
                "change": number(step["change"], 3) if "change" in step else "",
                "scores": [
                    f"{number(before[h], 4)} → {number(after[h], 4)}" if h in before else ""
                    for h in heads
                ],
            }
        )
    last = history[-1]
    kind = "held-out" if last.get("held_out") else "training"
    note = f"Scores on {last['rows']} {kind} rows." if "rows" in last else ""
    return {"heads": heads, "rows": rows, "note": note}


def curve_note(view: Explanation, target_name: str) -> str:
    """Say how the pictures are to be read."""
    what = quantity(view, target_name)
    if not is_plain(view):
        what = f"the {what}"
    kind = (
        f"Every curve is what its input adds to {what}"
        if view.subject.is_additive
        else f"Every curve is how the average prediction of {what} changes with one input"
    )
    bands = " Bands hold 95 %." if view.subject.members else ""
    return (
        f"{kind}, centred so that it is zero on average over the rows.{bands} Grey bars "
        "show where the rows are; behind each name stands its share of the variance."
    )
