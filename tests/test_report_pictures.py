"""Pictures and sentences of the report: ticks, paths, shapes, what is drawn and what is folded."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kanx
from kanx import KAN, KANRegressor
from kanx.explain.report import render
from kanx.explain.report.scales import TOLERANCE, path, score, ticks
from kanx.explain.report.shares import Shares
from kanx.explain.report.story import shape


def embedded(page):
    return json.loads(re.search(r'id="kanx-data">(.*?)</script>', page, re.S).group(1))


@given(
    low=st.floats(-1e9, 1e9),
    length=st.floats(1e-6, 1e9),
    count=st.integers(2, 8),
)
@settings(max_examples=100, derandomize=True, deadline=None)
def test_ticks_are_few_round_and_inside(low, length, count):
    high = low + length
    if high - low < 1e-9 * abs(low):
        return
    found = ticks(low, high, count)
    assert 1 <= len(found) <= 2 * count + 1
    step = 1e-6 * (high - low)
    assert all(low - step <= value <= high + step for value in found)
    assert np.allclose(np.diff(found), found[1] - found[0], atol=step) if len(found) > 1 else True


def test_paths_are_short_and_stay_close():
    x = np.linspace(0, 300, 121)
    y = 60 + 50 * np.sin(x / 30)
    drawn = np.array(
        [[float(v) for v in point.split()] for point in path(x, y).removeprefix("M").split("L")]
    )
    assert len(drawn) < 0.7 * len(x)
    assert np.abs(np.interp(x, drawn[:, 0], drawn[:, 1]) - y).max() < 4 * TOLERANCE
    straight = path(x, 2 * x)
    assert straight.count("L") == 1


def test_shapes_are_named_by_what_the_curve_does():
    x = np.linspace(-2, 2, 400)[:, None]
    known = {
        "rises with x0": 3 * x[:, 0],
        "falls with x0": np.exp(-x[:, 0]),
        "is lowest where x0 is about ": x[:, 0] ** 2,
        "is highest where x0 is about ": -(np.abs(x[:, 0]) ** 1.5),
        "goes up and down with x0": np.sin(4 * x[:, 0]),
    }
    for words, y in known.items():
        model = KANRegressor(hidden="additive", max_iter=10, random_state=0).fit(x, y)
        assert shape(kanx.explain(model, x).curves[0]).startswith(words)


def test_thirty_inputs_are_drawn_apart():
    net = KAN([30, 1], random_state=0)
    page = render(kanx.explain(net, np.random.default_rng(0).uniform(-1, 1, (60, 30))))
    drawing = re.search(r'<svg[^>]*class="network".*?</svg>', page, re.S).group(0)
    circles = re.findall(r'<circle cx="(\d+)" cy="([\d.]+)"', drawing)
    heights = [float(y) for x, y in circles if x == circles[0][0]]
    assert len(heights) == 30
    assert np.diff(heights).min() >= 24  # a small curve's frame is that tall


def test_of_many_inputs_the_least_share_a_bar():
    net = KAN([40, 1], random_state=0)
    view = kanx.explain(net, np.random.default_rng(0).uniform(-1, 1, (60, 40)))
    page = render(view)
    bars = re.search(r'<div class="bars">(.*?)</section>', page, re.S).group(1)
    names = re.findall(r'<div class="name">(.*?)</div>', bars)
    assert len(names) == 30 and names[-1] == "11 other inputs"
    shares = [float(text) for text in re.findall(r'<div class="value">([\d.]+) %', bars)]
    assert sum(shares) == pytest.approx(100, abs=2)
    assert "95 % errors" not in page  # a bare network has none


def test_of_more_inputs_than_fit_the_small_ones_are_counted():
    net = KAN([60, 1], edge="slaf", random_state=0)
    with torch.no_grad():
        for parameter in net.layers[0].bundles.parameters():
            parameter[:, 5:] *= 1e-3
    page = render(kanx.explain(net, np.random.default_rng(0).uniform(-1, 1, (60, 60))))
    drawing = re.search(r'<svg[^>]*class="network".*?</svg>', page, re.S).group(0)
    assert drawing.count("<circle") == 7 and "54 small ones" in drawing
    assert "54 more, that matter little" in page
    assert [entry["folded"] for entry in embedded(page)["inputs"]].count(True) == 54


def test_an_error_never_makes_a_share_negative():
    shares = Shares(np.array([0.9, 0.1]), np.array([0.01, 0.2]), "")
    assert shares.text(0) == "90.0 % ± 2.0"
    assert shares.text(1) == "10.0 %, 0.0 to 49.2"


def test_a_score_below_one_is_not_written_as_one():
    assert [score(v) for v in (1.0, 0.5, 0.99999996, 0.9971)] == [
        "1",
        "0.5",
        "0.99999996",
        "0.9971",
    ]


def test_a_model_of_straight_lines_says_so():
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    y = 2 * x[:, 0] - x[:, 1] + np.random.default_rng(1).normal(0, 0.3, 200)
    model = KANRegressor(hidden="additive", max_iter=15, random_state=0).fit(x, y)
    page = render(kanx.explain(model, x))
    assert "2 curves are straight lines: the data call for no more than a linear model" in page


def test_a_bare_network_has_a_report_too():
    net = KAN([2, 1], edge="slaf", random_state=0)
    X = torch.rand(40, 2)
    page = render(kanx.explain(net, X), title="<b>")
    assert "&lt;b&gt;" in page and "Bands hold" not in page


def test_rows_of_a_thinned_table_keep_their_numbers_and_targets():
    x = np.random.default_rng(0).uniform(-1, 1, (90, 2))
    y = x[:, 0] ** 2
    y[70] = 40.0
    model = KANRegressor(hidden="additive", max_iter=5, random_state=0).fit(x, x[:, 0] ** 2)
    view = kanx.explain(model, x, max_rows=80, random_state=1)
    assert 70 in view.subject.rows and len(view.subject.rows) == 80
    cases = {case["title"]: case for case in embedded(render(view, y=y))["cases"]}
    assert cases["worst error"]["caption"].startswith("Row 71 of 90: ")
    assert cases["worst error"]["actual"] == "40"
    with pytest.raises(ValueError, match="y has 3 rows, the table that was explained 90"):
        render(view, y=y[:3])
