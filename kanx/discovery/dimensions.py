"""Which formulas agree with the units of the columns, and which need constants that carry units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from kanx.discovery.trees import Tree
from kanx.discovery.units import Dimensions, combined

CARRIED_NATS = 8.0  # what a law must gain before its constants may carry units
_PASSING = ("abs", "identity")  # functions of a quantity with a unit that keep it


class Inconsistent(Exception):
    """Terms of different units are added, or a function takes a quantity with a unit."""


@dataclass(frozen=True)
class Consistency:
    """Judge trees by the units of the columns and of the target.

    Parameters
    ----------
    columns : sequence of dict
        Dimensions of each column of the search.
    target : dict
        Dimensions of the target.
    """

    columns: Sequence[Dimensions]
    target: Dimensions

    def penalty(self, tree: Tree) -> float:
        """Return nats: 0 if all constants are plain numbers, 8 if some carry units, or infinity."""
        if self._agrees(tree, carrying=False):
            return 0.0
        return CARRIED_NATS if self._agrees(tree, carrying=True) else np.inf

    def dimensions_of(self, tree: Tree) -> Dimensions | None:
        """Return the dimensions of a tree of plain numbers; None if it has none."""
        try:
            return self._of(tree, carrying=False)
        except Inconsistent:
            return None

    def _agrees(self, tree: Tree, carrying: bool) -> bool:
        try:
            found = self._of(tree, carrying)
        except Inconsistent:
            return False
        return found is None or found == self.target

    def _of(self, tree: Tree, carrying: bool) -> Dimensions | None:
        """Return the dimensions of a tree; None if a constant may give it any."""
        if tree.kind == "number":
            return None if tree.value == 0 else {}
        if tree.kind == "constant":
            return None if carrying or tree.value == 0 else {}
        if tree.kind == "variable":
            return self.columns[tree.index]
        if tree.kind == "power":
            return self._of_power(tree, carrying)
        parts = [self._of(child, carrying) for child in tree.children]
        known = [part for part in parts if part is not None]
        if tree.kind == "product":
            return combined([(p, Fraction(1)) for p in known]) if len(known) == len(parts) else None
        if tree.kind == "sum":
            if any(part != known[0] for part in known[1:]):
                raise Inconsistent
            return known[0] if known else None
        if tree.name in _PASSING:
            return parts[0]
        if known and known[0]:
            raise Inconsistent
        return {}

    def _of_power(self, tree: Tree, carrying: bool) -> Dimensions | None:
        base, exponent = self._of(tree.children[0], carrying), tree.children[1]
        if base is None or not base:
            return base
        if exponent.kind == "number":
            return combined([(base, Fraction(exponent.value))])
        raise Inconsistent  # an exponent that is no rational number gives no unit
