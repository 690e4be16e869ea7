"""Two processes on one machine fit as one does."""

import socket

import numpy as np
import pytest
import torch
from processes import METHOD, context

from kanx import KANClassifier, KANRegressor
from kanx.training.distributed import gathered, own_share, shared_rows, total

SHORT = {"max_iter": 6, "n_estimators": 2, "random_state": 0}


def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (121, 2))
    X[::7, 1] = np.nan
    y = np.sin(3 * X[:, 0]) + np.nan_to_num(X[:, 1]) + 0.1 * rng.standard_normal(121)
    return X, y


def fits(distributed):
    X, y = data()
    training = {"distributed": distributed, "epochs": 3, "validation_fraction": 0.2}
    minibatch = {"optimizer": "adam", "hidden": (2,), "training": training, "random_state": 0}
    models = [
        KANRegressor(hidden=(2,), training=training, **SHORT).fit(X, y),
        KANClassifier(hidden="additive", training=training, **SHORT).fit(X, y > 0.3),
        KANRegressor(**minibatch).fit(X, y),
        KANRegressor(**{**minibatch, "optimizer": "lbfgs"}).fit(X, y),
    ]
    outputs = [model.model_.outputs(model._matrix(X)) for model in models]
    spreads = [model.model_.variance(model._matrix(X), noise=True) for model in models]
    return torch.cat(outputs + spreads, dim=1)


def worker(rank, port, folder):
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    with shared_rows():
        own = torch.arange(5.0)[own_share(5)]
        assert total(own.sum()).item() == 10
        assert gathered(own).tolist() == [0, 1, 2, 3, 4]
    torch.save(fits(distributed=True), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree_with_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context()
    torch.multiprocessing.start_processes(
        worker, args=(port, str(tmp_path)), nprocs=2, start_method=METHOD
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(first, second)
    alone = fits(distributed=False)
    torch.testing.assert_close(first, alone, rtol=1e-8, atol=1e-8)


def test_without_a_process_group_it_says_what_to_do():
    X, y = data()
    with pytest.raises(RuntimeError, match="torchrun"):
        KANRegressor(training={"distributed": True}, **SHORT).fit(X, y)


def test_alone_sums_are_what_they_are():
    assert total(torch.ones(2)).tolist() == [1, 1]
    assert own_share(7) == slice(None)
    assert gathered(torch.ones(3)).tolist() == [1, 1, 1]
