"""Polynomial edges of a network at another degree."""

from __future__ import annotations

import copy
from typing import Any

import torch

from kanx.layers import SLAF
from kanx.network import KAN


def polynomials(network: KAN) -> list[SLAF]:
    """Return the bundles of polynomial edges of a network."""
    return [bundle for _, bundle, _ in network.bundles() if isinstance(bundle, SLAF)]


def largest_degree(network: KAN) -> int:
    """Return the highest degree of a network's polynomial edges, 0 where there are none."""
    return max((bundle.degree for bundle in polynomials(network)), default=0)


def at_degree(network: KAN, template: KAN, degree: int) -> KAN:
    """Return a network whose polynomial edges have a degree, at most that of a template's.

    The curves stay as they are where the degree rises: a polynomial in an orthogonal basis keeps
    its coefficients. Where it falls, the highest coefficients are left out.

    Parameters
    ----------
    network : KAN
    template : KAN
        Of the same shape and families.
    degree : int
    """
    config = copy.deepcopy(template.config())
    for specs in config["edges"]:
        for spec in specs:
            _limit(spec, degree)
    result = KAN.from_config(config).to(next(network.parameters()).dtype)
    pairs = zip(network.bundles(), result.bundles(), strict=True)
    with torch.no_grad():
        for (old_layer, old, _), (new_layer, new, _) in pairs:
            own = old.state_dict()
            if isinstance(old, SLAF) and isinstance(new, SLAF):
                count = min(old.n_basis, new.n_basis)
                coefficients = torch.zeros_like(new.coefficients)
                coefficients[:count] = old.coefficients[:count]
                if old.missing:
                    coefficients[-1] = old.coefficients[-1]
                own = {**new.state_dict(), "coefficients": coefficients}
                own |= {name: getattr(old, name) for name in ("lower", "upper", "mask")}
            new.load_state_dict(own)
            if old_layer.bias is not None and new_layer.bias is not None:
                new_layer.bias.copy_(old_layer.bias)
    return result


def _limit(spec: dict[str, Any], degree: int) -> None:
    if spec["family"] == SLAF.name:
        spec["degree"] = min(spec["degree"], degree)
