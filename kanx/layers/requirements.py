"""What a constrained curve's coefficients have to keep, as equations and inequalities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.layers.constraints import SHAPES, Constraint, equality_rows, shape_rows
from kanx.layers.linear import LinearFamily
from kanx.layers.spline import BSpline

COARSE, FINE = 200, 4001  # places where a shape is imposed, and where it is checked
ROUNDING = 1e-11  # relative to the terms of a sum that should not be negative

Array = NDArray[np.float64]


class Requirements:
    r"""Hold the rows of :math:`E c = 0` and :math:`G c \ge 0` for one input's coefficients.

    Splines keep a shape everywhere by inequalities on their coefficients; the shapes of other
    families are imposed at places of the domain, and `tighten` adds those where a finer grid finds
    a shape broken.

    Parameters
    ----------
    bundle : LinearFamily
        In float64 on the CPU.
    index : int
        Input, counted within the bundle.
    constraints : sequence of Constraint
        Those of kind ``"fixed"`` ask nothing here.

    Attributes
    ----------
    equal : ndarray, (rows, p)
    """

    def __init__(self, bundle: LinearFamily, index: int, constraints: Sequence[Constraint]) -> None:
        self._bundle, self._index = bundle, index
        self._kinds = [c.kind for c in constraints if c.kind in SHAPES]
        rows = [
            _array(equality_rows(bundle, index, c))
            for c in constraints
            if c.kind in ("periodic", "zero_at")
        ]
        self.equal = np.concatenate([*rows, np.zeros((0, bundle.parameters_per_edge))])
        self._fine = torch.linspace(-1, 1, FINE, dtype=torch.float64)
        self._imposed = np.zeros(FINE, dtype=bool)
        self._imposed[:: FINE // COARSE] = True
        self._imposed[[-2, -1]] = True  # a linear continuation begins with the slope at the end
        self._checks = [_array(shape_rows(bundle, index, k, self._fine)) for k in self._kinds]

    @property
    def inequal(self) -> Array:
        """The rows of ``G`` that are imposed at present, ``(rows, p)``."""
        places = self._fine[torch.from_numpy(self._imposed)]
        rows = [_array(shape_rows(self._bundle, self._index, k, places)) for k in self._kinds]
        return np.concatenate([*rows, np.zeros((0, self._bundle.parameters_per_edge))])

    def tighten(self, c: Array) -> bool:
        """Impose the shapes where ``c`` breaks them, too; say whether that is anywhere new."""
        if isinstance(self._bundle, BSpline):
            return False
        broken = self._imposed.copy()
        for rows in self._checks:
            slack = rows @ c
            places = np.nonzero(slack < -ROUNDING * (np.abs(rows) @ np.abs(c)))[0]
            broken[places] = True
            broken[np.minimum(places + 1, FINE - 1)] = True
        found = bool((broken != self._imposed).any())
        self._imposed = broken
        return found


def _array(rows: Tensor) -> Array:
    return rows.detach().numpy()
