"""Whole functions drawn from the posterior, to be evaluated wherever one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.training.evidence import Fit
from kanx.training.linearisation import Linearisation
from kanx.training.rows import ROWS_AT_ONCE


class FunctionSamples:
    r"""Functions :math:`f(x) + J(x) (w - \hat w)` with ``w`` drawn from the posterior.

    A draw is one function: evaluated at two places it gives values that belong together. Networks
    are linearised around their optimum, which is what their error bars rest on (for one layer this
    is exact); where several networks are averaged, each draw belongs to one of them.

    Parameters
    ----------
    members : sequence of Fit
    count : int
        Number of functions.
    random_state : RandomState
    encode : callable
        From a table to inputs, ``(rows, in)``.
    finish : callable
        From outputs ``(draws, rows, outputs)`` in the members' units to what is returned.

    References
    ----------
    Immer, Korzepa, Bauer: Improving predictions of Bayesian neural nets via local linearization,
    AISTATS 2021.
    """

    def __init__(
        self,
        members: Sequence[Fit],
        count: int,
        random_state: np.random.RandomState,
        encode: Callable[[Any], Tensor],
        finish: Callable[[Tensor], NDArray[np.float64]],
    ) -> None:
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"the number of functions must be a positive integer, got {count!r}")
        self._members, self._encode, self._finish = list(members), encode, finish
        self._owner = random_state.randint(len(self._members), size=count)
        normal = random_state.standard_normal
        self._steps: list[Tensor] = []
        for k, member in enumerate(self._members):
            draws = int((self._owner == k).sum())
            raw = torch.from_numpy(normal((draws, int(member.posterior.living.sum()))))
            self._steps.append(member.posterior.scaled(raw))

    def __len__(self) -> int:
        return len(self._owner)

    def __call__(self, X: Any) -> NDArray[np.float64]:
        """Evaluate all functions at the rows of a table, draws first."""
        x = self._encode(X)
        values = torch.zeros(len(self), len(x), self._members[0].network.out_features).double()
        for k, (member, steps) in enumerate(zip(self._members, self._steps, strict=True)):
            if len(steps):
                values[torch.from_numpy(self._owner == k)] = _evaluate(member, steps, x)
        return self._finish(values)


def _evaluate(member: Fit, steps: Tensor, x: Tensor) -> Tensor:
    coordinates = member.posterior.coordinates
    w = coordinates.read()
    found = []
    for part in x.split(ROWS_AT_ONCE):
        f, jacobian = Linearisation(coordinates, part).jacobian(w)
        own = jacobian[:, :, member.posterior.living]
        found.append(f + torch.einsum("ncp,dp->dnc", own, steps))
    return torch.cat(found, dim=1)
