"""SymbolicRegressor: laws are found, and bad input is answered."""

from functools import cache

import numpy as np
import pytest
import sympy as sp
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import kanx.discovery.engine as engine
from kanx import SymbolicRegressor


def law(name, n=400, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(1.0, 3.0, (n, 3))
    a, b, c = X.T
    y = {
        "monomial": a * b**2 / c,
        "relativity": a / np.sqrt(1 - (b / (c + 3)) ** 2),
        "quotient": (a + b) / (1 + a * b / c**2),
        "decay": a * np.exp(-b / c),
        "distance": np.sqrt((a - b) ** 2 + c**2),
    }[name]
    if name == "relativity":
        X[:, 2] += 3
    return X, y + noise * np.sqrt(np.mean(y**2)) * rng.standard_normal(n)


@cache
def found(name):
    """Return a search for one of the laws, which several tests look at."""
    return SymbolicRegressor(max_time=60, random_state=0).fit(*law(name))


@pytest.mark.parametrize("name", ["monomial", "relativity", "decay", "distance"])
def test_a_law_is_found_exactly_and_holds_on_new_rows(name):
    model = found(name)
    X_new, y_new = law(name, seed=1)
    np.testing.assert_allclose(model.predict(X_new), y_new, rtol=1e-9)
    assert model.formula_.status == "exact"
    assert model.formula_.complexity <= 20


@pytest.mark.slow
def test_with_noise_the_form_is_found_and_the_errors_cover_the_constants():
    X, y = law("decay", n=800, noise=0.05)
    formula = SymbolicRegressor(max_time=60, random_state=0).fit(X, y).formula_
    a, b, c = sp.symbols("x0 x1 x2")
    ratio = sp.simplify(formula.expr / (a * sp.exp(-b / c)))
    assert abs(float(ratio.subs({a: 2, b: 2, c: 2})) - 1) < 0.02
    for found in formula.constants:
        assert abs(abs(found.value) - 1.0) < 4 * found.standard_error


def test_the_front_trades_accuracy_for_complexity():
    front = found("distance").front_
    assert list(front["complexity"]) == sorted(front["complexity"])
    assert front["nrmse"].iloc[-1] < 1e-9 < front["nrmse"].iloc[0]


def test_same_seed_same_formula():
    again = SymbolicRegressor(max_time=60, random_state=0).fit(*law("decay"))
    assert again.formula_.expr == found("decay").formula_.expr


def test_names_of_a_frame_are_the_symbols():
    pd = pytest.importorskip("pandas")
    X, y = law("monomial")
    model = SymbolicRegressor(random_state=0).fit(pd.DataFrame(X, columns=["m", "v", "r"]), y)
    assert str(model.formula_.expr) == "m*v**2/r"


def test_several_targets_give_several_formulas():
    X, y = law("monomial", n=200)
    model = SymbolicRegressor(max_time=120, random_state=0).fit(X, np.c_[y, X[:, 0] + X[:, 1]])
    assert [str(f.expr) for f in model.formula_] == ["x0*x1**2/x2", "x0 + x1"]
    assert model.predict(X).shape == (200, 2)


@pytest.mark.parametrize(
    "y", [lambda X: np.full(len(X), 3.0), lambda X: np.zeros(len(X)), lambda X: np.abs(X[:, 0])]
)
def test_odd_targets_are_answered(y):
    X = np.random.default_rng(0).uniform(-2, 2, (120, 2))
    model = SymbolicRegressor(max_time=120, random_state=0).fit(X, y(X))
    np.testing.assert_allclose(model.predict(X), y(X), atol=1e-9)


def test_sign_changes_zeros_and_constant_columns_do_no_harm():
    X = np.round(np.random.default_rng(0).uniform(-3, 3, (200, 3)))
    X = np.c_[X, np.ones(200)]
    y = X[:, 0] ** 3 - 2 * X[:, 1] * X[:, 2]
    model = SymbolicRegressor(max_time=120, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-8)
    assert any("x3 is constant" in note for note in model.formula_.notes)


def test_twenty_rows_are_enough_for_a_polynomial():
    X = np.random.default_rng(0).uniform(-1, 1, (20, 1))
    model = SymbolicRegressor(max_time=120, random_state=0).fit(X, X[:, 0] ** 3 + X[:, 0] ** 2)
    assert sp.expand(model.formula_.expr - sp.sympify("x0**3 + x0**2")) == 0


def test_targets_out_of_the_range_of_squares_are_explained():
    X = np.random.default_rng(0).uniform(1, 2, (30, 1))
    with pytest.raises(ValueError, match="change its unit"):
        SymbolicRegressor(max_time=5).fit(X, 1e-200 * X[:, 0])


def test_two_rows_prove_no_law():
    X = np.random.default_rng(0).uniform(1, 2, (2, 3))
    model = SymbolicRegressor(max_time=5, random_state=0).fit(X, [1.0, 2.0])
    assert model.formula_.status == "approximate"


def test_nearly_equal_columns_do_no_harm():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (300, 2))
    X = np.c_[X, X[:, 0] + 1e-6 * rng.standard_normal(300), X[:, 0]]
    y = X[:, 0] ** 2 * X[:, 1] + 0.01 * rng.standard_normal(300)
    model = SymbolicRegressor(max_time=30, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.999
    assert any("x3 repeats x0" in note for note in model.formula_.notes)


def test_dummy_variables_are_dropped():
    X = np.random.default_rng(0).uniform(1, 3, (400, 20))
    y = X[:, 4] * X[:, 7] ** 2 / X[:, 11]
    assert SymbolicRegressor(random_state=0).fit(X, y).formula_.used_names == ("x4", "x7", "x11")


@pytest.mark.parametrize(
    ("y", "note"),
    [
        (lambda X: 2 * X[:, 0] - X[:, 1], "a linear model"),
        (lambda X: X[:, 0] ** 2 / X[:, 1], "a log-linear model"),
    ],
)
def test_it_says_when_a_simple_model_does_as_well(y, note):
    X = np.random.default_rng(0).uniform(1, 3, (200, 2))
    formula = SymbolicRegressor(max_time=10, random_state=0).fit(X, y(X)).formula_
    assert any(note in text for text in formula.notes)


def test_a_large_table_is_subsampled_and_says_so():
    X, y = law("monomial", n=3000)
    model = SymbolicRegressor(max_rows=100, random_state=0).fit(X, y)
    assert str(model.formula_.expr) == "x0*x1**2/x2"
    assert any("the search used 100 of 3000 rows" in note for note in model.formula_.notes)


def test_an_interrupted_search_returns_its_best_formula(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.Search, "_merged_coordinates", interrupt)
    X, y = law("quotient", noise=0.01)
    model = SymbolicRegressor(max_time=20, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert any("interrupted" in note for note in model.formula_.notes)


def test_only_allowed_functions_are_used():
    X, y = law("decay", n=200)
    model = SymbolicRegressor(max_time=2, functions=["log"], random_state=0).fit(X, y)
    assert not model.formula_.expr.has(sp.exp, sp.sin, sp.cos, sp.tanh)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_time": 0}, "max_time must be a positive number"),
        ({"functions": ["sinus"]}, "unknown names"),
        ({"max_rows": 3}, "max_rows must be at least"),
    ],
)
def test_wrong_options_are_explained(options, message):
    X, y = law("monomial", n=50)
    with pytest.raises(ValueError, match=message):
        SymbolicRegressor(**options).fit(X, y)


def test_clone_keeps_the_options():
    model = SymbolicRegressor(max_time=3, functions=("exp",), n_jobs=2)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping check")
def test_scikit_learn_accepts_the_estimator():
    # a search that the clock ends is not the same twice: only what comes before it is run
    check_estimator(SymbolicRegressor(max_time=1e-3, random_state=0))


def test_the_progress_names_the_best_formula_so_far():
    from sklearn.utils._testing import ignore_warnings

    names = []

    class Listener:
        """Write down the names of the tasks."""

        def setup(self, estimator, context):
            """Nothing to prepare."""

        def on_fit_task_begin(self, estimator, context):
            names.append(context.task_name)

        def on_fit_task_end(self, estimator, context):
            """Nothing to add."""

        def teardown(self, estimator, context):
            """Nothing to close."""

    X, y = law("monomial", n=200)  # found exactly, which ends the search whatever the clock says
    with ignore_warnings():
        SymbolicRegressor(max_time=60, random_state=0).set_callbacks(Listener()).fit(X, y)
    assert names[0] == "fit"
    assert any("x0*x1**2/x2" in name for name in names)


def test_an_interrupt_while_polishing_keeps_the_formula(monkeypatch):
    import kanx.discovery.report as report

    calls = []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return arguments[1]

    monkeypatch.setattr(report, "polish", interrupt)
    X, y = law("decay", n=200)
    model = SymbolicRegressor(max_time=20, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    assert any("the polishing was interrupted" in note for note in model.formula_.notes)


@pytest.mark.slow
def test_several_targets_in_processes_are_those_of_one_process():
    X, y = law("monomial", n=100)
    targets = np.c_[y, X[:, 0] + X[:, 1]]
    fits = [
        SymbolicRegressor(max_time=60, n_jobs=n_jobs, random_state=0).fit(X, targets)
        for n_jobs in (None, 2)
    ]
    assert [f.expr for f in fits[0].formula_] == [f.expr for f in fits[1].formula_]


@pytest.mark.slow
def test_thirty_dummy_variables_with_noise_are_dropped():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (500, 33))
    y = X[:, 4] * X[:, 7] ** 2 / X[:, 11]
    y += 0.01 * y.std() * rng.normal(size=500)
    formula = SymbolicRegressor(max_time=40, random_state=0).fit(X, y).formula_
    assert formula.used_names == ("x4", "x7", "x11")


def test_twenty_rows_with_noise_and_sign_changes_do_no_harm():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    y = X[:, 0] * X[:, 1] + 0.1 * rng.normal(size=20)
    y[3] = 0.0
    model = SymbolicRegressor(max_time=2, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert model.formula_.status == "approximate"


def test_a_million_rows_are_subsampled_and_said_so():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, (1_000_000, 2))
    model = SymbolicRegressor(max_time=20, random_state=0).fit(X, X[:, 0] / X[:, 1])
    assert str(model.formula_.expr) == "x0/x1"
    assert any("the search used 3000 of 1000000 rows" in n for n in model.formula_.notes)


def test_strongly_correlated_inputs_do_no_harm():
    rng = np.random.default_rng(0)
    a = rng.uniform(1, 3, 400)
    X = np.c_[a, a * (1 + 0.01 * rng.normal(size=400)), rng.uniform(1, 3, 400)]
    y = X[:, 0] * X[:, 2] + 0.01 * rng.normal(size=400)
    model = SymbolicRegressor(max_time=5, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.999


def test_rows_of_weight_zero_do_not_count():
    X, y = law("monomial", n=120)
    spoiled = np.r_[y[:100], np.full(20, 77.0)]
    weight = np.r_[np.ones(100), np.zeros(20)]
    model = SymbolicRegressor(max_time=20, random_state=0).fit(X, spoiled, sample_weight=weight)
    assert str(model.formula_.expr) == "x0*x1**2/x2"


def test_no_formula_is_larger_than_allowed():
    X, y = law("quotient", noise=0.01)
    model = SymbolicRegressor(max_time=2, max_complexity=5, random_state=0).fit(X, y)
    assert max(model.front_["complexity"]) <= 6


def test_every_row_of_the_front_is_one_line():
    front = found("distance").front_
    assert not any("\n" in text for column in ("formula", "constants") for text in front[column])
    assert len(str(front).splitlines()) <= len(front) + 3
