"""Units: dimensions, dimensionless groups, and formulas whose units agree."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx import SymbolicRegressor
from kanx.discovery.dimensions import Consistency
from kanx.discovery.trees import constant, from_sympy, product, total, variable
from kanx.discovery.units import combined, dimensionless, parse_unit, unit_text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("N", "kg*m/s^2"),
        ("km/h", "m/s"),
        ("mPa", "N/m**2"),
        ("kWb", "V*s"),
        ("J^(1/2)", "kg**0.5*m/s"),
        ("rad", "1"),
        ("1/s", "Hz"),
        ("um·cm", "m^2"),
    ],
)
def test_units_are_products_of_powers(text, same):
    assert parse_unit(text) == parse_unit(same)


@pytest.mark.parametrize("text", ["m+s", "m s", "f(m)", "m^x", "'m'", "m^99", "m/(", "m[0]"])
def test_what_is_no_unit_is_refused(text):
    with pytest.raises(ValueError, match="is no unit"):
        parse_unit(text)


exponents = st.integers(-3, 3).map(Fraction)
vectors = st.dictionaries(st.sampled_from(["m", "kg", "s"]), exponents).map(
    lambda d: {k: v for k, v in d.items() if v}
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(vectors, min_size=1, max_size=5), vectors)
def test_groups_have_no_unit_and_the_gate_has_the_targets(columns, target):
    found = dimensionless(columns, target, [True] * len(columns))
    if found is None:
        return
    assert combined(list(zip(columns, found.gate, strict=True))) == target
    for group in found.groups:
        assert combined(list(zip(columns, group, strict=True))) == {}
    rank = len(columns) - len(found.groups)
    assert rank == sp.Matrix([[v.get(b, 0) for b in ("m", "kg", "s")] for v in columns]).rank()


def test_text_of_units_reads_back():
    for text in ("kg*m^2/s^3/A", "1/s", "m^(1/2)", "1"):
        assert parse_unit(unit_text(parse_unit(text))) == parse_unit(text)


def test_sums_of_different_units_need_constants_that_carry_them():
    judge = Consistency([parse_unit("m"), parse_unit("s")], parse_unit("m"))
    x, t = variable(0), variable(1)
    assert judge.penalty(x) == 0
    assert judge.penalty(total(x, product(constant(2.0), t))) > 0
    assert judge.penalty(total(x, t)) == np.inf
    a, b = sp.symbols("a b")
    assert judge.penalty(from_sympy(sp.sin(a), [a, b])) == np.inf
    assert judge.penalty(from_sympy(a * sp.exp(b / b) + a, [a, b])) == 0


def test_a_law_is_found_among_groups_and_its_units_agree():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform([1, 1, 4], [3, 3, 6], (400, 3)), columns=["m", "v", "c"])
    y = X["m"] * X["c"] ** 2 / np.sqrt(1 - X["v"] ** 2 / X["c"] ** 2)
    y += 0.003 * y.std() * rng.normal(size=400)
    units = {"m": "kg", "v": "m/s", "c": "m/s", "y": "J"}
    model = SymbolicRegressor(units=units, max_time=30, random_state=0).fit(X, y)
    m, v, c = sp.symbols("m v c", positive=True)
    law = m * c**2 / sp.sqrt(1 - v**2 / c**2)
    found = model.formula_.expr.subs(
        {s: sp.Symbol(s.name, positive=True) for s in sp.symbols("m v c")}
    )
    assert sp.simplify(found / law).is_number
    assert model.formula_.units == units
    assert not any("carry units" in note for note in model.formula_.notes)


def test_a_constant_that_carries_a_unit_is_named():
    t = np.random.default_rng(0).uniform(1, 3, (100, 1))
    model = SymbolicRegressor(units={"x0": "s", "y": "m"}, max_time=5, random_state=0)
    notes = model.fit(t, 4.905 * t[:, 0] ** 2).formula_.notes
    assert any("4.905 has the unit m/s^2" in note for note in notes)


def test_inconsistent_formulas_are_excluded():
    X = np.random.default_rng(0).uniform(1, 2, (100, 2))
    y = X[:, 0] + X[:, 1]
    free = SymbolicRegressor(max_time=5, random_state=0).fit(X, y).formula_
    assert str(free.expr) == "x0 + x1"
    units = {"x0": "m", "x1": "s", "y": "m"}
    found = SymbolicRegressor(units=units, max_time=5, random_state=0).fit(X, y).formula_
    assert any("carry units" in note for note in found.notes)


def test_wrong_units_are_explained():
    X = np.random.default_rng(0).uniform(1, 2, (30, 2))
    with pytest.raises(ValueError, match="units has"):
        SymbolicRegressor(units={"z": "m"}).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="one of the two"):
        SymbolicRegressor(units={"x0": "m"}, template="f(x0)").fit(X, X[:, 0])
