"""Recursion: every block of a block-additive law is searched by the whole pipeline again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from itertools import product as cartesian

import numpy as np
from numpy.typing import NDArray

from kanx.discovery.archive import Archive, Candidate
from kanx.discovery.data import Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.links import LINKS, POWER_LINKS, LinkedTarget
from kanx.discovery.modules import EXACT, Modules, find_modules
from kanx.discovery.trees import Tree, scaled, substitute, total, variable

Array = NDArray[np.float64]
Recurse = Callable[[Data, Deadline], Archive]
MOST_DEPTH = 2  # blocks within blocks
MOST_CANDIDATES = 4  # of each block
MOST_COMBINATIONS = 40
BLOCK_SHARE = 0.2  # of the remaining time for all blocks of one link
MOST_LINKS = 2


@dataclass(frozen=True)
class Split:
    """A link behind which the target is a sum over blocks.

    Parameters
    ----------
    linked : LinkedTarget
        The target behind the link, and the way back.
    modules : Modules
        The blocks and what each contributes.
    score : float
        BIC of the prediction of the target itself.
    """

    linked: LinkedTarget
    modules: Modules
    score: float

    @property
    def is_exact(self) -> bool:
        """Whether only rounding is left."""
        return self.modules.loss < EXACT


def find_splits(data: Data, allowed: Collection[str] | None) -> list[Split]:
    """Return the links behind which the target is a sum over blocks, the best first."""
    found = []
    for link in (*LINKS, *POWER_LINKS):
        linked = link.apply(data) if link.is_allowed(allowed) else None
        if linked is None:
            continue
        modules = find_modules(data.columns, linked.target, linked.weight)
        if modules is not None:
            found.append(Split(linked, modules, modules.score))
    return sorted(found, key=lambda split: split.score)[:MOST_LINKS]


def search_split(split: Split, data: Data, deadline: Deadline, recurse: Recurse) -> Iterator[Tree]:
    """Yield laws whose blocks were named one by one, the shortest first.

    Parameters
    ----------
    split : Split
        Blocks behind a link.
    data : Data
        Rows of all inputs.
    deadline : Deadline
        Of the whole search.
    recurse : callable
        Searches smaller rows until a deadline and returns the archive.
    """
    modules, linked = split.modules, split.linked
    seconds = BLOCK_SHARE * max(deadline.remaining, 0.0) / len(modules.blocks)
    named: list[list[tuple[float, Tree]]] = []
    for position, block in enumerate(modules.blocks):
        others = np.delete(modules.values, position, axis=0).sum(axis=0)
        own = linked.target - others
        size = float(np.sqrt(np.mean(own**2))) or 1.0
        weight = linked.weight / linked.weight.mean()
        part = Data(data.columns[list(block)], own / size, weight, size)
        archive = recurse(part, Deadline(seconds, deadline.clock))
        variables = [variable(k) for k in block]
        named.append(
            [(c.score, substitute(scaled(c.tree, size), variables)) for c in _candidates(archive)]
        )
    combined = [
        (sum(score for score, _ in choice), total(*(tree for _, tree in choice)))
        for choice in cartesian(*named)
    ]
    combined.sort(key=lambda item: item[0])
    for _, tree in islice(combined, MOST_COMBINATIONS):
        yield linked.undo(tree)


def _candidates(archive: Archive) -> list[Candidate]:
    """Return the shortest descriptions that fit about as well as the best one."""
    near = archive.near()
    least = min((c.loss for c in near), default=0.0)
    close = [c for c in near if c.loss < 1e3 * least + 1e-8]
    unique: dict[int, Candidate] = {}
    for candidate in close:
        unique.setdefault(candidate.complexity, candidate)
    return list(unique.values())[:MOST_CANDIDATES]
