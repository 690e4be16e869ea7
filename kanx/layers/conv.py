"""Convolution with a learnable function in place of every weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

from kanx.layers.layer import KANLayer


class KANConv2d(nn.Module):
    r"""Convolve images with kernels of learnable functions.

    .. math:: y_{o, r, s} = b_o + \sum_{c, i, j} f_{o, c, i, j}(x_{c, r + i, s + j})

    The patches of the image are the rows of a `KANLayer` with
    ``in_channels * kernel_height * kernel_width`` inputs, so that all families, derivatives and
    masks hold here too.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or pair of int
        As in `torch.nn.Conv2d`. Padded pixels are zeros, and their functions see that zero.
    edge : str or mapping, default="spline"
        Family of the functions, see `KANLayer`.
    bias : bool, default=True
    generator : torch.Generator, optional
    **options
        Options of the family, and ``residual=``.

    References
    ----------
    Bodner et al.: Convolutional Kolmogorov-Arnold networks, arXiv:2406.13155.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        edge: str | Mapping[str, Any] = "spline",
        *,
        bias: bool = True,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        if min(*self.kernel_size, *self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ValueError(
                "kernel_size, stride and dilation must be positive and padding not negative, got "
                f"{kernel_size}, {stride}, {dilation} and {padding}"
            )
        inputs = in_channels * self.kernel_size[0] * self.kernel_size[1]
        self.layer = KANLayer(inputs, out_channels, edge, bias=bias, generator=generator, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in_channels, height, width)`` to ``(batch, out_channels, ...)``."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"expected images (batch, {self.in_channels}, height, width), got {tuple(x.shape)}"
            )
        size = [
            (extent + 2 * pad - gap * (kernel - 1) - 1) // step + 1
            for extent, pad, gap, kernel, step in zip(
                x.shape[2:], self.padding, self.dilation, self.kernel_size, self.stride, strict=True
            )
        ]
        patches = unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)
        values = self.layer(patches.mT)  # (batch, places, out)
        return values.mT.unflatten(-1, size)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
