"""The one abstraction: a bundle of one-dimensional functions, one on every edge of a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import sympy

EXTRAPOLATIONS = ("linear", "constant", "family", "periodic")


class EdgeFamily(nn.Module, ABC):
    """Hold ``in_features x out_features`` learnable functions of one variable.

    The bundle maps ``x_1 .. x_in`` to ``y_o = sum_i f_io(x_i)``. Every function has the same
    number of parameters, stored as ``(parameters_per_edge, in_features, out_features)``.

    Parameters
    ----------
    in_features, out_features : int
        Number of inputs and outputs.
    domain : tuple of float, default=(-1, 1)
        Interval of each input that the functions are built for; `set_domain` moves it.
    extrapolate : {"linear", "constant", "family", "periodic"}, default="linear"
        Behaviour outside the domain: the tangent at its end, the value at its end, whatever the
        family's own formula gives there, or the domain repeated (`project` with the constraint
        ``"periodic"`` makes that smooth).
    """

    name: ClassVar[str]
    lower: Tensor
    upper: Tensor
    mask: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"a layer needs at least one input and one output, got "
                f"in_features={in_features}, out_features={out_features}"
            )
        if extrapolate not in EXTRAPOLATIONS:
            raise ValueError(
                f"extrapolate={extrapolate!r} is unknown; choose one of {EXTRAPOLATIONS}"
            )
        if not domain[0] < domain[1]:
            raise ValueError(f"domain must be an increasing pair, got {domain}")
        self.in_features = in_features
        self.out_features = out_features
        self.extrapolate = extrapolate
        self.register_buffer("lower", torch.full((in_features,), float(domain[0])))
        self.register_buffer("upper", torch.full((in_features,), float(domain[1])))
        self.register_buffer("mask", torch.ones(in_features, out_features))

    # -- what a family must supply ------------------------------------------------------------

    @property
    @abstractmethod
    def parameters_per_edge(self) -> int:
        """Number of parameters of one edge."""

    @abstractmethod
    def stacked_parameters(self) -> Tensor:
        """Return all parameters as one tensor, ``(parameters_per_edge, in, out)``."""

    @abstractmethod
    def load_stacked(self, values: Tensor) -> None:
        """Set all parameters from a tensor ``(parameters_per_edge, in, out)``."""

    @abstractmethod
    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        """Sum the edges of each output under a mask: ``(..., in), (in, out) -> (..., out)``."""

    @abstractmethod
    def curves(self, x: Tensor) -> Tensor:
        """Evaluate every edge by itself: ``(batch, in) -> (batch, in, out)``."""

    @abstractmethod
    def slopes(self, x: Tensor) -> Tensor:
        """Differentiate every edge by its input: ``(batch, in) -> (batch, in, out)``."""

    @abstractmethod
    def gradients(self, x: Tensor) -> Tensor:
        """Differentiate every edge by its own parameters.

        Returns ``(batch, parameters_per_edge, in, out)``; the last axis has length 1 where the
        derivative is the same for all outputs (linear families).
        """

    @abstractmethod
    def refit(self, x: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        """Fit every edge to targets by regularised least squares.

        Parameters
        ----------
        x : Tensor, (batch, in)
        targets : Tensor, (batch, in, out)
            Wanted value of every edge.
        weight : Tensor, (batch,), optional
        """

    @abstractmethod
    def prior(self) -> Tensor:
        """Return the precision matrix of one edge's parameters, ``(in, p, p)``, float64.

        The quadratic form ``c' prior c`` says what a simple curve is: it is the smoothness
        penalty, the prior of the evidence and the basis of the error bars. It is positive
        definite.
        """

    def refit_starts(self) -> list[Tensor]:
        """Return further starts of a least-squares fit, ``(parameters_per_edge, in, out)`` each.

        Families whose least squares have local minima supply them.
        """
        return []

    def sympy_inside(self, edge: tuple[int, int], t: sympy.Symbol) -> sympy.Expr | None:
        """Return the exact expression of an edge in its normalised input, None if there is none."""
        return None

    def config(self) -> dict[str, Any]:
        """Return the keyword arguments that rebuild this bundle (JSON-compatible)."""
        return {"extrapolate": self.extrapolate}

    # -- shared ------------------------------------------------------------------------------

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Sum the edges of each output and a bias: ``(..., in), (out,) -> (..., out)``."""
        total = self.edge_sum(x, self.mask)
        return total if bias is None else total + bias

    def sympy(self, edge: tuple[int, int], symbol: sympy.Symbol) -> sympy.Expr | None:
        """Return the exact expression of edge ``(input, output)``, extrapolation included.

        None where the family has no closed form.
        """
        import sympy

        t = sympy.Dummy("t", real=True)
        inside = self.sympy_inside(edge, t)
        if inside is None:
            return None
        lower, upper = (bound[edge[0]].double().item() for bound in (self.lower, self.upper))
        scale = sympy.Float(2 / (upper - lower), 17)
        within = inside.subs(t, scale * (symbol - sympy.Float((upper + lower) / 2, 17)))
        if self.extrapolate == "family":
            return within
        if self.extrapolate == "periodic":
            period = sympy.Float(upper, 17) - sympy.Float(lower, 17)
            start = sympy.Float(lower, 17)
            return within.subs(symbol, start + sympy.Mod(symbol - start, period))
        ends = []
        for end, bound in ((-1, lower), (1, upper)):
            line = inside.subs(t, end)
            if self.extrapolate == "linear":
                slope = inside.diff(t).subs(t, end).doit()
                line += slope * scale * (symbol - sympy.Float(bound, 17))
            ends.append(line)
        return sympy.Piecewise(
            (ends[0], symbol < sympy.Float(lower, 17)),
            (within, symbol <= sympy.Float(upper, 17)),
            (ends[1], True),
        )

    def jacobian(self, x: Tensor, upstream: Tensor) -> Tensor:
        """Differentiate each sample's output by the family's parameters, in closed form.

        Parameters
        ----------
        x : Tensor, (batch, in)
        upstream : Tensor, (batch, out)
            Derivative of the network's output by this bundle's outputs.

        Returns
        -------
        Tensor, (batch, parameters_per_edge * in * out)
        """
        product = self.gradients(x) * upstream[:, None, None, :]
        return (product * self.mask).flatten(1)

    def input_jacobian(self, x: Tensor, upstream: Tensor) -> Tensor:
        """Pull a derivative back to the inputs: ``(batch, out) -> (batch, in)``."""
        return torch.einsum("bio,bo->bi", self.slopes(x), upstream)

    def set_domain(self, lower: Tensor, upper: Tensor) -> None:
        """Move the domain of every input; the parameters stay, so the curves stretch with it.

        Raises
        ------
        ValueError
            If a bound is not finite or ``lower >= upper`` for some input.
        """
        lower, upper = lower.to(self.lower), upper.to(self.upper)
        if not bool((torch.isfinite(lower) & torch.isfinite(upper) & (lower < upper)).all()):
            raise ValueError("every input needs finite bounds with lower < upper")
        self.lower.copy_(lower.expand_as(self.lower))
        self.upper.copy_(upper.expand_as(self.upper))

    def start_from(self, function: str | Callable[[Tensor], Tensor], points: int = 201) -> float:
        """Fit every edge to one function of its input on its domain, by least squares.

        Parameters
        ----------
        function : str or callable
            A name in `kanx.functions.FUNCTIONS`, such as ``"identity"``, ``"silu"`` or ``"gelu"``,
            or a function of tensors.
        points : int, default=201
            Number of points of the fit, evenly spaced over the domain.

        Returns
        -------
        float
            Largest error of any edge at these points.

        Raises
        ------
        ValueError
            If the name is unknown or the function is not finite on the domain.
        """
        if isinstance(function, str):
            from kanx.functions import FUNCTIONS  # it imports sympy

            if function not in FUNCTIONS or FUNCTIONS[function].arity != 1:
                known = sorted(f.name for f in FUNCTIONS.values() if f.arity == 1)
                raise ValueError(f"function {function!r} is unknown; choose one of {known}")
            function = FUNCTIONS[function].torch
        share = torch.linspace(0, 1, points).to(self.lower).unsqueeze(-1)
        x = self.lower + share * (self.upper - self.lower)  # (points, in)
        wanted = function(x)
        if not bool(torch.isfinite(wanted).all()):
            raise ValueError("the function to start from is not finite on the whole domain")
        targets = wanted.unsqueeze(-1).expand(-1, -1, self.out_features)
        self.refit(x, targets)
        with torch.no_grad():
            return ((self.curves(x) - targets).abs() * self.mask).max().item()

    @property
    def edge_mask(self) -> Tensor:
        """Which of the edges are alive, ``(in, out)``, edges that are shared by inputs included."""
        return self.mask

    def load_edge_mask(self, mask: Tensor) -> None:
        """Set which edges are alive, ``(in, out)``; a shared edge lives where any input has it."""
        self.mask.copy_(mask)

    def normalise(self, x: Tensor) -> Tensor:
        """Map the domain of every input to [-1, 1]."""
        return (2 * x - (self.upper + self.lower)) / (self.upper - self.lower)

    @property
    def scale(self) -> Tensor:
        """Derivative of the normalised input by the input, ``(in,)``."""
        return 2 / (self.upper - self.lower)

    def inside(self, t: Tensor) -> Tensor:
        """Move normalised inputs to where the curve is evaluated: the domain, as a rule."""
        if self.extrapolate == "family":
            return t
        if self.extrapolate == "periodic":
            return t - 2 * torch.floor((t + 1) / 2)
        return t.clamp(-1, 1)

    def compiled_for(self, x: Tensor) -> bool:
        """Say whether a compiled kernel of the CPU takes these inputs, one network at a time."""
        return False

    def outside(self, x: Tensor) -> Tensor:
        """Say which entries lie outside the domain: ``(..., in) -> bool (..., in)``."""
        return (x < self.lower) | (x > self.upper)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"
