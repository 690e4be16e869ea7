"""Edges that all elements of a set share: the layer of a permutation-invariant network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kanx.layers.linear import LinearFamily

if TYPE_CHECKING:
    import sympy


class SharedEdges(LinearFamily):
    r"""Apply one bundle of functions to every element of a set and add the results up.

    .. math:: y_o = \sum_{e=1}^{n} \sum_{f=1}^{d} \varphi_{fo}(x_{ef})

    The inputs are ``n`` elements of ``d`` features each, element by element; the sums do not change
    when elements change places.

    Parameters
    ----------
    in_features, out_features : int
        ``n d`` and the number of sums.
    elements : int
        ``n``.
    inner : str or mapping
        Family of the shared functions, linear in its coefficients, as `KANLayer` takes it.
    padded : bool, default=False
        Whether a missing feature (NaN) contributes nothing, so that smaller sets are filled up by
        missing elements.
    missing, domain, extrapolate
        See `LinearFamily`; they hold for the shared functions.
    generator : torch.Generator, optional

    Raises
    ------
    ValueError
        If the number of inputs is no multiple of the elements, or the family is not linear.

    References
    ----------
    Zaheer et al.: Deep sets, arXiv:1703.06114.
    """

    name = "shared"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        elements: int,
        inner: str | Mapping[str, Any] = "gp",
        padded: bool = False,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        from kanx.layers.registry import build_family  # the registry lists this class

        nn.Module.__init__(self)  # all state belongs to the inner bundle
        if in_features < 1 or elements < 1 or in_features % elements:
            raise ValueError(
                f"shared edges need at least one input and equally many of each of the {elements} "
                f"elements, got {in_features} inputs"
            )
        options = {"family": inner} if isinstance(inner, str) else dict(inner)
        shared = {"missing": missing, "domain": domain, "extrapolate": extrapolate}
        family = options.pop("family")
        chosen = {**shared, **options}
        bundle = build_family(
            family, in_features // elements, out_features, generator=generator, **chosen
        )
        if not isinstance(bundle, LinearFamily):
            raise ValueError(
                f"shared edges of the family {family!r} are not possible; choose one that is "
                "linear in its coefficients, such as 'gp', 'spline' or 'slaf'"
            )
        self.inner = bundle
        self.in_features, self.out_features = in_features, out_features
        self.elements = elements
        self.padded = padded

    # -- the inner bundle's state --------------------------------------------------------------

    coefficients = property(lambda self: self.inner.coefficients)  # type: ignore[assignment]
    mask = property(lambda self: self.inner.mask)  # type: ignore[assignment]
    n_basis = property(lambda self: self.inner.n_basis)  # type: ignore[assignment]
    missing = property(lambda self: self.inner.missing)  # type: ignore[assignment]
    extrapolate = property(lambda self: self.inner.extrapolate)  # type: ignore[assignment]
    lower = property(lambda self: self.inner.lower.repeat(self.elements))  # type: ignore[assignment]
    upper = property(lambda self: self.inner.upper.repeat(self.elements))  # type: ignore[assignment]

    @property
    def edge_mask(self) -> Tensor:
        return self.inner.mask.repeat(self.elements, 1)

    def load_edge_mask(self, mask: Tensor) -> None:
        self.inner.mask.copy_(mask.unflatten(0, (self.elements, -1)).amax(0))

    def set_domain(self, lower: Tensor, upper: Tensor) -> None:
        shape = (self.elements, -1)
        lower, upper = (b.expand(self.in_features).unflatten(0, shape) for b in (lower, upper))
        self.inner.set_domain(lower.amin(0), upper.amax(0))

    def load_stacked(self, values: Tensor) -> None:
        self.inner.load_stacked(values)

    # -- evaluation ----------------------------------------------------------------------------

    def basis(self, t: Tensor) -> Tensor:
        return self.inner.basis(t)

    def basis_derivative(self, t: Tensor) -> Tensor:
        return self.inner.basis_derivative(t)

    def basis_prior(self) -> Tensor:
        return self.inner.basis_prior()

    def prior(self) -> Tensor:
        return self.inner.prior()

    def expand(self, x: Tensor) -> Tensor:
        """Sum the basis over the elements: ``(..., n d) -> (..., parameters_per_edge, d)``."""
        own, absent = self._elements(x)
        features = self.inner.expand(own)  # (..., n, p, d)
        if absent is not None:
            features = torch.where(absent.unsqueeze(-2), 0, features)
        return features.sum(-3)

    def expand_block(self, x: Tensor) -> Tensor:
        return self.expand(x)

    def expand_derivative(self, x: Tensor) -> Tensor:
        """Differentiate the basis at every input: ``(..., n d) -> (..., p, n d)``."""
        own, absent = self._elements(x)
        features = self.inner.expand_derivative(own)
        if absent is not None:
            features = torch.where(absent.unsqueeze(-2), 0, features)
        return features.movedim(-3, -2).flatten(-2)

    def edge_sum(self, x: Tensor, mask: Tensor) -> Tensor:
        weight = (self.coefficients * mask).flatten(0, 1)  # (p * d, out)
        return self.expand(x).flatten(-2) @ weight

    def curves(self, x: Tensor) -> Tensor:
        return self._each(self.inner.curves, x)

    def slopes(self, x: Tensor) -> Tensor:
        return self._each(self.inner.slopes, x)

    def input_jacobian(self, x: Tensor, upstream: Tensor) -> Tensor:
        return torch.einsum("bio,bo->bi", self.slopes(x), upstream)

    def refit(
        self, x: Tensor, targets: Tensor, weight: Tensor | None = None, ridge: float = 1e-10
    ) -> None:
        own = x.unflatten(-1, (self.elements, -1)).flatten(0, 1)
        wanted = targets.unflatten(1, (self.elements, -1)).flatten(0, 1)
        each = None if weight is None else weight.repeat_interleave(self.elements)
        self.inner.refit(own, wanted, each, ridge)

    def sympy(self, edge: tuple[int, int], symbol: sympy.Symbol) -> sympy.Expr | None:
        return self.inner.sympy((edge[0] % self.inner.in_features, edge[1]), symbol)

    def config(self) -> dict[str, Any]:
        inner = {"family": self.inner.name, **self.inner.config()}
        return {"elements": self.elements, "inner": inner, "padded": self.padded}

    # -- details -------------------------------------------------------------------------------

    def _elements(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return inputs by element, ``(..., n, d)``, and which of them are padding."""
        own = x.unflatten(-1, (self.elements, -1))
        if not self.padded:
            return own, None
        absent = torch.isnan(own)
        middle = (self.inner.lower + self.inner.upper) / 2
        return torch.where(absent, middle, own), absent

    def _each(self, evaluate: Any, x: Tensor) -> Tensor:
        own, absent = self._elements(x)  # (batch, n, d)
        values = evaluate(own.flatten(0, 1)).unflatten(0, own.shape[:2]).flatten(1, 2)
        return values if absent is None else torch.where(absent.flatten(1)[..., None], 0, values)
