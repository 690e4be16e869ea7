"""One row at a time through a server: the same scoring server of MLflow for every model.

Run ``python benchmarks/latency_served.py [--calls 400]``; needs mlflow-skinny, uvicorn, fastapi,
onnx, onnxruntime and interpret-core. Every model has a server of its own on this machine; requests
go round the servers in turn, so that what else the machine does meets all of them alike. Times
are wall times seen by the client over a kept connection; then four clients ask at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from latency import quick_ebm, table
from sklearn.ensemble import HistGradientBoostingRegressor

SERVER = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, torch, uvicorn
from mlflow.pyfunc import scoring_server
torch.set_num_threads(1)
app = scoring_server.init(mlflow.pyfunc.load_model(sys.argv[1]))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="critical", ws="none")
"""
NAMES = ["x0", "x1", "x2", "x3", "x4"]


def save_models(folder: Path) -> dict[str, Path]:
    """Fit every model to the same rows and write it in MLflow's format."""
    import mlflow
    import pandas as pd

    from kanx import KANRegressor
    from kanx.export import to_mlflow, to_onnx

    X, y = table(500, 0)
    frame = pd.DataFrame(X, columns=NAMES)
    deep = KANRegressor(hidden=(4,), n_estimators=1, max_iter=15, random_state=0).fit(frame, y)
    additive = KANRegressor(hidden="additive", max_iter=15, random_state=0).fit(frame, y)
    signature = mlflow.models.infer_signature(frame)
    places = {}
    for name, rival in (
        ("gradient boosting (scikit-learn)", HistGradientBoostingRegressor(random_state=0)),
        ("EBM (interpret)", quick_ebm()),
    ):
        places[name] = folder / f"m{len(places)}"
        mlflow.sklearn.save_model(
            rival.fit(frame, y),
            places[name],
            signature=signature,
            serialization_format="cloudpickle",
            pip_requirements=[],
        )
    for name, model in (("kanx additive", additive), ("kanx 4 hidden nodes", deep)):
        places[f"{name}, with intervals and contributions"] = folder / f"m{len(places)}"
        to_mlflow(model, folder / f"m{len(places) - 1}", frame)
    places["kanx 4 hidden nodes, ONNX"] = folder / f"m{len(places)}"
    graph = to_onnx(deep, contributions=False)
    columns = mlflow.models.infer_signature({n: frame[[n]].to_numpy() for n in NAMES})
    mlflow.onnx.save_model(
        graph, folder / f"m{len(places) - 1}", signature=columns, pip_requirements=[]
    )
    return places


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Client:
    """A kept connection to one server."""

    def __init__(self, port: int, rows: list[bytes]) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.rows = rows

    def ask(self, number: int) -> float:
        """Ask for one row and return the milliseconds that it took."""
        start = time.perf_counter()
        body = self.rows[number % len(self.rows)]
        self.connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {text[:300]!r}")
        return 1e3 * (time.perf_counter() - start)


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server listens."""
    for _ in range(1200):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            raise RuntimeError("the server ended")
        time.sleep(0.1)
    raise TimeoutError("the server did not start")


def bodies(name: str, X: np.ndarray) -> list[bytes]:
    """Return one request for every row."""
    if "ONNX" in name:
        inputs = [{"inputs": {n: [[v]] for n, v in zip(NAMES, x, strict=True)}} for x in X]
    else:
        inputs = [{"dataframe_split": {"columns": NAMES, "data": [[*x]]}} for x in X]
    return [json.dumps(one).encode() for one in inputs]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    calls = parser.parse_args().calls
    warnings.simplefilter("ignore")
    X = table(100, 1)[0]
    with tempfile.TemporaryDirectory() as name:
        places = save_models(Path(name))
        ports = {model: free_port() for model in places}
        servers = []
        try:
            for model, place in places.items():
                command = [sys.executable, "-c", SERVER, str(place), str(ports[model])]
                servers.append(subprocess.Popen(command))
                wait_for(ports[model], servers[-1])
            report(ports, X, calls)
        finally:
            for server in servers:
                server.terminate()
                server.wait(30)


def report(ports: dict[str, int], X: np.ndarray, calls: int) -> None:
    """Measure the servers in turn and print the table."""
    rows = {model: bodies(model, X) for model in ports}
    clients = {model: Client(port, rows[model]) for model, port in ports.items()}
    times: dict[str, list[float]] = {model: [] for model in ports}
    for number in range(calls + 20):
        for model, client in clients.items():
            taken = client.ask(number)
            if number >= 20:  # the first ones warm up
                times[model].append(taken)
    rates: dict[str, list[float]] = {model: [] for model in ports}
    for _ in range(3):
        for model, port in ports.items():
            together = [Client(port, rows[model]) for _ in range(4)]
            start = time.perf_counter()
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda c: [c.ask(k) for k in range(calls // 12)], together))
            rates[model].append(4 * (calls // 12) / (time.perf_counter() - start))
    print("| model, served | median (ms) | p99 (ms) | of boosting | 4 clients: requests / s |")
    print("|---|---|---|---|---|")
    first = np.median(next(iter(times.values())))
    for model, taken in times.items():
        median, worst = np.percentile(taken, [50, 99])
        rate = np.median(rates[model])
        print(f"| {model} | {median:.2f} | {worst:.2f} | {median / first:.2f} | {rate:.0f} |")


if __name__ == "__main__":
    main()
