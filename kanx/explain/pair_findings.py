"""What the tests for symmetry and separability found, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanx.explain.frames import frame_of

SYMMETRIES = ("translation", "scaling", "rotation")
NOTHING = 1e-12  # a share of the variance that is rounding error


@dataclass(frozen=True)
class Finding:
    """One test of one pair of inputs.

    Attributes
    ----------
    kind : {"sum", "product", "translation", "scaling", "rotation"}
    first, second : int
        The inputs.
    error : float
        How far the property is from holding, as a share of the variance: zero where it is exact.
    error_std : float
        Standard error over the rows, by the jackknife.
    ratio, ratio_std : float
        The ``r`` of the combination through which the inputs act; NaN for separability.
    """

    kind: str
    first: int
    second: int
    error: float
    error_std: float
    ratio: float = np.nan
    ratio_std: float = np.nan


@dataclass(frozen=True)
class Structure:
    """Separability and symmetries of a function; made by `kanx.explain.structure`.

    Attributes
    ----------
    names : list of str
    effects : ndarray, (in,)
        Share of the variance that an input takes part in; zero where it has no effect.
    findings : list of Finding
        All tests of all pairs of inputs that have an effect.
    tolerance : float
        Largest error with which a property is said to hold.
    n_rows : int
        Number of rows that were looked at.
    """

    names: list[str]
    effects: NDArray[np.float64]
    findings: list[Finding]
    tolerance: float
    n_rows: int

    def holds(self, finding: Finding) -> bool:
        """Whether a property holds within the tolerance."""
        return finding.error <= self.tolerance

    @property
    def sums(self) -> list[list[str]]:
        """Groups of inputs such that the function is a sum of functions of one group each."""
        return self._groups("sum")

    @property
    def products(self) -> list[list[str]]:
        """Groups of inputs such that the function is a product of functions of one group each."""
        return self._groups("product")

    @property
    def symmetries(self) -> list[Finding]:
        """The symmetries that hold, the most exact first."""
        found = [f for f in self.findings if f.kind in SYMMETRIES and self.holds(f)]
        return sorted(found, key=lambda finding: finding.error)

    @property
    def inert(self) -> list[str]:
        """Inputs without any effect."""
        return [n for n, share in zip(self.names, self.effects, strict=True) if share <= NOTHING]

    def combination(self, finding: Finding) -> str:
        """Write the combination through which two inputs act, such as ``a + 2 b``."""
        first, second = self.names[finding.first], self.names[finding.second]
        size = f"{abs(finding.ratio):.3g}"
        if finding.kind == "scaling":
            power = f"{finding.ratio:.3g}"
            return f"{first} {second}" + ("" if power == "1" else f"^{power}")
        square = "²" if finding.kind == "rotation" else ""
        factor = "" if size == "1" else f"{size} "
        return f"{first}{square} {'-' if finding.ratio < 0 else '+'} {factor}{second}{square}"

    def to_frame(self) -> Any:
        """Return all tests: kind, first, second, error, error_std, ratio, ratio_std, holds."""
        rows = self.findings
        return frame_of(
            {
                "kind": [f.kind for f in rows],
                "first": [self.names[f.first] for f in rows],
                "second": [self.names[f.second] for f in rows],
                "error": [f.error for f in rows],
                "error_std": [f.error_std for f in rows],
                "ratio": [f.ratio for f in rows],
                "ratio_std": [f.ratio_std for f in rows],
                "holds": [self.holds(f) for f in rows],
            }
        )

    def __str__(self) -> str:
        lines = []
        for groups, name, sign in (
            (self.sums, "a sum", " + "),
            (self.products, "a product", " · "),
        ):
            if len(groups) > 1:
                parts = sign.join(f"f({', '.join(group)})" for group in groups)
                lines.append(f"{name} of independent parts: {parts}")
        for finding in self.symmetries:
            pair = f"{self.names[finding.first]} and {self.names[finding.second]}"
            lines.append(
                f"{pair} act through {self.combination(finding)} "
                f"(ratio ± {finding.ratio_std:.1g}, error {finding.error:.1g})"
            )
        if self.inert:
            lines.append(f"without effect: {', '.join(self.inert)}")
        if not lines:
            lines.append("no separability or symmetry of pairs")
        return "\n".join([*lines, f"within {self.tolerance:g} of the variance, {self.n_rows} rows"])

    def _groups(self, kind: str) -> list[list[str]]:
        active = [int(j) for j in np.flatnonzero(self.effects > NOTHING)]
        bound = [(f.first, f.second) for f in self.findings if f.kind == kind and not self.holds(f)]
        return [[self.names[j] for j in group] for group in connected(active, bound)]


def connected(nodes: Iterable[int], edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components of a graph, in the order of their first nodes."""
    group = {node: node for node in nodes}
    for a, b in edges:
        old, new = group[b], group[a]
        group = {node: new if mark == old else mark for node, mark in group.items()}
    return [[n for n in group if group[n] == mark] for mark in dict.fromkeys(group.values())]
