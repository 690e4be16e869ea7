"""A curve set to a formula, and back to a curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kanx.edits.columns import Column, columns_of_layer, copy_columns, new_bundle, single
from kanx.edits.parts import lean
from kanx.edits.rebuild import Edge, own_edge, rebuilt_layer, replaced
from kanx.edits.result import Edited, edited
from kanx.edits.transfer import transfer
from kanx.layers import Composite, EdgeFamily, Lookup
from kanx.network import KAN

CONSTANTS = ("a", "b", "c", "d")


def set_formula(
    network: KAN,
    edge: Sequence[int],
    function: str,
    constants: Mapping[str, float] | None = None,
    *,
    x: Tensor | None = None,
) -> Edited:
    r"""Draw one curve by an elementary function, :math:`f(x) = c\,F(a x + b) + d`.

    The constants are fitted to the present curve by least squares on its domain, or are those
    given, in the units of the edge's input and output. Outside the domain the curve goes on as the
    old one does, by its tangent as a rule. The other edges of the input stay as they are, exactly.

    Parameters
    ----------
    network : KAN
    edge : (int, int, int)
        Layer (an index into ``network.all_layers``), input and output.
    function : str
        Name in `kanx.functions.FUNCTIONS`, such as ``"sin"`` or ``"square"``.
    constants : mapping of str to float, optional
        All of ``a``, ``b``, ``c`` and ``d``.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such edge.
    ValueError
        If the function is unknown, a constant is missing, or the input holds categories.
    """
    edge = own_edge(network, edge)
    bundle = _numeric(network, edge)
    one = _single_output(bundle, {"family": "symbolic", "function": function})
    if constants is None:
        transfer([(_only(bundle, edge[2]), one)])
    else:
        one.load_stacked(_normalised(one, constants))
    return _with_curve(network, edge, bundle, one, x)


def set_curve(
    network: KAN,
    edge: Sequence[int],
    spec: str | Mapping[str, Any] = "spline",
    *,
    x: Tensor | None = None,
) -> Edited:
    """Draw one curve, such as one that was set to a formula, by a learnable family again.

    The least-squares approximation of what it is on its domain. The other edges of the input stay
    as they are, exactly.

    Parameters
    ----------
    network : KAN
    edge : (int, int, int)
        Layer (an index into ``network.all_layers``), input and output.
    spec : str or mapping, default="spline"
        Family and options; see `KANLayer`.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    IndexError
        If there is no such edge.
    ValueError
        If the family is unknown or the input holds categories.
    """
    edge = own_edge(network, edge)
    bundle = _numeric(network, edge)
    one = _single_output(bundle, {"family": spec} if isinstance(spec, str) else spec)
    transfer([(_only(bundle, edge[2]), one)])
    return _with_curve(network, edge, bundle, one, x)


def _numeric(network: KAN, edge: Edge) -> EdgeFamily:
    """Return a copy of the edges of one input, which must be a number."""
    index, i, _ = edge
    bundle = single(columns_of_layer(network.all_layers[index])[i])
    if isinstance(bundle, Lookup):
        raise ValueError(f"input {i} of layer {index} holds categories, which have no curve")
    return bundle


def _single_output(bundle: EdgeFamily, spec: Mapping[str, Any]) -> EdgeFamily:
    """Return a bundle of one edge of another family on the same domain."""
    if "family" not in spec:
        raise ValueError(f"an edge specification needs the key 'family', got {dict(spec)}")
    shared = {"extrapolate": bundle.extrapolate, "missing": getattr(bundle, "missing", False)}
    one = new_bundle({**spec, **shared}, 1, 1, bundle)
    one.set_domain(bundle.lower, bundle.upper)
    return one


def _only(bundle: EdgeFamily, output: int) -> EdgeFamily:
    """Return a copy of one edge of a bundle of one input."""
    found = new_bundle(Column(bundle, 0).spec(), 1, 1, bundle)
    copy_columns(found, [Column(bundle, 0)], [output])
    return found


def _normalised(one: EdgeFamily, constants: Mapping[str, float]) -> Tensor:
    """Return the parameters of a symbolic edge, ``(p, 1, 1)``, from constants in its units."""
    if set(constants) != set(CONSTANTS):
        raise ValueError(
            f"constants must hold {list(CONSTANTS)} of c F(a x + b) + d, got {sorted(constants)}"
        )
    a, b, c, d = (float(constants[name]) for name in CONSTANTS)
    centre, half = (one.upper + one.lower) / 2, (one.upper - one.lower) / 2
    found = torch.zeros_like(one.stacked_parameters())
    found[0], found[1], found[2], found[3] = a * half, a * centre + b, c, d
    return found


def _with_curve(
    network: KAN, edge: Edge, bundle: EdgeFamily, one: EdgeFamily, x: Tensor | None
) -> Edited:
    """Put a bundle of one edge in the place of an edge of a bundle of one input."""
    index, i, o = edge
    old = list(bundle.parts) if isinstance(bundle, Composite) else [bundle]
    spec = Column(one, 0).spec()
    parts = [Column(part, 0).spec() for part in old] + [spec]
    shared = {"extrapolate": bundle.extrapolate, "missing": getattr(bundle, "missing", False)}
    new = new_bundle(
        {"family": "composite", "parts": parts, **shared}, 1, bundle.out_features, bundle
    )
    assert isinstance(new, Composite)
    new.set_domain(bundle.lower, bundle.upper)
    with torch.no_grad():
        for target, part in zip(new.parts, old, strict=False):
            target.load_state_dict(part.state_dict())
            if not isinstance(bundle, Composite):
                target.mask.fill_(1)
            target.mask[0, o] = 0
        copy_columns(new.parts[-1], [Column(one, 0)], places=[o])
        new.parts[-1].mask.zero_()
        new.parts[-1].mask[0, o] = 1
        new.mask.copy_(bundle.mask)
        new.mask[0, o] = 1
    layer = network.all_layers[index]
    columns = columns_of_layer(layer)
    columns[i] = Column(lean(new), 0)
    return edited(network, replaced(network, {index: rebuilt_layer(layer, columns)}), x)
