"""SymbolicClassifier: formulas of log-odds, their probabilities, and scikit-learn's rules."""

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit
from sklearn.utils.estimator_checks import check_estimator

import kanx.discovery.engine as engine
from kanx import SymbolicClassifier
from kanx.discovery.log_odds import first_guess, scored


def drawn(log_odds, rows=2000, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 3, (rows, columns))
    return X, (rng.random(rows) < expit(log_odds(X))).astype(int)


@pytest.fixture(scope="module")
def product():
    X, y = drawn(lambda X: 2 * X[:, 0] * X[:, 1] - 8)
    return X, y, SymbolicClassifier(max_time=15, random_state=0).fit(X, y)


def test_the_log_odds_are_found_and_their_errors_cover_the_constants(product):
    formula = product[2].formula_
    a, b = sp.symbols("x0 x1")
    assert formula.used_names == ("x0", "x1") and formula.target == "logit(1)"
    slope, offset = sp.diff(formula.expr, a, b), formula.expr.subs({a: 0, b: 0})
    assert abs(slope - 2) < 0.4 and abs(offset + 8) < 1.6
    for found, true in zip(sorted(c.value for c in formula.constants), (-8, 2), strict=True):
        error = next(c.standard_error for c in formula.constants if c.value == found)
        assert abs(found - true) < 4 * error
    assert any("log-odds" in note for note in formula.notes)


def test_probabilities_are_those_of_the_formula(product):
    X, y, model = product
    p = model.predict_proba(X)
    np.testing.assert_allclose(p[:, 1], expit(model.formula_.predict(X)))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert np.array_equal(model.predict(X), model.classes_[(p[:, 1] > 0.5).astype(int)])
    loss = -np.mean(np.log(np.where(y == 1, p[:, 1], p[:, 0])))
    scores = model.formula_.scores
    assert loss == pytest.approx(0.9 * scores["log_loss_train"] + 0.1 * scores["log_loss_test"])
    assert list(model.front_["log_loss"]) == sorted(model.front_["log_loss"], reverse=True)


def test_separable_classes_end():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 2))
    y = X[:, 0] + X[:, 1] > 0
    model = SymbolicClassifier(max_time=3, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert np.isfinite(model.decision_function(X)).all()


def test_three_classes_get_three_formulas():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (600, 1))
    y = np.array(["low", "middle", "high"])[
        np.digitize(X[:, 0] + 0.3 * rng.normal(size=600), [-1, 1])
    ]
    model = SymbolicClassifier(max_time=2, random_state=0).fit(X, y)
    assert [f.target for f in model.formula_] == ["logit(high)", "logit(low)", "logit(middle)"]
    p = model.predict_proba(X)
    assert p.shape == (600, 3) and np.allclose(p.sum(axis=1), 1)
    assert model.score(X, y) > 0.8


def test_an_interrupt_gives_the_best_formula_so_far(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.Search, "_merged_coordinates", interrupt)
    X, y = drawn(lambda X: X[:, 0] - 2, rows=400)
    model = SymbolicClassifier(max_time=10, random_state=0).fit(X, y)
    assert any("interrupted" in note for note in model.formula_.notes)
    assert np.isfinite(model.predict_proba(X)).all()


def test_the_first_guess_is_near_the_truth_and_its_working_rows_have_it_as_their_mean():
    def law(X):
        return 3 * np.sin(2 * X[:, 0]) + X[:, 1] - 2

    X, y = drawn(law, rows=4000)
    guess = first_guess(X, y.astype(float), np.ones(len(y)))
    truth = law(X)
    assert np.corrcoef(guess, truth)[0, 1] > 0.95
    working = scored(truth, y.astype(float), np.ones(len(y)))
    residual = (working.target - truth) * np.sqrt(working.weight)
    assert abs(residual.mean()) < 0.05 and abs(residual.var() - 1) < 0.1


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="class"):
        SymbolicClassifier(max_time=2).fit(np.arange(20.0)[:, None], np.zeros(20))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping check")
def test_scikit_learn_accepts_the_classifier():
    # a search that the clock ends is not the same twice: only what comes before it is run
    check_estimator(SymbolicClassifier(max_time=1e-3, random_state=0))
