r"""Write a network with one hidden layer as a sum of products of functions of single inputs.

An outer curve is a straight line, which is additive, plus waves, and a wave of a sum is a product
of waves:

.. math:: \Phi_q(u) = \alpha_q + \beta_q u + \operatorname{Re}\sum_k a_{qk} e^{i\omega_{qk} u},
          \qquad f(x) = c + \sum_i s_i(x_i)
          + \operatorname{Re}\sum_{q,k} a_{qk} \prod_i e^{i\omega_{qk}\psi_{qi}(x_i)} .

Averages over independent inputs then factorise, so every term of the functional analysis of
variance and every Shapley value is a finite sum. To expand a curve that is not periodic, it is
faded out smoothly beyond the range where it is needed; the waves' coefficients then fall as fast
as the curve is smooth. What is left over is measured and reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kanx.explain.subject import Subject

SAMPLES = 2048
MOST_WAVES = 96
TOLERANCE = 1e-8
FADE = 10.0  # steepness of the fading: it is 1 to within 1e-12 where the curve is needed


@dataclass(frozen=True)
class Separation:
    """A network as sums of products; made by `separate`.

    Attributes
    ----------
    subject : Subject
    nodes : Tensor, int (waves,)
        Hidden node of every wave.
    frequencies : Tensor, (waves,)
        Angular frequencies.
    amplitudes : Tensor, complex (waves, outputs)
        In the target's units.
    slopes : Tensor, (hidden, outputs)
        Of the straight lines, in the target's units.
    constant : Tensor, (outputs,)
    error : Tensor, (outputs,)
        Root mean square of what the waves leave over, as a share of the standard deviation of the
        outputs.
    """

    subject: Subject
    nodes: Tensor
    frequencies: Tensor
    amplitudes: Tensor
    slopes: Tensor
    constant: Tensor
    error: Tensor

    def waves(self, column: int, values: Tensor) -> Tensor:
        """Return the factors of one input: ``(points,) -> complex (points, waves)``."""
        inner = input_curves(self.subject, 0, column, values)  # (points, hidden)
        return torch.exp(1j * self.frequencies * inner[:, self.nodes])

    def direct(self, column: int, values: Tensor) -> Tensor:
        """Return what an input adds by itself, apart from the waves: ``(points, outputs)``."""
        network = self.subject.network
        found = input_curves(self.subject, 0, column, values) @ self.slopes
        if network.skip is not None:
            own = input_curves(self.subject, len(network.layers), column, values)
            found = found + own * self.subject.target_scale
        return found


def separate(subject: Subject, x: Tensor) -> Separation:
    """Expand the outer curves of a network with one hidden layer in waves.

    The expansion holds on all values that the hidden nodes take when every input takes, in any
    combination, the values it has in the rows ``x (rows, in)``.
    """
    network = subject.network
    outer = network.layers[1]
    inner = [input_curves(subject, 0, j, x[:, j]) for j in range(x.shape[1])]
    lower = torch.stack([curves.amin(0) for curves in inner]).sum(0)
    upper = torch.stack([curves.amax(0) for curves in inner]).sum(0)
    middle, half = (lower + upper) / 2, ((upper - lower) / 2).clamp_min(1e-12)
    bias = _bias(network.layers[0].bias, network.nodes[0].width)

    t = torch.arange(SAMPLES, dtype=torch.float64) * (4 / SAMPLES) - 2  # the period is [-2, 2)
    u = t[:, None] * half + middle
    with torch.no_grad():
        values = outer.curves(u + bias) * subject.target_scale  # (samples, hidden, outputs)
    inside = (t.abs() <= 1)[:, None, None]
    level = (values * inside).sum(0) / inside.sum()
    slope = (values * inside * t[:, None, None]).sum(0) / (inside * t[:, None, None] ** 2).sum()
    fade = 0.5 * torch.erfc(FADE * (t.abs() - 1.5))
    faded = (values - level - slope * t[:, None, None]) * fade[:, None, None]
    spectrum = torch.fft.rfft(faded, dim=0) / SAMPLES  # (waves, hidden, outputs)
    spectrum[1:] *= 2
    spread = subject.activations[-1].std(0, correction=0) * subject.target_scale
    kept = _kept(spectrum, spread)  # (waves, hidden)
    index, nodes = kept.nonzero(as_tuple=True)
    order = index.double()
    frequencies = order * (math.pi / 2) / half[nodes]
    shift = math.pi * order - frequencies * middle[nodes]  # the samples start at t = -2
    amplitudes = spectrum[index, nodes] * torch.exp(1j * shift)[:, None]
    rest = (spectrum.abs().square() / 2 * ~kept.unsqueeze(-1))[1:].sum((0, 1)).sqrt()
    slopes = slope / half[:, None]
    constant = (level - slopes * middle[:, None] + spectrum[0].real).sum(0)
    constant = constant + _bias(outer.bias, outer.out_features) * subject.target_scale
    return Separation(
        subject,
        nodes,
        frequencies,
        amplitudes,
        slopes,
        constant + subject.target_mean,
        torch.where(spread > 0, rest / spread.clamp_min(1e-300), 0),
    )


def input_curves(subject: Subject, layer: int, column: int, values: Tensor) -> Tensor:
    """Evaluate the curves of one input in a layer that sees the inputs: ``(points, out)``."""
    with torch.no_grad():
        return subject.single(layer, column).curves(values[:, None])[:, 0]


def _kept(spectrum: Tensor, spread: Tensor) -> Tensor:
    """Choose the waves of every hidden node: those below which the rest is negligible."""
    size = (spectrum.abs() / spread.clamp_min(1e-300)).amax(-1)  # (waves, hidden)
    tail = size.flip(0).cumsum(0).flip(0)
    kept = tail > TOLERANCE
    kept[0] = False  # the constant
    kept[MOST_WAVES + 1 :] = False
    return kept


def _bias(bias: Tensor | None, width: int) -> Tensor:
    return torch.zeros(width, dtype=torch.float64) if bias is None else bias.detach().double()
