"""Sparse polynomials of the inputs: least squares, then the least significant terms leave."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr_delete
from scipy.linalg.lapack import dtrtri

from kanx.discovery.data import Data
from kanx.discovery.trees import Tree, constant, power, product, total, variable

Array = NDArray[np.float64]
MOST_TERMS = 150
LARGEST_DEGREE = 8


def sparse_polynomials(data: Data) -> list[Tree]:
    """Return the polynomials with the least BIC, one for each total degree that helps.

    The terms of every degree are thinned out by ``eliminate``.
    """
    n, n_rows = data.columns.shape
    scale = np.abs(data.columns).max(axis=1, keepdims=True)
    columns = data.columns / scale
    found: list[Tree] = []
    best_score = np.inf
    terms: list[tuple[int, ...]] = [()]
    for degree in range(1, LARGEST_DEGREE + 1):
        terms = terms + list(combinations_with_replacement(range(n), degree))
        if len(terms) > min(MOST_TERMS, 0.85 * n_rows):
            break
        design = np.array([np.prod(columns[list(t)], axis=0) for t in terms]).T
        chosen, coefficients, score = eliminate(design, data.y, data.weight)
        if score >= best_score:
            continue
        best_score = score
        pairs = [(terms[k], c) for k, c in zip(chosen, coefficients, strict=True)]
        found.append(total(*(_term(t, c / float(np.prod(scale[list(t)]))) for t, c in pairs)))
    return found


def _term(indices: tuple[int, ...], coefficient: float) -> Tree:
    factors = [power(variable(k), indices.count(k)) for k in sorted(set(indices))]
    return product(constant(coefficient), *factors)


def eliminate(design: Array, target: Array, weight: Array) -> tuple[list[int], Array, float]:
    """Return the columns kept, their coefficients and the BIC.

    From the least-squares fit of all columns the one of the smallest t-value leaves, the rest is
    fitted again, and so on; the best model on the way is kept.
    """
    root, n_rows = np.sqrt(weight), len(target)
    size = float(np.sum(weight * target**2)) + 1e-300
    q, r = np.linalg.qr(design * root[:, None])
    aim = q.T @ (target * root)  # from here on there are as many rows as columns
    rest = float(np.sum((target * root - q @ aim) ** 2))
    q = np.eye(len(r))
    chosen = list(range(design.shape[1]))
    best: tuple[list[int], Array, float] = ([], np.zeros(0), np.inf)
    while chosen:
        count = len(chosen)
        sizes = np.abs(np.diag(r))
        if sizes.min() <= 1e-10 * sizes.max():  # all may be zero
            leaves = int(np.argmin(sizes))
        else:
            projected = q.T @ aim
            inverse, _ = dtrtri(r[:count])
            coefficients = inverse @ projected[:count]
            loss = (rest + float(np.sum(projected[count:] ** 2))) / size
            score = n_rows * np.log(loss + 1e-22) + 2.0 * count * np.log(n_rows)
            if score < best[2]:
                best = (list(chosen), coefficients, score)
            weakest = np.abs(coefficients) / np.sqrt(np.sum(inverse**2, axis=1))
            leaves = int(np.argmin(weakest))
        chosen.pop(leaves)
        q, r = qr_delete(q, r, leaves, which="col")  # in place of a new decomposition
    return best
