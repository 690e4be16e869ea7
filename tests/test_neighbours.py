"""Life beside other packages: each neighbour is the real one."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
from export_cases import NAMES, fitted, table
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kanx
from kanx import KAN, KANClassifier, KANRegressor
from kanx.export import to_mlflow

pytestmark = pytest.mark.filterwarnings("ignore::kanx.new_rows.OutOfRangeWarning")


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).uniform(-1, 1, (80, 3))
    return X, 2 * X[:, 0] + np.sin(3 * X[:, 1])


def additive(**options):
    return KANRegressor(hidden="additive", max_iter=4, random_state=0, **options)


# -- scikit-learn --------------------------------------------------------------------------------


def test_pipeline_search_and_set_output(data):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(data[0], columns=["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler(), additive()).set_output(transform="pandas")
    search = GridSearchCV(pipeline, {"kanregressor__edge": ["slaf", "spline"]}, cv=2)
    search.fit(X, data[1])
    best = search.best_estimator_[-1]
    assert list(best.feature_names_in_) == ["a", "b", "c"]
    assert search.best_score_ > 0.9


def test_calibration(data):
    X, y = data
    base = KANClassifier(hidden="additive", max_iter=4, random_state=0)
    model = CalibratedClassifierCV(base, cv=2, method="sigmoid").fit(X, y > 0)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(1), 1)
    assert model.score(X, y > 0) > 0.8


def test_permutation_importance_and_partial_dependence(data):
    X, y = data
    model = additive().fit(X, y)
    importances = permutation_importance(model, X, y, n_repeats=2, random_state=0).importances_mean
    assert importances.argmin() == 2
    curve = partial_dependence(model, X, [0], kind="average", grid_resolution=5)
    grid, average = curve["grid_values"][0], curve["average"][0]
    # for a sum of curves the partial dependence is the curve
    rows = np.tile(X[:1], (5, 1))
    rows[:, 0] = grid
    np.testing.assert_allclose(np.diff(average), np.diff(model.predict(rows)), atol=1e-10)


def test_metadata_routing(data):
    X, y = data
    weight = np.where(X[:, 0] > 0, 1.0, 1e-6)
    with sklearn.config_context(enable_metadata_routing=True):
        model = additive().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = cross_validate(
            model, X, y, cv=2, params={"sample_weight": weight}, return_estimator=True
        )
    half = len(X) // 2
    own = additive().fit(X[half:], y[half:], sample_weight=weight[half:])
    np.testing.assert_allclose(routed["estimator"][0].predict(X), own.predict(X))


# -- explanation and search ----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_shap_agrees_with_the_contributions(data):
    shap = pytest.importorskip("shap")
    X, y = data
    model = additive().fit(X, y)
    explainer = shap.explainers.Exact(model.predict, shap.maskers.Independent(X, max_samples=80))
    local = kanx.explain(model, X).local(X[:5])
    np.testing.assert_allclose(explainer(X[:5]).values, local.values[:, :, 0], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_optuna_chooses_an_edge_family(data):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = data

    def objective(trial):
        edge = trial.suggest_categorical("edge", ["piecewise_linear", "slaf"])
        return additive(edge=edge).fit(X[:40], y[:40]).score(X[40:], y[40:])

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.GridSampler({"edge": ["piecewise_linear", "slaf"]}),
    )
    study.optimize(objective, n_trials=2)
    assert study.best_value > 0.8


# -- torch loops ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_a_network(tmp_path):
    lightning = pytest.importorskip("lightning")
    import torch

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = KAN([2, 1], "spline", random_state=0)

        def training_step(self, batch, _):
            x, y = batch
            return torch.nn.functional.mse_loss(self.network(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.1)

    x = torch.rand(64, 2)
    rows = torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True))
    module = Module()
    before = torch.nn.functional.mse_loss(module.network(x), rows.tensors[1]).item()
    trainer = lightning.Trainer(
        max_epochs=5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, torch.utils.data.DataLoader(rows, batch_size=16))
    assert torch.nn.functional.mse_loss(module.network(x), rows.tensors[1]).item() < before / 2


@pytest.mark.filterwarnings("ignore")
def test_accelerate_trains_a_network():
    accelerate = pytest.importorskip("accelerate")
    import torch

    accelerator = accelerate.Accelerator(cpu=True)
    network = KAN([2, 1], "spline", random_state=0)
    network, optimizer = accelerator.prepare(
        network, torch.optim.Adam(network.parameters(), lr=0.1)
    )
    x = torch.rand(64, 2)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.mse_loss(network(x), x.sum(1, keepdim=True))
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


# -- joblib back ends ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_searches_spread_over_a_cluster(data, backend):
    import joblib

    if backend == "dask":
        distributed = pytest.importorskip("distributed")
        cluster = distributed.Client(processes=True, n_workers=1, threads_per_worker=1)
        close = cluster.close
    else:
        ray = pytest.importorskip("ray")
        from ray.util.joblib import register_ray

        register_ray()
        ray.init(num_cpus=1, include_dashboard=False)
        close = ray.shutdown
    try:
        with joblib.parallel_backend(backend):
            search = GridSearchCV(additive(), {"edge": ["slaf", "spline"]}, cv=2).fit(*data)
        assert search.best_score_ > 0.9
    finally:
        close()


# -- MLflow --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mlflow_folder(tmp_path_factory):
    pytest.importorskip("mlflow")
    import warnings

    folder = tmp_path_factory.mktemp("mlflow") / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        to_mlflow(fitted("regressor"), folder, table())
    return folder


@pytest.mark.filterwarnings("ignore")
def test_mlflow_gives_predictions_intervals_and_contributions(mlflow_folder):
    import mlflow
    import pandas

    assert not list(mlflow_folder.rglob("*.pkl"))
    X, model = table(), fitted("regressor")
    found = mlflow.pyfunc.load_model(str(mlflow_folder)).predict(pandas.DataFrame(X))
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(found["prediction"], mean)
    np.testing.assert_allclose(found["std"], std)
    np.testing.assert_allclose(found[["lower", "upper"]], model.predict_interval(X))
    total = found["base"] + sum(found[f"contribution of {name}"] for name in NAMES)
    np.testing.assert_allclose(total, mean)


@pytest.fixture(scope="module")
def server(mlflow_folder):
    """MLflow's scoring server on a free port of this machine."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    import warnings

    import mlflow
    from mlflow.pyfunc import scoring_server

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        app = scoring_server.init(mlflow.pyfunc.load_model(str(mlflow_folder)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="critical", ws="none"))
    thread = threading.Thread(target=own.run, daemon=True)
    thread.start()
    while not own.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/invocations"
    own.should_exit = True
    thread.join()


def post(url, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def rows(count):
    X = table()
    records = []
    for k in range(count):
        record = {name: values[k] for name, values in X.items()}
        records.append({n: None if v is None or v != v else v for n, v in record.items()})
    return {"dataframe_records": records}


@pytest.mark.filterwarnings("ignore")
def test_mlflow_serves_several_clients_and_refuses_bad_requests(server):
    wanted = fitted("regressor").predict(table())[:20]

    def ask(_):
        status, answer = post(server, rows(20))
        assert status == 200
        return [row["prediction"] for row in answer["predictions"]]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(ask, range(12)):
            np.testing.assert_allclose(found, wanted)
    good = rows(1)["dataframe_records"][0]
    lacking = {name: value for name, value in good.items() if name != "z"}
    for body in (
        b"",
        b"{",
        b'{"dataframe_records": "no"}',
        {"dataframe_records": [lacking]},
        {"dataframe_records": [{**good, "z": "text"}]},
        {"dataframe_records": [{**lacking, "zz": 1.0}]},
        {"dataframe_split": {"columns": [*good], "data": [[1.0]]}},
        {"rows": [good]},
    ):
        status, message = post(server, body)
        assert 400 <= status < 500, (status, message, body if isinstance(body, dict) else body[:40])
    absent = json.dumps({"dataframe_records": [{**good, "z": float("nan")}]})
    status, answer = post(server, absent.encode())  # NaN is no JSON, but Python's own writes it
    assert status == 200
    assert np.isfinite(answer["predictions"][0]["prediction"])
    # MLflow's own parser gives up on very deep JSON with an error of the server
    assert post(server, b"[" * 10_000)[0] in (400, 500)
    assert post(server, rows(3))[0] == 200  # and nothing has fallen over
