"""`KANLayer`: families side by side over the inputs, added up at every output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanx.layers.base import EdgeFamily
from kanx.layers.constraints import Constraint
from kanx.layers.projection import project
from kanx.layers.registry import build_family

EdgeSpec = str | Mapping[str, Any]


class KANLayer(nn.Module):
    r"""Map ``x`` to :math:`y_o = b_o + \sum_i f_{io}(x_i)`, a learnable function on every edge.

    A drop-in for `torch.nn.Linear`: any number of leading dimensions.

    Parameters
    ----------
    in_features, out_features : int
    edge : str, mapping, or sequence of these with one entry per input, default="gp"
        Family of the edges: a name in `FAMILIES`, or a mapping with the key ``"family"`` and the
        family's own options, such as ``{"family": "spline", "intervals": 5}``; it may have a
        ``"residual"`` of its own.
    bias : bool, default=True
    residual : str, optional
        Activation function that runs beside every edge with a weight of its own, such as
        ``"silu"``, ``"swish"`` or ``"identity"`` (see `ActivationEdge`); none if left out or
        ``"zero"``. The edges become `Composite` edges; lookup edges stay as they are.
    generator : torch.Generator, optional
        Source of the random start; the global one if left out.
    **options
        Options of the family when `edge` is one name.

    Raises
    ------
    ValueError
        If a family is unknown or the number of specifications differs from `in_features`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        edge: EdgeSpec | Sequence[EdgeSpec] = "gp",
        *,
        bias: bool = True,
        residual: str | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        if isinstance(edge, str | Mapping):
            specs: list[EdgeSpec] = [edge] * in_features
        else:
            specs = list(edge)
        if in_features < 1:
            raise ValueError(f"a layer needs at least one input, got in_features={in_features}")
        if len(specs) != in_features:
            raise ValueError(
                f"got {len(specs)} edge specifications for {in_features} inputs; pass one for each "
                "input, or a single one for all"
            )
        self.bundles: list[EdgeFamily] = nn.ModuleList()  # type: ignore[assignment]
        self.columns: list[list[int]] = []
        parsed = [_with_residual(*_parse(spec, options), residual) for spec in specs]
        for family, chosen, columns in _grouped(parsed):
            bundle = build_family(family, len(columns), out_features, generator=generator, **chosen)
            self.bundles.append(bundle)
            self.columns.append(columns)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def parts(self, x: Tensor) -> Iterator[tuple[EdgeFamily, Tensor]]:
        """Yield every bundle with its own columns of ``x``."""
        for bundle, columns in zip(self.bundles, self.columns, strict=True):
            whole = len(columns) == self.in_features
            yield bundle, x if whole else x[..., columns]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"expected {self.in_features} inputs, got {x.shape[-1]}")
        total = None
        for bundle, own in self.parts(x):
            total = bundle(own, self.bias) if total is None else total + bundle(own)
        assert total is not None
        return total

    def curves(self, x: Tensor) -> Tensor:
        """Evaluate every edge by itself: ``(batch, in) -> (batch, in, out)``."""
        return self._scatter([bundle.curves(own) for bundle, own in self.parts(x)])

    def slopes(self, x: Tensor) -> Tensor:
        """Differentiate every edge by its input: ``(batch, in) -> (batch, in, out)``."""
        return self._scatter([bundle.slopes(own) for bundle, own in self.parts(x)])

    def input_jacobian(self, x: Tensor, upstream: Tensor) -> Tensor:
        """Pull a derivative back to the inputs: ``(batch, out) -> (batch, in)``."""
        pieces = [bundle.input_jacobian(own, upstream) for bundle, own in self.parts(x)]
        return self._scatter(pieces)

    def outside(self, x: Tensor) -> Tensor:
        """Say which inputs lie outside the domain of their edges: ``bool (batch, in)``."""
        return self._scatter([bundle.outside(own) for bundle, own in self.parts(x)])

    def edge(self, index: int) -> tuple[EdgeFamily, int]:
        """Return the bundle of an input and the input's place in it."""
        for bundle, columns in zip(self.bundles, self.columns, strict=True):
            if index in columns:
                return bundle, columns.index(index)
        raise IndexError(f"input {index} is out of range for a layer of {self.in_features}")

    @property
    def mask(self) -> Tensor:
        """Which edges are alive, ``(in, out)``; 0 marks a pruned edge."""
        return self._scatter([bundle.edge_mask.unsqueeze(0) for bundle in self.bundles])[0]

    def set_mask(self, mask: Tensor) -> None:
        """Set which edges are alive, ``(in, out)``."""
        with torch.no_grad():
            for bundle, columns in zip(self.bundles, self.columns, strict=True):
                bundle.load_edge_mask(mask[columns])

    def set_domain(self, lower: Tensor, upper: Tensor) -> None:
        """Move the domains of all inputs, ``(in,)`` each."""
        for bundle, columns in zip(self.bundles, self.columns, strict=True):
            bundle.set_domain(lower[columns], upper[columns])

    def project(
        self, constraints: Mapping[int, str | Constraint | Sequence[str | Constraint]]
    ) -> None:
        """Move the curves of some inputs to the nearest ones that keep their constraints.

        Parameters
        ----------
        constraints : mapping of int to str, Constraint or sequence of these
            By input, for instance ``{0: "increasing", 3: ["convex", Constraint("zero_at", 0.5)]}``;
            see `kanx.layers.projection.project`.
        """
        for index, wanted in constraints.items():
            bundle, place = self.edge(index)
            project(bundle, place, wanted)

    def specs(self) -> list[dict[str, Any]]:
        """Return the specification of every input's edges, as `edge` takes it."""
        found: dict[int, dict[str, Any]] = {}
        for bundle, columns in zip(self.bundles, self.columns, strict=True):
            for column in columns:
                found[column] = {"family": bundle.name, **bundle.config()}
        return [found[i] for i in range(self.in_features)]

    def _scatter(self, pieces: list[Tensor]) -> Tensor:
        if len(pieces) == 1:
            return pieces[0]
        order = [column for columns in self.columns for column in columns]
        place = [order.index(i) for i in range(self.in_features)]
        return torch.cat(pieces, dim=1)[:, place]

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def _parse(spec: EdgeSpec, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, dict(options)
    if "family" not in spec:
        raise ValueError(f"an edge specification needs the key 'family', got {dict(spec)}")
    chosen = {**options, **spec}
    return chosen.pop("family"), chosen


def _with_residual(
    family: str, options: dict[str, Any], residual: str | None
) -> tuple[str, dict[str, Any]]:
    residual = options.pop("residual", residual)
    if residual in (None, "zero") or family == "lookup":
        return family, options
    common = ("missing", "domain", "extrapolate")
    shared: dict[str, Any] = {key: options.pop(key) for key in common if key in options}
    parts = [{"family": family, **options}, {"family": "activation", "function": residual}]
    return "composite", {**shared, "parts": parts}


def _grouped(
    parsed: list[tuple[str, dict[str, Any]]],
) -> list[tuple[str, dict[str, Any], list[int]]]:
    """Gather the inputs that share family and options."""
    groups: list[tuple[str, dict[str, Any], list[int]]] = []
    for column, (family, options) in enumerate(parsed):
        for known, known_options, columns in groups:
            if known == family and known_options == options:
                columns.append(column)
                break
        else:
            groups.append((family, options, [column]))
    return groups
