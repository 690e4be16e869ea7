"""Composite edges without the parts that no edge uses."""

from __future__ import annotations

import torch

from kanx.edits.columns import Column, new_bundle
from kanx.edits.rebuild import change_columns
from kanx.layers import Composite, EdgeFamily
from kanx.network import KAN


def without_dead_parts(network: KAN) -> KAN:
    """Remove the parts of composite edges that are switched off on all edges of an input.

    Exact. A composite of one part becomes that part's family, with its mask.
    """
    if not any(isinstance(bundle, Composite) for _, bundle, _ in network.bundles()):
        return network

    def change(bundles: list[EdgeFamily], inputs: list[list[int]]) -> list[EdgeFamily]:
        return [lean(bundle) if isinstance(bundle, Composite) else bundle for bundle in bundles]

    return change_columns(network, change)


def lean(bundle: Composite) -> EdgeFamily:
    """Return a composite of one input without its unused parts, or the bundle itself."""
    used = [part for part in bundle.parts if bool((part.mask * bundle.mask).any())]
    if len(used) == len(bundle.parts) > 1:
        return bundle
    used = used or [bundle.parts[0]]
    if len(used) == 1:
        (part,) = used
        with torch.no_grad():
            part.mask.mul_(bundle.mask)
        return part
    spec = Column(bundle, 0).spec()
    spec["parts"] = [Column(part, 0).spec() for part in used]
    new = new_bundle(spec, 1, bundle.out_features, bundle)
    new.set_domain(bundle.lower, bundle.upper)
    assert isinstance(new, Composite)
    for target, part in zip(new.parts, used, strict=True):
        target.load_state_dict(part.state_dict())
    with torch.no_grad():
        new.mask.copy_(bundle.mask)
    return new
