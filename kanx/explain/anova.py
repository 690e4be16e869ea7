r"""Functional analysis of variance: main effects and interactions of a network.

With independent inputs, each distributed as in the data, every function is a unique sum

.. math:: f(x) = f_0 + \sum_i f_i(x_i) + \sum_{i<j} f_{ij}(x_i, x_j) + \dots

of terms with mean zero in each of their variables, and its variance is the sum of theirs.

Sobol: Sensitivity estimates for nonlinear mathematical models, 1993. Hooker: Discovering additive
structure in black box functions, KDD 2004.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from kanx.explain.marginals import Marginal
from kanx.explain.separation import Separation, separate
from kanx.explain.subject import Subject

BACKGROUND = 96
PAIR_NODES = 12
ROWS_FOR_HIGHER = 500


class Anova(Protocol):
    """What every way of computing the terms supplies; all in the target's units."""

    exact: bool
    error: float

    def main(self, column: int, values: Tensor) -> Tensor:
        """Return the main effect of an input: ``(points,) -> (points, outputs)``."""

    def pair(self, first: int, second: int, a: Tensor, b: Tensor) -> Tensor:
        """Return an interaction on a grid: ``(m,), (k,) -> (m, k, outputs)``."""

    def higher(self, mains: Tensor, pairs: Tensor) -> Tensor:
        """Return the variance of all further terms, ``(outputs,)``.

        ``mains`` and ``pairs`` are the variances of the others, added up, ``(outputs,)`` each.
        """

    def interacts(self, first: int, second: int) -> bool:
        """Whether the network's structure lets two inputs interact."""


class AdditiveAnova:
    """The terms of an additive model: its curves."""

    exact = True
    error = 0.0

    def __init__(self, subject: Subject, marginals: list[Marginal]) -> None:
        self.subject = subject
        self.marginals = marginals

    def main(self, column: int, values: Tensor) -> Tensor:
        """Return the main effect of an input: ``(points,) -> (points, outputs)``."""
        own = self.marginals[column]
        rows = torch.full((len(values) + len(own.nodes), len(self.marginals)), 0.0).double()
        rows[:, column] = torch.cat([values, own.nodes])
        with torch.no_grad():
            curves = self.subject.network.layers[0].curves(rows)[:, column]
        mean = own.weights @ curves[len(values) :]
        return (curves[: len(values)] - mean) * self.subject.target_scale

    def pair(self, first: int, second: int, a: Tensor, b: Tensor) -> Tensor:
        """Return zeros: nothing interacts."""
        return torch.zeros(len(a), len(b), self.subject.n_outputs, dtype=torch.float64)

    def higher(self, mains: Tensor, pairs: Tensor) -> Tensor:
        """Return zeros: there is nothing else."""
        return torch.zeros_like(mains)

    def interacts(self, first: int, second: int) -> bool:
        """Return False."""
        return False


class SeparatedAnova:
    """The terms of a network with one hidden layer, in closed form; see `separation`."""

    exact = True

    def __init__(self, subject: Subject, marginals: list[Marginal], random_state: int) -> None:
        self.subject = subject
        self.marginals = marginals
        self.separation: Separation = separate(subject, subject.x)
        self.error = self.separation.error.max().item()
        means = [
            m.weights.to(torch.complex128) @ self.separation.waves(j, m.nodes)
            for j, m in enumerate(marginals)
        ]
        self.means = torch.stack(means)  # (in, waves)
        generator = torch.Generator().manual_seed(random_state)
        self._rows = shuffled(subject.x, ROWS_FOR_HIGHER, generator)

    def main(self, column: int, values: Tensor) -> Tensor:
        """Return the main effect of an input: ``(points,) -> (points, outputs)``."""
        marginal = self.marginals[column]
        direct = self.separation.direct(column, values)
        centre = marginal.weights @ self.separation.direct(column, marginal.nodes)
        factors = self.separation.waves(column, values) - self.means[column]
        waves = factors @ (self._others([column])[:, None] * self.separation.amplitudes)
        return direct - centre + waves.real

    def pair(self, first: int, second: int, a: Tensor, b: Tensor) -> Tensor:
        """Return an interaction on a grid: ``(m,), (k,) -> (m, k, outputs)``."""
        left = self.separation.waves(first, a) - self.means[first]
        right = self.separation.waves(second, b) - self.means[second]
        others = self._others([first, second])[:, None] * self.separation.amplitudes
        terms = [((left * others[:, k]) @ right.T).real for k in range(others.shape[1])]
        return torch.stack(terms, dim=-1)

    def higher(self, mains: Tensor, pairs: Tensor) -> Tensor:
        """Return the variance of all other terms, averaged over rows of independent inputs.

        The product over the inputs, with a mark on every factor's deviation from its mean, is a
        polynomial in the mark; its part of degree three and above is what is wanted.
        """
        orders = [torch.ones(len(self._rows), self.means.shape[1], dtype=torch.complex128)]
        orders += [torch.zeros_like(orders[0]) for _ in range(3)]  # degrees 0, 1, 2, 3 and above
        for j in range(len(self.marginals)):
            mean = self.means[j]
            deviation = self.separation.waves(j, self._rows[:, j]) - mean
            orders = [
                orders[0] * mean,
                orders[1] * mean + orders[0] * deviation,
                orders[2] * mean + orders[1] * deviation,
                orders[3] * (mean + deviation) + orders[2] * deviation,
            ]
        return (orders[3] @ self.separation.amplitudes).real.square().mean(0)

    def interacts(self, first: int, second: int) -> bool:
        """Whether the two inputs reach a common hidden node."""
        network = self.subject.network
        inner = network.layers[0].mask > 0
        outer = (network.layers[1].mask > 0).any(1)
        return bool((inner[first] & inner[second] & outer).any())

    def _others(self, columns: list[int]) -> Tensor:
        """Return the product of the means of all other inputs, ``(waves,)``."""
        keep = [j for j in range(len(self.marginals)) if j not in columns]
        return self.means[keep].prod(0)


class SampledAnova:
    """The terms of any network, averaged over rows drawn from the product of the marginals."""

    exact = False

    def __init__(self, subject: Subject, marginals: list[Marginal], random_state: int) -> None:
        self.subject = subject
        self.marginals = marginals
        generator = torch.Generator().manual_seed(random_state)
        self.background = shuffled(subject.x, BACKGROUND, generator)
        self._many = shuffled(subject.x, 4096, generator)
        self.error = float("nan")

    def main(self, column: int, values: Tensor) -> Tensor:
        """Return the main effect of an input: ``(points,) -> (points, outputs)``."""
        marginal = self.marginals[column]
        mean = self._average([column], torch.cat([values, marginal.nodes])[:, None])
        return mean[: len(values)] - marginal.weights @ mean[len(values) :]

    def pair(self, first: int, second: int, a: Tensor, b: Tensor) -> Tensor:
        """Return an interaction on a grid: ``(m,), (k,) -> (m, k, outputs)``."""
        nodes = [self.marginals[j].thinned(PAIR_NODES) for j in (first, second)]
        left = torch.cat([a, nodes[0].nodes])
        right = torch.cat([b, nodes[1].nodes])
        rows = torch.cartesian_prod(left, right)
        joint = self._average([first, second], rows).view(len(left), len(right), -1)
        by_right = torch.einsum("m,mko->ko", nodes[0].weights, joint[len(a) :])
        by_left = torch.einsum("k,mko->mo", nodes[1].weights, joint[:, len(b) :])
        whole = nodes[0].weights @ by_left[len(a) :]
        term = joint - by_right - by_left[:, None] + whole
        return term[: len(a), : len(b)]

    def higher(self, mains: Tensor, pairs: Tensor) -> Tensor:
        """Return what the variance over rows of independent inputs leaves to further terms."""
        whole = self.subject.outputs(self._many).var(0, correction=0)
        return (whole - mains - pairs).clamp_min(0)

    def interacts(self, first: int, second: int) -> bool:
        """Return True: nothing is ruled out."""
        return True

    def _average(self, columns: list[int], values: Tensor) -> Tensor:
        """Average over the background with some inputs fixed: ``(points, outputs)``."""
        rows = self.background.repeat(len(values), 1)
        rows[:, columns] = values.repeat_interleave(len(self.background), 0)
        return self.subject.outputs(rows).view(len(values), len(self.background), -1).mean(1)


def anova_of(subject: Subject, marginals: list[Marginal], random_state: int) -> Anova:
    """Return the exact terms where the network's form allows it, else estimates."""
    if subject.is_additive:
        return AdditiveAnova(subject, marginals)
    if subject.has_one_hidden_layer:
        return SeparatedAnova(subject, marginals, random_state)
    return SampledAnova(subject, marginals, random_state)


def shuffled(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw rows whose inputs are independent of one another, ``(count, in)``."""
    columns = [
        x[torch.randint(len(x), (count,), generator=generator), j] for j in range(x.shape[1])
    ]
    return torch.stack(columns, dim=1)
