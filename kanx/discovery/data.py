"""The rows a search works on, and the test of whether a formula leaves structure behind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import cKDTree

from kanx.discovery.ridge import chebyshev

Array = NDArray[np.float64]
MISFIT_RATIO = 0.8  # least neighbour ratio of noise: its mean is 1
EXACT_LOSS = 1e-18  # relative: float64 rounding of an exact formula stays far below


@dataclass(frozen=True)
class Data:
    """Hold inputs and a target for a search.

    Parameters
    ----------
    columns : array of shape (variables, rows)
        Inputs.
    y : array of shape (rows,)
        Target divided by its root mean square.
    weight : array of shape (rows,)
        Weights with mean 1.
    scale : float
        Root mean square of the target in the user's units.
    """

    columns: Array
    y: Array
    weight: Array
    scale: float = 1.0

    @cached_property
    def size(self) -> float:
        """Weighted sum of squares of the target: the unit of relative losses."""
        return float(np.sum(self.weight * self.y**2)) + 1e-300

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    def rows(self, chosen: NDArray[np.int64]) -> Data:
        """Return the data on a subset of the rows."""
        return Data(self.columns[:, chosen], self.y[chosen], self.weight[chosen], self.scale)

    def lack_of_fit(self, residual: Array, n_parameters: int) -> float:
        """Return the p-value of an F-test that the residual still depends on the inputs.

        The residual is regressed on Chebyshev polynomials of each input and on products of two;
        a small value says that a formula is not the whole truth. With fewer than ten degrees of
        freedom nothing can be said, and the answer is 0.
        """
        basis = self._test_basis
        n, p = basis.shape
        free = n - p - n_parameters
        if free < 10:
            return 0.0
        root = np.sqrt(self.weight)
        r = residual * root
        q = self._test_range
        explained = float(np.sum((q.T @ r) ** 2))
        rest = float(r @ r) - explained
        if rest <= 0:
            return 0.0
        statistic = (explained / p) / (rest / free)
        return float(stats.f.sf(statistic, p, free))

    @cached_property
    def _test_basis(self) -> Array:
        low = self.columns.min(axis=1, keepdims=True)
        high = self.columns.max(axis=1, keepdims=True)
        t = 2.0 * (self.columns - low) / (high - low + 1e-300) - 1.0
        degree = 6 if self.n_rows >= 40 * len(self.columns) else 2
        tables = [chebyshev(column, degree)[0][:, 1:] for column in t]
        blocks = [np.ones((self.n_rows, 1)), *tables]
        room = self.n_rows // 8 - sum(b.shape[1] for b in blocks)
        for i, j in combinations(range(len(t)), 2):
            for a in range(2):
                for b in range(2):
                    if room > 0:
                        blocks.append((tables[i][:, a] * tables[j][:, b])[:, None])
                        room -= 1
        return np.hstack(blocks)

    @cached_property
    def _test_range(self) -> Array:
        return np.linalg.qr(self._test_basis * np.sqrt(self.weight)[:, None])[0]


def neighbour_ratio(points: Array, residual: Array) -> float:
    """Return how far residuals of nearest neighbours differ: 1 for noise, near 0 for a misfit.

    ``mean (r_i - r_j)^2 / (2 var r)`` with ``j`` the nearest neighbour of ``i``: von Neumann's
    ratio in several dimensions.

    Parameters
    ----------
    points : array of shape (rows, dimensions)
        Where the residuals were taken; each dimension is scaled to its ranks.
    residual : array of shape (rows,)
        Residuals.
    """
    n_rows, n_dims = points.shape
    if n_dims == 0 or n_rows < 3:
        return 1.0
    ranks = stats.rankdata(points, axis=0) / n_rows
    _, nearest = cKDTree(ranks).query(ranks, k=2)
    spread = 2.0 * float(np.var(residual)) + 1e-300
    return float(np.mean((residual - residual[nearest[:, 1]]) ** 2)) / spread
