"""The benchmark of GPUs runs: without a GPU at tiny sizes, its kernels interpreted."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "layer_gpu.py"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_a_dry_run_times_everything_once():
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--dry-run"],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)
    assert {row["members"] for row in results["small"]} == {1, 3}
    names = {row["step of"] for row in results["small"]}
    for edges in ("kanx spline", "kanx gp"):
        assert {edges, f"{edges}, CUDA graph", f"{edges}, one after the other"} <= names
    assert "perceptron, equal widths, CUDA graph" in names
    assert all(row["ms"] > 0 for row in results["rows"])
    assert max(results["quotient_errors"].values()) < 1e-5
    assert results["not used"] == []
