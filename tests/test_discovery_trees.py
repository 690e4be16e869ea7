"""Expression trees: derivatives, sympy forms and least squares."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from kanx.discovery.least_squares import fit_constants
from kanx.discovery.trees import (
    constant,
    evaluate,
    evaluate_with_jacobian,
    from_sympy,
    function,
    number,
    power,
    product,
    scaled,
    to_sympy,
    total,
    variable,
)

X, Y = variable(0), variable(1)
TREES = [
    product(constant(2.0), power(X, 1.5), function("sin", product(constant(0.7), Y))),
    power(total(number(1), product(constant(-0.1), power(X, 2))), Fraction(-1, 2)),
    total(constant(1.0), product(constant(0.3), function("exp", product(constant(-0.5), X)), Y)),
    product(X, power(total(constant(2.0), power(Y, constant(0.8))), -1)),
]


@pytest.fixture
def columns():
    return np.random.default_rng(0).uniform(1.0, 2.0, (2, 40))


@pytest.mark.parametrize("tree", TREES)
def test_jacobian_agrees_with_finite_differences(tree, columns):
    values, jacobian = evaluate_with_jacobian(tree, columns)
    np.testing.assert_allclose(values, evaluate(tree, columns))
    c = tree.constants
    for k in range(len(c)):
        step = np.eye(len(c))[k] * 1e-6
        above, below = (evaluate(tree.with_constants(c + s), columns) for s in (step, -step))
        np.testing.assert_allclose(jacobian[:, k], (above - below) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("tree", TREES)
def test_sympy_and_back_keeps_the_values(tree, columns):
    symbols = sp.symbols("a b")
    again = from_sympy(to_sympy(tree, symbols), symbols)
    np.testing.assert_allclose(evaluate(again, columns), evaluate(tree, columns), rtol=1e-14)


@pytest.mark.parametrize("tree", TREES)
def test_scaled_multiplies_the_values(tree, columns):
    np.testing.assert_allclose(
        evaluate(scaled(tree, 3.5), columns), 3.5 * evaluate(tree, columns), rtol=1e-13
    )


@pytest.mark.parametrize("tree", TREES)
def test_least_squares_recovers_the_constants(tree, columns):
    y = evaluate(tree, columns)
    start = tree.with_constants(1.1 * tree.constants + 0.02)
    fit = fit_constants(start, columns, y, np.ones_like(y), iterations=60)
    assert fit.loss < 1e-20
    np.testing.assert_allclose(fit.tree.constants, tree.constants, rtol=1e-6)


def test_exponents_are_told_from_factors():
    tree = product(constant(2.0), power(X, 1.5), power(Y, constant(-1.0)))
    assert tree.exponent_positions == {1, 2}
    exact = tree.with_exact(1, Fraction(3, 2))
    assert exact.exponent_positions == {1}
    np.testing.assert_array_equal(exact.constants, [2.0, -1.0])


def test_outside_a_domain_values_are_not_finite(columns):
    tree = function("log", product(number(-1), X))
    assert not np.isfinite(evaluate(tree, columns)).any()


def test_unknown_symbols_are_refused():
    with pytest.raises(ValueError, match="unknown symbol z"):
        from_sympy(sp.Symbol("z") + 1, sp.symbols("a b"))
