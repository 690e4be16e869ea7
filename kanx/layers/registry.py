"""The families by name; a new family is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

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
