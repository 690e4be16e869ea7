"""Ratio nodes: quotients of additive nodes whose denominator is at least one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kanx.nodes.kinds import NodeKind

VARIANTS = ("S", "A")


@dataclass(frozen=True)
class Ratio(NodeKind):
    r"""Divide sums of curves of all inputs: the Padé approximant neuron (Paon).

    With the sums :math:`P, R, s_1, \dots` of the layer before,

    .. math::
        \text{A:}\quad \frac{P}{1 + \sum_{l=1}^{L} |s_l|} \qquad
        \text{S:}\quad \frac{Q_1 P + R}{Q_1^2 + 1} \;(L = 1), \quad
        \frac{Q_1 P + Q_2 R}{1 + Q_1^2 + Q_2^2} \;(L = 2), \qquad Q_l = 1 + s_l .

    Both are quotients of *learned functions of several variables*; polynomial edges of degree
    ``K`` give the papers' :math:`[K/L]`. All denominators are at least 1, whatever is pruned.

    Parameters
    ----------
    variant : {"S", "A"}, default="S"
        S is smooth and may change the sign of its denominator's root, A has a kink where an
        :math:`s_l` is zero.
    order : int, default=1
        ``L``: number of denominator sums, at most 2 for S.

    Raises
    ------
    ValueError
        If the variant is unknown or has no such order.

    Notes
    -----
    The published S divides by :math:`Q_L^2 + Q_{L-1}^2`. That is safe for :math:`L = 1`, where
    :math:`Q_0 = 1`, but for :math:`L \ge 2` it vanishes where both roots meet, which pruning the
    coefficients of :math:`Q_L` brings about; the 1 in the denominator of order 2 prevents it.

    References
    ----------
    Keleş and Tekalp: PAON, arXiv:2403.11791; PadéNet, arXiv:2601.04005.
    """

    variant: str = "S"
    order: int = 1

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"ratio node {self.variant!r} is unknown; choose one of {VARIANTS}")
        if self.order < 1 or (self.variant == "S" and self.order > 2):
            raise ValueError(
                f"a ratio node of variant {self.variant!r} has order "
                f"{'1 or 2' if self.variant == 'S' else '1 or more'}, got {self.order}"
            )

    @property
    def sum_names(self) -> tuple[str, ...]:
        below = ["denominator"]
        if self.order > 1:
            below = [f"denominator {k + 1}" for k in range(self.order)]
        above = ["numerator"] if self.variant == "A" else ["numerator", "lower numerator"]
        return (*above, *below)

    @property
    def start(self) -> tuple[float, ...]:
        # the kink of A where a denominator sum is zero is no place to begin
        return (0.0,) + (1.0 if self.variant == "A" else 0.0,) * (self.arity - 1)

    def value(self, sums: Sequence[Any]) -> Any:
        above, below = self._parts(sums)
        return above / below

    def slopes(self, sums: Sequence[Any]) -> list[Any]:
        above, below = self._parts(sums)
        value = above / below
        if self.variant == "A":
            return [1 / below, *(-value * s.sign() / below for s in sums[1:])]
        p, r = sums[:2]
        q = [1 + s for s in sums[2:]]
        of_r = (q[1] if self.order == 2 else 1) / below
        of_q = [(n - 2 * value * own) / below for n, own in zip((p, r), q, strict=False)]
        return [q[0] / below, of_r, *of_q]

    def _parts(self, sums: Sequence[Any]) -> tuple[Any, Any]:
        """Return the numerator and the denominator."""
        if self.variant == "A":
            return sums[0], 1 + sum(abs(s) for s in sums[1:])
        p, r = sums[:2]
        q = [1 + s for s in sums[2:]]
        above = q[0] * p + (q[1] * r if self.order == 2 else r)
        return above, 1 + sum(own * own for own in q)
