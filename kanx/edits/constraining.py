"""A curve moved to the nearest one of a required shape."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kanx.edits.rebuild import own_edge, replaced
from kanx.edits.result import Edited, edited
from kanx.layers import Constraint, project
from kanx.network import KAN


def constrain(
    network: KAN,
    edge: Sequence[int],
    constraints: str | Constraint | Sequence[str | Constraint],
    *,
    x: Tensor | None = None,
) -> Edited:
    """Move one curve to the nearest one that keeps constraints, such as ``"increasing"``.

    A projection in the mean square over the domain; exact where the curve keeps them already.

    Parameters
    ----------
    network : KAN
    edge : (int, int, int)
        Layer (an index into ``network.all_layers``), input and output.
    constraints : str, Constraint or sequence of these
        See `kanx.layers.Constraint`.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such edge.
    TypeError
        If the family is not linear in its coefficients.
    ValueError
        If a constraint is unknown, or no curve of the family keeps them all.
    """
    index, i, o = own_edge(network, edge)
    result = replaced(network, {})
    bundle, place = result.all_layers[index].edge(i)
    project(bundle, place, constraints, outputs=[o])
    return edited(network, result, x)
