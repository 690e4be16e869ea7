"""Sphinx: API reference, guides, and the executed tutorials as they are (never run at build)."""

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

import kanx  # noqa: E402

# Sphinx reads notebooks from its own folder only
notebooks = HERE / "tutorials"
shutil.rmtree(notebooks, ignore_errors=True)
notebooks.mkdir()
for notebook in sorted((ROOT / "tutorials").glob("*.ipynb")):
    shutil.copy(notebook, notebooks)

project = "kanx"
author = "the kanx developers"
release = kanx.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say it, with shapes and units
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = f"kanx {release}"
html_theme_options = {
    "navigation_depth": 2,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "comparison": []}
html_show_sourcelink = False


def _listed():
    """Return the pages that the tables of contents name."""
    found = {"index"}
    for file in HERE.glob("*.md"):
        for block in re.findall(r"```{toctree}(.*?)```", file.read_text(encoding="utf-8"), re.S):
            found |= {line.split("<")[-1].rstrip(">") for line in block.splitlines()}
    return found


def _list_new_pages(app, name, source):
    """List the pages that no table of contents names: measurements and other guides."""
    if name not in ("benchmarks", "guides"):
        return
    new = []
    for file in sorted(HERE.glob("*.md")):
        measured = "benchmarks/" in file.read_text(encoding="utf-8")
        if file.stem not in _listed() and measured == (name == "benchmarks"):
            new.append(file.stem)
    source[0] = source[0].replace("% further pages", "\n".join(new))


def _skip_routing(app, what, name, member, skip, options):
    """Leave out scikit-learn's metadata routing, whose text refers to its own glossary."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    """Connect the hooks."""
    app.connect("source-read", _list_new_pages)
    app.connect("autodoc-skip-member", _skip_routing)
