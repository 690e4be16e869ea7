"""Piecewise linear edges: straight pieces between control points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kanx.layers.spline import BSpline


class PiecewiseLinear(BSpline):
    r"""Draw every edge as straight pieces between control points.

    A spline of degree one: the basis are hat functions, and every coefficient is the height of the
    curve at its control point. The curve is continuous; its slope jumps at the control points,
    where the derivative is the one to the right.

    Parameters
    ----------
    in_features, out_features : int
    control_points : int, default=9
        Number of control points, both ends of the domain included.
    missing, domain, extrapolate, generator
        See `LinearFamily`. ``extrapolate="family"`` falls to zero within one interval.

    References
    ----------
    de Boor: A Practical Guide to Splines, chapter III.
    """

    name = "piecewise_linear"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        control_points: int = 9,
        missing: bool = False,
        domain: tuple[float, float] = (-1.0, 1.0),
        extrapolate: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        if control_points < 2:
            raise ValueError(
                f"a piecewise linear edge needs at least 2 control points, got {control_points}"
            )
        super().__init__(
            in_features,
            out_features,
            intervals=control_points - 1,
            degree=1,
            missing=missing,
            domain=domain,
            extrapolate=extrapolate,
            generator=generator,
        )

    @property
    def control_positions(self) -> Tensor:
        """Where the heights are, ``(in, control_points)`` in normalised units."""
        return self.knots[1:-1].T

    def set_control_positions(self, positions: Tensor) -> None:
        """Move the control points, ``(in, control_points)`` in normalised units; heights stay.

        Raises
        ------
        ValueError
            If the positions of some input do not increase strictly from -1 to 1.
        """
        self.set_grid(positions.T)

    def config(self) -> dict[str, Any]:
        options = super().config()
        del options["degree"]
        options["control_points"] = options.pop("intervals") + 1
        return options
