"""Memory: what is stated before a fit, and going on with fewer rows when it runs out."""

import sys

import numpy as np
import pytest
import torch
from processes import run_python

from kanx import KAN, KANRegressor
from kanx.training import first_order
from kanx.training.fit_memory import fit_bytes
from kanx.training.portion import Portion


@pytest.fixture
def data():
    X = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    return X, np.sin(3 * X[:, 0]) + X[:, 1]


@pytest.fixture
def device_of(monkeypatch):
    """Let networks run out of memory above a number of rows, where training's device is."""
    seen = []

    def set_to(most, in_training=False):
        forward, train = KAN.forward, first_order.train
        on_device = [not in_training]

        def on_the_device(*given, **options):
            on_device[0] = True
            try:
                return train(*given, **options)
            finally:
                on_device[0] = False

        def limited(self, x, *others, **options):
            if not on_device[0]:
                return forward(self, x, *others, **options)
            seen.append(len(x))
            if len(x) > most:
                raise torch.OutOfMemoryError(f"{len(x)} rows do not fit (injected)")
            return forward(self, x, *others, **options)

        monkeypatch.setattr(KAN, "forward", limited)
        if in_training:
            monkeypatch.setattr(first_order, "train", on_the_device)
        return seen

    return set_to


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_training_goes_on_with_smaller_parts_of_the_same_batches(data, device_of, optimizer):
    def fitted():
        options = {"epochs": 5, "batch_size": 64, "validation_fraction": 0.2}
        model = KANRegressor(
            hidden="additive", optimizer=optimizer, training=options, max_iter=3, random_state=0
        )
        return model.fit(*data)

    wanted = fitted().predict(data[0])
    seen = device_of(20, in_training=True)
    with pytest.warns(RuntimeWarning, match="memory ran out on .* rows at a time; going on"):
        model = fitted()
    assert max(seen) > 20  # it was tried
    np.testing.assert_allclose(model.predict(data[0]), wanted, rtol=1e-6)


def test_prediction_goes_on_with_fewer_rows_and_says_so_once(data, device_of):
    X, y = data
    model = KANRegressor(hidden="additive", max_iter=3, random_state=0).fit(X, y)
    wanted = model.predict(X)
    device_of(40)
    with pytest.warns(
        RuntimeWarning, match="300 rows at a time; going on with at most 150"
    ) as said:
        found = model.predict(X)
    assert len(said) == 1
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_not_even_one_row_is_a_clear_error(data, device_of):
    X, y = data
    model = KANRegressor(hidden="additive", max_iter=3, random_state=0).fit(X, y)
    device_of(0)
    with (
        pytest.warns(RuntimeWarning, match="memory ran out"),
        pytest.raises(MemoryError, match="not even one row"),
    ):
        model.predict(X)


def test_a_portion_leaves_other_errors_alone():
    def broken():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Portion(8).attempt(broken, 8)


MEASURED = """
import numpy as np, torch
from kanx import KANRegressor
torch.set_num_threads(1)
def memory(what):
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith(what))
def fit(rows, columns, hidden):
    X = np.random.default_rng(0).uniform(-1, 1, (rows, columns))
    options = {"hidden": hidden, "n_estimators": 1, "max_iter": 1, "random_state": 0}
    KANRegressor(**options).fit(X, np.sin(3 * X[:, 0]) * X[:, 1])
fit(60, 2, (2,))  # what is imported late
before = memory("VmRSS")
fit(%d, %d, %r)
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("rows", "columns", "hidden"), [(20_000, 8, ()), (1000, 30, (5,))])
def test_the_memory_of_a_fit_is_known_within_a_factor_of_three(rows, columns, hidden):
    code = MEASURED % (rows, columns, hidden)
    done = run_python(code, check=True)
    edges = [{"family": "gp", "control_points": 12}] * columns
    stated = fit_bytes(rows, edges, {"family": "gp", "control_points": 8}, hidden, 1)
    assert 1 / 3 < int(done.stdout) / stated < 3


def test_a_fit_without_memory_is_refused_before_it_begins(data, monkeypatch):
    monkeypatch.setattr("kanx.memory.available_bytes", lambda: 1_000_000)
    model = KANRegressor(hidden=(200,), max_iter=3, random_state=0)
    with pytest.raises(MemoryError, match=r"this fit to 300 rows needs .* MB of memory, and 1 MB"):
        model.fit(*data)
    assert not hasattr(model, "model_")
