"""JSON text from a stranger is read as a formula or refused; it never runs and never hangs."""

import json

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx.explain.formula import Formula
from kanx.explain.formula_json import MAX_DEPTH, MAX_NODES, from_tree, loads, to_tree

x, y = sp.symbols("x y")


def expressions() -> st.SearchStrategy[sp.Expr]:
    leaves = st.one_of(
        st.sampled_from([x, y, sp.pi, sp.E]),
        st.integers(-9, 9).map(sp.Integer),
        st.fractions(-3, 3, max_denominator=9).map(
            lambda f: sp.Rational(f.numerator, f.denominator)
        ),
        st.floats(-1e3, 1e3, allow_subnormal=False).map(sp.Float),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
            st.tuples(st.sampled_from([x, y]), inner).map(lambda pair: pair[0] ** pair[1]),
            inner.map(lambda e: sp.sin(x + e)),
            inner.map(lambda e: sp.Max(x, y * e)),
            st.tuples(inner, inner).map(
                lambda pair: sp.Piecewise((pair[0], x < 1), (pair[1], True))
            ),
        ),
        max_leaves=8,
    )


@settings(derandomize=True, max_examples=150, deadline=None)
@given(expressions())
def test_every_expression_comes_back_as_it_was(expr):
    if expr.has(sp.zoo, sp.nan, sp.oo):
        return
    text = json.dumps(to_tree(expr))
    assert from_tree(loads(text)) == expr


@pytest.mark.parametrize(
    "tree",
    [
        "__import__('os').system('true')",
        ["eval", "1"],
        ["Symbol", "x"],
        ["sigmoid", ["variable", "x"]],
        ["variable"],
        ["variable", 3],
        ["variable", ["variable", "x"]],
        ["sin"],
        ["sin", 1, 2],
        ["+", 1],
        ["^", 1, 2, 3],
        ["<", 1],
        ["+", ["true"], 1],
        ["and", 1, 2],
        ["piecewise", 1],
        ["piecewise", [1, 2]],
        ["piecewise", [["true"], ["true"]]],
        ["rational", 1, 0],
        ["rational", 1, -2],
        ["rational", 1.5, 2],
        ["rational", True, 2],
        ["rational", 1],
        [],
        [1, 2],
        [["+"], 1, 2],
        {"a": 1},
        None,
        True,
        10**400,
        ["pi", 1],
    ],
    ids=str,
)
def test_unknown_or_malformed_nodes_are_refused(tree):
    with pytest.raises(ValueError, match=r".{15}"):
        from_tree(tree)


def test_nothing_is_evaluated_while_reading():
    tower = from_tree(["^", 9, ["^", 9, ["^", 9, 9]]])
    assert tower.count_ops() == 3
    assert Formula(tower, ["x"]).predict([[0.0]]) == float("inf")
    assert from_tree(["+", 1, 1]) != sp.Integer(2)
    assert from_tree(["maximum", 1, 2]) != sp.Integer(2)


def test_size_and_depth_are_limited():
    deep = ["variable", "x"]
    for _ in range(MAX_DEPTH + 1):
        deep = ["sin", deep]
    for tree in (deep, ["+", *[1] * MAX_NODES]):
        with pytest.raises(ValueError, match="too large"):
            from_tree(tree)
    with pytest.raises(ValueError, match="nested too deeply"):
        loads("[" * 200_000 + "]" * 200_000)
    with pytest.raises(ValueError, match=r"at most \d+ are read"):
        loads(" " * 5_000_000)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "1" * 5000])
def test_text_that_is_not_finite_json_is_refused(text):
    with pytest.raises(ValueError, match=r".{5}"):
        loads(text)


def test_only_text_is_parsed():
    with pytest.raises(TypeError, match="expected JSON text, got bytes"):
        Formula.from_json(b"{}")


def broken(**changes):
    record = json.loads(Formula(x, ["x"], scores={"r2": 1.0}).to_json())
    return json.dumps({key: value for key, value in (record | changes).items() if value != "gone"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a kanx formula"),
        ({"version": 99}, "version 99"),
        ({"names": "gone"}, "no 'names'"),
        ({"names": "x"}, "expected a list"),
        ({"names": [1]}, "expected text"),
        ({"names": ["y"]}, "symbols must be plain"),
        ({"expr": ["<", 1, 2]}, "must be a number"),
        ({"expr": ["sinn", 1]}, "unknown operation 'sinn'"),
        ({"scores": {"r2": "high"}}, "expected a number"),
        ({"scores": [1]}, "expected an object"),
        ({"constants": [1]}, "constant must be an object"),
        ({"constants": [{"value": 1.0}]}, "no 'exact'"),
        ({"ranges": {"x": [1]}}, "a range must be"),
        ({"ranges": {"x": [1, 2, 3]}}, "a range must be"),
        ({"status": "certain"}, "status must be"),
        ({"front": [[]]}, "not a kanx formula"),
        ({"units": {"x": 1}}, "expected text"),
    ],
)
def test_damaged_records_are_refused_with_a_reason(changes, message):
    with pytest.raises(ValueError, match=message):
        Formula.from_json(broken(**changes))


def test_what_cannot_be_written_is_said():
    with pytest.raises(ValueError, match="cannot write gamma"):
        Formula(sp.gamma(x), ["x"]).to_json()
