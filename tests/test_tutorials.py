"""Every tutorial runs, and its notebook shows what the script says."""

import json
import os
from pathlib import Path

import pytest
from processes import run_python

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "tutorials").glob("*.py"))


def code_of_script(path):
    """Return the code cells of a percent script."""
    cells, current = [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            current = [] if line.strip() == "# %%" else None
            if current is not None:
                cells.append(current)
        elif current is not None:
            current.append(line)
    return ["\n".join(cell).strip() for cell in cells]


def notebook_of(path):
    return json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_tutorial_runs(path, tmp_path):
    done = run_python(path, cwd=tmp_path)
    if "set KANX_DATA" in done.stderr and not os.environ.get("KANX_DATA"):
        pytest.skip("the banknote table is not there; point KANX_DATA to its folder")
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_the_notebook_shows_the_script(path):
    cells = [c for c in notebook_of(path)["cells"] if c["cell_type"] == "code"]
    assert ["".join(c["source"]).strip() for c in cells] == code_of_script(path)
    assert all(c["execution_count"] for c in cells), "the notebook has not been executed"
    outputs = [output for c in cells for output in c["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error"]
    # the folder where it ran is nobody's business, and warnings are no part of a tutorial
    text = json.dumps(outputs)
    assert "/home/" not in text and "/tmp/" not in text and "Warning" not in text
    assert path.with_suffix(".ipynb").stat().st_size < 1_000_000
