"""Curves that cancel each other: where shares of variance do not say what reaches the output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from kanx.explain.curves import sum_names
from kanx.explain.importances import Importances
from kanx.explain.interactions import Interactions
from kanx.explain.subject import Subject

NOTABLE = 3.0  # times the variance of their sum that curves may have without a note
DIFFERENT = 0.1  # of the variance, by which two kinds of shares may differ without a note


@dataclass(frozen=True)
class Cancellation:
    """How much the curves that end in a node vary, beside their sum.

    Attributes
    ----------
    layer : int
        Index into ``network.layers``.
    node : str
    factor : float
        Sum of the curves' variances over the variance of their sum: 1 where they vary
        independently of each other, more where they cancel, less where they go together.
    """

    layer: int
    node: str
    factor: float


def cancellations(subject: Subject) -> list[Cancellation]:
    """Measure every sum of every layer over the rows, the strongest cancellation first.

    Sums that do not vary are left out.
    """
    network = subject.network
    last = len(network.layers) - 1
    found = []
    for k, layer in enumerate(network.layers):
        with torch.no_grad():
            curves = layer.curves(subject.entering(k)).double()  # (rows, in, sums)
            if k == last and network.skip is not None:
                curves = torch.cat([curves, network.skip.curves(subject.x).double()], dim=1)
        parts = curves.var(0, correction=0).sum(0)
        whole = curves.sum(1).var(0, correction=0)
        names = sum_names(subject, k)
        found += [
            Cancellation(k, names[o], float(parts[o] / whole[o]))
            for o in range(len(names))
            if whole[o] > 1e-12 * parts[o] and parts[o] > 0
        ]
    return sorted(found, key=lambda one: -one.factor)


def cancellation_notes(subject: Subject) -> list[str]:
    """Say in sentences where the shares of variance are misleading."""
    return [
        f"The curves that end in {one.node} vary {one.factor:.0f} times as much as their sum: they "
        "largely cancel each other, so the shares of variance that enter there overstate what "
        "their inputs do. Effects and interactions are not affected."
        for one in cancellations(subject)
        if one.factor > NOTABLE
    ]


def share_notes(paths: Importances, terms: Interactions) -> list[str]:
    """Say where shares along paths differ from those of the analysis of variance."""
    along, due = paths.features.mean(1), terms.features.mean(1)
    j = int(np.argmax(np.abs(along - due)))
    if abs(along[j] - due[j]) <= DIFFERENT:
        return []
    return [
        f"Along the paths {100 * along[j]:.0f} % of the variance comes in through "
        f"{paths.names[j]}, by the analysis of variance {100 * due[j]:.0f} % is due to it: curves "
        "partly cancel each other on their way, or go together. "
        "Believe the latter about what the model does."
    ]
