"""The families by name; a new family is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from kanx.layers.activation import ActivationEdge
from kanx.layers.base import EdgeFamily
from kanx.layers.cauchy import Cauchy
from kanx.layers.composite import Composite
from kanx.layers.fourier import Fourier
from kanx.layers.gp import GaussianProcess
from kanx.layers.lookup import Lookup
from kanx.layers.pade import Pade
from kanx.layers.piecewise_linear import PiecewiseLinear
from kanx.layers.rbf import RadialBasis
from kanx.layers.shared import SharedEdges
from kanx.layers.shared_pade import SharedPade
from kanx.layers.slaf import SLAF
from kanx.layers.spline import BSpline
from kanx.layers.symbolic import Symbolic
from kanx.layers.trainable_gp import TrainableGaussianProcess
from kanx.layers.wavelet import Wavelet

FAMILIES: dict[str, type[EdgeFamily]] = {
    family.name: family
    for family in (
        GaussianProcess,
        TrainableGaussianProcess,
        SLAF,
        Pade,
        SharedPade,
        BSpline,
        PiecewiseLinear,
        RadialBasis,
        Fourier,
        Wavelet,
        Cauchy,
        Symbolic,
        ActivationEdge,
        Composite,
        SharedEdges,
        Lookup,
    )
}


def family_class(name: str) -> Callable[..., EdgeFamily]:
    """Return the class of a family.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    """
    if name not in FAMILIES:
        raise ValueError(
            f"edge={name!r} is unknown; choose one of {sorted(FAMILIES)}, or add your own class to "
            "kanx.layers.FAMILIES"
        )
    return FAMILIES[name]


def build_family(
    name: str,
    in_features: int,
    out_features: int,
    *,
    generator: torch.Generator | None = None,
    **options: Any,
) -> EdgeFamily:
    """Return a bundle of edges of a family.

    Parameters
    ----------
    name : str
    in_features, out_features : int
    generator : torch.Generator, optional
    **options
        Of the family.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or one is missing; the message lists the known ones.
    """
    family = family_class(name)
    known = inspect.signature(family).parameters
    named = {k: p for k, p in known.items() if p.kind is p.KEYWORD_ONLY and k != "generator"}
    unknown = sorted(set(options) - set(known))
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        raise ValueError(
            f"edge options {unknown} are unknown to the family {name!r}; choose from "
            f"{sorted(named)}"
        )
    absent = sorted(k for k, p in named.items() if p.default is p.empty and k not in options)
    if absent:
        raise ValueError(
            f"the family {name!r} needs the edge options {absent}; pass them in edge_options, or "
            f"in a mapping such as {{'family': {name!r}, {absent[0]!r}: ...}}"
        )
    return family(in_features, out_features, generator=generator, **options)
