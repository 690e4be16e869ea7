"""The shape of the package: import arrows, file sizes, lazy imports, house rules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kanx"
FILES = sorted(PACKAGE.rglob("*.py"))
LIMIT = 400

# part of the package -> parts it may import
ALLOWED = {
    "functions": set(),
    "atomic": set(),
    "tables": set(),
    "labels": set(),
    "memory": set(),
    "new_rows": {"tables"},
    "csv_table": {"memory", "tables"},
    "datasets": set(),
    "kernels": set(),
    "layers": {"functions", "kernels"},
    "nodes": set(),
    "network": {"kernels", "layers", "nodes"},
    "ensemble": {"network"},
    "training": {"atomic", "kernels", "layers", "memory", "nodes", "network", "tables"},
    "edits": {"layers", "nodes", "network", "training", "model"},
    "model": {"network", "tables", "training", "layers"},
    "serialisation": {"model", "network", "tables", "training"},
    "estimator_fit": {"tables", "training"},
    "estimator_base": {
        "estimator_fit",
        "layers",
        "model",
        "new_rows",
        "serialisation",
        "tables",
        "training",
    },
    "regressor": {"estimator_base", "model", "tables", "training"},
    "classifier": {"estimator_base", "labels", "model", "tables", "training"},
    "estimators": {"regressor", "classifier"},
}


def part_of(module: str) -> str:
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def imports_at_module_level(path: Path) -> set[str]:
    """Names of our modules that importing the file imports, type checking aside."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_file_is_short(path):
    assert len(path.read_text().splitlines()) <= LIMIT


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path):
    own = part_of("kanx." + str(path.relative_to(PACKAGE)).removesuffix(".py").replace("/", "."))
    if own not in ALLOWED:
        return
    used = {part_of(m) for m in imports_at_module_level(path) if m.startswith("kanx.")}
    assert used - {own, ""} <= ALLOWED[own]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_sympy_and_matplotlib_stay_where_they_belong(path):
    roots = {module.split(".")[0] for module in imports_at_module_level(path)}
    part = str(path.relative_to(PACKAGE))
    if not part.startswith(("explain/", "discovery/", "functions")):
        assert "sympy" not in roots
    if not part.startswith("explain/plots"):
        assert "matplotlib" not in roots


def test_import_is_lazy():
    code = "import sys, kanx; print([m for m in ('torch', 'sklearn', 'sympy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist_and_unknown_ones_do_not():
    import kanx

    for name in kanx.__all__:
        assert getattr(kanx, name) is not None
        assert name in dir(kanx)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = kanx.nonsense
