"""A process of ``torchrun`` that fits with the others; one of them is killed on the way.

Run as ``torchrun ... faults_torchrun.py FOLDER OPTIMIZER ROUND``: the second process kills itself
after so many checkpoints, once per folder (0: never). The first one writes the predictions.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from kanx import KANRegressor
from kanx.training import journal, minibatch


def kill_after(count: int, folder: Path) -> None:
    """Let this process die once, when the first one has written so many checkpoints."""
    kept = [0]

    def counted(keep):
        def counting(*given, **options):
            found = keep(*given, **options)
            kept[0] += 1
            if kept[0] == count and not (folder / "killed").exists():
                (folder / "killed").write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return counting

    journal.Journal.keep = counted(journal.Journal.keep)
    minibatch._save = counted(minibatch._save)


def main(folder: Path, optimizer: str, count: int) -> None:
    """Fit, and write the predictions."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    journal.SECONDS = 0.0  # every round is kept
    if count and torch.distributed.get_rank() == 1:
        kill_after(count, folder)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2))
    y = np.sin(3 * X[:, 0]) * X[:, 1]
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir(exist_ok=True)
    model = KANRegressor(
        hidden=(2,),
        n_estimators=1,
        max_iter=12,
        optimizer=optimizer,
        training={"distributed": True, "epochs": 12},
        checkpoint=checkpoint,
        random_state=0,
    ).fit(X, y)
    if torch.distributed.get_rank() == 0:
        np.save(folder / "predictions.npy", model.predict(X))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
