"""Pictures: axes in, axes out; what must be seen is drawn, nothing overlaps, nothing changes."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy as sp
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch
from matplotlib.testing.compare import compare_images
from PIL import Image

import kanx
from kanx import KAN
from kanx.explain import plots
from kanx.explain.formula import Formula
from kanx.explain.plots.network_layout import BOX, lay_out
from kanx.tables import Column

BASELINES = Path(__file__).parent / "baseline"


@pytest.fixture(autouse=True)
def plain_style():
    with plt.rc_context({**matplotlib.rcParamsDefault, "backend": "Agg"}):
        yield
    plt.close("all")


def explained(widths, **options):
    """Explain a network whose curves are set by a formula, the same on every machine."""
    net = KAN(list(widths), edge="spline", random_state=0, **options).double()
    for k, (_, bundle, _) in enumerate(net.bundles()):
        shape = bundle.stacked_parameters().shape
        wave = torch.sin(torch.arange(np.prod(shape), dtype=torch.float64) * (1.3 + k))
        bundle.load_stacked(wave.reshape(tuple(shape)))
    inputs = net.in_features
    x = np.cos(np.arange(60)[:, None] * (1 + np.arange(inputs)) * 0.7) * 0.9
    return kanx.explain(net, {f"input {j}": x[:, j] for j in range(inputs)})


@pytest.fixture(scope="module")
def mixed():
    """Explain a network of a number, a number that may be missing, and a category."""
    edges = [
        {"family": "spline"},
        {"family": "spline", "missing": True},
        {"family": "lookup", "categories": 3},
    ]
    net = KAN([3, 1], edge=edges, random_state=0).double()
    for _, bundle, _ in net.bundles():
        shape = bundle.stacked_parameters().shape
        wave = torch.sin(torch.arange(np.prod(shape), dtype=torch.float64) * 2.1)
        bundle.load_stacked(wave.reshape(tuple(shape)))
    x = np.cos(np.arange(60)[:, None] * np.array([0.7, 1.3, 1.0]))
    x[::7, 1] = np.nan
    x[:, 2] = np.arange(60) % 3
    view = kanx.explain(net, {"speed": x[:, 0], "depth": x[:, 1], "kind": x[:, 2]})
    view.subject.columns[1] = Column("depth", None, True, -1.0, 1.0)
    view.subject.columns[2] = Column("kind", ("oak", "elm", "ash"), False, 0.0, 2.0)
    view.subject.units = {"speed": "m/s", "y": "kg"}
    return view


def pictures(mixed):
    """Return every picture by name."""
    hidden = explained([3, 2, 1], skip=True)
    return {
        "curves": lambda: plots.plot_curves(mixed.curves),
        "network_mixed": lambda: plots.plot_network(mixed).figure,
        "network_hidden": lambda: plots.plot_network(hidden).figure,
        "waterfall": lambda: plots.plot_waterfall(mixed.local(), row=3).figure,
        "beeswarm": lambda: plots.plot_beeswarm(mixed.local()).figure,
        "importances": lambda: plots.plot_importances(mixed.importances).figure,
        "surface": lambda: hidden.plot_surface("input 0", "input 1").figure,
        "interactions": lambda: plots.plot_interactions(hidden.interactions).figure,
    }


@pytest.mark.parametrize(
    "name",
    [
        "curves",
        "network_mixed",
        "network_hidden",
        "waterfall",
        "beeswarm",
        "importances",
        "surface",
        "interactions",
    ],
)
def test_pictures_look_as_they_did(name, mixed, tmp_path, request):
    figure = pictures(mixed)[name]()
    found = tmp_path / f"{name}.png"
    figure.savefig(found, dpi=50, metadata={"Software": None})
    baseline = BASELINES / f"{name}.png"
    if not baseline.exists():
        pytest.fail(f"there is no {baseline}; look at {found} and copy it there if it is right")
    # fonts differ a little between versions of freetype
    assert compare_images(str(baseline), str(found), tol=12) is None


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


@pytest.mark.parametrize("inputs", [2, 30, 50])
def test_nothing_overlaps_in_the_drawing_of_a_network(inputs):
    view = explained([inputs, 1])
    ax = view.plot_network()
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])
    layout = lay_out(view)
    for places in (
        [edge.box for edge in layout.edges if edge.box is not None],
        [node.at for node in layout.nodes[0]],
    ):
        apart = np.abs(np.diff(sorted(place[1] for place in places)))
        assert (apart >= BOX[1]).all()
    assert len(texts(ax)) == inputs + 1


@pytest.mark.parametrize("widths", [[2, 5, 1], [30, 4, 2], [3, [1, [2]], 1], [3, 2, 2, 1]])
def test_boxes_of_deeper_networks_stay_apart(widths):
    view = explained(widths, skip=True)
    layout = lay_out(view, max_boxes=40)
    boxes = [edge.box for edge in layout.edges if edge.box is not None]
    assert boxes
    for k, (x, y) in enumerate(boxes):
        for u, v in boxes[k + 1 :]:
            assert abs(x - u) >= BOX[0] or abs(y - v) >= BOX[1]
    assert all(layout.lower < y < layout.upper for _, y in boxes)


@pytest.mark.parametrize("width", [40, {"sums": 20, "products": [2] * 10}])
def test_of_wide_layers_the_most_important_nodes_are_drawn(width):
    view = explained([3, width, 1], skip=True)
    layout = lay_out(view, max_nodes=7)
    assert [len(nodes) for nodes in layout.nodes] == [3, 7, 1]
    drawn = sorted(node.share for node in layout.nodes[1])
    every = np.sort(view.importances.nodes[1].mean(1))
    np.testing.assert_allclose(drawn, every[-7:])
    left_out = int((every > 0).sum()) - 7
    assert f"less important hidden nodes left out: {left_out}" in layout.notes
    ax = plots.plot_network(view, max_nodes=7)
    assert any("hidden nodes left out" in text for text in texts(ax))
    assert ax.figure.get_size_inches()[1] < 40


def test_names_are_long_strange_and_still_literal():
    net = KAN([2, 1], edge="spline", random_state=0)
    names = ["a$b_{c}$ \\frac", "the quick brown fox jumps over the lazy dog twice"]
    x = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    view = kanx.explain(net, dict(zip(names, x.T, strict=True)))
    for ax in (view.plot_network(), *view.plot().axes, plots.plot_beeswarm(view.local())):
        ax.figure.canvas.draw()
        assert all(np.isfinite(ax.get_tightbbox().extents))


def test_pictures_are_drawn_into_the_given_axes(mixed):
    for draw in (
        lambda ax: plots.plot_curve(mixed.curves[0], ax),
        lambda ax: plots.plot_network(mixed, ax),
        lambda ax: plots.plot_waterfall(mixed.local(), ax=ax),
        lambda ax: plots.plot_beeswarm(mixed.local(), ax=ax),
        lambda ax: plots.plot_importances(mixed.importances, ax=ax),
        lambda ax: plots.plot_interactions(mixed.interactions, ax=ax),
    ):
        _, ax = plt.subplots()
        before = len(plt.get_fignums())
        assert draw(ax) is ax
        assert len(plt.get_fignums()) == before


def test_axes_carry_names_and_units(mixed):
    ax = plots.plot_curve(mixed.curves[0])
    assert ax.get_xlabel() == "speed [m/s]"
    assert ax.get_ylabel() == "effect on y [kg]"
    bars = plots.plot_curve(mixed.curves.select(source="kind")[0])
    assert [t.get_text() for t in bars.get_xticklabels()] == ["oak", "elm", "ash"]


def test_missing_values_are_marked(mixed):
    ax = plots.plot_curve(mixed.curves.select(source="depth")[0])
    assert "missing" in texts(ax)


def test_pruned_curves_say_so_and_are_left_out_of_the_overview():
    view = explained([3, 1])
    mask = torch.ones(3, 1)
    mask[1] = 0
    view.subject.network.layers[0].set_mask(mask)
    assert "pruned" in texts(plots.plot_curve(view.curves[1]))
    labels = [ax.get_xlabel() for ax in view.plot().axes if ax.get_visible()]
    assert sorted(labels) == ["input 0", "input 2"]


def test_a_waterfall_ends_at_the_prediction(mixed):
    local = mixed.local()
    ax = plots.plot_waterfall(local, row=5, most=2)
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels[-1] == "prediction" and "1 other inputs" in labels
    bars = [patch for patch in ax.patches if patch.get_width() != 0]
    total = local.base[0] + sum(bar.get_width() for bar in bars)
    assert total == pytest.approx(local.prediction[5, 0])


def test_training_and_coverage_are_drawn_from_a_fitted_model():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (120, 1))
    y = np.sin(6 * X[:, 0]) + 0.2 * rng.normal(size=120)
    model = kanx.KANRegressor(random_state=0).fit(X[:60], y[:60])
    view = kanx.explain(model, X[:60])
    lines = plots.plot_trace(view).lines
    np.testing.assert_allclose(lines[0].get_ydata(), model.model_.members[0].trace)
    assert lines[0].axes.get_ylabel() == "log evidence"
    quick = kanx.KANRegressor(hidden="additive", optimizer="adam", training={"epochs": 3})
    axes = plots.plot_trace(kanx.explain(quick.fit(X[:60], y[:60]), X[:60]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "log posterior, up to a constant")
    shares = plots.coverage(model, X[60:], y[60:])
    inside = model.predict_interval(X[60:], 0.95)
    hits = (y[60:] >= inside[:, 0]) & (y[60:] <= inside[:, 1])
    assert shares[9, 0] == pytest.approx(hits.mean())
    ax = plots.plot_coverage(model, X[60:], y[60:])
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), shares[:, 0])
    with pytest.raises(TypeError, match="needs a classifier"):
        plots.plot_calibration(model, X, y)


def test_calibration_bins_hold_the_observed_shares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = rng.uniform(size=200) < 1 / (1 + np.exp(-2 * X[:, 0]))
    model = kanx.KANClassifier(random_state=0).fit(X, y)
    ax = plots.plot_calibration(model, X, y, bins=4)
    line = ax.containers[0].lines[0]
    order = np.argsort(model.predict_proba(X)[:, 1], kind="stable")
    np.testing.assert_allclose(line.get_ydata(), y[order].reshape(4, 50).mean(1))
    with pytest.raises(TypeError, match="needs a regressor"):
        plots.plot_coverage(model, X, y)


def test_pictures_that_cannot_be_drawn_say_why():
    view = explained([2, 1])
    with pytest.raises(ValueError, match="no record of its training"):
        plots.plot_trace(view)
    with pytest.raises(ValueError, match="no curve to draw"):
        plots.plot_curves([])


def test_the_front_shows_every_formula_and_marks_the_choice():
    x = sp.Symbol("x")
    formulas = [
        Formula(expr, ["x"], scores={"r2_train": r2})
        for expr, r2 in ((x, 0.5), (x + sp.Float(1.5), 0.9), (sp.sin(x) * x + sp.Float(1.5), 1.0))
    ]
    ax = plots.plot_front(formulas, formulas[1])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.5, 0.1, 1e-16])
    assert list(ax.lines[0].get_xdata()) == [f.complexity for f in formulas]
    assert ax.get_ylabel().endswith("r2_train")
    with pytest.raises(ValueError, match="all have one of the scores"):
        plots.plot_front(formulas, score="r2_test")


def luminance(colour):
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_pictures_stand_out_on_their_page(name, mixed):
    with plots.theme(name):
        drawn = [
            mixed.plot_network(),
            mixed.plot_local(None),
            plots.plot_curve(mixed.curves[0]),
            plots.plot_beeswarm(mixed.local()),
        ]
        page = matplotlib.rcParams["figure.facecolor"]
    assert matplotlib.rcParams["figure.facecolor"] == "white"
    for ax in drawn:
        for text in [*ax.texts, ax.xaxis.label, *ax.get_yticklabels()]:
            assert contrast(text.get_color(), page) > 3, text.get_text()
        for line in ax.lines:
            assert contrast(line.get_color(), page) > 3
    for dots in drawn[-1].collections:
        assert min(contrast(colour[:3], page) for colour in dots.get_facecolors()) > 1.25
    with pytest.raises(ValueError, match="theme 'sepia' is unknown"):
        plots.theme("sepia")


def test_boxes_cover_the_lines_below_them_on_any_page():
    for background in ("white", "#14181E", "none"):
        with plt.rc_context({"axes.facecolor": background}):
            ax = explained([2, 2, 1]).plot_network()
        boxes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
        assert boxes and all(box.get_facecolor()[3] == 1 for box in boxes)


def test_a_film_has_a_picture_for_every_call_and_stays_at_the_end(tmp_path):
    film = plots.Film(np.linspace(-1, 1, 50)[:, None] * np.ones(2), dpi=40)
    with pytest.raises(ValueError, match="no picture yet"):
        film.save(tmp_path / "film.gif")
    for k in range(3):
        film.add(KAN([2, 1], edge="spline", random_state=k), f"round {k}")
    film.save(tmp_path / "film.gif", frames_per_second=10)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == len(film) == 3
        assert gif.info["duration"] == 100
        gif.seek(2)
        assert gif.info["duration"] > 1000
    assert not plt.get_fignums()


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [kanx.KANRegressor, kanx.KANClassifier])
def test_the_training_of_an_estimator_can_be_filmed(estimator, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 2))
    y = X[:, 0] + X[:, 1] ** 2 + 0.3 * rng.normal(size=80)
    y = y > 0.3 if estimator is kanx.KANClassifier else y
    model = estimator(hidden="additive", max_iter=6, random_state=0)
    fitted = plots.animate_training(model, X, y, tmp_path / "film.gif")
    np.testing.assert_array_equal(fitted.predict(X), model.fit(X, y).predict(X))
    with Image.open(tmp_path / "film.gif") as gif:
        assert 2 <= gif.n_frames <= 7
