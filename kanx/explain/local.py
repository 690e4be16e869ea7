r"""What every input contributes to single predictions.

Additive models: the curves themselves, exactly. Otherwise Shapley values
(Lundberg and Lee: A unified approach to interpreting model predictions, NeurIPS 2017) against
inputs that vary independently as in the data. For one hidden layer they are computed in closed
form: the game of a product :math:`\prod_i e_i` is a product game, and

.. math:: \varphi_i = \int_0^1 (e_i - \bar e_i) \prod_{j \ne i}
          \big(\bar e_j + t\,(e_j - \bar e_j)\big)\, dt

is a polynomial of degree :math:`n - 1` in ``t``, which Gauss-Legendre quadrature integrates
exactly (Owen: Multilinear extensions of games, Management Science 18, 1972). For deeper networks
they are averaged over random orders of the inputs (Castro, Gómez, Tejada 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.explain.anova import shuffled
from kanx.explain.frames import frame_of
from kanx.explain.separation import Separation, separate
from kanx.explain.subject import Subject

ORDERS = 64
WAVES_AT_ONCE = 2_000_000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """Contributions of the inputs to the predictions of some rows.

    ``base + contributions.sum(1) + residual`` is the prediction, exactly.

    Attributes
    ----------
    base : ndarray, (outputs,)
        Prediction without knowledge of any input, in the target's units (log-odds for a
        classifier).
    values : ndarray, (rows, in, outputs)
        Contribution of every input.
    std : ndarray, (rows, in, outputs)
        Standard error of the estimate; zero where exact.
    residual : ndarray, (rows, outputs)
        What the contributions do not account for: rounding for the additive and the estimated
        ones, the error of the expansion for the closed form.
    prediction : ndarray, (rows, outputs)
    inputs : ndarray, (rows, in)
        The encoded rows.
    outside : ndarray of bool, (rows, in)
        Values beyond what the model has seen; treat such rows with caution.
    shown : list of list of str
        The inputs as text: categories by name, missing values as such.
    categorical : list of bool
        Which inputs are categories.
    method : {"additive", "shapley", "sampled shapley"}
    note : str
        What the numbers are, in a sentence.
    names, target_names, target_labels : list of str
    """

    base: Array
    values: Array
    std: Array
    residual: Array
    prediction: Array
    inputs: Array
    outside: NDArray[np.bool_]
    shown: list[list[str]]
    categorical: list[bool]
    method: str
    note: str
    names: list[str]
    target_names: list[str]
    target_labels: list[str]

    @property
    def is_exact(self) -> bool:
        """Whether nothing was estimated by sampling."""
        return self.method != "sampled shapley"

    def __len__(self) -> int:
        return len(self.values)

    def to_frame(self, output: int = 0) -> Any:
        """Return one output's contributions: a row per row, a column per input."""
        columns: dict[str, Any] = {"base": np.full(len(self), self.base[output])}
        columns |= {name: self.values[:, j, output] for j, name in enumerate(self.names)}
        columns["residual"] = self.residual[:, output]
        columns["prediction"] = self.prediction[:, output]
        columns["outside"] = self.outside.any(1)
        return frame_of(columns)


_NOTES = {
    "additive": "Exact: the model is a sum of curves, centred over the data.",
    "shapley": (
        "Shapley values in closed form, for inputs that vary independently as in the data; "
        "interactions are shared equally between the inputs that take part."
    ),
    "sampled shapley": (
        f"Shapley values estimated from {ORDERS} random orders of the inputs, against inputs that "
        "vary independently as in the data."
    ),
}


def read_contributions(subject: Subject, x: Tensor, random_state: int) -> Contributions:
    """Split the predictions of encoded rows ``(rows, in)`` into the inputs' contributions."""
    if subject.is_additive:
        method = "additive"
        base, values = _additive(subject, x)
        std = torch.zeros_like(values)
    elif subject.has_one_hidden_layer:
        method = "shapley"
        base, values = _shapley(separate(subject, torch.cat([subject.x, x])), x)
        std = torch.zeros_like(values)
    else:
        method = "sampled shapley"
        base, values, std = _sampled(subject, x, random_state)
    prediction = subject.outputs(x)
    residual = prediction - base - values.sum(1)
    return Contributions(
        base.numpy(),
        values.numpy(),
        std.numpy(),
        residual.numpy(),
        prediction.numpy(),
        x.numpy(),
        subject.outside(x).numpy(),
        [[shown(subject, j, v) for j, v in enumerate(row)] for row in x.tolist()],
        [column.is_categorical for column in subject.columns],
        method,
        _NOTES[method],
        subject.names,
        subject.target_names,
        [subject.output_label(k) for k in range(subject.n_outputs)],
    )


def shown(subject: Subject, column: int, value: float) -> str:
    """Write an encoded input for people."""
    if np.isnan(value):
        return "missing"
    categories = subject.columns[column].categories
    if categories is not None:
        return str(categories[int(value)]) if 0 <= value < len(categories) else "unknown"
    return f"{value:.4g}"


def _additive(subject: Subject, x: Tensor) -> tuple[Tensor, Tensor]:
    layer = subject.network.layers[0]
    with torch.no_grad():
        mean = layer.curves(subject.x).mean(0)
        values = (layer.curves(x) - mean) * subject.target_scale
        bias = 0.0 if layer.bias is None else layer.bias
        base = subject.target_mean + subject.target_scale * (mean.sum(0) + bias)
    return base.detach(), values


def _shapley(separation: Separation, x: Tensor) -> tuple[Tensor, Tensor]:
    data = separation.subject.x
    count = data.shape[1]
    means = torch.stack([separation.waves(j, data[:, j]).mean(0) for j in range(count)])
    direct = [separation.direct(j, data[:, j]).mean(0) for j in range(count)]
    base = separation.constant + torch.stack(direct).sum(0)
    base = base + (means.prod(0) @ separation.amplitudes).real
    step = max(1, WAVES_AT_ONCE // max(1, count * means.shape[1]))
    parts = [_shapley_rows(separation, means, part) for part in x.split(step)]
    own = [separation.direct(j, x[:, j]) - direct[j] for j in range(count)]
    return base, torch.cat(parts) + torch.stack(own, dim=1)


def _shapley_rows(separation: Separation, means: Tensor, x: Tensor) -> Tensor:
    """Return the waves' Shapley values of a few rows, ``(rows, in, outputs)``."""
    total = torch.zeros(len(x), x.shape[1], separation.amplitudes.shape[1], dtype=torch.float64)
    reaches = (separation.subject.network.layers[0].mask > 0).any(1)
    active = reaches.nonzero().flatten().tolist()
    deviations = [separation.waves(j, x[:, j]) - means[j] for j in active]
    nodes, weights = np.polynomial.legendre.leggauss(max(1, (len(active) + 1) // 2))
    for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = [means[j] + t * d for j, d in zip(active, deviations, strict=True)]
        others = products_of_others(factors)
        for j, deviation, rest in zip(active, deviations, others, strict=True):
            total[:, j] += weight * ((deviation * rest) @ separation.amplitudes).real
    return total


def products_of_others(factors: list[Tensor]) -> list[Tensor]:
    """Return, for each factor, the product of all the others, without dividing."""
    if not factors:
        return []
    before = [torch.ones_like(factors[0])]
    for factor in factors[:-1]:
        before.append(before[-1] * factor)
    after = torch.ones_like(factors[0])
    found = []
    for factor, product in zip(reversed(factors), reversed(before), strict=True):
        found.append(product * after)
        after = after * factor
    return found[::-1]


def _sampled(subject: Subject, x: Tensor, random_state: int) -> tuple[Tensor, Tensor, Tensor]:
    """Average over orders of the inputs, each followed forwards and backwards."""
    generator = torch.Generator().manual_seed(random_state)
    count = x.shape[1]
    background = shuffled(subject.x, ORDERS, generator)
    base = subject.outputs(background).mean(0)
    walks = torch.zeros(ORDERS, len(x), count, subject.n_outputs, dtype=torch.float64)
    order = torch.arange(count)
    for k in range(ORDERS):
        # every second order is the one before, reversed: a linear trend then cancels
        order = order.flip(0) if k % 2 else torch.randperm(count, generator=generator)
        rows = background[k].expand(len(x), -1).clone()
        steps = [rows.clone()]
        for j in order.tolist():
            rows[:, j] = x[:, j]
            steps.append(rows.clone())
        outputs = subject.outputs(torch.cat(steps)).view(count + 1, len(x), -1)
        walks[k, :, order] = outputs.diff(dim=0).transpose(0, 1)
    return base, walks.mean(0), walks.std(0) / ORDERS**0.5
