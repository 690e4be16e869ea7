"""Inputs that once failed, mutations of good ones, and what hypothesis thinks of."""

import json
import os
import random
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kanx
from fuzz.mutate import mutate_for
from fuzz.targets import (
    MOST_BYTES,
    PREDICTED,
    READ,
    REFUSED,
    TARGETS,
    good,
    kept,
    load_model,
    predict,
    read_csv,
    read_formula,
)
from kanx import KAN

COUNT = int(os.environ.get("KANX_MUTATIONS", "150"))
pytestmark = pytest.mark.filterwarnings("ignore")
few = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_are_taken(name):
    assert {TARGETS[name](data) for data in good(name)} <= {READ, PREDICTED}


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_failed_or_reach_rare_code(name):
    assert {TARGETS[name](data) for data in kept(name)} <= {REFUSED, READ, PREDICTED}


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_are_taken_or_refused(name):
    corpus, chance = good(name) + kept(name), random.Random(1)
    outcomes = set()
    for _ in range(COUNT):
        data = mutate_for(name, chance.choice(corpus), chance.choice(corpus), chance, MOST_BYTES)
        outcomes.add(TARGETS[name](data))
    # both ways out are reached, so the mutations are neither harmless nor hopeless
    assert REFUSED in outcomes
    assert outcomes & {READ, PREDICTED}


numbers = st.floats() | st.integers(-(10**20), 10**20)
leaves = numbers | st.text(max_size=5) | st.booleans() | st.none()
names = st.sampled_from(["+", "*", "^", "sin", "log", "piecewise", "variable", "rational", "and"])
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.tuples(names, inner, inner).map(list)
)


@few
@given(trees)
def test_formulas(tree):
    assert read_formula(json.dumps(tree).encode()) in (REFUSED, READ)


@few
@given(
    st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=4), max_size=8),
    st.sampled_from(",;\t|"),
)
def test_tables(rows, delimiter):
    text = "\n".join(delimiter.join(row) for row in rows)
    assert read_csv(text.encode("utf-8", errors="replace")) in (REFUSED, READ)


@few
@given(st.lists(st.floats(width=64), max_size=6), st.text(max_size=20))
def test_rows(values, text):
    outcome = predict(struct.pack(f"<{len(values)}d", *values) + text.encode())
    assert outcome in (REFUSED, PREDICTED)


def rewrite(data, change):
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    own = json.loads(header["__metadata__"]["kanx"])
    change(own)
    header["__metadata__"]["kanx"] = json.dumps(own)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def nested(depth):
    spec = {"family": "slaf"}
    for _ in range(depth):
        spec = {"family": "composite", "parts": [spec]}
    return spec


BOMBS = {
    "widths": lambda h: h["network"].update(widths=[10**9, 10**9, 1]),
    "points": lambda h: h["network"]["edges"][0][0].update(control_points=10**8),
    "inputs": lambda h: h["network"].update(widths=[10**7, 1], edges=[["gp"] * 10**5]),
    "parts": lambda h: h["network"]["edges"][0].__setitem__(0, nested(60)),
    "deep": lambda h: h["network"]["edges"][0].__setitem__(0, nested(300)),
    "negative": lambda h: h["network"].update(widths=[-5, 1]),
    "infinite": lambda h: h["network"].update(widths=[float("inf"), 1]),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_cannot_ask_for_a_large_network(bomb, tmp_path):
    path = tmp_path / "net.kanx"
    kanx.save(KAN([2, 3, 1], random_state=0), path)
    path.write_bytes(rewrite(path.read_bytes(), BOMBS[bomb]))
    with pytest.raises(ValueError, match="damaged"):
        kanx.load(path)


def test_a_file_that_will_not_fit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.kanx"
    with open(path, "wb") as file:
        file.truncate(1 << 42)  # a hole: four terabytes that are not there
    with pytest.raises(MemoryError, match=r"needs .* TB of memory, and .* are free"):
        kanx.load(path)


def test_the_loader_never_executes(tmp_path):
    # what pickle would run is only a name here
    def change(header):
        header["estimator"] = {"__reduce__": ["os.system", "touch owned"]}
        header["kind"] = "KANRegressor"

    path = tmp_path / "net.kanx"
    kanx.save(KAN([2, 1], random_state=0), path)
    assert load_model(rewrite(path.read_bytes(), change)) == REFUSED
    assert not (tmp_path / "owned").exists()


def test_a_table_that_will_not_fit_is_refused_in_one_line(tmp_path, capsys):
    from kanx.cli import main

    path = tmp_path / "large.csv"
    with open(path, "wb") as file:
        file.write(b"a,b\n1,2\n")
        file.truncate(1 << 42)
    status = main(["fit", str(path), "--target", "b", "--out", str(tmp_path / "out")])
    assert status == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "of memory" in said[0]
    assert not (tmp_path / "out").exists()


def test_a_hundred_thousand_columns(tmp_path):
    import numpy as np

    from kanx.csv_table import CsvError, read_table
    from kanx.tables import column_names, columns_of

    count = 100_000
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{j}" for j in range(count)) + "\n" + ",".join(["1"] * count) + "\n")
    columns = read_table(path, header="yes").columns
    assert len(columns) == count
    assert len(column_names(columns)) == len(columns_of(columns)) == count
    path.write_text(",".join(["c"] * count) + "\n")
    with pytest.raises(CsvError, match="must differ"):
        read_table(path, header="yes")
    assert np.isfinite(columns["c99999"]).all()


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    from fuzz.targets import _model

    path = tmp_path / "model.kanx"
    changes = (
        lambda h: h["estimator"].update(n_features_in=7),
        lambda h: h["estimator"]["model"].update(target_names=["a", "b"]),
        lambda h: h["estimator"]["model"]["columns"].pop(),
        lambda h: h["estimator"].update(feature_names_in=["size"]),
    )
    for change in changes:
        kanx.save(_model(), path)
        path.write_bytes(rewrite(path.read_bytes(), change))
        with pytest.raises(ValueError, match="damaged kanx model: columns and networks have"):
            kanx.load(path)


def test_a_fitted_value_that_is_missing_is_found_at_loading(tmp_path):
    from fuzz.targets import _model

    path = tmp_path / "model.kanx"
    kanx.save(_model(), path)
    path.write_bytes(rewrite(path.read_bytes(), lambda h: h["estimator"]["fitted"].clear()))
    with pytest.raises(ValueError, match="damaged kanx model: what was fitted lacks"):
        kanx.load(path)


def test_an_index_out_of_range_is_found_at_loading(tmp_path):
    import torch

    path = tmp_path / "net.kanx"
    network = KAN([2, 1], "shared_pade", random_state=0)
    network.layers[0].bundles[0].group_of[1] = 10**6
    kanx.save(network, path)
    with pytest.raises(ValueError, match=r"damaged kanx model: .*out of bounds"):
        kanx.load(path)
    network.layers[0].bundles[0].group_of[1] = 0
    kanx.save(network, path)
    assert torch.isfinite(kanx.load(path)(torch.zeros(1, 2))).all()
