"""The three forms of every elementary function are the same function."""

import numpy as np
import pytest
import sympy as sp
import torch

from kanx import functions
from kanx.functions import FUNCTIONS, Domain, Function, function_of, register

UNARY = [f for f in FUNCTIONS.values() if f.arity == 1]
X = sp.Symbol("x", real=True)


def points_in(domain: Domain) -> np.ndarray:
    low, high = max(domain.low, -3.0), min(domain.high, 3.0)
    x = np.linspace(low, high, 42)[1:-1] + 1e-3
    return x[domain.contains(x)]


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.name)
def test_torch_numpy_and_sympy_agree(function):
    x = points_in(function.domain)
    by_numpy = function.numpy(x)
    by_torch = function.torch(torch.from_numpy(x)).numpy()
    by_sympy = [float(function.sympy(X).subs(X, sp.Float(v, 30))) for v in x]
    np.testing.assert_allclose(by_torch, by_numpy, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(by_sympy, by_numpy, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.name)
def test_derivative_agrees_with_autograd(function):
    x = points_in(function.domain)
    leaf = torch.from_numpy(x).requires_grad_()
    (slope,) = torch.autograd.grad(function.torch(leaf).sum(), leaf)
    np.testing.assert_allclose(function.derivative(x), slope.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.name)
def test_inside_its_domain_a_function_is_finite_and_outside_it_is_not(function):
    domain = function.domain
    assert np.isfinite(function.numpy(points_in(domain))).all()
    outside = [v for v in (domain.low - 0.5, domain.high + 0.5, domain.hole) if v is not None]
    outside = [v for v in outside if np.isfinite(v)]
    if function.name != "tan":  # beyond its first poles the tangent is defined again
        with np.errstate(all="ignore"):
            assert not np.isfinite(function.numpy(np.array(outside))).any()


def test_two_argument_functions_agree():
    a, b = np.array([-1.0, 2.0, 0.5]), np.array([3.0, -4.0, 0.5])
    for function in (f for f in FUNCTIONS.values() if f.arity == 2):
        by_torch = function.torch(torch.from_numpy(a), torch.from_numpy(b)).numpy()
        by_sympy = [float(function.sympy(*pair)) for pair in zip(a, b, strict=True)]
        np.testing.assert_array_equal(by_torch, function.numpy(a, b))
        np.testing.assert_array_equal(by_sympy, function.numpy(a, b))
        with pytest.raises(TypeError, match="takes 2 arguments"):
            _ = function.derivative


def test_stable_far_from_the_origin():
    far = np.array([-500.0, 500.0])
    for name in ("sigmoid", "tanh", "softplus", "silu", "gelu", "mish", "sau", "gaussian"):
        assert np.isfinite(FUNCTIONS[name].numpy(far)).all(), name
        assert FUNCTIONS[name].torch(torch.from_numpy(far)).isfinite().all(), name


def test_domain_covers_an_interval():
    assert Domain().covers(-1e9, 1e9)
    assert functions.POSITIVE.covers(1e-9, 1) and not functions.POSITIVE.covers(0, 1)
    assert functions.NON_NEGATIVE.covers(0, 1)
    assert functions.NON_ZERO.covers(-2, -1) and not functions.NON_ZERO.covers(-1, 1)
    assert not Domain().contains(np.nan) and not Domain().contains(np.inf)


def test_function_of_finds_the_outermost_operation():
    assert function_of(sp.sin(X + 1)).name == "sin"
    assert function_of(sp.Max(X, 1, 2 * X)).name == "maximum"
    assert function_of(sp.gamma(X)) is None
    assert function_of(X + 1) is None


def test_one_line_adds_a_function(monkeypatch):
    monkeypatch.setattr(functions, "FUNCTIONS", dict(FUNCTIONS))
    monkeypatch.setattr(functions, "_BY_HEAD", dict(functions._BY_HEAD))
    added = register(
        Function(
            "square_sine",
            lambda x: x.sin() ** 2,
            lambda x: np.sin(x) ** 2,
            lambda x: sp.sin(x) ** 2,
        )
    )
    assert functions.FUNCTIONS["square_sine"] is added
    np.testing.assert_allclose(added.derivative(0.3), np.sin(0.6))
    with pytest.raises(ValueError, match="exists already"):
        register(added)


def test_malformed_functions_are_refused():
    with pytest.raises(ValueError, match="identifier"):
        Function("x**2", torch.square, np.square, lambda x: x**2)
    with pytest.raises(ValueError, match="arity"):
        Function("three", torch.square, np.square, lambda x: x**2, arity=3)
