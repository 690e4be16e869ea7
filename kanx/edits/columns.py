"""Layers taken apart into the columns of their inputs, and put together again."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from kanx.layers import EdgeFamily, KANLayer, SharedPade
from kanx.layers.registry import family_class

Axes = dict[str, tuple[int | None, int | None]]


@dataclass(frozen=True)
class Column:
    """The edges that leave one input of a layer: a place in a bundle.

    Attributes
    ----------
    bundle : EdgeFamily
    place : int
        Input of the bundle.
    """

    bundle: EdgeFamily
    place: int

    def spec(self) -> dict[str, Any]:
        """Return the specification that `KANLayer` takes."""
        return {"family": self.bundle.name, **self.bundle.config()}


def columns_of_layer(layer: KANLayer) -> list[Column]:
    """Return the columns of a layer, one per input, in order."""
    return [Column(*layer.edge(i)) for i in range(layer.in_features)]


def single(column: Column) -> EdgeFamily:
    """Copy one input's edges into a bundle of their own.

    Poles that a group of inputs shares become the input's own, and so do the functions that the
    elements of a set share.
    """
    if is_tied(column.bundle):
        return _own_functions(column)
    spec = column.spec()
    if isinstance(column.bundle, SharedPade):
        spec["groups"] = None
    bundle = new_bundle(spec, 1, column.bundle.out_features, column.bundle)
    copy_columns(bundle, [_with_own_poles(column)])
    return bundle


def is_tied(bundle: EdgeFamily) -> bool:
    """Say whether the inputs of a bundle share their functions, as the elements of a set do."""
    return bundle.name == "shared"


def new_bundle(
    spec: dict[str, Any], in_features: int, out_features: int, like: EdgeFamily
) -> EdgeFamily:
    """Build a bundle from a specification, of the type and on the device of another one."""
    options = dict(spec)
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay untouched
    family = family_class(options.pop("family"))
    bundle = family(in_features, out_features, generator=generator, **options)
    return bundle.to(like.lower).train(like.training)


def compose(
    columns: Sequence[Column],
    out_features: int,
    bias: Tensor | None,
    *,
    outputs: Sequence[int] | None = None,
    places: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> KANLayer:
    """Put columns together to a layer.

    Parameters
    ----------
    columns : sequence of Column
        One per input of the new layer; a column may come from any layer.
    out_features : int
    bias : Tensor, (out_features,), optional
    outputs : sequence of int, optional
        Outputs of the columns that are taken; all by default.
    places : sequence of int, optional
        Outputs of the new layer that they become, by default the first ones; other outputs get
        new curves.
    generator : torch.Generator, optional
        Source of these.

    Raises
    ------
    ValueError
        If columns of one specification come from bundles that share something different.
    """
    columns = _untied(columns)
    like = columns[0].bundle
    source = torch.Generator().manual_seed(0) if generator is None else generator
    layer = KANLayer(
        len(columns),
        out_features,
        [column.spec() for column in columns],
        bias=bias is not None,
        generator=source,
    )
    layer = layer.to(like.lower).train(like.training)
    for bundle, members in zip(layer.bundles, layer.columns, strict=True):
        copy_columns(bundle, [columns[i] for i in members], outputs, places)
    if bias is not None:
        assert layer.bias is not None
        with torch.no_grad():
            layer.bias.copy_(bias)
    return layer


def copy_columns(
    target: EdgeFamily,
    sources: Sequence[Column],
    outputs: Sequence[int] | None = None,
    places: Sequence[int] | None = None,
) -> None:
    """Copy columns into a bundle of the same specification, everything that belongs to an edge.

    Parameters
    ----------
    target : EdgeFamily
        With as many inputs as there are sources.
    sources : sequence of Column
    outputs, places : sequence of int, optional
        See `compose`.

    Raises
    ------
    ValueError
        If something that edges share differs, or only some of the inputs that share come along.
    """
    if is_tied(target):
        _copy_tied(target, sources, outputs, places)
        return
    states = {id(column.bundle): column.bundle.state_dict() for column in sources}
    axes = tensor_axes(target)
    own = target.state_dict()
    parameters = dict(sources[0].bundle.named_parameters())
    for name, parameter in target.named_parameters():
        parameter.requires_grad_(parameters[name].requires_grad)
    with torch.no_grad():
        for name, (in_axis, out_axis) in axes.items():
            pieces = [states[id(column.bundle)][name] for column in sources]
            if in_axis is None:
                value = pieces[0]
                if any(piece is not value and not torch.equal(piece, value) for piece in pieces):
                    raise ValueError(
                        f"edges of the family {target.name!r} share {name!r} within a layer, and "
                        "here two layers' values meet; give one of them other options first"
                    )
            else:
                value = torch.cat(
                    [
                        piece.narrow(in_axis, column.place, 1)
                        for piece, column in zip(pieces, sources, strict=True)
                    ],
                    dim=in_axis,
                )
            if out_axis is None:
                own[name].copy_(value)
                continue
            if outputs is not None:
                value = value.index_select(out_axis, torch.as_tensor(outputs).to(value.device))
            chosen = range(value.shape[out_axis]) if places is None else places
            index = torch.as_tensor(list(chosen)).to(value.device)
            own[name].index_copy_(out_axis, index, value.to(own[name]))
        if isinstance(target, SharedPade) and target.groups is None:
            target.group_of.copy_(torch.arange(len(sources)))


def _copy_tied(
    target: EdgeFamily,
    sources: Sequence[Column],
    outputs: Sequence[int] | None,
    places: Sequence[int] | None,
) -> None:
    old = sources[0].bundle
    whole = [column.place for column in sources] == list(range(old.in_features))
    if not whole or any(column.bundle is not old for column in sources):
        raise ValueError(
            "the elements of a set share their functions; all of them must stay, or go, together"
        )
    source, shared = cast(EdgeFamily, old.inner), cast(EdgeFamily, target.inner)
    inner = [Column(source, k) for k in range(source.in_features)]
    copy_columns(shared, inner, outputs, places)


def _own_functions(column: Column) -> EdgeFamily:
    """Copy the functions that an input shares with others; padding becomes a missing value."""
    shared: Any = column.bundle
    own = single(Column(shared.inner, column.place % shared.inner.in_features))
    if not shared.padded or getattr(own, "missing", False):
        return own
    spec = {**Column(own, 0).spec(), "missing": True}
    found = new_bundle(spec, 1, own.out_features, own)
    values = own.stacked_parameters().detach()
    state = found.state_dict()
    with torch.no_grad():
        for name, tensor in own.state_dict().items():
            if state[name].shape == tensor.shape:
                state[name].copy_(tensor)
    found.load_stacked(torch.cat([values, torch.zeros_like(values[:1])]))
    return found


def tensor_axes(bundle: EdgeFamily) -> Axes:
    """Find which axis of every tensor of a bundle runs over its inputs, and which over its outputs.

    Two bundles of the same specification with one more input and one more output show it, so this
    holds for any family in the registry.
    """
    spec = {"family": bundle.name, **bundle.config()}
    n, o = bundle.in_features, bundle.out_features
    more_inputs = new_bundle(spec, n + 1, o, bundle).state_dict()
    more_outputs = new_bundle(spec, n, o + 1, bundle).state_dict()
    found: Axes = {}
    for name, tensor in bundle.state_dict().items():
        found[name] = (_changed(tensor, more_inputs[name]), _changed(tensor, more_outputs[name]))
    return found


def _changed(one: Tensor, other: Tensor) -> int | None:
    return next((k for k in range(one.dim()) if one.shape[k] != other.shape[k]), None)


def _untied(columns: Sequence[Column]) -> list[Column]:
    """Give inputs poles of their own where fewer are left than they had groups."""
    specs = [column.spec() for column in columns]
    return [
        _with_own_poles(column)
        if isinstance(column.bundle, SharedPade) and specs.count(spec) < (spec["groups"] or 0)
        else column
        for column, spec in zip(columns, specs, strict=True)
    ]


def _with_own_poles(column: Column) -> Column:
    bundle = column.bundle
    if not isinstance(bundle, SharedPade) or bundle.groups is None:
        return column
    twin = copy.deepcopy(bundle)
    twin.groups = None
    poles = bundle.denominator.detach()[:, bundle.group_of]
    twin.denominator = torch.nn.Parameter(poles, bundle.denominator.requires_grad)
    twin.group_of = torch.arange(bundle.in_features).to(bundle.group_of)
    return Column(twin, column.place)
