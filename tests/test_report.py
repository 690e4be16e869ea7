"""The report: safe, self-contained, honest about its own arithmetic, and alive in a browser."""

import html.parser
import json
import re

import numpy as np
import pytest
from browser import CHROMIUM, open_page
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline

import kanx
from kanx import KAN, KANClassifier, KANRegressor
from kanx.explain.report import Trial, render
from kanx.explain.report.markup import json_block, tag
from kanx.explain.report.playable import largest_error, playable
from kanx.explain.report.tables import hermite

NASTY = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "</script><b>a & b",
    "plain",
]


def table(rows=160, seed=0):
    """Four columns with hostile names: numbers, numbers with gaps, categories, nothing to learn."""
    rng = np.random.default_rng(seed)
    first, second, idle = rng.uniform(-2, 2, (3, rows))
    kind = rng.choice(["<i>u</i>", "v", "w"], rows).astype(object)
    target = np.sin(2 * first) + 0.5 * second + np.where(kind == "v", 1.0, 0.0)
    second = np.where(rng.uniform(size=rows) < 0.1, np.nan, second)
    columns = dict(zip(NASTY, [first, second, kind, idle], strict=True))
    return columns, target + 0.05 * rng.standard_normal(rows)


@pytest.fixture(scope="module")
def regression():
    X, y = table()
    model = KANRegressor(hidden="additive", max_iter=15, random_state=0).fit(X, y)
    view = kanx.explain(model, X, units={NASTY[0]: "<u>m</u>"})
    trial = Trial({"kanx": {"RMSE": 0.1, "R²": 0.9}, "ridge": {"RMSE": 0.2, "R²": 0.8}}, 120, 40)
    page = render(view, target_name="<em>y</em>", trial=trial, y=y, notes=["<b>note</b>"])
    return model, X, view, page


@pytest.fixture(scope="module")
def three_classes():
    X, y = table()
    labels = np.array(["<b>low</b>", "mid", "high"], object)[np.digitize(y, [-0.5, 1.0])]
    model = KANClassifier(hidden="additive", max_iter=8, random_state=0).fit(X, labels)
    view = kanx.explain(model, X)
    return model, X, view, render(view, target_name="level", y=labels)


@pytest.fixture(scope="module")
def hidden():
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (150, 3))
    y = X[:, 0] * X[:, 1] + 0.3 * X[:, 2]
    model = KANRegressor(hidden=(2,), n_estimators=1, max_iter=15, random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    return model, X, view, render(view, target_name="y", y=y)


class Reader(html.parser.HTMLParser):
    """Collect elements, attributes and text, and check that elements are closed in order."""

    VOID = frozenset(["meta", "img", "input", "br", "link"])

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.text.append(data)


def embedded(page):
    return json.loads(re.search(r'id="kanx-data">(.*?)</script>', page, re.S).group(1))


@pytest.mark.parametrize("name", ["regression", "three_classes", "hidden"])
def test_the_page_is_well_formed_and_loads_nothing(name, request):
    page = request.getfixturevalue(name)[-1]
    reader = Reader(page)
    for element, attributes in reader.elements:
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href", "data", "action", "poster", "srcset"):
            assert attributes.get(key, "#").startswith("#")
        assert element not in ("iframe", "object", "embed", "link", "form", "base")
    assert not re.search(r"url\(|@import", page)
    policy = next(a["content"] for e, a in reader.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert len(page) < 2_000_000


def test_hostile_names_are_text(regression):
    page = regression[-1]
    reader = Reader(page)
    names = [name for name, _ in reader.elements]
    assert names.count("script") == 2  # the data and our own
    assert not {"img", "b", "i", "em", "u"} & {n for n, a in reader.elements if not a}
    text = "".join(reader.text)
    for name in [*NASTY, "<em>y</em>", "<b>note</b>"]:
        assert name in text
    labels = [entry["label"] for entry in embedded(page)["inputs"]]
    assert labels[0] == f"{NASTY[0]} [<u>m</u>]"
    assert labels[1:] == NASTY[1:]


@given(st.text())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_text_survives_markup_and_data(text):
    element = str(tag("p", text, title=text))
    assert "<" not in element[2:-4].replace("</p", "") or "&lt;" in element
    block = str(json_block("x", {text: [text]}))
    inner = block.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert not set("<>&") & set(inner)
    assert json.loads(inner) == {text: [text]}


def test_the_summary_says_what_was_fitted_and_how_well(regression):
    text = "".join(Reader(regression[-1]).text)
    assert "On 40 rows that it was not fitted on, RMSE 0.1, R² 0.9; ridge: RMSE 0.2" in text
    assert "of 6 curves" in text or "curves are in use" in text or "It has 4 curves" in text
    assert "missing" in text  # the mark of the learned value


def test_a_report_is_the_same_every_time(hidden):
    _, X, view, page = hidden
    again = kanx.explain(view.subject.estimator, X)
    y = X[:, 0] * X[:, 1] + 0.3 * X[:, 2]
    assert render(again, target_name="y", y=y) == page


# -- the page's arithmetic -----------------------------------------------------------------------


@pytest.mark.parametrize("edge", ["gp", "spline", "slaf", "pade", "fourier"])
def test_tables_follow_the_network_inside_and_outside_its_domain(edge):
    net = KAN([3, (2, [2]), 2], edge=edge, skip=True, random_state=0).double()
    for parameter in net.parameters():
        parameter.data *= 3
    rng = np.random.default_rng(0)
    view = kanx.explain(net, rng.uniform(-1.5, 1.5, (300, 3)))
    model = playable(view.subject)
    spread = float(view.subject.outputs(view.subject.x).std())
    assert largest_error(model, view.subject) < 1e-4 * spread


def test_tables_follow_categories_missing_values_and_probabilities(regression, three_classes):
    for _, _, view, _ in (regression, three_classes):
        assert largest_error(playable(view.subject), view.subject) < 1e-4


def test_hermite_agrees_with_scipy():
    rng = np.random.default_rng(0)
    nodes = np.sort(rng.uniform(size=9))
    values, slopes = rng.standard_normal((2, 9))
    x = np.linspace(nodes[0], nodes[-1], 200)
    expected = CubicHermiteSpline(nodes, values, slopes)(x)
    np.testing.assert_allclose(hermite(nodes, values, slopes, x), expected, atol=1e-12)


def test_what_flips_a_decision_is_said_and_true(three_classes):
    model, X, _, page = three_classes
    sentences = [case["flips"] for case in embedded(page)["cases"]]
    assert all(sentences)
    doubtful = next(c for c in embedded(page)["cases"] if c["title"] == "most doubtful")
    name, after, wanted = re.search(
        r"turn it into class (.*?): (.*?) from .*? to (.*?)(?:;|\.$)", doubtful["flips"]
    ).group(2, 3, 1)
    row = int(re.match(r"Row (\d+)", doubtful["caption"]).group(1)) - 1
    changed = {key: column[[row]].copy() for key, column in X.items()}
    changed[name][0] = after if changed[name].dtype == object else float(after)
    assert model.predict(changed)[0] == wanted


# -- in a browser --------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def moved(page, name, value):
    """Move an input to a value and return the prediction's text."""
    return page.evaluate(
        f"""(() => {{
          const labels = [...document.querySelectorAll('.inputs .name')];
          const label = labels.find(l => l.textContent === {json.dumps(name)});
          let control = document.getElementById(label.getAttribute('for'));
          if (control.type === 'range') control = control.nextElementSibling.firstElementChild;
          control.value = {json.dumps(value)};
          control.dispatchEvent(new Event(control.tagName === 'SELECT' ? 'change' : 'input'));
          return document.querySelector('.prediction').textContent;
        }})()"""
    )


def is_quiet(page, path):
    assert page.names("Runtime.exceptionThrown") == []
    assert page.names("Page.javascriptDialogOpening") == []
    problems = [e["entry"]["text"] for e in page.names("Log.entryAdded")]
    assert problems == []
    urls = {e["request"]["url"] for e in page.names("Network.requestWillBeSent")}
    return urls == {f"file://{path}"}


@needs_browser
def test_sliders_compute_what_the_model_computes(regression, tmp_path):
    model, X, _, text = regression
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    case = embedded(text)["cases"][0]
    rows = {name: np.array([X[name][0]], dtype=X[name].dtype) for name in NASTY}
    values = [np.nan if v is None else v for v in case["row"]]
    for name, value in zip(NASTY, [1.25, values[1], "v", values[3]], strict=True):
        rows[name][0] = value
    categories = embedded(text)["inputs"][2]["categories"]
    with open_page(path, tmp_path / "profile") as page:
        assert page.evaluate("document.getElementById('whatif').dataset.ready") == "true"
        warning = "(box => [box.hidden, box.textContent])(document.querySelector('.beyond'))"
        moved(page, embedded(text)["inputs"][0]["label"], "9")
        hidden, words = page.evaluate(warning)
        assert not hidden and words.startswith(f"A guess, beyond the rows in {NASTY[0]} [<u>m</u>]")
        moved(page, embedded(text)["inputs"][0]["label"], "1.25")
        assert page.evaluate(warning)[0]
        shown = moved(page, NASTY[2], str(categories.index("v")))
        page.evaluate("document.querySelectorAll('button').forEach(b => b.click())")
        assert is_quiet(page, path)
    prediction = float(shown.split(": ", 1)[1].split(" (")[0].replace("−", "-"))
    assert prediction == pytest.approx(model.predict(rows)[0], abs=2e-3)


@needs_browser
def test_hovering_shows_the_value_of_a_curve(hidden, tmp_path):
    _, _, view, text = hidden
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    with open_page(path, tmp_path / "profile", width=420) as page:
        box = page.evaluate(
            """(() => {
              const svg = document.querySelector('svg[data-panel="0"]');
              svg.scrollIntoView({block: 'center'});
              const r = svg.getBoundingClientRect();
              return [r.left + r.width / 2, r.top + r.height / 2];
            })()"""
        )
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
        tip = page.evaluate("document.getElementById('tip').textContent")
        wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert is_quiet(page, path)
    first = embedded(text)["panels"][0]
    curve = next(c for c in view.effects if c.source == first["label"])
    at, value = re.match(r"x\d = (\S+)\n(\S+)", tip.replace("−", "-")).groups()
    expected = np.interp(float(at), curve.grid, curve.value)
    assert float(value) == pytest.approx(expected, abs=0.05 * np.ptp(curve.value))
    assert wide, "the page scrolls sideways on a phone"


@needs_browser
def test_counts_are_shown_as_counts_and_their_curves_as_logarithms(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (150, 2))
    y = rng.poisson(np.exp(1 + X[:, 0]))
    model = KANRegressor(loss="poisson", hidden="additive", max_iter=10, random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    text = render(view, y=y)
    assert "the logarithm of the expected y is their sum" in text
    assert "adds to the logarithm of the expected y" in text
    row = int(re.match(r"Row (\d+)", embedded(text)["cases"][0]["caption"]).group(1)) - 1
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    with open_page(path, tmp_path / "profile") as page:
        shown = page.evaluate("document.querySelector('.prediction').textContent")
    name, value = shown.split(": ")
    assert name == "expected y"
    assert float(value) == pytest.approx(model.predict(X[[row]])[0], rel=1e-3)
