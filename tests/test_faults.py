"""Kills, full disks, folders that cannot be written, Ctrl-C, processes and threads."""

import json
import multiprocessing
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

import kanx
from kanx import KANClassifier, KANRegressor

COUNT = int(os.environ.get("KANX_FAULTS", "10"))
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@pytest.fixture(scope="module")
def model():
    X = np.random.default_rng(0).uniform(0, 1, (60, 2))
    return KANRegressor(hidden=(2,), n_estimators=1, max_iter=4, random_state=0).fit(X, X[:, 0])


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(1).uniform(0, 1, (500, 2))


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_whole_files_or_none(tmp_path):
    worker = Path(__file__).with_name("faults_worker.py")
    done = run_python(worker, tmp_path, COUNT, 1, check=True)
    found = json.loads(done.stdout)
    assert found["killed"] == COUNT
    assert found["damaged"] == []


@pytest.mark.parametrize("space", [0, 1, 100, 2000])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_litter(model, rows, tmp_path, space):
    path = tmp_path / "model.kanx"
    kanx.save(model, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (space, hard))
        with pytest.raises(OSError, match="File too large"):
            kanx.save(model, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.kanx"]
    assert np.array_equal(kanx.load(path).predict(rows), model.predict(rows))


def test_a_folder_that_cannot_be_written(model, tmp_path):
    """In a child that is nobody: the superuser may write anywhere."""
    folder = tmp_path / "locked"
    folder.mkdir()
    kanx.save(model, folder / "model.kanx")
    before = (folder / "model.kanx").read_bytes()
    folder.chmod(0o555)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            kanx.save(model, folder / "model.kanx")
        except PermissionError:
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    folder.chmod(0o755)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (folder / "model.kanx").read_bytes() == before
    assert [p.name for p in folder.iterdir()] == ["model.kanx"]


def test_ctrl_c_in_the_middle_of_a_fit_keeps_the_best_model_so_far():
    X = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2
    slow = KANRegressor(hidden=(4,), n_estimators=2, max_iter=100_000, random_state=0)

    def interrupt():
        while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            time.sleep(0.01)  # the fit has not begun to listen
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.warns(UserWarning, match="interrupted"):
        slow.fit(X, y)
    assert slow.score(X, y) > 0
    assert np.isfinite(slow.predict(X, return_std=True)).all()


def _predict(model, rows, found):
    found.put(model.predict(rows))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_model_predicts_in_other_processes(model, rows, method):
    context = multiprocessing.get_context(method)
    found = context.Queue()
    process = context.Process(target=_predict, args=(model, rows, found))
    process.start()
    own = found.get(timeout=500)
    process.join()
    assert np.array_equal(own, model.predict(rows))


def test_threads_predict_from_one_model_at_once(rows):
    X = np.random.default_rng(0).uniform(0, 1, (60, 2))
    fresh = KANClassifier(hidden=(2,), n_estimators=2, max_iter=4, random_state=0)
    fresh.fit(X, X[:, 0] > 0.5)
    with ThreadPoolExecutor(8) as pool:  # the first calls also build what is cached
        found = list(pool.map(lambda _: fresh.predict_proba(rows), range(40)))
    wanted = fresh.predict_proba(rows)
    assert all(np.array_equal(own, wanted) for own in found)


def test_threads_save_and_load_one_file_at_once(model, rows, tmp_path):
    path = tmp_path / "model.kanx"
    kanx.save(model, path)
    wanted = model.predict(rows)

    def turn(number):
        if number % 2:
            kanx.save(model, path)
            return True
        return np.array_equal(kanx.load(path).predict(rows), wanted)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(turn, range(24)))
    assert [p.name for p in tmp_path.iterdir()] == ["model.kanx"]


OFFLINE = """
import socket
def refuse(*_, **__):
    raise AssertionError("the network was used")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
socket.create_connection = refuse
import numpy as np, kanx
X = np.random.default_rng(0).uniform(0, 1, (50, 2))
model = kanx.KANRegressor(hidden="additive", max_iter=3, random_state=0).fit(X, X[:, 0])
kanx.save(model, "model.kanx")
kanx.load("model.kanx").predict(X)
kanx.explain(model, X).to_html("report.html")
"""


def test_nothing_uses_the_network(tmp_path):
    run_python(OFFLINE, cwd=tmp_path, afresh=True, check=True)  # nor does importing
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script src=" not in page


def test_a_model_written_while_it_is_read_is_one_of_the_two(model, tmp_path):
    path = tmp_path / "model.kanx"
    X = np.random.default_rng(2).uniform(0, 1, (60, 2))
    other = KANRegressor(hidden="additive", max_iter=3, random_state=0).fit(X, X[:, 1])
    kanx.save(model, path)
    stop = time.monotonic() + 1.0
    reader, seen = X[:5], set()

    def write():
        while time.monotonic() < stop:
            kanx.save(model, path)
            kanx.save(other, path)

    writer = threading.Thread(target=write)
    writer.start()
    known = {m.predict(reader).tobytes() for m in (model, other)}
    while writer.is_alive():
        seen.add(kanx.load(path).predict(reader).tobytes())
    writer.join()
    assert seen <= known
