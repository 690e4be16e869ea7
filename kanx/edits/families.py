"""Curves redrawn by another family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from kanx.edits.columns import new_bundle
from kanx.edits.rebuild import change_columns
from kanx.edits.result import Edited, edited
from kanx.edits.transfer import transfer
from kanx.layers import EdgeFamily, Lookup
from kanx.network import KAN


def change_family(
    network: KAN,
    edge: str | Mapping[str, Any],
    *,
    layers: int | Iterable[int] | None = None,
    inputs: Iterable[int] | None = None,
    x: Tensor | None = None,
) -> Edited:
    """Draw curves by another family, as near to what they are as it allows.

    The least-squares approximation on the domain of every edge; exact where the new family holds
    the old curves: SLAF bases of one degree hold each other's, and splines hold polynomials up to
    their degree. Inputs of categories stay lookup edges.

    Parameters
    ----------
    network : KAN
    edge : str or mapping
        A family's name, or a mapping with the key ``"family"`` and its options; domain, behaviour
        outside it and missing values are those of the old edges unless given.
    layers, inputs
        See `kanx.edits.rebuild.change_columns`.
    x : Tensor, (rows, in), optional
        Rows on which the change of the outputs is measured.

    Returns
    -------
    Edited

    Raises
    ------
    ValueError
        If the family is unknown, or an input of categories is named.
    """
    asked = {"family": edge} if isinstance(edge, str) else dict(edge)
    if "family" not in asked:
        raise ValueError(f"an edge specification needs the key 'family', got {asked}")
    named = inputs is not None
    chosen = None if inputs is None else list(inputs)

    def change(bundles: list[EdgeFamily], inputs: list[list[int]]) -> list[EdgeFamily]:
        found = [
            bundle if isinstance(bundle, Lookup) and not named else _like(bundle, asked)
            for bundle in bundles
        ]
        transfer([(old, new) for old, new in zip(bundles, found, strict=True) if new is not old])
        return found

    return edited(network, change_columns(network, change, layers, chosen), x)


def _like(bundle: EdgeFamily, spec: Mapping[str, Any]) -> EdgeFamily:
    inherited: dict[str, Any] = {"extrapolate": bundle.extrapolate}
    if getattr(bundle, "missing", False):
        inherited["missing"] = True
    new = new_bundle({**inherited, **spec}, 1, bundle.out_features, bundle)
    if "domain" not in spec:
        new.set_domain(bundle.lower, bundle.upper)
    return new
