"""One-dimensional covariance functions as plain tensor code, translated from gpytorch kernels.

gpytorch returns lazy tensors, which neither export nor compile. The common kernels and their sums,
products and scalings are therefore closed forms here; any other kernel is evaluated through
gpytorch itself.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    import gpytorch


@dataclass(frozen=True)
class Covariance:
    """A covariance function ``k(t, z)`` with its derivative by ``t``.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    parameters : dict of str to float
        Hyperparameters of the kind.
    parts : tuple of Covariance
        Terms of a sum, factors of a product, or the one scaled covariance.
    kernel : gpytorch.kernels.Kernel, optional
        The kernel itself where no closed form is known (kind ``"gpytorch"``).
    """

    kind: str
    parameters: dict[str, float] = field(default_factory=dict)
    parts: tuple[Covariance, ...] = ()
    kernel: Any = None

    def __call__(self, t: Tensor, z: Tensor) -> Tensor:
        """Evaluate at broadcastable points."""
        if self.kind == "squared_exponential":  # the usual one: without the derivative
            return _bump((t - z) / self.parameters["length_scale"])
        return self.evaluate(t, z)[0]

    def derivative(self, t: Tensor, z: Tensor) -> Tensor:
        """Differentiate by ``t``."""
        return self.evaluate(t, z)[1]

    def evaluate(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(k, dk/dt)``."""
        return KINDS[self.kind](self, t, z)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible description.

        Raises
        ------
        ValueError
            If the kernel has no closed form here and hence no description.
        """
        if self.kernel is not None:
            known = sorted(set(KINDS) - {"gpytorch"})
            raise ValueError(
                f"a model with kernel {type(self.kernel).__name__} cannot be saved; build the "
                f"kernel from {known}"
            )
        return {
            "kind": self.kind,
            "parameters": dict(self.parameters),
            "parts": [part.to_dict() for part in self.parts],
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Covariance:
        """Rebuild a covariance from `to_dict`."""
        kind = description["kind"]
        if kind not in KINDS or kind == "gpytorch":
            raise ValueError(f"covariance kind {kind!r} is unknown; choose one of {sorted(KINDS)}")
        return cls(
            kind,
            {str(k): float(v) for k, v in description["parameters"].items()},
            tuple(cls.from_dict(part) for part in description["parts"]),
        )


def _bump(u: Tensor) -> Tensor:
    return torch.exp(-0.5 * u * u)


def _squared_exponential(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    length_scale = c.parameters["length_scale"]
    u = (t - z) / length_scale
    k = _bump(u)
    return k, -k * u / length_scale


def _matern(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    smoothness = c.parameters["smoothness"]
    rate = math.sqrt(2 * smoothness) / c.parameters["length_scale"]
    signed = (rate * (t - z)).clamp(-1e4, 1e4)  # beyond, the covariance is zero in any precision
    r = torch.sqrt(signed * signed + 1e-16)  # smooth at 0, so that second derivatives are right
    decay = torch.exp(-r)
    if smoothness == 0.5:
        return decay, -rate * signed / r * decay
    if smoothness == 1.5:
        return (1 + r) * decay, -rate * signed * decay
    return (1 + r + r * r / 3) * decay, -rate / 3 * signed * (1 + r) * decay


def _periodic(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    # gpytorch's convention: the length-scale is not squared
    period, length_scale = c.parameters["period"], c.parameters["length_scale"]
    angle = math.pi * (t - z) / period
    k = torch.exp(-2 * torch.sin(angle) ** 2 / length_scale)
    return k, -k * 2 * torch.sin(2 * angle) * math.pi / (period * length_scale)


def _rational_quadratic(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    alpha, length_scale = c.parameters["alpha"], c.parameters["length_scale"]
    u = (t - z) / length_scale
    inner = 1 + u * u / (2 * alpha)
    return inner**-alpha, -(inner ** (-alpha - 1)) * u / length_scale


def _scale(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    k, dk = c.parts[0].evaluate(t, z)
    return c.parameters["outputscale"] * k, c.parameters["outputscale"] * dk


def _sum(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    values, slopes = zip(*(part.evaluate(t, z) for part in c.parts), strict=True)
    return torch.stack(values).sum(0), torch.stack(slopes).sum(0)


def _product(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    k, dk = c.parts[0].evaluate(t, z)
    for part in c.parts[1:]:
        other, slope = part.evaluate(t, z)
        k, dk = k * other, dk * other + k * slope
    return k, dk


def _through_gpytorch(c: Covariance, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    # plain autograd: gpytorch's lazy tensors do not survive torch.func
    t, z = torch.broadcast_tensors(t, z)
    with torch.enable_grad():
        s = t.double() if t.requires_grad else t.detach().double().requires_grad_()
        dense = c.kernel(s.reshape(-1, 1, 1), z.double().reshape(-1, 1, 1)).to_dense()
        (slope,) = torch.autograd.grad(dense.sum(), s, create_graph=t.requires_grad)
    return dense.reshape(t.shape).to(t), slope.to(t)


KINDS: dict[str, Callable[[Covariance, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "squared_exponential": _squared_exponential,
    "matern": _matern,
    "periodic": _periodic,
    "rational_quadratic": _rational_quadratic,
    "scale": _scale,
    "sum": _sum,
    "product": _product,
    "gpytorch": _through_gpytorch,
}


def from_gpytorch(kernel: gpytorch.kernels.Kernel) -> Covariance:
    """Translate a gpytorch kernel with its present hyperparameters.

    Raises
    ------
    ValueError
        If the kernel acts on more than one dimension or has a batch shape.
    """
    from gpytorch import kernels

    if len(kernel.batch_shape) or (kernel.ard_num_dims or 1) != 1:
        raise ValueError(
            f"a GP edge needs a one-dimensional kernel without batch shape, got {kernel}; "
            "leave out ard_num_dims and batch_shape"
        )
    # exact types: a subclass may define another function
    kind = type(kernel)
    if kind is kernels.ScaleKernel:
        scale = {"outputscale": kernel.outputscale.item()}
        return Covariance("scale", scale, (from_gpytorch(kernel.base_kernel),))
    if kind in (kernels.AdditiveKernel, kernels.ProductKernel):
        name = "sum" if kind is kernels.AdditiveKernel else "product"
        return Covariance(name, {}, tuple(from_gpytorch(k) for k in kernel.kernels))
    if kernel.has_lengthscale:
        own = {"length_scale": kernel.lengthscale.item()}
        if kind is kernels.RBFKernel:
            return Covariance("squared_exponential", own)
        if kind is kernels.MaternKernel and kernel.nu in (0.5, 1.5, 2.5):
            return Covariance("matern", {**own, "smoothness": kernel.nu})
        if kind is kernels.PeriodicKernel:
            return Covariance("periodic", {**own, "period": kernel.period_length.item()})
        if kind is kernels.RQKernel:
            return Covariance("rational_quadratic", {**own, "alpha": kernel.alpha.item()})
    own_kernel = copy.deepcopy(kernel).double().requires_grad_(False)
    return Covariance("gpytorch", kernel=own_kernel)
