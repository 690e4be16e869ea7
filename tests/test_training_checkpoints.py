"""Long fits are safe: killed, interrupted and resumed ones end as if nothing had happened."""

import pkgutil
import signal

import numpy as np
import pytest
import torch
from processes import run_python

from kanx import KAN, KANRegressor
from kanx.training.checkpoint import fingerprint, load_tree, save_tree
from kanx.training.climb import Climb
from kanx.training.interrupt import interruptible
from kanx.training.journal import Journal
from kanx.training.losses import Gaussian
from kanx.training.placement import place_on_data

SCRIPT = """
import os, signal, sys
import numpy as np, torch
torch.set_num_threads(1)
import kanx.training.checkpoint as checkpoint
import kanx.training.journal as journal
from kanx import KANRegressor

folder, optimizer, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
journal.SECONDS = 0
write, written = checkpoint.write_bytes, 0

def write_and_die(*args):
    global written
    written += 1
    if written == limit:  # between the work of a round and its checkpoint
        os.kill(os.getpid(), signal.SIGKILL)
    write(*args)

checkpoint.write_bytes = write_and_die
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (100, 2))
y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.05 * rng.standard_normal(100)
model = KANRegressor(
    hidden=(2,), n_estimators=2, max_iter=5, optimizer=optimizer, training={"epochs": 5},
    checkpoint=folder, random_state=0,
).fit(X, y)
spread = model.model_.variance(model._matrix(X), noise=True).numpy().ravel()
np.save(folder + "/found.npy", np.concatenate([model.predict(X), spread]))
"""


def run(folder, optimizer, limit=0):
    folder.mkdir(exist_ok=True)
    return run_python(SCRIPT, folder, optimizer, limit).returncode


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "limits"), [("lm", (4, 7)), ("adam", (3,)), ("lbfgs", (2,))])
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path, optimizer, limits):
    for limit in limits:
        assert run(tmp_path / "killed", optimizer, limit) == -signal.SIGKILL
    assert run(tmp_path / "killed", optimizer) == 0
    assert run(tmp_path / "whole", optimizer) == 0
    found, expected = (np.load(tmp_path / name / "found.npy") for name in ("killed", "whole"))
    assert np.array_equal(found, expected)


def data():
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (80, 2))
    return X, X[:, 0] ** 2 + X[:, 1]


class Count:
    """Count the rounds of a fit, and press Ctrl-C in one of them."""

    def __init__(self, press_at=None):
        self.rounds, self.press_at = 0, press_at

    def setup(self, estimator, context):
        """Nothing to set up."""

    def teardown(self, estimator, context):
        """Nothing to tear down."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if context.task_name == "round":
            self.rounds += 1
            if self.rounds == self.press_at:
                signal.raise_signal(signal.SIGINT)
        return False


@pytest.mark.parametrize("optimizer", ["lm", "adam"])
def test_a_finished_fit_is_read_again_and_a_changed_one_is_not(tmp_path, optimizer):
    X, y = data()
    options = {"hidden": "additive", "optimizer": optimizer, "training": {"epochs": 3}}
    path = tmp_path / "run"
    first = KANRegressor(checkpoint=path, max_iter=6, **options).fit(X, y)  # its seed is kept too
    counter = Count()
    again = KANRegressor(checkpoint=path, max_iter=6, **options).set_callbacks(counter).fit(X, y)
    assert np.array_equal(again.predict(X), first.predict(X))
    assert counter.rounds == 0
    other = KANRegressor(checkpoint=path, max_iter=6, **options).fit(X, -y)
    assert np.corrcoef(other.predict(X), -y)[0, 1] > np.corrcoef(other.predict(X), y)[0, 1]


@pytest.mark.parametrize("optimizer", ["lm", "adam"])
def test_control_c_leaves_a_model_that_can_be_used(optimizer):
    X, y = data()
    model = KANRegressor(
        hidden="additive", optimizer=optimizer, training={"epochs": 30}, random_state=0
    ).set_callbacks(Count(press_at=2))
    before = signal.getsignal(signal.SIGINT)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert np.isfinite(model.predict(X, return_std=True)).all()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("place", "options", "most"),
    [
        ("noise_free_search.Search.fit", {"edge": "slaf", "hidden": (2,)}, 4),
        ("additive._fit", {"hidden": "additive"}, 10),  # of one round each
    ],
)
def test_control_c_is_heard_where_no_rounds_are_reported(monkeypatch, place, options, most):
    """In the search for a law without noise, and in cross-validation."""
    owner, name = f"kanx.training.{place}".rsplit(".", 1)
    owner = pkgutil.resolve_name(owner)
    work, calls = getattr(owner, name), []

    def press(*args, **keywords):
        calls.append(args)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return work(*args, **keywords)

    monkeypatch.setattr(owner, name, press)
    X, y = data()
    with pytest.warns(UserWarning, match="interrupted"):
        model = KANRegressor(random_state=0, **options).fit(X[:25], np.sin(3 * y[:25]))
    assert 2 <= len(calls) <= most
    assert np.isfinite(model.predict(X[:25], return_std=True)).all()


def test_a_second_control_c_ends_the_fit_at_once():
    def press_twice():
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert interruption()
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_trees_come_back_bit_for_bit(tmp_path):
    tree = {
        "a": [torch.rand(3), None, 0.1, True, "text"],
        1: {"nested": torch.arange(2), 2: float("inf")},
        "empty": torch.zeros(0, 2),
    }
    save_tree(tree, tmp_path / "tree")
    back = load_tree(tmp_path / "tree")
    assert list(back) == ["a", 1, "empty"]
    assert torch.equal(back["a"][0], tree["a"][0])
    assert back["a"][1:] == tree["a"][1:]
    assert back[1][2] == float("inf") and torch.equal(back[1]["nested"], tree[1]["nested"])
    assert load_tree(tmp_path / "absent") is None
    (tmp_path / "tree").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="no checkpoint of kanx"):
        load_tree(tmp_path / "tree")


def test_fingerprints_tell_inputs_apart():
    one, other = torch.zeros(2), torch.zeros(2).double()
    names = [fingerprint(parts) for parts in ([one], [other], [one, 1], [one, "1"], [{"b": 1}])]
    assert len(set(names)) == len(names)
    assert fingerprint([one, {"a": 1, "b": 2}]) == fingerprint([one.clone(), {"b": 2, "a": 1}])


def test_a_checkpoint_must_be_a_folder(tmp_path):
    X, y = data()
    (tmp_path / "file").write_text("something")
    with pytest.raises(NotADirectoryError, match="must name a folder"):
        KANRegressor(checkpoint=tmp_path / "file").fit(X, y)
    with pytest.raises(FileNotFoundError):
        KANRegressor(checkpoint=tmp_path / "no" / "folder").fit(X, y)


def climbed(folder, rounds):
    """Climb some rounds with a journal; return how many were new, and the evidence of all."""
    X, y = data()
    x, y = torch.tensor(X), torch.tensor(y[:, None])
    network = KAN([2, 1], {"family": "gp", "control_points": 5}, random_state=0).double()
    place_on_data(network, x)
    loss, weight = Gaussian(torch.ones(1).double()), torch.ones(len(x)).double()
    climb = Climb(network, x, y, loss, weight)
    journal = Journal(folder, network, x, y, weight, loss, None, max_iter=rounds)
    progress = journal.resume(climb)
    known = len(progress.trace)
    while len(progress.trace) < rounds:
        if progress.trace:
            climb.update()
        climb.descend()
        progress.trace.append(climb.evidence)
        progress.best = climb.snapshot()
        journal.keep(climb, progress, True)
    return rounds - known, progress.trace


@pytest.mark.parametrize("hidden", ["additive", (2,)])
def test_fewer_rounds_are_another_fit_in_the_same_folder(tmp_path, hidden):
    X, y = data()
    fits = [
        KANRegressor(
            hidden=hidden, n_estimators=1, max_iter=rounds, checkpoint=tmp_path, random_state=0
        ).fit(X, y)
        for rounds in (2, 12, 2)
    ]
    first, longer, again = fits
    assert first.n_iter_ == again.n_iter_ == 2 < longer.n_iter_
    assert np.array_equal(first.predict(X), again.predict(X))


def test_a_climb_of_few_rounds_takes_none_from_a_longer_one(tmp_path):
    _, short = climbed(tmp_path, 2)
    fresh, long = climbed(tmp_path, 5)
    assert fresh == 3  # it went on from the second round
    assert long[:2] == short
    assert climbed(tmp_path, 2) == (2, short)
    assert climbed(tmp_path, 2) == (0, short)  # kept in a file of its own
    assert climbed(tmp_path, 5) == (0, long)  # and the longer one is still there
