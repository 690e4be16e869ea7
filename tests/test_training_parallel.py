"""Random starts through joblib: the same model whatever runs them."""

import numpy as np
import pytest
from joblib import parallel_config

from kanx import KANRegressor

OPTIONS = {"hidden": (2,), "n_estimators": 2, "max_iter": 3, "random_state": 0}


def data():
    X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    return X, X[:, 0] * X[:, 1]


@pytest.mark.slow
def test_starts_side_by_side_are_those_one_after_another():
    X, y = data()
    alone = KANRegressor(**OPTIONS).fit(X, y)
    side_by_side = KANRegressor(n_jobs=2, **OPTIONS).fit(X, y)
    np.testing.assert_allclose(side_by_side.predict(X), alone.predict(X), rtol=1e-8, atol=1e-8)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the cluster's own making
def test_starts_on_a_dask_cluster():
    distributed = pytest.importorskip("distributed")
    X, y = data()
    alone = KANRegressor(**OPTIONS).fit(X, y)
    options = {"n_workers": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(threads_per_worker=2, **options) as cluster:
        with distributed.Client(cluster), parallel_config("dask"):
            there = KANRegressor(n_jobs=2, **OPTIONS).fit(X, y)
    np.testing.assert_allclose(there.predict(X), alone.predict(X), rtol=1e-8, atol=1e-8)


def test_a_task_travels_between_processes():
    import pickle

    import torch

    from kanx.training.losses import Gaussian
    from kanx.training.task import Task

    X, y = data()
    x, target = torch.from_numpy(X), torch.from_numpy(y[:, None])
    edges = [{"family": "gp", "control_points": 5}] * 2
    task = Task(
        x, target, torch.ones(60).double(), Gaussian(torch.ones(1).double()), 1, edges, edges[0]
    )
    fit = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(task)).fit(())))
    assert fit.evidence == task.fit(()).evidence
