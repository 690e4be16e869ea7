"""Which tile a kernel runs with."""

import contextlib
import copy

import pytest
import torch
from interpreted import interpreter  # noqa: F401

from kanx import KAN
from kanx.kernels import device, tuning

TILES = (tuning.tile(64, None, 64, 4, 2), tuning.tile(32, None, 64, 4, 2))
T = torch.zeros(100, 2)


def run(own):
    return torch.tensor(own["BM"])


def test_the_shipped_tile_runs_without_a_request(monkeypatch):
    monkeypatch.setenv("KANX_TRITON", "on")
    assert not tuning.requested(T)
    assert tuning.run_best(run, TILES, ("kernel",), T) == 64


def test_the_fastest_tile_runs_on_request_and_is_remembered(monkeypatch):
    measured = []

    def milliseconds(call):
        measured.append(int(call()))
        return float(measured[-1])

    monkeypatch.setattr(tuning, "requested", lambda t: True)
    monkeypatch.setattr(tuning, "milliseconds", milliseconds)
    monkeypatch.setattr(tuning, "_fastest", {})
    for rows in (100, 128, 100):
        assert tuning.run_best(run, TILES, ("kernel",), T.new_zeros(rows, 2)) == 32
    assert measured == [64, 32]
    tuning.run_best(run, TILES, ("kernel",), T.new_zeros(129, 2))
    tuning.run_best(run, TILES, ("another",), T)
    assert measured == [64, 32] * 3


def test_a_tile_that_does_not_fit_is_not_chosen(monkeypatch):
    def too_large(call, **options):
        raise tuning.triton.OutOfResources(300000, 232448, "shared memory")

    monkeypatch.setattr(tuning.triton.testing, "do_bench", too_large)
    assert tuning.milliseconds(lambda: T) == float("inf")


def test_kernels_run_on_the_device_of_their_inputs(monkeypatch):
    entered = []

    @contextlib.contextmanager
    def device_of(t):
        entered.append(t)
        yield
        entered.append("left")

    def run(own):
        assert entered == [T]
        return T

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    tuning.run_best(run, TILES, ("kernel",), T)
    assert entered[-1] == "left"


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_gpu_that_is_not_the_current_one():
    net = KAN([2, 3, 1], "slaf", random_state=0).to("cuda:1")
    x = torch.rand(9, 2)
    wanted = copy.deepcopy(net).cpu()(x)
    torch.testing.assert_close(net(x.to("cuda:1")).cpu(), wanted, rtol=1e-4, atol=1e-5)


def test_autotuning_is_asked_for_by_the_environment(monkeypatch):
    monkeypatch.setenv("KANX_TRITON", "autotune")
    assert device.enabled()
    assert not tuning.requested(T)  # nothing to measure on a CPU
