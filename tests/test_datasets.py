"""Generators: right laws (against sympy, mpmath and scikit-learn), own seeds, honest noise."""

import ast
import csv
import os
import pickle
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy
from sklearn import datasets as sklearn_datasets

from kanx import datasets
from kanx.datasets.feynman import _equations
from kanx.datasets.strogatz import _SYSTEMS, integrate

ROOT = Path(__file__).parents[1]
BENCH = Path(os.environ.get("KANX_DATA") or ROOT.parent / "shared" / "data").parent / "bench"
needs_bench = pytest.mark.skipif(
    not BENCH.is_dir(), reason="no folder bench beside the data folder (KANX_DATA)"
)

GENERATORS = {
    "feynman": lambda seed: datasets.make_feynman("I.9.18", 50, noise=0.1, random_state=seed),
    "special": lambda seed: datasets.make_special("jv", 50, noise=0.1, random_state=seed),
    "harmonic": lambda seed: datasets.make_special("sph_harm_1_2", 50, random_state=seed),
    "toy": lambda seed: datasets.make_toy_law("nested_4d", 50, random_state=seed),
    "nguyen": lambda seed: datasets.make_nguyen(11, random_state=seed),
    "friedman1": lambda seed: datasets.make_friedman1(50, noise=1.0, random_state=seed),
    "friedman2": lambda seed: datasets.make_friedman2(50, random_state=seed),
    "friedman3": lambda seed: datasets.make_friedman3(50, random_state=seed),
    "polynomial": lambda seed: datasets.make_sparse_polynomial(50, noise=0.1, random_state=seed),
    "spirals": lambda seed: datasets.make_two_spirals(50, noise=0.01, random_state=seed),
    "strogatz": lambda seed: datasets.make_strogatz("bacres2", noise=0.1, random_state=seed),
    "find": lambda seed: datasets.make_find(
        "sine", corrupted=True, approximated=True, noise="poisson", random_state=seed
    ),
}


@pytest.fixture(params=GENERATORS)
def generator(request):
    return GENERATORS[request.param]


# --- every generator -------------------------------------------------------------------------


def test_same_seed_same_data_other_seed_other_data(generator):
    first, again, other = generator(7), generator(7), generator(8)
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    assert first.X.shape == other.X.shape
    assert not np.array_equal(first.X, other.X) or not np.array_equal(first.y, other.y)


def test_global_random_state_is_neither_read_nor_written(generator):
    np.random.seed(0)  # noqa: NPY002 - the global state is what is being watched
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    unseeded = generator(None)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    again = generator(None)
    assert not (np.array_equal(unseeded.X, again.X) and np.array_equal(unseeded.y, again.y))


def test_takes_a_generator_and_refuses_other_random_states(generator):
    first = generator(np.random.default_rng(3))
    again = generator(np.random.default_rng(3))
    np.testing.assert_array_equal(first.y, again.y)
    for wrong in ("0", 1.5, True, np.random.RandomState(0)):
        with pytest.raises(TypeError, match="random_state"):
            generator(wrong)


def test_facts_are_complete_and_consistent(generator):
    data = generator(0)
    assert list(data.X.columns) == list(data.feature_names)
    assert data.X.shape == (len(data.y), len(data.feature_names))
    assert np.isfinite(np.asarray(data.X)).all() and np.isfinite(data.y).all()
    assert all([data.name, data.target_name, data.description, data.source, data.licence])
    assert data.name in repr(data) and str(len(data.y)) in repr(data)
    assert (data.truth is None) == (data.law is None)


def test_survives_pickling_with_its_law(generator):
    data = generator(0)
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy.y, data.y)
    if data.law is not None:
        np.testing.assert_array_equal(copy.law(copy.X), data.law(data.X))


# --- laws ------------------------------------------------------------------------------------


def _reference(text, names):
    symbols = {name: sympy.Symbol(name) for name in names}
    return sympy.sympify(text, locals=symbols | {"pi": sympy.pi, "j0": _bessel}), symbols


def _bessel(argument):
    return sympy.besselj(0, argument)


@pytest.mark.parametrize("dimensionless", [False, True])
def test_every_feynman_equation_agrees_with_sympy(dimensionless):
    ids = datasets.list_feynman(dimensionless)
    assert len(ids) == (27 if dimensionless else 120)
    for id in ids:
        data = datasets.make_feynman(id, 3, random_state=1, dimensionless=dimensionless)
        expression, symbols = _reference(data.truth, data.feature_names)
        for row, value in zip(data.X.to_dict("records"), data.y, strict=True):
            exact = expression.evalf(25, subs={symbols[name]: row[name] for name in row})
            assert value == pytest.approx(float(exact), rel=1e-9, abs=1e-12), id


@pytest.mark.parametrize(
    "make",
    [
        *(pytest.param((datasets.make_toy_law, name)) for name in datasets.list_toy_laws()),
        *(pytest.param((datasets.make_nguyen, name)) for name in datasets.list_nguyen()),
    ],
    ids=lambda make: str(make[1]),
)
def test_every_toy_law_agrees_with_sympy(make):
    data = make[0](make[1], 3, random_state=1)
    expression, symbols = _reference(data.truth, data.feature_names)
    for row, value in zip(data.X.to_dict("records"), data.y, strict=True):
        exact = expression.evalf(25, subs={symbols[name]: row[name] for name in row})
        assert value == pytest.approx(float(exact), rel=1e-9, abs=1e-12)


MPMATH = {
    "ellipj": lambda u, m: mpmath.ellipfun("sn", u, m=m),
    "ellipkinc": mpmath.ellipf,
    "ellipeinc": mpmath.ellipe,
    "jv": mpmath.besselj,
    "yv": mpmath.bessely,
    "kv": mpmath.besselk,
    "iv": mpmath.besseli,
    **{f"lpmv_{m}": lambda v, x, m=m: mpmath.legenp(v, m, x, type=2) for m in (0, 1, 2)},
    **{
        f"sph_harm_{m}_{n}": lambda a, p, m=m, n=n: mpmath.re(mpmath.spherharm(n, m, p, a))
        for m, n in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
    },
}


@pytest.mark.parametrize("name", datasets.list_special())
def test_every_special_function_agrees_with_mpmath(name):
    data = datasets.make_special(name, 20, random_state=2)
    for row, value in zip(np.asarray(data.X), data.y, strict=True):
        assert value == pytest.approx(float(mpmath.re(MPMATH[name](*row))), rel=1e-7, abs=1e-10)


def test_there_are_the_fifteen_special_functions_of_the_paper():
    assert len(datasets.list_special()) == 15


@needs_bench
def test_feynman_table_states_the_public_facts():
    with open(BENCH / "feynman.csv", encoding="utf-8") as lines:
        public = {row["id"]: row for row in csv.DictReader(lines)}
    assert set(public) == set(datasets.list_feynman())
    for id, equation in _equations(False).items():
        ranges = (f"{name}:{lo:g}:{hi:g}" for name, (lo, hi) in equation.ranges.items())
        assert public[id]["formula"] == equation.formula
        assert public[id]["variables"] == ";".join(ranges)
        assert public[id]["output"] == equation.output


def test_rows_fill_the_stated_ranges():
    data = datasets.make_feynman("I.26.2", 2000, random_state=0)
    assert data.info["ranges"] == {"n": (0.0, 1.0), "theta2": (1.0, 5.0)}
    for name, (lower, upper) in data.info["ranges"].items():
        width = upper - lower
        assert lower <= data.X[name].min() < lower + 0.01 * width
        assert upper >= data.X[name].max() > upper - 0.01 * width


def test_ranges_can_be_changed_within_the_domain():
    data = datasets.make_feynman("I.26.2", 50, ranges={"n": (0.1, 0.2)}, random_state=0)
    assert data.X["n"].between(0.1, 0.2).all() and data.X["theta2"].max() > 2
    with pytest.raises(ValueError, match=r"undefined on .* narrow the ranges"):
        datasets.make_feynman("I.26.2", 50, ranges={"n": (2, 3)}, random_state=0)
    with pytest.raises(ValueError, match="unknown variable 'm'"):
        datasets.make_feynman("I.26.2", 50, ranges={"m": (2, 3)})
    with pytest.raises(ValueError, match="lower < upper"):
        datasets.make_feynman("I.26.2", 50, ranges={"n": (1, 1)})


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.5])
def test_noise_is_a_share_of_the_root_mean_square_and_leaves_the_inputs_alone(noise):
    clean = datasets.make_toy_law("exp_sine", 20_000, random_state=4)
    noisy = datasets.make_toy_law("exp_sine", 20_000, noise=noise, random_state=4)
    np.testing.assert_array_equal(clean.X, noisy.X)
    expected = noise * np.sqrt(np.mean(clean.y**2))
    assert np.std(noisy.y - noisy.law(noisy.X)) == pytest.approx(expected, rel=0.03)


def test_law_reads_frames_by_name_and_arrays_by_position():
    data = datasets.make_feynman("I.27.6", 20, random_state=0)
    shuffled = data.X[data.X.columns[::-1]].assign(other="text")
    np.testing.assert_array_equal(data.law(shuffled), data.y)
    np.testing.assert_array_equal(data.law(data.X.to_numpy()), data.y)
    with pytest.raises(ValueError, match=r"lacks the columns \['n'\]"):
        data.law(data.X.drop(columns="n"))
    with pytest.raises(ValueError, match=r"shape \(20, 2\)"):
        data.law(data.X.to_numpy()[:, :2])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_friedman_draws_what_scikit_learn_draws(number):
    make = getattr(datasets, f"make_friedman{number}")
    X, y = getattr(sklearn_datasets, f"make_friedman{number}")(40, noise=0.5, random_state=11)
    data = make(40, noise=0.5, random_state=11)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, y)
    clean = make(40, random_state=11)
    np.testing.assert_allclose(clean.law(clean.X), clean.y, rtol=1e-12)
    assert data.info["relevant"] == ("x1", "x2", "x3", "x4", "x5")[: len(data.info["relevant"])]


def test_sparse_polynomial_is_the_sum_of_its_monomials():
    data = datasets.make_sparse_polynomial(200, 30, n_terms=7, random_state=5)
    total = np.zeros(200)
    for powers, coefficient in data.info["monomials"]:
        assert 3 <= sum(powers.values()) <= 4 and 0.5 <= abs(coefficient) <= 1.5
        total += coefficient * np.prod([data.X[name] ** p for name, p in powers.items()], axis=0)
    np.testing.assert_allclose(total, data.y, rtol=1e-10, atol=1e-10)
    assert len({str(powers) for powers, _ in data.info["monomials"]}) == 7
    assert set(data.info["relevant"]) == {n for p, _ in data.info["monomials"] for n in p}
    with pytest.raises(ValueError, match="different monomials"):
        datasets.make_sparse_polynomial(10, 1, n_terms=3, random_state=0)


def test_two_spirals_lie_on_their_arms():
    data = datasets.make_two_spirals(501, turns=3, random_state=0)
    x1, x2 = data.X.to_numpy().T
    radius = np.hypot(x1, x2)
    angle = 2 * np.pi * 3 * radius + np.pi * data.y
    np.testing.assert_allclose([x1, x2], radius * np.array([np.cos(angle), np.sin(angle)]))
    assert np.bincount(data.y).tolist() == [251, 250] and len(data.classes) == 2


# --- Strogatz --------------------------------------------------------------------------------


@pytest.mark.parametrize("id", datasets.list_strogatz())
def test_rates_are_the_slopes_of_the_trajectories(id):
    data = datasets.make_strogatz(id, n_trajectories=1, n_points=2001, duration=1.0, random_state=0)
    name = "x" if id.endswith("1") else "y"
    assert data.target_name == f"d{name}_dt"
    state = data.X[name].to_numpy()
    slope = (state[2:] - state[:-2]) / (data.info["time"][2] - data.info["time"][0])
    scale = np.abs(data.y).max()
    np.testing.assert_allclose(slope, data.y[1:-1], atol=2e-3 * scale)


def test_trajectories_are_groups_that_a_split_keeps_whole():
    data = datasets.make_strogatz("bacres1", n_points=30, random_state=0)
    X_train, X_test, _, _ = data.split(0.25, random_state=0)
    assert len(X_test) == 30 and len(set(data.groups[X_test.index])) == 1
    assert not set(data.groups[X_test.index]) & set(data.groups[X_train.index])


@needs_bench
@pytest.mark.parametrize("name", list(_SYSTEMS))
def test_rates_agree_with_the_published_data(name):
    for component in (1, 2):
        table = np.loadtxt(
            BENCH / "strogatz_data" / f"d_{name}{component}.txt", delimiter=",", skiprows=1
        )
        law = datasets.make_strogatz(f"{name}{component}", n_points=2, random_state=0).law
        np.testing.assert_allclose(law(table[:, 1:]), table[:, 0], rtol=1e-9, atol=1e-9)


def test_a_singular_trajectory_is_an_error():
    with pytest.raises(RuntimeError, match="cannot follow"):
        integrate(("x**2", "0*y"), np.array([1.0, 0.0]), np.linspace(0, 2, 5))


# --- FIND ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", datasets.list_find_families())
def test_every_find_family_is_finite_on_its_grid_and_equals_its_law(family):
    for seed in range(10):
        data = datasets.make_find(family, random_state=seed)
        assert data.X.shape == (256, 1) and np.isfinite(data.y).all()
        np.testing.assert_array_equal(data.law(data.X), data.y)
        assert data.info["family"] == family


def test_corruption_touches_only_its_interval():
    for seed in range(20):
        data = datasets.make_find("linear", corrupted=True, random_state=seed)
        lower, upper = data.info["corrupted_interval"]
        inside = data.X["x"].between(lower, upper).to_numpy()
        clean = data.law(data.X)
        assert 5 <= inside.sum() < 256
        np.testing.assert_array_equal(data.y[~inside], clean[~inside])
        assert np.abs(data.y[inside] - clean.mean()).max() < 0.6


def test_network_approximation_is_close_but_not_exact():
    data = datasets.make_find("tanh", approximated=True, random_state=0)
    error = np.sqrt(np.mean((data.y - data.law(data.X)) ** 2))
    assert data.info["network_rmse"] == pytest.approx(error)
    assert 0 < error < 0.1 * data.y.std()


@pytest.mark.parametrize(
    ("noise", "mean", "sd"), [("normal", 0, 1), ("uniform", 0, 3**-0.5), ("poisson", 1, 1)]
)
def test_find_noise(noise, mean, sd):
    added = [
        (data := datasets.make_find("sine", noise=noise, random_state=seed)).y - data.law(data.X)
        for seed in range(20)
    ]
    assert np.mean(added) == pytest.approx(mean, abs=0.06)
    assert np.std(added) == pytest.approx(sd, abs=0.06)


def test_find_suite_is_mixed_and_does_not_depend_on_its_length():
    suite = datasets.make_find_suite(60, approximated_share=0, random_state=0)
    assert len({data.info["family"] for data in suite}) > 10
    assert 0 < sum(data.info["corrupted_interval"] is not None for data in suite) < 30
    for short, long in zip(
        datasets.make_find_suite(5, approximated_share=0, random_state=0), suite, strict=False
    ):
        np.testing.assert_array_equal(short.y, long.y)


# --- bad arguments and the house rules -------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: datasets.make_feynman("I.0.0"),
            r"no Feynman equation 'I.0.0'; the ids are I.6.2a",
        ),
        (
            lambda: datasets.make_special("gamma"),
            "no special function 'gamma'; the names are ellipj",
        ),
        (lambda: datasets.make_toy_law("x"), "no toy law 'x'; the names are bessel"),
        (lambda: datasets.make_nguyen(13), "no Nguyen problem 13"),
        (lambda: datasets.make_strogatz("lorenz1"), "no system 'lorenz1'; the ids are bacres1"),
        (lambda: datasets.make_find("zeta"), "no family 'zeta'; the families are linear"),
        (lambda: datasets.make_find(noise="loud"), "noise must be 'normal'"),
        (lambda: datasets.make_find_suite(3, corrupted_share=2), "corrupted_share must lie"),
        (lambda: datasets.make_feynman("I.12.1", 0), "n_samples must be an integer of at least 1"),
        (lambda: datasets.make_feynman("I.12.1", noise=-1), "noise must be a finite number"),
        (lambda: datasets.make_friedman1(10, 4), "n_features must be an integer of at least 5"),
        (lambda: datasets.make_two_spirals(turns=0), "turns must be positive"),
        (lambda: datasets.make_strogatz("lv1", duration=-1), "duration must be positive"),
        (lambda: datasets.make_sparse_polynomial(degrees=(4, 3)), "degrees must be"),
        (lambda: datasets.load_benchmark("boston"), "no benchmark 'boston'; the names are yacht"),
        (lambda: datasets.load_adult(subset="half"), "subset must be"),
    ],
)
def test_bad_arguments_say_what_is_possible(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_imports_neither_torch_nor_sympy_nor_the_rest_of_kanx():
    code = (
        "import sys, kanx.datasets; "
        "print({m.split('.')[0] for m in sys.modules} & {'torch', 'sympy', 'sklearn', 'pandas'}, "
        "[m for m in sys.modules if m.startswith('kanx.') and 'datasets' not in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set() []"


def test_nothing_that_learns_reads_the_known_laws():
    for path in (ROOT / "kanx").rglob("*.py"):
        if path.parent.name in ("datasets", "commands") or path.name == "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or ""
                imported = {module, *(f"{module}.{alias.name}" for alias in node.names)}
                assert not any("kanx.datasets" in name for name in imported), path


def test_the_target_carries_its_name_to_the_model_and_its_explanation():
    data = datasets.make_friedman1(60, n_features=6, random_state=0)
    assert data.y.name == data.target_name
    for part in data.split(random_state=0)[2:]:
        assert part.name == data.target_name
