"""Fits whose curves keep constraints: the most probable network among those that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.layers import Constraint, KANLayer, LinearFamily
from kanx.layers.projection import least_distance, project
from kanx.layers.requirements import Requirements
from kanx.network import KAN
from kanx.training.coordinates import CONSTANT, Block, Coordinates
from kanx.training.evidence import Fit
from kanx.training.levenberg_marquardt import Problem
from kanx.training.linearisation import Linearisation
from kanx.training.missing import average_where_never_missing
from kanx.training.posterior import Posterior

STEPS = 20  # of the constrained minimisation
EXCHANGES = 20  # rounds of imposing a shape at more places
DAMPINGS = (0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0)  # of a step, relative to the curvature's diagonal
NEGLIGIBLE = 1e-6  # relative gain of the penalised loss that ends the minimisation


@dataclass(frozen=True)
class _Curve:
    """A constrained curve: its living coordinates and what its parameters have to keep."""

    requirements: Requirements
    members: Tensor  # places among the living coordinates
    factor: NDArray[np.float64]  # (p, members): parameters = factor @ coordinates


def direct_layer(network: KAN) -> tuple[int, KANLayer]:
    """Return the layer whose curves go straight from the inputs to the outputs."""
    if network.skip is not None:
        return len(network.layers), network.skip
    return 0, network.layers[0]


def keep_direct(network: KAN, columns: Sequence[int]) -> None:
    """Cut some inputs off from the hidden nodes: only their direct curves stay."""
    if len(network.layers) > 1:
        mask = network.layers[0].mask.clone()
        mask[list(columns)] = 0
        network.layers[0].set_mask(mask)


def impose(
    fit: Fit,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    constraints: Mapping[int, Sequence[Constraint]],
) -> Fit:
    r"""Move a fit to the most probable network whose direct curves keep the constraints.

    The penalised loss is minimised under :math:`E c = 0, G c \ge 0` by Gauss-Newton steps, each
    the exact minimum of the quadratic model among the curves that keep the constraints (sequential
    quadratic programming), damped like Levenberg's where the model does not hold so far. All other
    curves move along, so what a constraint takes from one curve the others make up for as well as
    they can. Precisions and noise stay those of the free fit, and so do the error bars: they are
    those without the constraints, hence rather wide.

    Where only the diagonal of the curvature is known (large networks), the curves are projected
    and the bias makes up for the mean.

    Parameters
    ----------
    fit : Fit
        Its network is changed in place.
    x, y, weight
        See `fit_evidence`.
    constraints : mapping from column to constraints
        The columns must enter only by their direct curves; see `keep_direct`.
    """
    network = fit.network
    index, layer = direct_layer(network)
    if fit.posterior.is_diagonal:
        _project_all(layer, x, weight, constraints)
    else:
        curves = _curves(fit, index, constraints)
        if curves:
            _minimise(fit, Problem(Linearisation(fit.posterior.coordinates, x), y, weight), curves)
    _anchor(fit.posterior.coordinates, index, layer, constraints)
    average_where_never_missing(network, x, weight)
    return fit


def _curves(fit: Fit, index: int, constraints: Mapping[int, Sequence[Constraint]]) -> list[_Curve]:
    living = fit.posterior.living
    place = torch.cumsum(living, 0) - 1
    found = []
    for column, wanted in constraints.items():
        block, i = _block_of(fit.posterior.coordinates, index, column)
        bundle = block.bundle
        assert isinstance(bundle, LinearFamily)
        # where a curve is zero is a matter of constants, which belong to the bias: see `_anchor`
        shaped = [c for c in wanted if c.kind != "zero_at"]
        p, n, outputs = block.shape
        for o in range(outputs):
            own = block.start + (torch.arange(p) * n + i) * outputs + o
            alive = living[own]
            if bool(alive.any()) and shaped:
                factor = block.factor[i][:, alive].numpy()
                requirements = Requirements(bundle, i, shaped)
                found.append(_Curve(requirements, place[own[alive]], factor))
    return found


def _minimise(fit: Fit, problem: Problem, curves: Sequence[_Curve]) -> None:
    posterior = fit.posterior
    coordinates, living = posterior.coordinates, posterior.living
    precision = posterior.precision[coordinates.group]
    w = coordinates.read()
    value = problem.value(fit.loss, w, precision)
    kept = False  # whether w keeps the constraints
    for _ in range(STEPS):
        equations = problem.assemble(fit.loss, w, living)
        hessian = equations.curvature + torch.diag(precision[living])
        slope = equations.gradient + precision[living] * w[living]
        # the first step has to go to where the constraints hold, even uphill: the lowest place
        least, found = value if kept else float("inf"), None
        for damping in DAMPINGS:
            damped = hessian + damping * torch.diag(hessian.diagonal())
            spread = torch.cholesky_inverse(torch.linalg.cholesky(damped))
            trial = w.clone()
            trial[living] = _most_probable(w[living] - spread @ slope, spread, curves)
            trial_value = problem.value(fit.loss, trial, precision)
            if trial_value < least or not (kept or found is not None):
                least, found = trial_value, trial
                if kept:
                    break
        if found is None:
            break
        done = kept and value - least < NEGLIGIBLE * max(1.0, abs(value))
        w, value, kept = found, least, True
        if done:
            break
    coordinates.write(w)
    hessian = problem.assemble(fit.loss, w, living).curvature + torch.diag(precision[living])
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    noise = posterior.noise_precision
    fit.posterior = Posterior(coordinates, living, covariance, posterior.precision, noise)


def _most_probable(target: Tensor, covariance: Tensor, curves: Sequence[_Curve]) -> Tensor:
    """Return the most probable coordinates that keep all constraints under ``N(target, cov)``."""
    members = torch.cat([curve.members for curve in curves])
    root = torch.linalg.cholesky(covariance[members][:, members]).numpy()
    start = target[members].numpy()
    ends = np.cumsum([len(curve.members) for curve in curves])
    equal = _side_by_side([c.requirements.equal @ c.factor for c in curves])
    for _ in range(EXCHANGES):
        inequal = _side_by_side([c.requirements.inequal @ c.factor for c in curves])
        found = least_distance(root, start, equal, inequal)
        own = np.split(found, ends[:-1])
        tightened = [c.requirements.tighten(c.factor @ v) for c, v in zip(curves, own, strict=True)]
        if not any(tightened):
            break
    else:
        raise ValueError("the constraints could not be met on the whole range of their columns")
    moved = torch.cholesky_solve(
        torch.from_numpy(found - start).unsqueeze(-1), torch.from_numpy(root)
    )
    result = target + (covariance[:, members] @ moved).squeeze(-1)
    result[members] = torch.from_numpy(found)
    return result


def _side_by_side(blocks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the block-diagonal matrix of blocks that may have no rows."""
    rows, columns = (sum(block.shape[k] for block in blocks) for k in (0, 1))
    whole = np.zeros((rows, columns))
    row = column = 0
    for block in blocks:
        whole[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return whole


def _block_of(coordinates: Coordinates, index: int, column: int) -> tuple[Block, int]:
    """Return the block of an input's curves and its place in there."""
    blocks = coordinates.layer_blocks(index)
    return next((b, b.columns.index(column)) for b in blocks if column in b.columns)


def _project_all(
    layer: KANLayer,
    x: Tensor,
    weight: Tensor,
    constraints: Mapping[int, Sequence[Constraint]],
) -> None:
    with torch.no_grad():
        before = layer(x)
        for column, wanted in constraints.items():
            bundle, place = layer.edge(column)
            project(bundle, place, [c for c in wanted if c.kind != "zero_at"])
        shift = ((before - layer(x)) * weight.unsqueeze(-1)).sum(0) / weight.sum()
        if layer.bias is not None:
            layer.bias.add_(shift)


def _anchor(
    coordinates: Coordinates,
    index: int,
    layer: KANLayer,
    constraints: Mapping[int, Sequence[Constraint]],
) -> None:
    """Shift curves that are to be zero at a point; the bias of the outputs takes the rest."""
    network = coordinates.network
    bias = network.layers[-1].bias
    assert bias is not None
    for column, wanted in constraints.items():
        for point in (c.point for c in wanted if c.point is not None):
            block, i = _block_of(coordinates, index, column)
            if CONSTANT not in block.roles:
                raise ValueError(
                    f"edges of the family {block.bundle.name!r} hold no constant, so that column "
                    f"{column} cannot be made zero at a point"
                )
            at = torch.full((1, layer.in_features), float(point), dtype=torch.float64)
            values = block.bundle.stacked_parameters().detach().clone()
            constant = block.factor[i][:, 0]
            with torch.no_grad():
                level = layer.curves(at)[0, column]  # (out,)
                unit = block.bundle.gradients(at[:, block.columns])[0, :, i, 0] @ constant
                values[:, i] -= constant[:, None] * (level / unit)
                block.bundle.load_stacked(values)
                bias.add_(level)
