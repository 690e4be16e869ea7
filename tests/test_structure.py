"""Symmetries and separability: what holds in closed form is found, with its constants."""

import warnings

import numpy as np
import pytest
import torch
from processes import run_python
from sklearn.linear_model import LinearRegression

import kanx
from kanx.explain.pair_findings import Finding, Structure, connected


def rows(count=400, inputs=4, low=1.0, high=3.0):
    return np.random.default_rng(0).uniform(low, high, (count, inputs))


def of(found, kind, first, second):
    return next(f for f in found.findings if (f.kind, f.first, f.second) == (kind, first, second))


def test_the_part_that_two_inputs_share_is_that_of_the_analysis_of_variance():
    X = rows(20000, 2, 0.0, 1.0)
    found = kanx.explain.structure(
        lambda x: x[:, 0] + x[:, 1] + 3 * x[:, 0] * x[:, 1], X, max_rows=20000
    )
    # main effects 2.5 (x - 1/2), interaction 3 (x - 1/2)(y - 1/2), var(x) = 1/12
    main, joint = 2 * 2.5**2 / 12, 9 / 144
    share = of(found, "sum", 0, 1)
    assert abs(share.error - joint / (main + joint)) < 4 * share.error_std
    assert share.error_std < 0.01
    np.testing.assert_allclose(found.effects, (main / 2 + joint) / (main + joint), atol=0.02)


def test_sums_and_products_separate_into_their_groups():
    X = rows(inputs=5)
    added = kanx.explain.structure(
        lambda x: np.sin(x[:, 0] * x[:, 3]) + np.exp(x[:, 1]) + x[:, 2] ** 2, X
    )
    assert added.sums == [["x0", "x3"], ["x1"], ["x2"]]
    assert added.inert == ["x4"]
    times = kanx.explain.structure(lambda x: (x[:, 0] + x[:, 2]) * np.sqrt(x[:, 1]) / x[:, 3], X)
    assert times.products == [["x0", "x2"], ["x1"], ["x3"]]
    assert len(times.sums) == 1


@pytest.mark.parametrize(
    ("kind", "function", "ratio"),
    [
        ("translation", lambda x: np.tanh(x[:, 0] - 2 * x[:, 1]) * x[:, 2], -2.0),
        ("scaling", lambda x: np.log1p(x[:, 0] * x[:, 1] ** 1.5 * 0.1) + x[:, 2], 1.5),
        ("rotation", lambda x: np.exp(-(x[:, 0] ** 2 + 0.5 * x[:, 1] ** 2) / 4) * x[:, 2], 0.5),
    ],
)
def test_symmetries_are_found_with_their_ratio(kind, function, ratio):
    found = kanx.explain.structure(function, rows(inputs=3), tolerance=1e-8)
    best = found.symmetries
    assert [(f.kind, f.first, f.second) for f in best] == [(kind, 0, 1)]
    assert best[0].ratio == pytest.approx(ratio, abs=1e-6)
    assert best[0].error < 1e-12
    assert found.combination(best[0]) in str(found)


def test_what_does_not_hold_is_not_claimed():
    found = kanx.explain.structure(lambda x: np.sin(x[:, 0] * x[:, 1]) + x[:, 0], rows(inputs=2))
    assert not found.symmetries
    assert found.sums == found.products == [["x0", "x1"]]
    assert "no separability or symmetry" in str(found)


def test_errors_cover_the_truth():
    X = rows(4000, 2)
    f = lambda x: x[:, 0] * x[:, 1] + np.sin(x[:, 0])  # noqa: E731
    best = of(kanx.explain.structure(f, X, max_rows=4000), "sum", 0, 1)
    few = [
        of(kanx.explain.structure(f, X, max_rows=200, random_state=s), "sum", 0, 1)
        for s in range(20)
    ]
    z = [(found.error - best.error) / found.error_std for found in few]
    assert np.mean(np.abs(z) < 2) >= 0.85


def test_derivatives_of_a_model_are_exact_and_those_of_a_callable_close():
    X = rows(80, 2, -1.0, 1.0)
    net = kanx.KAN([2, 3, 1], edge="slaf", random_state=0).double()
    own = kanx.explain.structure(net, X)
    by_difference = kanx.explain.structure(
        lambda x: net(torch.from_numpy(x)).detach().numpy()[:, 0], X
    )
    for a, b in zip(own.findings, by_difference.findings, strict=True):
        assert a.error == pytest.approx(b.error, rel=1e-5, abs=1e-8)


def test_a_fitted_model_shows_the_law_it_learned():
    X = rows(300, 3)
    y = X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2])
    model = kanx.KANRegressor(hidden=(2,), n_estimators=1, random_state=0).fit(X, y)
    unexplained = 1 - model.score(X, y)
    found = kanx.explain.structure(model, X, tolerance=max(10 * unexplained, 1e-3))
    assert found.sums == [["x0", "x1"], ["x2"]]


def test_other_estimators_and_frames_are_read_by_name():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(inputs=2), columns=["mass", "speed"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = kanx.explain.structure(LinearRegression().fit(X, X["mass"] + 2 * X["speed"]), X)
    assert found.sums == [["mass"], ["speed"]]
    assert found.combination(found.symmetries[0]) == "mass + 2 speed"
    frame = found.to_frame()
    assert set(frame.columns) >= {"kind", "first", "second", "error", "error_std", "holds"}


def test_categories_have_no_derivatives_but_separate():
    rng = np.random.default_rng(0)
    X = {"size": rng.uniform(0, 1, 200), "kind": rng.choice(["a", "b"], 200)}
    y = X["size"] ** 2 + (X["kind"] == "a")
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    found = kanx.explain.structure(model, X)
    assert found.sums == [["size"], ["kind"]]
    assert {f.kind for f in found.findings} == {"sum", "product"}


def test_what_cannot_be_tested_says_why():
    X = rows(inputs=2)
    with pytest.raises(ValueError, match="constant on X"):
        kanx.explain.structure(lambda x: np.ones(len(x)), X)
    with pytest.raises(ValueError, match="not finite on"):
        kanx.explain.structure(lambda x: np.where(x[:, 0] > 2, np.nan, x[:, 0]), X)
    with pytest.raises(ValueError, match="at least 40 rows"):
        kanx.explain.structure(lambda x: x[:, 0], X[:10])
    with pytest.raises(ValueError, match="must return 400 values"):
        kanx.explain.structure(lambda x: x[:5, 0], X)
    with pytest.raises(TypeError, match="cannot test a str"):
        kanx.explain.structure("sin(x)", X)
    with pytest.raises(ValueError, match="tolerance must be a positive"):
        kanx.explain.structure(lambda x: x[:, 0], X, tolerance=0)


def test_connected_components():
    assert connected(range(5), [(0, 3), (3, 4), (1, 2)]) == [[0, 3, 4], [1, 2]]
    assert connected([2, 7], []) == [[2], [7]]


def test_the_functions_are_there_at_first_use():
    code = (
        "import kanx; kanx.explain.structure, kanx.explain.stability; assert callable(kanx.explain)"
    )
    done = run_python(code, afresh=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("kind", "ratio", "text"),
    [
        ("translation", 1.0, "a + b"),
        ("translation", -2.0, "a - 2 b"),
        ("scaling", 1.0, "a b"),
        ("scaling", -0.5, "a b^-0.5"),
        ("rotation", 1.0, "a² + b²"),
        ("rotation", -1.0, "a² - b²"),
    ],
)
def test_combinations_are_written_as_people_write_them(kind, ratio, text):
    finding = Finding(kind, 0, 1, 0.0, 0.0, ratio, 0.0)
    assert Structure(["a", "b"], np.ones(2), [finding], 1e-3, 40).combination(finding) == text
