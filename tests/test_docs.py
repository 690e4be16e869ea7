"""The docs: links lead somewhere, ticks are backed by tests, the site builds without warnings."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from processes import run_python

ROOT = Path(__file__).parents[1]
SPHINX = "import sys\nfrom sphinx.cmd.build import main\nsys.exit(main(sys.argv[1:]))"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TICK = re.compile(r"\[✔\]\(\.\./tests/(\w+\.py) \"(\w+)\"\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if re.match(r"(https?:|#|mailto:)", target):
            continue
        file = page.parent / target.split("#")[0]
        if target.startswith("tutorials/"):  # copied there when the site is built
            file = ROOT / f"{target}.ipynb"
        assert file.exists() or file.with_suffix(".md").exists(), target


def test_every_tick_names_a_test():
    text = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    ticks = TICK.findall(text)
    assert len(ticks) > 30 and len(ticks) == text.count("✔")
    for file, name in ticks:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), (file, name)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("myst_nb") is None, reason="the group docs is not installed")
def test_the_site_builds_without_warnings(tmp_path):
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees")]
    done = run_python(SPHINX, *options, ROOT / "docs", tmp_path / "site")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "KANRegressor" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
