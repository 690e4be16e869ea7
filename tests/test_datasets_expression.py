"""Formulas as text: right values, and nothing but arithmetic gets through."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx.datasets import Expression, FormulaError
from kanx.datasets.expression import FUNCTIONS, MAX_DEPTH, MAX_LENGTH

X = np.array([0.3, 1.7, 2.5])

numbers = st.floats(0.01, 5).map(lambda value: (f"{value!r}", lambda x, y: value))
names = st.sampled_from([("x", lambda x, y: x), ("y", lambda x, y: y)])


def _binary(parts):
    (left, f), (right, g), sign = parts
    operations = {
        "+": lambda x, y: f(x, y) + g(x, y),
        "-": lambda x, y: f(x, y) - g(x, y),
        "*": lambda x, y: f(x, y) * g(x, y),
    }
    return f"({left} {sign} {right})", operations[sign]


def _call(parts):
    (text, f), name = parts
    return f"{name}({text})", lambda x, y: getattr(math, name)(f(x, y))


formulas = st.recursive(
    numbers | names,
    lambda inner: (
        st.tuples(inner, inner, st.sampled_from("+-*")).map(_binary)
        | st.tuples(inner, st.sampled_from(["sin", "cos", "tanh", "atan"])).map(_call)
    ),
    max_leaves=12,
)


@given(formulas, st.floats(-3, 3), st.floats(-3, 3))
@settings(deadline=None, max_examples=100)
def test_agrees_with_python_on_random_formulas(formula, x, y):
    text, reference = formula
    value = Expression(text, ("x", "y"))(x, y)
    assert value == pytest.approx(reference(x, y), rel=1e-9, abs=1e-9)


@given(st.text(max_size=60) | st.text("xy0123456789.+-*/()e ,", max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_either_evaluated_or_refused_with_one_error(text):
    try:
        expression = Expression(text, ("x", "y"))
    except FormulaError:
        return
    assert expression(X, X).shape == X.shape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", X),
        ("2", np.full(3, 2.0)),
        ("-x**2", -(X**2)),
        ("2**-1 + x", 0.5 + X),
        ("x**0.5 - sqrt(x)", np.zeros(3)),
        ("max(x, 1) + min(x, 1)", X + 1),
        ("cot(x)*tan(x)", np.ones(3)),
        ("heaviside(x - 1.7)", np.array([0.0, 1.0, 1.0])),
        ("pi*x", math.pi * X),
        ("1/2*x*1/2", X / 4),
    ],
)
def test_values(text, expected):
    np.testing.assert_allclose(Expression(text, ("x",))(X), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "x.real",
        "().__class__",
        "x.__class__.__mro__",
        "__import__('os')",
        "open('f')",
        "eval('x')",
        "exec",
        "np.sin(x)",
        "sin",
        "sin.__call__(x)",
        "(lambda: x)()",
        "[x for x in x]",
        "x[0]",
        "x if x else x",
        "x < 1",
        "x and x",
        "not x",
        "~x",
        "x // 2",
        "x % 2",
        "x @ x",
        "x << 9",
        "'x'",
        "f'{x}'",
        "True",
        "None",
        "1j",
        "...",
        "(x := 3)",
        "sin(x, x)",
        "max(x)",
        "sin(*x)",
        "sin(x=x)",
        "z + x",
        "x; x",
        "x\n+ 1\nx",
        "",
        "x +",
    ],
)
def test_everything_but_arithmetic_is_refused(text):
    with pytest.raises(FormulaError):
        Expression(text, ("x",))


@pytest.mark.parametrize(
    "text",
    ["x**101", "x**-101", "x**(50*3)", "9**9**9", "x**10**10", "x**(1/0)", "x**exp(9)", "2**3**5"],
)
def test_huge_constant_powers_are_refused(text):
    with pytest.raises(FormulaError, match="exponent"):
        Expression(text, ("x",))


@given(st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 100))
@settings(deadline=None)
def test_no_exponent_beyond_the_limit_passes(exponent):
    with pytest.raises(FormulaError, match="exponent"):
        Expression(f"x**({exponent!r})", ("x",))


@pytest.mark.parametrize(
    "text",
    [
        "x+" * MAX_LENGTH + "x",
        "-" * (MAX_DEPTH + 1) + "x",
        "sin(" * 90 + "x" + ")" * 90 + "".join("+x" for _ in range(MAX_DEPTH)),
        "(" * 1000 + "x" + ")" * 1000,
        "9" * 400,
        "9" * 4500,
        "1e999",
    ],
)
def test_oversized_text_is_refused(text):
    with pytest.raises(FormulaError):
        Expression(text, ("x",))


def test_every_function_is_applied_to_its_own_number_of_arguments():
    for name, (function, arity) in FUNCTIONS.items():
        text = f"{name}({', '.join('x' * arity)})"
        inside = X / 4  # where every function is defined
        np.testing.assert_array_equal(Expression(text, ("x",))(inside), function(*[inside] * arity))


def test_outside_the_domain_the_value_is_not_a_number_and_nobody_warns():
    value = Expression("sqrt(x) + 1/(x + 1) + x**y", ("x", "y"))(np.array([-1.0, 4.0]), 0.5)
    assert not np.isfinite(value[0]) and value[1] == pytest.approx(2 + 0.2 + 2)


def test_wrong_number_of_columns_and_bad_names_are_refused():
    with pytest.raises(ValueError, match="takes 2 columns"):
        Expression("x + y", ("x", "y"))(X)
    with pytest.raises(FormulaError, match="rename"):
        Expression("x", ("x", "a b"))
    with pytest.raises(FormulaError, match="rename"):
        Expression("x", ("pi",))
    with pytest.raises(FormulaError, match="text"):
        Expression(3, ("x",))


def test_knows_its_names_and_survives_pickling():
    expression = Expression("sin(x) + y*pi", ("x", "y", "z"))
    assert expression.names_used() == {"x", "y"}
    copy = pickle.loads(pickle.dumps(expression))
    assert copy == expression
    np.testing.assert_array_equal(copy(X, X, X), expression(X, X, X))
