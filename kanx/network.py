"""`KAN`: a stack of layers of learnable curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanx.kernels.conditions import called_plainly
from kanx.layers import EdgeFamily, KANLayer
from kanx.layers.chain import chain, entries
from kanx.layers.layer import EdgeSpec
from kanx.nodes import Nodes

SCALES = {"family": "activation", "function": "identity"}  # one weight per edge
Width = int | tuple[int, Sequence[int]] | Mapping[str, Any]


class KAN(nn.Module):
    r"""Compose layers of learnable curves; nodes add, or multiply and divide where asked to.

    Parameters
    ----------
    widths : sequence of int, (int, sequence of int) or mapping
        Number of nodes of every layer, inputs first. A pair ``(a, [2, 3])`` is a layer of ``a``
        adding nodes and two multiplication nodes, of two and of three factors; a mapping such as
        ``{"sums": 2, "products": [2], "ratios": ["S", ("A", 2)]}`` also has ratio nodes, see
        `kanx.nodes.Ratio`.
    edge : str, mapping, or sequence of these with one entry per input, default="gp"
        Edge family of the layers that see the inputs; see `KANLayer`.
    hidden_edge : str, mapping, or sequence of these with one entry per later layer, optional
        Edge family of the later layers; `edge` where that is one specification, else ``"gp"``.
    skip : bool, default=False
        Whether the inputs also reach the output directly, by curves of their own.
    random_state : int, optional
        Seed of the start; without it the global generator of torch is used.
    **options
        Options of the family when `edge` is one name.

    Raises
    ------
    ValueError
        If the widths do not describe a network or an edge is unknown.

    Examples
    --------
    >>> import torch
    >>> net = KAN([4, 5, 1], edge="pade", random_state=0)
    >>> net(torch.zeros(3, 4)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self,
        widths: Sequence[Width],
        edge: EdgeSpec | Sequence[EdgeSpec] = "gp",
        *,
        hidden_edge: EdgeSpec | Sequence[EdgeSpec] | None = None,
        skip: bool = False,
        random_state: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or not isinstance(widths[0], int) or widths[0] < 1:
            raise ValueError(
                f"widths must hold the number of inputs and at least one layer, got {list(widths)}"
            )
        generator = None
        if random_state is not None:
            generator = torch.Generator().manual_seed(random_state)
        single = isinstance(edge, str | Mapping)
        later = _by_layer(hidden_edge or (edge if single else "gp"), len(widths) - 2)
        # options without a hidden_edge of its own hold for every layer
        shared = options if hidden_edge is None and single else {}
        self.nodes: list[Nodes] = nn.ModuleList(Nodes.of(w) for w in widths[1:])  # type: ignore[assignment]
        self.layers: list[KANLayer] = nn.ModuleList()  # type: ignore[assignment]
        width = widths[0]
        for depth, nodes in enumerate(self.nodes):
            spec, chosen = (edge, options) if depth == 0 else (later[depth - 1], shared)
            layer = KANLayer(width, nodes.sums_needed, spec, generator=generator, **chosen)
            if nodes.kinds and layer.bias is not None:
                layer.bias.data.copy_(torch.tensor(nodes.start))
            self.layers.append(layer)
            width = nodes.width
        self.skip: KANLayer | None = None
        if skip and len(widths) > 2:
            self.skip = KANLayer(widths[0], width, edge, bias=False, generator=generator, **options)
        self.in_features = widths[0]
        self.out_features = width

    # -- presets -----------------------------------------------------------------------------

    @classmethod
    def additive(cls, in_features: int, out_features: int = 1, **options: Any) -> KAN:
        """Build the generalised additive model: one curve per input, exactly additive."""
        return cls([in_features, out_features], **options)

    @classmethod
    def kst(
        cls,
        in_features: int,
        outer: int,
        out_features: int = 1,
        *,
        shared_inner: bool = False,
        edge: EdgeSpec | Sequence[EdgeSpec] = "gp",
        hidden_edge: EdgeSpec | None = None,
        **options: Any,
    ) -> KAN:
        r"""Build the Kolmogorov superposition with ``outer`` functions.

        .. math:: f(x) = \sum_{q=1}^{Q} \Phi_q\Big(\sum_{p=1}^{n} \psi_{qp}(x_p)\Big)

        ``Q = 2 n + 1`` is Kolmogorov's theorem; ``Q = 1`` the most readable network. There are
        ``Q (n + 1)`` curves to read (Sun et al. 2020, arXiv:2006.06057).

        With ``shared_inner`` every input has one inner function, which all outer functions reuse
        with learned scales, :math:`\psi_{qp} = \lambda_{qp} \psi_p` (after Lorentz and Sprecher,
        who share more and fix the scales): ``n + Q`` curves to read. It is a network of two hidden
        layers, ``n`` nodes that see one input each, then ``Q`` weighted sums of them.
        """
        if not shared_inner:
            widths = [in_features, outer, out_features]
            return cls(widths, edge, hidden_edge=hidden_edge, **options)
        single = isinstance(edge, str | Mapping)
        outermost = hidden_edge or (edge if single else "gp")
        if isinstance(outermost, str) and single and hidden_edge is None:
            own = {k: v for k, v in options.items() if k not in ("skip", "random_state")}
            outermost = with_options(outermost, own)
        net = cls(
            [in_features, in_features, outer, out_features],
            edge,
            hidden_edge=[SCALES, outermost],  # type: ignore[list-item]
            **options,
        )
        one_each(net)
        return net

    @classmethod
    def deep_sets(
        cls,
        elements: int,
        width: int,
        out_features: int = 1,
        *,
        element_features: int = 1,
        edge: EdgeSpec | Sequence[EdgeSpec] = "gp",
        hidden_edge: EdgeSpec | None = None,
        skip: bool = False,
        random_state: int | None = None,
        **options: Any,
    ) -> KAN:
        r"""Build a network of a set: its output does not depend on the order of the elements.

        .. math:: f(x) = \sum_{q=1}^{Q} \Phi_q\Big(\sum_{e=1}^{n} \varphi_q(x_e)\Big)

        with :math:`\varphi_q` a sum of curves of the features of an element. The inputs are the
        ``element_features`` numbers of each element, one element after the other; NaN marks the
        absent elements of smaller sets. Linear edge families only; see
        `kanx.layers.shared.SharedEdges`.

        References
        ----------
        Zaheer et al.: Deep sets, arXiv:1703.06114.
        """
        per_feature = [edge] * element_features if isinstance(edge, str | Mapping) else list(edge)
        if len(per_feature) != element_features:
            raise ValueError(
                f"got {len(per_feature)} edge specifications for {element_features} features"
            )
        specs = shared_specs([with_options(e, options) for e in per_feature], elements)
        return cls(
            [len(specs), width, out_features],
            specs,
            hidden_edge=hidden_edge or with_options(per_feature[0], options),
            skip=skip,
            random_state=random_state,
        )

    # -- evaluation --------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        if x.is_cuda and not torch.compiler.is_compiling():
            from kanx.kernels import device, network_device

            whole = network_device.network_sum(self, x) if device.enabled() else None
            if whole is not None:
                return whole
        together = self._together(x)
        if together is not None:
            return together
        h = x
        for layer, nodes in zip(self.layers, self.nodes, strict=True):
            h = nodes(layer(h))
        return h if self.skip is None else h + self.skip(x)

    def _together(self, x: Tensor) -> Tensor | None:
        """Evaluate all layers in one call; None where they must be called one by one."""
        if torch.compiler.is_compiling() or self.skip is not None:
            return None
        nodes = entries(self, "nodes").values()
        for own in nodes:
            if own.kinds:
                return None
        if not called_plainly(*nodes):
            return None
        return chain(entries(self, "layers").values(), x)

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the values that enter every layer and the output: ``layers + 1`` tensors."""
        values = [x]
        for layer, nodes in zip(self.layers, self.nodes, strict=True):
            values.append(nodes(layer(values[-1])))
        if self.skip is not None:
            values[-1] = values[-1] + self.skip(x)
        return values

    def sensitivities(self, x: Tensor, output: int = 0) -> list[Tensor]:
        """Differentiate one output by the sums of every layer: a list of ``(batch, sums)``."""
        entering = self.activations(x)[:-1]
        upstream = torch.zeros(len(x), self.out_features).to(x)
        upstream[:, output] = 1
        found: list[Tensor] = []
        for layer, nodes, h in zip(
            reversed(self.layers), reversed(self.nodes), reversed(entering), strict=True
        ):
            upstream = nodes.pull_back(layer(h), upstream)
            found.insert(0, upstream)
            upstream = layer.input_jacobian(h, upstream)
        return found

    # -- structure ---------------------------------------------------------------------------

    @property
    def all_layers(self) -> list[KANLayer]:
        """The layers, followed by the skip layer where there is one."""
        return [*self.layers] + ([] if self.skip is None else [self.skip])

    def bundles(self) -> Iterator[tuple[KANLayer, EdgeFamily, list[int]]]:
        """Yield every bundle of edges with its layer and its input columns."""
        for layer in self.all_layers:
            for bundle, columns in zip(layer.bundles, layer.columns, strict=True):
                yield layer, bundle, columns

    @property
    def n_edges(self) -> int:
        """Number of curves that are not pruned."""
        return sum(int(layer.mask.sum().item()) for layer in self.all_layers)

    @property
    def n_parameters(self) -> int:
        """Number of parameters on edges that are not pruned, biases included."""
        total = 0
        for _, bundle, _ in self.bundles():
            total += bundle.parameters_per_edge * int(bundle.mask.sum().item())
        return total + sum(0 if la.bias is None else la.bias.numel() for la in self.all_layers)

    # -- edits: a new network comes back, this one stays -------------------------------------

    def refine(self, size: int | None = None, **options: Any) -> KAN:
        """Return the network on finer grids; see `kanx.edits.refine`."""
        from kanx import edits

        return edits.refine(self, size, **options).network

    def coarsen(self, size: int | None = None, **options: Any) -> KAN:
        """Return the network on coarser grids; see `kanx.edits.coarsen`."""
        from kanx import edits

        return edits.coarsen(self, size, **options).network

    def move_grids(self, x: Tensor, **options: Any) -> KAN:
        """Return the network with its grids where the data are; see `kanx.edits.move_grids`."""
        from kanx import edits

        return edits.move_grids(self, x, **options).network

    def change_family(self, edge: str | Mapping[str, Any], **options: Any) -> KAN:
        """Return the network drawn by another family; see `kanx.edits.change_family`."""
        from kanx import edits

        return edits.change_family(self, edge, **options).network

    def prune(self, X: Tensor, y: Tensor, tolerance: float = 0.01, **options: Any) -> KAN:
        """Return the network without the edges that validation rows do not need, compacted.

        See `kanx.edits.prune_guarded`, which also says what was removed, and `kanx.edits.compact`.
        """
        from kanx import edits

        pruned = edits.prune_guarded(self, X, y, tolerance=tolerance, **options).network
        return edits.compact(pruned).network

    def compact(self, **options: Any) -> KAN:
        """Return the network without what is pruned; see `kanx.edits.compact`."""
        from kanx import edits

        return edits.compact(self, **options).network

    def widen(self, layer: int = 0, sums: int = 1, **options: Any) -> KAN:
        """Return the network with more nodes in a hidden layer; see `kanx.edits.widen`."""
        from kanx import edits

        return edits.widen(self, layer, sums, **options).network

    def deepen(self, position: int, **options: Any) -> KAN:
        """Return the network with one more layer; see `kanx.edits.deepen`."""
        from kanx import edits

        return edits.deepen(self, position, **options).network

    # -- description -------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Return the description that `from_config` rebuilds the network from (JSON-compatible)."""
        widths: list[Any] = [self.in_features]
        widths += [nodes.spec for nodes in self.nodes]
        return {
            "widths": widths,
            "edges": [layer.specs() for layer in self.all_layers],
            "skip": self.skip is not None,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> KAN:
        """Rebuild a network from `config`; its parameters still have to be loaded.

        Raises
        ------
        ValueError
            If the description is inconsistent.
        """
        widths = config["widths"]
        edges = config["edges"]
        if len(edges) != len(widths) - 1 + bool(config["skip"]):
            raise ValueError(f"{len(widths) - 1} layers need as many edge lists, got {len(edges)}")
        generator_seed = 0  # every start value is overwritten by the caller
        net = cls(widths, edges[0], skip=bool(config["skip"]), random_state=generator_seed)
        for depth, spec in enumerate(edges[1:], 1):
            old = net.all_layers[depth]
            layer = KANLayer(old.in_features, old.out_features, spec, bias=old.bias is not None)
            if depth < len(net.layers):
                net.layers[depth] = layer
            else:
                net.skip = layer
        return net


def one_each(network: KAN) -> None:
    """Let every node of the first layer see one input only, in place."""
    network.layers[0].set_mask(torch.eye(network.in_features))


def shared_specs(edges: Sequence[EdgeSpec], elements: int) -> list[dict[str, Any]]:
    """Return the specifications of edges that all elements of a set share, element by element.

    Parameters
    ----------
    edges : sequence of str or mapping
        Of every feature of an element.
    elements : int
    """
    one = [
        {"family": "shared", "elements": elements, "inner": with_options(edge, {}), "padded": True}
        for edge in edges
    ]
    return one * elements


def with_options(edge: EdgeSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an edge specification as a mapping, completed by options."""
    return {**options, **({"family": edge} if isinstance(edge, str) else edge)}


def _by_layer(edge: Any, layers: int) -> list[EdgeSpec]:
    if isinstance(edge, str | Mapping) or layers == 0:
        return [edge] * layers
    if len(edge) != layers:
        raise ValueError(f"got {len(edge)} hidden edges for {layers} later layers")
    return list(edge)
