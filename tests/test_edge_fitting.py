"""A curve gets the name of the function it is, its constants with honest errors, or no name."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from scipy.special import expit

import kanx
from kanx.explain.edge_evidence import edge_evidence
from kanx.explain.edge_fit import X
from kanx.explain.edge_forms import forms
from kanx.explain.fitting import fit_edge
from kanx.functions import FUNCTIONS, Function, register

x = np.linspace(0.3, 4.0, 120)
CURVES = {
    "constant": 3.0 + 0 * x,
    "identity": 2 * x - 1,
    "square": x**2 - 3 * x,
    "cube": (x - 1.7) ** 3,
    "reciprocal": 2 / (x + 0.5),
    "inverse_square": 1 / (x - 5) ** 2,
    "sqrt": np.sqrt(5 - x),
    "inverse_sqrt": 1 / np.sqrt(x + 0.1),
    "power": 3 * x**1.37 - 2,
    "exp": 2 * np.exp(-1.3 * x),
    "log": np.log(x - 0.2),
    "sin": 2 * np.sin(5.7 * x + 0.3) + 1,
    "asin": np.arcsin(x / 5 + 0.1),
    "atan": np.arctan(3 * x - 5),
    "gaussian": np.exp(-((2 * x - 4) ** 2)),
    "lorentzian": 1 / (1 + (2 * x - 4) ** 2),
    "abs": np.abs(x - 2),
    "relu": np.maximum(0, x - 2),
    "hyperbola": np.sqrt(1 + (2 * x - 3) ** 2),
    "planck": x / np.expm1(2 * x),
    "bose": 1 / np.expm1(2 * x),
    "x_exp": x * np.exp(-x),
    "silu": x * expit(3 * x),
    "softplus": np.logaddexp(2 * x - 3, 0),
    "rational": (x**2 - 2 * x + 3) / (x**2 + x + 2),
}


@pytest.mark.parametrize("name", CURVES)
def test_exact_curves_are_named(name):
    found = fit_edge(x, CURVES[name])
    assert found.best.name == name
    np.testing.assert_allclose(found.best.predict(x), CURVES[name], rtol=1e-8, atol=1e-9)


def test_sigmoid_and_tanh_are_one_curve_and_reported_as_a_tie():
    found = fit_edge(x, expit(3 * x - 5))
    assert {found.best.name, *(tie.name for tie in found.ties)} == {"sigmoid", "tanh"}


def test_look_alikes_are_ties_under_noise_and_told_apart_without():
    far = np.linspace(-2, 2, 200)
    curve = far * expit(3 * far)
    noisy = curve + 0.06 * np.random.default_rng(0).normal(size=200)
    found = fit_edge(far, noisy, standard_deviation=0.06)
    assert {"silu", "gelu", "mish"} <= {found.best.name, *(tie.name for tie in found.ties)}
    exact = fit_edge(far, curve)
    assert exact.best.name == "silu" and exact.ties == ()


def spline(values, n_intervals):
    step = (x[-1] - x[0]) / n_intervals
    knots = x[0] + step * np.arange(-3, n_intervals + 4)
    basis = BSpline.design_matrix(np.minimum(x, x[-1] - 1e-9), knots, 3).toarray()
    return basis @ np.linalg.lstsq(basis, values, rcond=None)[0], basis


def test_a_spline_that_cuts_off_a_pole_is_recognised_through_its_basis():
    truth = 1 / (x - 0.2)
    values, basis = spline(truth, 5)
    assert np.abs(values - truth).max() > 0.1 * truth.std()
    found = fit_edge(x, values, basis=basis)
    assert found.best.name == "reciprocal"
    np.testing.assert_allclose(found.best.predict(x), truth, rtol=1e-6)


def test_the_curves_own_noise_is_not_explained():
    rng = np.random.default_rng(1)
    noisy = x**2 + 0.3 * rng.normal(size=len(x))
    values, basis = spline(noisy, 8)
    covariance = 0.09 * np.linalg.inv(basis.T @ basis)
    sd = np.sqrt(np.einsum("np,pq,nq->n", basis, covariance, basis))
    by_sd = fit_edge(x, values, standard_deviation=sd, basis=basis)
    by_information = fit_edge(x, values, basis=basis, information=basis.T @ basis / 0.09)
    assert by_sd.best.name == by_information.best.name == "square"
    assert by_sd.fits[0].loss == pytest.approx(by_information.fits[0].loss, rel=1e-6)


def test_an_offset_that_the_information_does_not_see_is_taken_from_the_curve():
    values, basis = spline(np.tanh(3 * x - 5), 12)
    centred = basis - basis.mean(axis=0)
    curve = centred @ np.linalg.lstsq(basis, values, rcond=None)[0] + 7
    found = fit_edge(x, curve, basis=centred, information=centred.T @ centred / 1e-8)
    assert found.best.name in ("tanh", "sigmoid")
    np.testing.assert_allclose(found.best.predict(x).mean(), curve.mean(), rtol=1e-9)


def test_functions_are_recognised_behind_the_shrinkage_of_a_learned_network():
    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, (400, 5))
    z[:, 2] = rng.uniform(0.1, 2, 400)  # z[:, 4] has no effect
    truth = np.sin(4 * z[:, 0]) + np.exp(1.5 * z[:, 1]) / 2 + np.log(z[:, 2]) + z[:, 3] ** 2
    model = kanx.KANRegressor(edge="gp", hidden="additive", random_state=0)
    model.fit(z, truth + 0.05 * rng.normal(size=400))
    subject = kanx.explain(model, z).subject
    for column, name in enumerate(("sin", "exp", "log", "square")):
        evidence = edge_evidence(subject.members[0], subject.x, 0, (column, 0))
        found = fit_edge(*evidence[:2], basis=evidence.basis, information=evidence.information)
        assert found.is_explained and name in {fit.name for fit in (found.best, *found.ties)}
    assert edge_evidence(subject.members[0], subject.x, 0, (4, 0)) is None


def test_standard_errors_cover_the_truth():
    rng = np.random.default_rng(2)
    scores = []
    for _ in range(60):
        y = 2 * np.exp(-1.3 * x) + 0.5 + 0.01 * rng.normal(size=len(x))
        fit = fit_edge(x, y, standard_deviation=0.01, functions=["exp"]).best
        scores += [
            (c.value - true) / c.standard_error
            for c, true in zip(fit.constants, (2.0, 0.5, -1.3), strict=True)
        ]
    assert 0.8 < np.std(scores) < 1.25
    assert abs(np.mean(scores)) < 0.3


def test_noise_of_unknown_size_is_estimated():
    rng = np.random.default_rng(3)
    found = fit_edge(x, np.tanh(3 * x - 5) + 0.02 * rng.normal(size=len(x)))
    assert found.best.name in ("tanh", "sigmoid")
    assert found.best.constants[0].standard_error == pytest.approx(0.003, rel=0.7)


def test_a_curve_that_is_no_function_is_kept():
    found = fit_edge(x, np.minimum(x, 2) * np.sin(4 * x) * np.exp(0.5 * np.sin(9 * x)))
    assert found.best is None and not found.is_explained
    assert len(found.fits) > 0


def test_scaling_and_shifting_do_not_change_the_name():
    for scale, shift, size in ((1e-6, 0.0, 1e-9), (1e6, 0.0, 1e9), (0.01, 2000.0, 1.0)):
        t = scale * (x - 2)
        found = fit_edge(t + shift, size * np.tanh(2 * t / scale) + 5 * size)
        assert found.best.name in ("tanh", "sigmoid")
        found = fit_edge(t + shift, size * (t / scale) ** 3 + (t / scale) ** 2 * size)
        assert found.best.name == "polynomial"
        predicted = found.best.predict(t + shift)
        expected = size * (t / scale) ** 3 + (t / scale) ** 2 * size
        np.testing.assert_allclose(predicted, expected, rtol=1e-6, atol=1e-6 * size)


def test_a_root_may_begin_where_the_data_begin():
    rng = np.random.default_rng(4)
    for _ in range(20):
        start, sign = rng.normal(), rng.choice([-1, 1])
        t = start + sign * np.linspace(0, np.exp(rng.normal()), 50)
        assert fit_edge(t, np.sqrt(np.abs(t - start)), functions=["sqrt"]).best.name == "sqrt"


def test_of_many_points_some_are_used():
    t = np.random.default_rng(5).uniform(0, 3, 50_000)
    noisy = np.sin(4 * t) + 0.1 * t**0 * np.random.default_rng(6).normal(size=len(t))
    found = fit_edge(t, noisy, standard_deviation=0.1)
    assert found.best.name == "sin"
    assert found.best.constants[0].standard_error == pytest.approx(0.1 * (2 / 1000) ** 0.5, rel=0.2)


def test_powers_and_logarithms_need_their_domain():
    t = np.linspace(-1.0, 2.0, 60)
    names = {fit.name for fit in fit_edge(t, t**3 - t).fits}
    assert not names & {"power", "x_log"}
    reflected = fit_edge(-x, x**1.37).best
    assert reflected.name == "power"
    assert reflected.expr.subs(X, -2).evalf() == pytest.approx(2**1.37)


def test_the_allowed_functions_are_the_ones_tried():
    found = fit_edge(x, np.sin(2 * x), functions=["tanh", "square", "power"])
    assert {fit.name for fit in found.fits} <= {"tanh", "square", "power", "constant"}
    assert fit_edge(x, np.cos(2 * x), functions=["cos"]).best.name == "cos"
    with pytest.raises(ValueError, match=r"unknown functions \['sinus'\]"):
        fit_edge(x, x, functions=["sinus"])


def test_a_user_extends_the_functions_with_one_line():
    try:
        register(
            Function(
                "softsign",
                lambda t: t / (1 + t.abs()),
                lambda t: t / (1 + np.abs(t)),
                lambda t: t / (1 + sp.Abs(t)),
            )
        )
        assert fit_edge(x, (3 * x - 5) / (1 + np.abs(3 * x - 5))).best.name == "softsign"
    finally:
        del FUNCTIONS["softsign"]


def test_expressions_are_in_the_users_coordinate():
    fit = fit_edge(x, 2 * np.sin(5.7 * x + 0.3) + 1).best
    speed = sp.Symbol("speed")
    expr = fit.in_terms_of(speed)
    assert expr.free_symbols == {speed}
    value = float(expr.subs(speed, 1.1))
    assert value == pytest.approx(2 * np.sin(5.7 * 1.1 + 0.3) + 1)
    amplitude, offset, slope, shift = (constant.value for constant in fit.constants)
    assert (amplitude, offset, slope, shift) == pytest.approx((2, 1, 5.7, 0.3))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (x, x[:-1], "one shape"),
        (x[:, None], x[:, None], "one shape"),
        (x, np.where(x > 2, np.nan, x), "finite"),
        (np.ones(9), np.arange(9.0), "at least 5 different points"),
        (x, 1e200 * x, "rescale"),
    ],
)
def test_unusable_curves_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        fit_edge(a, b)
    with pytest.raises(ValueError, match="pass the basis"):
        fit_edge(x, x, information=np.eye(3))
    with pytest.raises(ValueError, match="basis must have shape"):
        fit_edge(x, x, basis=np.eye(3))


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32)),
        min_size=5,
        max_size=30,
        unique_by=lambda point: point[0],
    )
)
def test_any_points_are_fitted_without_failure(points):
    a, b = np.array(points).T
    found = fit_edge(a, b)
    assert all(np.isfinite(fit.loss) and np.isfinite(fit.bits) for fit in found.fits)
    assert np.isfinite(found.fits[0].predict(a)).all()


def test_every_form_starts_where_it_is_legal():
    t = np.linspace(-1, 1, 50)
    for form in forms():
        for origin in (0.0, -3.0, 40.0):
            grid = form.starts(origin)
            argument = grid[:, :1] * (form.coordinate(t, origin) - grid[:, 1:])
            if len(grid):
                assert np.isfinite(form.function.numpy(argument)).all(), form.name


def test_a_step_whose_rational_approximant_has_no_pole_is_named():
    x = np.arange(-127.5, 128.5)
    y = 4.53 * ((x > -71.8).astype(float) - (x > -39.8))
    for out in (slice(60, 86), slice(0, 76), slice(100, 256)):
        kept = np.ones(256, bool)
        kept[out] = False
        assert np.isfinite(fit_edge(x[kept], y[kept]).fits[0].loss)
