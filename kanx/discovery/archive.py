"""Keep the best formula of every size, fitted on all rows, and choose by description length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from kanx.discovery.data import EXACT_LOSS, Data
from kanx.discovery.deadline import Deadline
from kanx.discovery.least_squares import Fit, fit_constants
from kanx.discovery.trees import Tree, evaluate, number
from kanx.functions import FUNCTIONS

LOG2 = float(np.log(2.0))
MOST_RIVALS = 60
_MINUS_ONE = number(-1)


def structure_bits(tree: Tree, n_variables: int) -> float:
    """Return the description length of a tree without its free constants.

    Operators cost 2 bits, a minus sign 1 bit, variables ``log2`` of their number, functions their
    price in the table, exact numbers the length of their digits.
    """
    bits = 0.0
    for node in tree.walk():
        if node.kind == "variable":
            bits += 1.0 + np.log2(n_variables + 1.0)
        elif node.kind == "number":
            exact = Fraction(node.value)
            bits += np.log2(1.0 + abs(exact.numerator)) + 2.0 * np.log2(exact.denominator)
            bits += exact < 0
        elif node.kind == "function":
            bits += 2.0 + FUNCTIONS[node.name].price_bits
        elif node.kind == "product" and any(c == _MINUS_ONE for c in node.children):
            bits -= 1.0  # with the number's 2 bits, a minus sign costs 1
        else:
            bits += 2.0
    return float(bits)


@dataclass(frozen=True)
class Candidate:
    """Hold a fitted formula with its relative loss and complexity (nodes)."""

    fit: Fit
    loss: float
    complexity: int
    score: float

    @property
    def tree(self) -> Tree:
        """The expression."""
        return self.fit.tree


@dataclass
class Archive:
    """Collect candidates; the front is the best candidate of each complexity.

    Parameters
    ----------
    data : Data
        Rows on which candidates are fitted and scored.
    max_complexity : int
        Larger trees are refused.
    deadline : Deadline, optional
        When to stop fitting.
    penalty : callable, optional
        Nats added to the description of a tree, such as for constants that carry units; infinite
        for a tree that is refused.
    """

    data: Data
    max_complexity: int = 80
    deadline: Deadline | None = None
    penalty: Callable[[Tree], float] | None = None
    best: dict[int, Candidate] = field(default_factory=dict)
    seen: set[Tree] = field(default_factory=set)
    rivals: list[Candidate] = field(default_factory=list)
    floor: float = EXACT_LOSS

    def score(self, tree: Tree, loss: float) -> float:
        """Return the description length in nats: fit, constants and structure.

        ``N/2 log(loss) + k/2 log N + bits log 2`` with the loss floored at rounding error.
        """
        n = self.data.n_rows
        k = len(tree.constants)
        extra = 0.0 if self.penalty is None else self.penalty(tree)
        return float(
            0.5 * n * np.log(loss + self.floor)
            + 0.5 * k * np.log(n)
            + LOG2 * structure_bits(tree, len(self.data.columns))
            + extra
        )

    def consider(self, tree: Tree, iterations: int = 40) -> Candidate | None:
        """Fit a tree and keep it if it is the best of its size; None if it is not finite."""
        skeleton = tree.with_constants(np.round(tree.constants, 2))
        complexity = sum(1 for _ in tree.walk())
        if skeleton in self.seen or complexity > self.max_complexity:
            return None
        self.seen.add(skeleton)
        if self.penalty is not None and not np.isfinite(self.penalty(tree)):
            return None
        data = self.data
        if data.n_rows > 800 and len(tree.constants):
            tree, loss = self._prefit(tree)
            champion = self.champion()
            if champion is not None and loss > 4.0 * champion.loss + 1e-12:
                return None
        tolerance = 1e-30 * data.size
        fit = fit_constants(tree, data.columns, data.y, data.weight, iterations, tolerance)
        return self.keep(fit, complexity)

    def _prefit(self, tree: Tree) -> tuple[Tree, float]:
        """Move the constants on a few rows first: cheap, and most candidates die here."""
        data = self.data
        part = data.rows(np.arange(0, data.n_rows, data.n_rows // 300))
        fit = fit_constants(tree, part.columns, part.y, part.weight, 40, 1e-30 * part.size)
        return fit.tree, fit.loss / part.size

    def keep(self, fit: Fit, complexity: int | None = None) -> Candidate | None:
        """File a fitted tree; return it, or None if it is not finite."""
        loss = fit.loss / self.data.size
        if not np.isfinite(loss) or not np.isfinite(fit.tree.constants).all():
            return None
        size = complexity or sum(1 for _ in fit.tree.walk())
        candidate = Candidate(fit, loss, size, self.score(fit.tree, loss))
        if not np.isfinite(candidate.score):
            return None
        if size not in self.best or candidate.score < self.best[size].score:
            self.best[size] = candidate
        self.rivals.append(candidate)
        if len(self.rivals) > 2 * MOST_RIVALS:
            self.rivals = self.near()
        return candidate

    def near(self) -> list[Candidate]:
        """Return the candidates of the shortest descriptions, of any size, shortest first."""
        return sorted(self.rivals, key=lambda c: c.score)[:MOST_RIVALS]

    def champion(self) -> Candidate | None:
        """Return the candidate with the shortest description."""
        return min(self.best.values(), key=lambda c: c.score, default=None)

    def front(self) -> list[Candidate]:
        """Return the candidates that no simpler one beats, simplest first."""
        kept: list[Candidate] = []
        for size in sorted(self.best):
            candidate = self.best[size]
            if not kept or candidate.loss < 0.999 * kept[-1].loss:
                kept.append(candidate)
        return kept

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and self.deadline.passed

    def is_exact(self) -> bool:
        """Return whether the champion leaves only rounding error."""
        champion = self.champion()
        return champion is not None and champion.loss < 1e-20

    def is_solved(self, level: float = 0.01) -> bool:
        """Return whether the champion is exact, or leaves nothing but noise."""
        champion = self.champion()
        if champion is None:
            return False
        if self.is_exact():
            return True
        residual = self.data.y - evaluate(champion.tree, self.data.columns)
        return (
            champion.loss > 1e-12
            and self.data.lack_of_fit(residual, len(champion.tree.constants)) > level
        )
