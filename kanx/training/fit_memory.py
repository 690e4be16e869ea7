"""How much memory a fit by Levenberg-Marquardt takes, stated before it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from kanx.memory import require_bytes
from kanx.network import Width
from kanx.nodes import Nodes
from kanx.training.climb import DENSE_LIMIT
from kanx.training.few_rows import rows_are_few

NUMBER = 8  # bytes of a float64
MATRICES = 5  # of the size of the curvature, at the moment when it is factorised
ROOTS = 6  # of the weighted Jacobian, where it stands for the curvature of few rows
EXPANSIONS = 5  # copies of a layer's expansion while it is computed
BLOCK = 2**20  # numbers of a block of the Jacobian, of which there are a few
BLOCKS = 6
_SIZES = ("control_points", "categories", "intervals", "degree", "numerator_degree")


def fit_bytes(
    rows: int,
    edges: Sequence[Mapping[str, Any]],
    hidden_edge: Mapping[str, Any],
    widths: Sequence[Width],
    outputs: int,
    *,
    skip: bool = True,
    starts: int = 1,
) -> int:
    r"""Estimate the largest memory of one fit, beyond the table itself, in bytes.

    .. math:: 8 \big( N (F + 5 L) + (5 + s) P^2 + 6 \min(N o P, \max(2^{20}, 64\, o P)) \big)

    and what the nodes hold, for :math:`N` rows, :math:`F` basis functions of the inputs,
    :math:`L` of the layer that has most, :math:`P` coordinates, :math:`o` outputs and :math:`s`
    starts: the expansions, the curvature with its factors, and blocks of the Jacobian. Of fewer
    rows than coordinates, ``(6 + s) N o P`` numbers stand for a large curvature. Measured
    peaks of more than 30 MB are within a factor of 2.2.

    Parameters
    ----------
    rows : int
    edges : sequence of mappings
        Specification of every column's edges; see `KANLayer`.
    hidden_edge : mapping
        Of the edges after hidden nodes.
    widths : sequence of widths
        Of the hidden layers.
    outputs : int
    skip : bool, default=True
        Whether there are direct curves beside hidden layers.
    starts : int, default=1
        How many fits are kept until the best are chosen.
    """
    inputs = sum(_functions(spec) for spec in edges)
    sizes = [Nodes.of(width) for width in widths]
    sums = [*(nodes.sums_needed for nodes in sizes), outputs]
    inner = _functions(hidden_edge)
    coordinates = inputs * sums[0] + sum(
        nodes.width * inner * after for nodes, after in zip(sizes, sums[1:], strict=True)
    )
    direct = bool(skip and widths)
    coordinates += inputs * outputs if direct else 0
    cached = rows * inputs * (1 + direct)
    fleeting = rows * EXPANSIONS * max(inputs, *(nodes.width * inner for nodes in sizes), 0)
    dense = coordinates <= DENSE_LIMIT
    few = rows_are_few(rows * outputs, coordinates)
    among = (ROOTS + starts) * rows * outputs * coordinates if few else 20 * coordinates
    matrices = (MATRICES + starts) * coordinates**2 if dense else among
    largest = outputs * coordinates * min(rows, max(64, BLOCK // (outputs * coordinates)))
    block = BLOCKS * largest if dense or few else 0
    states = rows * (2 * len(edges) + sum(a + b for a, b in pairwise([len(edges), *sums])))
    return NUMBER * (cached + fleeting + matrices + block + states)


def require_fit_memory(rows: int, *given: Any, **options: Any) -> None:
    """Refuse a fit for which there is no memory; parameters as for `fit_bytes`.

    Raises
    ------
    MemoryError
        With what is needed, what is free and what to do.
    """
    require_bytes(
        fit_bytes(rows, *given, **options),
        f"this fit to {rows} rows",
        "Take optimizer='adam', fewer rows or columns, or fewer hidden nodes.",
    )


def _functions(spec: Mapping[str, Any]) -> int:
    """Return how many basis functions an edge has, a missing value's included."""
    return int(next((spec[key] for key in _SIZES if key in spec), 10)) + 2
