"""Polish a found formula: drop terms, round exponents, simplify, name constants, and re-fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import sympy as sp

from kanx.discovery.archive import Archive, Candidate
from kanx.discovery.least_squares import Fit, fit_constants
from kanx.discovery.trees import Tree, from_sympy, power, product, to_sympy, total
from kanx.explain.constants import candidates, snap
from kanx.explain.simplify import simplify

EXPONENT_DENOMINATORS = (1, 2, 3, 4)
NOISE_MARGIN = 8.0  # a wrong name is worse than none: noisy constants need three bits more


def refit(archive: Archive, tree: Tree, iterations: int = 30) -> Candidate | None:
    """Fit the constants of a tree on all rows and file it; None if it fails or time is up."""
    if archive.is_late:
        return None
    data = archive.data
    fit = fit_constants(tree, data.columns, data.y, data.weight, iterations, 1e-30 * data.size)
    return archive.keep(fit)


def polish(archive: Archive, candidate: Candidate, symbols: Sequence[sp.Symbol]) -> Candidate:
    """Return the shortest equally good form of a candidate.

    Parameters
    ----------
    archive : Archive
        Its data judge every change; every improvement is filed there.
    candidate : Candidate
        Formula to polish.
    symbols : sequence of sympy.Symbol
        One per column.
    """
    candidate = prune(archive, candidate)
    candidate = round_exponents(archive, candidate)
    candidate = shorten(archive, candidate, symbols)
    if not archive.is_exact():
        candidate = reconsider_exponents(archive, candidate)
    candidate = prune(archive, candidate)
    candidate = name_constants(archive, candidate)
    return shorten(archive, candidate, symbols)


def prune(archive: Archive, candidate: Candidate) -> Candidate:
    """Remove summands while that shortens the description."""
    while True:
        best = candidate
        for tree in without_one_term(candidate.tree):
            trial = refit(archive, tree, 20)
            if trial is not None and trial.score < best.score:
                best = trial
        if best is candidate:
            return candidate
        candidate = best


def without_one_term(tree: Tree) -> Iterator[Tree]:
    """Yield the trees with one summand, anywhere, left out."""
    if tree.kind == "sum":
        for k in range(len(tree.children)):
            yield total(*tree.children[:k], *tree.children[k + 1 :])
    for k, child in enumerate(tree.children):
        if tree.kind == "power" and k == 1:
            continue
        for smaller in without_one_term(child):
            parts = (*tree.children[:k], smaller, *tree.children[k + 1 :])
            if tree.kind == "sum":
                yield total(*parts)
            elif tree.kind == "product":
                yield product(*parts)
            elif tree.kind == "power":
                yield power(*parts)
            else:
                yield replace(tree, children=parts)


def round_exponents(archive: Archive, candidate: Candidate) -> Candidate:
    """Replace free exponents by rationals where the data do not object."""
    refused: set[int] = set()
    while True:
        positions = [p for p in candidate.tree.exponent_positions if p not in refused]
        if not positions:
            return candidate
        values = candidate.tree.constants
        position = min(positions, key=lambda p: abs(values[p] - np.round(2 * values[p]) / 2))
        accepted = None
        for largest in EXPONENT_DENOMINATORS:
            exact = Fraction(float(values[position])).limit_denominator(largest)
            trial = refit(archive, candidate.tree.with_exact(position, exact))
            if trial is not None and trial.score < candidate.score:
                accepted = trial
                break
        if accepted is None:
            refused.add(position)
        else:
            candidate, refused = accepted, set()


def reconsider_exponents(archive: Archive, candidate: Candidate) -> Candidate:
    """Free the exponents of all positive inputs, fit, and round again; keep what is shorter.

    Groups are rounded before their function is known; with it, the exponents are sharper.
    """
    positive = {k for k, column in enumerate(archive.data.columns) if column.min() > 0}
    freed = refit(archive, free_exponents(candidate.tree, positive))
    if freed is None:
        return candidate
    return min(candidate, round_exponents(archive, freed), key=lambda c: c.score)


def free_exponents(tree: Tree, positive: Collection[int]) -> Tree:
    """Make the exponents of these variables free constants, where they enter a product."""
    if tree.kind == "product":
        return product(*(_free_exponent(child, positive) for child in tree.children))
    if not tree.children:
        return tree
    children = tuple(free_exponents(child, positive) for child in tree.children)
    return replace(tree, children=children)


def _free_exponent(factor: Tree, positive: Collection[int]) -> Tree:
    if factor.kind == "variable" and factor.index in positive:
        return power(factor, 1.0)
    if factor.kind == "power" and factor.children[0].kind == "variable":
        base, exponent = factor.children
        if base.index in positive and exponent.kind == "number":
            return power(base, float(exponent.value))
    return free_exponents(factor, positive)


def shorten(archive: Archive, candidate: Candidate, symbols: Sequence[sp.Symbol]) -> Candidate:
    """Rewrite by value-preserving rules and by pulling constants out of sums; keep the shortest."""
    data = archive.data
    positive = [str(s) for s, c in zip(symbols, data.columns, strict=True) if c.min() > 0]
    best = candidate
    expr = to_sympy(candidate.tree, symbols)
    for form in (expr, pull_scales(expr)):
        if archive.is_late or form.has(sp.nan, sp.zoo, sp.oo):
            continue
        try:
            tree = from_sympy(simplify(form, positive), symbols)
        except ValueError:  # an expression outside the table, such as a Piecewise
            continue
        trial = refit(archive, tree)
        if trial is not None and trial.score < best.score:
            best = trial
    return best


def pull_scales(expr: sp.Expr) -> sp.Expr:
    """Write every sum inside a product or a power as its first coefficient times a sum."""
    if not expr.args:
        return expr
    args = [pull_scales(a) for a in expr.args]
    args = [_scaled_sum(a) for a in args] if isinstance(expr, sp.Mul | sp.Pow) else args
    if isinstance(expr, sp.Pow) and isinstance(args[0], sp.Mul):
        scale, rest = args[0].as_coeff_Mul()
        if scale.is_Float and scale > 0:
            return sp.Pow(scale, args[1]) * sp.Pow(rest, args[1])
    return expr.func(*args)


def _scaled_sum(expr: sp.Expr) -> sp.Expr:
    if not isinstance(expr, sp.Add):
        return expr
    coefficients = [term.as_coeff_Mul()[0] for term in expr.args]
    if not all(c.is_Float or c.is_Integer for c in coefficients):
        return expr
    if not any(c.is_Float for c in coefficients):
        return expr
    pairs = [term.as_coeff_Mul() for term in expr.args]
    pivot = next((k for k, (_, rest) in enumerate(pairs) if rest == 1), 0)
    scale = abs(pairs[pivot][0])
    if scale == 0:
        return expr
    terms = [(sp.sign(c) if k == pivot else c / scale) * rest for k, (c, rest) in enumerate(pairs)]
    return sp.Mul(scale, sp.Add(*terms), evaluate=False)


def name_constants(archive: Archive, candidate: Candidate) -> Candidate:
    """Replace constants by exact numbers inside their errors, where bits and a re-fit agree.

    Noise-free, anything up to rounding error is named; with noise, only what the rule of
    ``kanx.explain.constants.snap`` allows.
    """
    refused: set[float] = set()
    while True:
        values = candidate.tree.constants
        errors = constant_errors(archive, candidate)
        relative = errors / np.maximum(np.abs(values), 1e-300)
        order = [p for p in np.argsort(relative) if values[p] not in refused]
        if not order:
            return candidate
        position = int(order[0])
        refused.add(values[position])
        trial = _name_one(archive, candidate, position, float(errors[position]))
        if trial is not None:
            candidate = trial


def _name_one(
    archive: Archive, candidate: Candidate, position: int, error: float
) -> Candidate | None:
    value = float(candidate.tree.constants[position])
    if candidate.loss < 1e-20:
        names = [n for n in candidates(value, max(error, 1e-12 * abs(value))) if n.is_Rational]
    else:
        name = snap(value, NOISE_MARGIN * error)
        names = [name] if name is not None and name.is_Rational and name != 0 else []
    for name in names:
        exact = Fraction(int(name.p), int(name.q))
        trial = refit(archive, candidate.tree.with_exact(position, exact))
        if trial is not None and trial.score < candidate.score:
            return trial
    return None


def constant_errors(archive: Archive, candidate: Candidate) -> np.ndarray:
    """Return the standard error of every free constant."""
    fit: Fit = candidate.fit
    k = len(fit.tree.constants)
    variance = fit.loss / max(archive.data.n_rows - k, 1)
    return fit.standard_errors(variance) if k else np.zeros(0)
