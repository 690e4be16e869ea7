"""Main effects and interactions as shares of variance, and the surfaces behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanx.explain.anova import PAIR_NODES, Anova
from kanx.explain.curves import grid_of
from kanx.explain.frames import frame_of
from kanx.explain.marginals import Marginal
from kanx.explain.subject import Subject

MOST_PAIRS = 300  # estimated one by one where the network is deep

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """Two inputs' joint effect on a grid.

    Attributes
    ----------
    names : (str, str)
    grids : (ndarray (m,), ndarray (k,))
        In the user's units; codes for categories.
    labels : (tuple of str or None, tuple of str or None)
        Names of the categories.
    interaction : ndarray, (m, k)
        What is not the sum of the two main effects, in the target's units.
    joint : ndarray, (m, k)
        Main effects and interaction together.
    axis_labels : (str, str)
    target_label : str
    """

    names: tuple[str, str]
    grids: tuple[Array, Array]
    labels: tuple[tuple[str, ...] | None, tuple[str, ...] | None]
    interaction: Array
    joint: Array
    axis_labels: tuple[str, str]
    target_label: str


@dataclass(frozen=True)
class Interactions:
    r"""Shares of variance by the functional analysis of variance.

    For inputs that vary independently, each as in the data. Exact (up to `error`) for additive
    models and one hidden layer of adding nodes, by quadrature over the data; estimated by sampling
    for deeper networks and multiplication nodes.

    Attributes
    ----------
    method : {"exact", "estimated"}
    error : float
        For the exact method: what the expansion of the outer curves leaves over, as a share of
        the output's standard deviation. NaN where estimated.
    main : ndarray, (in, outputs)
        Share of every input by itself.
    pairs : list of (int, int)
        Every pair of inputs that was looked at, the strongest first.
    share : ndarray, (pairs, outputs)
        Share of what the two inputs do together beyond their main effects.
    higher : ndarray, (outputs,)
        Share of everything else: interactions of three and more inputs, and pairs that were not
        looked at. Averaged over random rows of independent inputs.
    variance : ndarray, (outputs,)
        Variance of the outputs for independent inputs, in squared target units.
    names, target_names : list of str
    note : str
        How the numbers were found, in a sentence.
    """

    method: str
    error: float
    main: Array
    pairs: list[tuple[int, int]]
    share: Array
    higher: Array
    variance: Array
    names: list[str]
    target_names: list[str]
    note: str

    @property
    def features(self) -> Array:
        """Share of every input: by itself, and half of each pair it is in; ``(in, outputs)``."""
        shares = self.main.copy()
        for (i, j), share in zip(self.pairs, self.share, strict=True):
            shares[[i, j]] += share / 2
        return shares

    def to_frame(self) -> Any:
        """Return all terms: target, features, order, share."""
        columns: dict[str, list[Any]] = {
            key: [] for key in ("target", "first", "second", "order", "share")
        }
        for k, target in enumerate(self.target_names):
            terms = [(j, None, self.main[j, k]) for j in range(len(self.names))]
            terms += [(i, j, self.share[n, k]) for n, (i, j) in enumerate(self.pairs)]  # type: ignore[misc]
            for first, second, share in sorted(terms, key=lambda term: -term[2]):
                columns["target"].append(target)
                columns["first"].append(self.names[first])
                columns["second"].append("" if second is None else self.names[second])
                columns["order"].append(1 if second is None else 2)
                columns["share"].append(share)
        return frame_of(columns)


def read_interactions(
    subject: Subject, anova: Anova, marginals: Sequence[Marginal], ranking: Sequence[int]
) -> Interactions:
    """Compute all main effects and, by order of importance, the pairs that may interact.

    Parameters
    ----------
    subject : Subject
    anova : Anova
    marginals : sequence of Marginal
    ranking : sequence of int
        Inputs, the most important first.
    """
    main = torch.stack(
        [m.weights @ anova.main(j, m.nodes).square() for j, m in enumerate(marginals)]
    )
    candidates = [
        (min(i, j), max(i, j)) for i, j in combinations(ranking, 2) if anova.interacts(i, j)
    ]
    note = _NOTES[anova.exact]
    if not anova.exact and len(candidates) > MOST_PAIRS:
        note += f" Only the {MOST_PAIRS} pairs of the most important inputs were looked at."
        order = {j: k for k, j in enumerate(ranking)}
        candidates.sort(key=lambda pair: order[pair[0]] + order[pair[1]])
        candidates = candidates[:MOST_PAIRS]
    share = torch.zeros(len(candidates), subject.n_outputs, dtype=torch.float64)
    rules = [m if anova.exact else m.thinned(PAIR_NODES) for m in marginals]
    for n, (i, j) in enumerate(candidates):
        term = anova.pair(i, j, rules[i].nodes, rules[j].nodes).square()
        share[n] = torch.einsum("m,k,mko->o", rules[i].weights, rules[j].weights, term)
    higher = anova.higher(main.sum(0), share.sum(0))
    variance = main.sum(0) + share.sum(0) + higher
    main, share, higher = (
        torch.where(variance > 0, part / variance.clamp_min(1e-300), 0)
        for part in (main, share, higher)
    )
    strongest = share.mean(1).argsort(descending=True)
    return Interactions(
        method="exact" if anova.exact else "estimated",
        error=anova.error,
        main=main.numpy(),
        pairs=[candidates[n] for n in strongest.tolist()],
        share=share[strongest].numpy(),
        higher=higher.numpy(),
        variance=variance.numpy(),
        names=subject.names,
        target_names=subject.target_names,
        note=note,
    )


_NOTES = {
    True: "Exact analysis of variance for independent inputs, by quadrature over the data.",
    False: "Estimated by averaging over rows drawn as if the inputs were independent.",
}


def read_surface(
    subject: Subject, anova: Anova, first: int, second: int, output: int, points: int = 41
) -> Surface:
    """Compute the joint effect of two inputs on a grid over their data."""
    grids = [grid_of(subject, subject.x, j, True, points) for j in (first, second)]
    interaction = anova.pair(first, second, *grids)[..., output]
    mains = [anova.main(j, g)[:, output] for j, g in zip((first, second), grids, strict=True)]
    joint = interaction + mains[0][:, None] + mains[1]
    names = subject.names
    labels = [
        None if c.categories is None else tuple(str(v) for v in c.categories)
        for c in (subject.columns[first], subject.columns[second])
    ]
    return Surface(
        (names[first], names[second]),
        (grids[0].numpy(), grids[1].numpy()),
        (labels[0], labels[1]),
        interaction.numpy(),
        joint.numpy(),
        (subject.input_label(first), subject.input_label(second)),
        subject.output_label(output),
    )
