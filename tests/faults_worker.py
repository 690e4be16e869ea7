"""Kill a process that fits, saves and reports, again and again, and look at what is left.

Run as ``python tests/faults_worker.py FOLDER COUNT SEED``; prints what was found as JSON. The
killed processes are forks of this one, so that the imports are paid once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import kanx
from kanx import KANRegressor

GRID = np.linspace(0, 1, 7)[:, None]


def work(folder: Path, seed: int) -> None:
    """Fit, save and report, and say at which of these the work is."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 1, (60, 1))
    (folder / "stage").write_text("fit")
    model = KANRegressor(hidden="additive", max_iter=8, random_state=0)
    model.fit(X, np.sin(3 * X[:, 0]))
    (folder / "stage").write_text("save")
    for _ in range(20):
        kanx.save(model, folder / "model.kanx")
    (folder / "stage").write_text("report")
    kanx.explain(model, X).to_html(folder / "report.html")


def check(folder: Path, found: dict[str, Any]) -> None:
    """Say what a killed process has left: whole files or none."""
    path, page = folder / "model.kanx", folder / "report.html"
    if path.exists():
        try:
            assert np.isfinite(kanx.load(path).predict(GRID)).all()
            found["models"] += 1
        except Exception as error:
            found["damaged"].append(f"{type(error).__name__}: {error}")
    if page.exists():
        found["reports"] += 1
        if not page.read_text(encoding="utf-8").rstrip().endswith("</html>"):
            found["damaged"].append("half a report")
    stage = (folder / "stage").read_text() if (folder / "stage").exists() else "fit"
    found["stages"][stage or "fit"] = found["stages"].get(stage or "fit", 0) + 1


def main(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill as many processes as asked for at random moments."""
    torch.set_num_threads(1)
    chance = random.Random(seed)
    found: dict[str, Any] = {"killed": 0, "models": 0, "reports": 0, "damaged": [], "stages": {}}
    work(folder, seed)  # what is imported late is imported before the forks
    start = time.monotonic()
    work(folder, seed)
    took = time.monotonic() - start
    for stage in range(count):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    work(folder, stage)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.0, 1.2 * took))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            found["killed"] += 1
        else:
            found["damaged"].append("the work itself failed")
        check(folder, found)
    found["left over"] = len(list(folder.glob("*.tmp"))) + len(list(folder.glob(".*.tmp")))
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201
