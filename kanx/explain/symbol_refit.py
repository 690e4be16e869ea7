"""All constants of a formula fitted together, by least squares or by likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log, log2

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import least_squares

from kanx.explain.complexity import description_bits
from kanx.explain.evaluate import Program
from kanx.explain.symbol_choices import Writer
from kanx.explain.symbol_likelihood import Likelihood

Array = NDArray[np.float64]

_STEP = np.finfo(float).eps ** (1 / 3)  # of central differences
_COEFFICIENT_BITS = 4.0  # of the operations that bring in a coefficient of a kept curve
_LEAST_KNOWN = 1e-12  # relative curvature below which a direction is not determined


@dataclass(frozen=True)
class Rows:
    """What a formula is fitted to.

    Attributes
    ----------
    columns : mapping of str to ndarray, (rows,)
    target : ndarray, (rows,)
        Values, classes 0 and 1, or counts.
    likelihood : Likelihood
        How the target is spread around the formula.
    floor : float
        Variance of the target below which a better fit means nothing.
    n_independent : float
        Number of rows that tell something of their own: the network's output over many rows has
        no more freedom than its parameters.
    """

    columns: Mapping[str, Array]
    target: Array
    likelihood: Likelihood
    floor: float
    n_independent: float

    def residual(self, values: Array) -> Array:
        """Return residuals whose squares add up to the loss of a fit, (rows,)."""
        return self.likelihood.residual(values, self._fitted_target)

    @cached_property
    def _fitted_target(self) -> Array:
        return self.likelihood.softened(self.target)

    def error(self, values: Array) -> float:
        """Return the root of the mean squared residual; infinite where one is not finite."""
        error = float(np.sqrt(np.mean(self.likelihood.residual(values, self.target) ** 2)))
        return error if np.isfinite(error) else np.inf

    def variance(self, loss: float, n_constants: int) -> float:
        """Return the variance of a row's residual, from the loss of a fit."""
        if not self.likelihood.has_noise:
            return 1.0
        rows = len(self.target)
        freedom = max(self.n_independent - n_constants, self.n_independent / 4)
        return (loss / rows + self.floor) * rows / freedom

    def misfit_bits(self, loss: float) -> float:
        """Return the bits that the target still needs once the formula is known."""
        if not self.likelihood.has_noise:
            return loss / (2 * log(2))
        rows = len(self.target)
        return rows / 2 * log2(loss / rows + self.floor + 1e-300)


@dataclass(frozen=True)
class Draft:
    """A formula whose constants are symbols, with their values.

    Attributes
    ----------
    expr : sympy.Expr
        In columns and in symbols for its constants; kept curves are undefined functions.
    values : mapping of sympy.Symbol to float
    writers : mapping of str to callable
        Writes each kept curve, by the name of its function.
    """

    expr: sp.Expr
    values: Mapping[sp.Symbol, float]
    writers: Mapping[str, Writer]

    @classmethod
    def of(cls, expr: sp.Expr, writers: Mapping[str, Writer]) -> Draft:
        """Return a formula with a symbol for every float, wherever it occurs."""
        values: dict[sp.Symbol, float] = {}

        def lifted(node: sp.Basic) -> sp.Basic:
            if node.is_Float:
                symbol = sp.Symbol(f"\x00{len(values):04d}")  # no column has such a name
                values[symbol] = float(node)
                return symbol
            return node.func(*map(lifted, node.args)) if node.args else node

        return cls(lifted(expr), values, writers)

    @cached_property
    def free(self) -> list[sp.Symbol]:
        """Symbols of the constants that occur in the formula, in order."""
        return sorted(self.expr.free_symbols & set(self.values), key=lambda s: s.name)

    @property
    def point(self) -> Array:
        """Values of `free`."""
        return np.array([self.values[symbol] for symbol in self.free])

    @cached_property
    def program(self) -> Program:
        """The formula with its kept curves, ready to be computed."""
        return Program(write_curves(self.expr, self.writers), "numpy")

    def at(self, point: Array) -> Draft:
        """Return the draft with other values of `free`."""
        moved = {**self.values, **dict(zip(self.free, point.tolist(), strict=True))}
        return Draft(self.expr, moved, self.writers)

    def with_number(self, symbol: sp.Symbol, number: sp.Expr) -> Draft:
        """Return the draft with an exact number in place of a constant."""
        return Draft(self.expr.xreplace({symbol: number}), self.values, self.writers)

    def predict(self, point: Array, columns: Mapping[str, Array]) -> Array:
        """Return the formula on some rows."""
        known = {**columns, **{s.name: v for s, v in zip(self.free, point, strict=True)}}
        arguments = [known[name] for name in self.program.names]
        numbers = [np.float64(number) for number in self.program.numbers]
        with np.errstate(all="ignore"):
            values = self.program(arguments, numbers)
        length = len(next(iter(columns.values())))
        return np.broadcast_to(np.asarray(values, dtype=float), (length,))

    @property
    def written(self) -> sp.Expr:
        """The formula with floats for its constants, kept curves still as functions."""
        floats = {symbol: sp.Float(self.values[symbol], 17) for symbol in self.free}
        return self.expr.xreplace(floats)

    @cached_property
    def structure_bits(self) -> float:
        """Bits of the formula's functions and operations, its constants left out."""
        kept = self.expr.atoms(sp.core.function.AppliedUndef)
        plain = self.expr.xreplace({node: sp.Symbol(f"\x00{node}") for node in kept})
        # constants are symbols here, each priced like a column once
        constants = len(self.free) * log2(max(2, len(plain.free_symbols)))
        return float(description_bits(plain) - constants)


def write_curves(expr: sp.Expr, writers: Mapping[str, Writer]) -> sp.Expr:
    """Return a formula with its kept curves written out, inner ones first."""
    if expr.is_Atom:
        return expr
    arguments = [write_curves(argument, writers) for argument in expr.args]
    name = expr.func.__name__
    if name in writers:
        return writers[name](arguments[0])
    if arguments == list(expr.args):
        return expr
    return expr.func(*arguments)


@dataclass(frozen=True)
class Refit:
    """A draft at its least-squares constants.

    Attributes
    ----------
    draft : Draft
    loss : float
    covariance : ndarray, (constants, constants)
        Of `Draft.free`; large where the rows do not determine a constant.
    bits : float
        Description length of formula and target together.
    """

    draft: Draft
    loss: float
    covariance: Array
    bits: float

    @property
    def standard_errors(self) -> Array:
        """Standard errors of `Draft.free`."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def refit(draft: Draft, rows: Rows, kept_coefficients: int = 0, steps: int = 30) -> Refit | None:
    """Fit all constants of a draft together.

    Parameters
    ----------
    draft : Draft
    rows : Rows
    kept_coefficients : int
        Coefficients hidden in kept curves, which are paid for too.
    steps : int
        Most evaluations of the Jacobian.

    Returns
    -------
    Refit or None
        None if the formula, or the sum of its squared errors, is not finite on the rows.
    """

    def residual(point: Array) -> Array:
        return rows.residual(draft.predict(point, rows.columns))

    def jacobian(point: Array) -> Array:
        columns = np.empty((len(rows.target), len(point)))
        for k, value in enumerate(point):
            step = _STEP * (abs(value) or 1.0)
            ends = np.repeat(point[None], 2, axis=0)
            ends[:, k] += (-step, step)
            columns[:, k] = (residual(ends[1]) - residual(ends[0])) / (ends[1, k] - ends[0, k])
        return np.where(np.isfinite(columns), columns, 0.0)

    point = draft.point
    if not np.isfinite(residual(point)).all():
        return None
    # steps that are tried and refused may lead to values whose squares are no numbers
    with np.errstate(over="ignore", invalid="ignore"):
        if len(point):
            found = least_squares(
                residual,
                point,
                jacobian,
                x_scale="jac",
                max_nfev=steps,
                xtol=1e-12,
                ftol=1e-12,
                gtol=1e-15,
            )
            point = found.x
        left = residual(point)
        loss = float(left @ left)
    if not np.isfinite(loss):
        return None
    slopes = jacobian(point)
    covariance = _inverse(slopes) * rows.variance(loss, len(point))
    moved = draft.at(point)
    n_constants = len(point) + kept_coefficients
    bits = rows.misfit_bits(loss) + n_constants / 2 * log2(max(2, len(rows.target)))
    bits += _COEFFICIENT_BITS * kept_coefficients
    bits += _cancellation_bits(slopes * point, draft.predict(point, rows.columns))
    return Refit(moved, loss, covariance, bits + moved.structure_bits)


def _cancellation_bits(effects: Array, values: Array) -> float:
    """Return the digits that constants need beyond those of the result.

    Large terms that nearly cancel, such as ``3021*x**0.00033 - 3021`` for a logarithm, fit as
    well as what they imitate, but only with constants of many more digits.

    Parameters
    ----------
    effects : ndarray, (rows, constants)
        Change of the residuals by a relative change of each constant.
    values : ndarray, (rows,)
        The formula.
    """
    size = float(np.sqrt(np.mean(values**2))) + 1e-300
    ratios = np.sqrt(np.mean(effects**2, axis=0)) / size
    return float(np.sum(np.log2(np.maximum(ratios, 1.0))))


def _inverse(jacobian: Array) -> Array:
    """Return ``(J^T J)^-1``, large where a direction is not determined."""
    scale = np.linalg.norm(jacobian, axis=0)
    scale = np.maximum(scale, 1e-50)
    _, sizes, directions = np.linalg.svd(jacobian / scale, full_matrices=False)
    sizes = np.maximum(sizes, _LEAST_KNOWN**0.5 * sizes.max(initial=1e-50))
    half = directions.T / sizes / scale[:, None]
    return np.asarray(half @ half.T, dtype=float)
