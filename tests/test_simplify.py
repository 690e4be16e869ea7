"""Simplification shortens formulas and never changes their values."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx.explain.complexity import description_bits
from kanx.explain.simplify import same_values, simplify

x, y, z = sp.symbols("x y z")
F = sp.Float


def floats_of(expr):
    return len([node for node in sp.preorder_traversal(expr) if node.is_Float])


@pytest.mark.parametrize(
    ("long", "short"),
    [
        (sp.sin(x) ** 2 + sp.cos(x) ** 2, sp.Integer(1)),
        (1 - 2 * sp.sin(x / 2) ** 2, sp.cos(x)),
        (1 - sp.sin(x) ** 2, sp.cos(x) ** 2),
        (sp.sin(x) * sp.cos(y) + sp.cos(x) * sp.sin(y), sp.sin(x + y)),
        (sp.sqrt(x**2), sp.Abs(x)),
        (sp.log(sp.exp(x)), x),
        (x * (x + 1) - x**2, x),
        ((x**2 - y**2) / (x - y), x + y),
        (x * y + x * z, x * (y + z)),
        (x**2 - 2 * x * y + y**2 + z, (x - y) ** 2 + z),
        (sp.exp(x) * sp.exp(y), sp.exp(x + y)),
        (F(1.0) * x ** F(1.0), x),
        (F(2.5) * sp.sin(x) ** 2 + F(2.5) * sp.cos(x) ** 2, F(2.5)),
    ],
    ids=str,
)
def test_known_identities(long, short):
    assert sp.expand(simplify(long) - short) == 0


def test_known_signs_of_columns_are_used():
    assert simplify(sp.sqrt(x**2) * y) == sp.Abs(x) * y
    assert simplify(sp.sqrt(x**2) * y, positive=["x"]) == x * y
    assert simplify(sp.sqrt(x * y + x * z), positive=["x", "y", "z"]) == sp.sqrt(x * (y + z))


@pytest.mark.parametrize(
    ("redundant", "n_floats"),
    [
        (F(5.0) * (F(2.0) * x + F(3.0) * y) ** 2, 2),
        (F(2.0) * sp.exp(F(1.2) * x + F(1.5)), 2),
        (F(2.0) * sp.log(F(3.0) * x) + F(1.5), 2),
        (F(1.5) * sp.sqrt(F(2.0) * x + F(3.0)) * y, 2),
        (F(1.3) * (F(2.2) * (F(1.1) * x + F(0.2)) + F(0.1)) + F(4.0), 2),
        (F(1.5) * sp.sin(F(2.0) * x) + F(0.7) * sp.cos(F(2.0) * x), 3),
        (F(3.0) / (F(2.0) * x + F(4.0)), 2),
    ],
    ids=str,
)
def test_constants_that_say_the_same_twice_become_one(redundant, n_floats):
    simple = simplify(redundant)
    assert floats_of(simple) == n_floats
    assert same_values(redundant, simple)


def test_nothing_to_shorten_is_returned_as_it_is():
    for expr in (x, sp.Integer(3), x + 1, sp.tanh(x) * sp.Max(x, y), F(2.5) * x):
        assert simplify(expr) is expr


def test_piecewise_formulas_pass():
    expr = sp.Piecewise((x * y + x * z, x < 1), (sp.sqrt(x) * sp.Max(x, y), True))
    assert same_values(expr, simplify(expr))


def test_large_powers_and_products_are_not_multiplied_out():
    expr = (x + y + z) ** 60 + (x - y) ** 40 * (z + 1) ** 50
    assert simplify(expr) == expr
    product = sp.Mul(*(sp.Symbol(f"a{i}") + sp.Symbol(f"b{i}") for i in range(20)))
    assert simplify(product + 1) == product + 1


def formulas():
    leaves = st.one_of(
        st.sampled_from([x, y]),
        st.integers(-3, 3).map(sp.Integer),
        st.floats(0.125, 8, width=16).map(sp.Float),
    )

    def grow(inner):
        pair = st.tuples(inner, inner)
        return st.one_of(
            pair.map(lambda p: p[0] + p[1]),
            pair.map(lambda p: p[0] * p[1]),
            pair.map(lambda p: p[0] / (p[1] ** 2 + 1)),
            inner.map(lambda e: sp.sqrt(e**2 + 1)),
            inner.map(lambda e: sp.log(sp.Abs(e) + 1)),
            inner.map(sp.sin),
            inner.map(sp.cos),
            inner.map(sp.tanh),
            inner.map(lambda e: e**2),
        )

    return st.recursive(leaves, grow, max_leaves=7)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(formulas())
def test_values_are_kept_and_length_never_grows(expr):
    simple = simplify(expr)
    assert description_bits(simple) <= description_bits(expr)
    points = np.random.default_rng(1).normal(size=(20, 2))
    for a, b in points:
        before, after = (complex(e.subs({x: a, y: b})) for e in (expr, simple))
        assert after == pytest.approx(before, rel=1e-8, abs=1e-8 * (1 + abs(before)))
