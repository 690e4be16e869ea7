"""What the contract suite needs to know of every edge family.

A family that is registered must have an entry in `EXAMPLES`; `test_families.py` fails otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from kanx.layers import FAMILIES, EdgeFamily

IN, OUT = 2, 3


@dataclass(frozen=True)
class Example:
    """One way of building a family, with the facts that differ between families.

    Parameters
    ----------
    options : dict
        Keyword arguments of the family.
    codes : int
        Number of categories where inputs are category codes, 0 where they are measurements.
    line : bool
        Whether straight lines are in the family's span.
    exact : bool
        Whether the family has an exact expression.
    refit_tolerance : float
        Largest error of a refit to a curve of the family's own span, relative to its size.
    """

    options: dict[str, Any]
    codes: int = 0
    line: bool = True
    exact: bool = True
    refit_tolerance: float = 1e-6


# The first example of a family runs in the whole suite, the others leave out compile and export.
EXAMPLES: dict[str, tuple[Example, ...]] = {
    "gp": (
        Example({"control_points": 6}, exact=False),
        Example({"control_points": 5, "adaptive": True}, exact=False),
        Example(
            {
                "control_points": 5,
                "kernel": {
                    "kind": "matern",
                    "parameters": {"length_scale": 0.8, "smoothness": 2.5},
                    "parts": [],
                },
            },
            exact=False,
        ),
    ),
    "slaf": tuple(
        Example({"degree": 4, "basis": b}) for b in ("legendre", "chebyshev", "hermite", "powers")
    ),
    "pade": tuple(
        # a fit of poles may end in a local minimum, more so where the denominator has kinks
        Example(
            {"numerator_degree": 3, "denominator_degree": 2, "form": form},
            refit_tolerance=0.02 if form in ("smooth", "product") else 0.15,
        )
        for form in ("smooth", "A", "B", "C", "D", "product")
    ),
    "spline": tuple(Example({"intervals": 3, "degree": degree}) for degree in (3, 1, 2)),
    # a line is in the span of shared poles only by accident
    "shared_pade": (
        Example({"numerator_degree": 3, "denominator_degree": 2}, line=False),
        Example(
            {"numerator_degree": 2, "denominator_degree": 2, "form": "A", "groups": 1}, line=False
        ),
        Example(
            {
                "numerator_degree": 3,
                "numerator": "shared",
                "form": "product",
                "denominator_degree": 2,
            },
            line=False,
        ),
    ),
    "trainable_gp": (Example({"control_points": 5}, exact=False),),
    "piecewise_linear": (Example({"control_points": 4}),),
    "rbf": (Example({"centres": 4}), Example({"centres": 3, "trainable": True})),
    "fourier": (
        Example({"harmonics": 2}),
        Example({"harmonics": 2, "variant": "slaf"}),
        Example({"harmonics": 2, "period": 1.3, "trend": False}, line=False),
    ),
    "wavelet": tuple(
        Example({"terms": 1, "wavelet": wavelet}, refit_tolerance=0.3)
        for wavelet in ("mexican_hat", "morlet", "dog")
    ),
    "cauchy": (
        Example({"terms": 1}, refit_tolerance=0.02),
        Example({"terms": 2, "trend": False}, line=False, refit_tolerance=0.1),
    ),
    "symbolic": tuple(
        Example({"function": function}, line=False, refit_tolerance=0.02)
        for function in ("sin", "log", "gaussian", "reciprocal")
    ),
    "activation": tuple(
        Example({"function": function}, line=function == "identity")
        for function in ("swish", "snake", "aglu", "xatlu", "elephant", "tanh")
    ),
    "composite": (
        # parts that can stand in for each other leave flat valleys: close, not exact
        Example(
            {"parts": ["slaf", {"family": "activation", "function": "silu"}]}, refit_tolerance=1e-4
        ),
        Example({"parts": ["slaf", "symbolic"]}, refit_tolerance=0.02),
    ),
    # with one element they are the edges within; sets have tests of their own
    "shared": (Example({"elements": 1, "inner": {"family": "slaf", "degree": 4}}),),
    "lookup": (Example({"categories": 3}, codes=3, line=False),),
}

CASES = [(name, index) for name, examples in EXAMPLES.items() for index, _ in enumerate(examples)]
FIRST_CASES = [case for case in CASES if case[1] == 0]


def example(case: tuple[str, int]) -> Example:
    return EXAMPLES[case[0]][case[1]]


def label(case: tuple[str, int]) -> str:
    return f"{case[0]}{case[1] or ''}"


def build(
    case: tuple[str, int],
    *,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    shape: tuple[int, int] = (IN, OUT),
    spread: float = 0.5,
    **options: Any,
) -> EdgeFamily:
    """Build a family from its example with parameters large enough to see their effect."""
    generator = torch.Generator().manual_seed(seed)
    chosen = {**example(case).options, **options}
    family = FAMILIES[case[0]](*shape, generator=generator, **chosen).to(dtype).eval()
    values = family.stacked_parameters().detach()
    noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
    family.load_stacked(values + spread * noise.to(dtype))
    if chosen.get("adaptive"):
        family.set_control_positions(torch.linspace(0, 1, chosen["control_points"]) ** 1.5 * 2 - 1)
    return family


def inputs(
    case: tuple[str, int],
    batch: int,
    *,
    dtype: torch.dtype = torch.float64,
    reach: float = 1.6,
    features: int = IN,
    seed: int = 1,
) -> Tensor:
    """Draw inputs inside and outside the domain [-1, 1], or category codes."""
    generator = torch.Generator().manual_seed(seed)
    if example(case).codes:
        codes = torch.randint(example(case).codes, (batch, features), generator=generator)
        return codes.to(dtype)
    uniform = torch.rand(batch, features, generator=generator, dtype=torch.float64)
    return (reach * (2 * uniform - 1)).to(dtype)


every_case = pytest.mark.parametrize("case", CASES, ids=label)
first_case = pytest.mark.parametrize("case", FIRST_CASES, ids=label)
every_extrapolation = pytest.mark.parametrize("extrapolate", ["linear", "constant", "family"])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
