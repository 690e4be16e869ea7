"""A worker that dies on the way: the work is done all the same, or ends with a clear error."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import processes
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from kanx import KANRegressor

TORCHRUN = "from torch.distributed.run import main\nmain()"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.mark.slow
def test_a_group_started_again_goes_on_to_the_same_model(tmp_path):
    """`torchrun` ends when a process is killed; the next start goes on from the checkpoint."""
    worker = Path(__file__).with_name("faults_torchrun.py")
    # the workers are forks of torchrun: importing torch takes longer than all of the fits
    launch = ["--nproc_per_node=2", "--run_path", "--start_method=fork"]
    launch += ["--rdzv_backend=c10d", "--rdzv_endpoint=127.0.0.1:0", worker]

    def start(name, count):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return processes.run_python(TORCHRUN, *launch, folder, "lm", count)

    killed = start("killed", 4)
    assert killed.returncode != 0
    # torchrun names the process that it saw end first, which can be the one left alone
    assert (tmp_path / "killed" / "killed").exists()
    assert not (tmp_path / "killed" / "predictions.npy").exists()
    for name in ("killed", "undisturbed"):
        done = start(name, 0)
        assert done.returncode == 0, done.stderr
    found, wanted = (np.load(tmp_path / k / "predictions.npy") for k in ("killed", "undisturbed"))
    assert np.array_equal(found, wanted)


def _process(rank, port, folder):
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    X = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        KANRegressor(hidden="additive", training={"distributed": True}).fit(X, X[:, 0])
    except RuntimeError as error:
        (Path(folder) / "said").write_text(str(error))


@pytest.mark.slow
def test_without_torchrun_the_process_left_ends_with_a_clear_error(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = processes.context()
    group = [context.Process(target=_process, args=(k, port, str(tmp_path))) for k in (0, 1)]
    for process in group:
        process.start()
    group[0].join(300)
    assert group[0].exitcode == 0  # not hanging
    group[1].join(10)
    assert group[1].exitcode == -signal.SIGKILL
    said = (tmp_path / "said").read_text()
    assert "another process of the group is gone" in said
    assert "checkpoint" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_search_goes_on_when_a_dask_worker_is_killed():
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    X = np.random.default_rng(0).uniform(-1, 1, (80, 2))
    y = 2 * X[:, 0] + np.sin(3 * X[:, 1])
    model = KANRegressor(hidden="additive", max_iter=4, random_state=0)
    search = GridSearchCV(model, {"edge": ["slaf", "spline"], "max_iter": [3, 5]}, cv=3)
    wanted = search.fit(X, y).cv_results_["mean_test_score"]
    killed = []
    options = {"processes": True, "n_workers": 2, "threads_per_worker": 1}
    processes.context()
    method = {"distributed.worker.multiprocessing-method": processes.METHOD}
    with (
        dask.config.set(method),
        distributed.Client(**options, dashboard_address=None) as client,
    ):
        pids = client.run(os.getpid)

        def kill():
            worker = None
            until = time.monotonic() + 30
            while worker is None:
                time.sleep(0.01)
                copies = [len(v) for k, v in client.who_has().items() if "ndarray" in str(k)]
                if min(copies, default=0) < 2 and time.monotonic() < until:
                    continue  # the only copy of what was scattered would be lost
                busy = client.processing()
                worker = next((name for name, tasks in busy.items() if tasks), None)
            os.kill(pids[worker], signal.SIGKILL)
            killed.append(worker)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        # what is scattered to all workers outlives one of them
        with joblib.parallel_backend("dask", scatter=[X, y]):
            search.fit(X, y)
        killer.join(60)
    assert len(killed) == 1
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], wanted, rtol=1e-9)
