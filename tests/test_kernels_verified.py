"""Kernels are tried before they are used; what is wrong or does not compile is not used."""

import logging

import pytest
import torch
from interpreted import DEVICE, interpreter  # noqa: F401

from kanx import KAN
from kanx.kernels import device, fused, network, network_device, rational, rational_device, verified
from kanx.layers import SLAF, Pade, SharedPade


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    monkeypatch.setattr(verified, "_verdicts", {})


def rows(inputs=2):
    x = torch.randn(5, inputs, generator=torch.Generator().manual_seed(0))
    return x.to(DEVICE)


def off(own):
    """Return a function that is wrong by one thousandth."""

    def wrong(*arguments):
        found = own(*arguments)
        return found * 1.001 if isinstance(found, torch.Tensor) else tuple(f * 1.001 for f in found)

    return wrong


def failing(*arguments):
    raise OSError("there is no C compiler")


def of_layer():
    family = SLAF(2, 3).to(DEVICE)
    return device.edge_sum(family, rows(), family.mask, "tf32x3")


def of_quotients():
    family = Pade(2, 3).to(DEVICE)
    return rational_device.edge_sum(family, rows(), family.mask)


def of_network():
    return network_device.network_sum(KAN([2, 2, 1], "slaf", degree=2).to(DEVICE), rows())


CASES = {
    "a layer": (of_layer, fused, "fused_sum", "fused_sum"),
    "a layer's gradients": (of_layer, fused, "fused_sum_backward", "fused_sum"),
    "quotients": (of_quotients, rational, "quotient_sum", "quotient_sum"),
    "quotients' gradients": (of_quotients, rational, "quotient_sum_backward", "quotient_sum"),
    "a network": (of_network, network, "forward", "small_network"),
    "a network's gradients": (of_network, network, "backward", "small_network"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_that_fails_is_logged_once_and_not_used(name, monkeypatch, caplog):
    run, module, function, kernel = CASES[name]
    monkeypatch.setattr(module, function, failing)
    with caplog.at_level(logging.WARNING, "kanx.kernels"):
        assert run() is None
        assert run() is None
    (record,) = caplog.records
    assert kernel in record.getMessage()
    assert "it failed with OSError: there is no C compiler" in record.getMessage()


@pytest.mark.parametrize("name", ["a layer", "quotients' gradients", "a network's gradients"])
def test_a_kernel_that_is_wrong_is_logged_and_not_used(name, monkeypatch, caplog):
    run, module, function, kernel = CASES[name]
    monkeypatch.setattr(module, function, off(getattr(module, function)))
    with caplog.at_level(logging.WARNING, "kanx.kernels"):
        assert run() is None
    (record,) = caplog.records
    assert kernel in record.getMessage() and "relative errors" in record.getMessage()


def test_a_kernel_that_is_right_is_used(caplog):
    assert of_layer() is not None and of_quotients() is not None and of_network() is not None
    assert list(verified._verdicts.values()) == [True] * 3 and not caplog.records


def test_quotients_of_a_layer_fall_back_to_plain_code(monkeypatch):
    family = SharedPade(2, 3, denominator_degree=2).to(DEVICE)
    monkeypatch.setattr(rational, "quotient", failing)
    found = device.edge_sum(family, rows(), family.mask, "tf32x3")
    torch.testing.assert_close(found, family.curves(rows()).sum(-2), rtol=1e-4, atol=1e-5)


def test_nothing_is_tried_while_a_graph_is_captured(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)

    def not_now():
        raise AssertionError("it was tried")

    assert not verified.agrees(("kernel",), torch.device("cuda"), not_now, not_now, 1.0)
    assert not verified._verdicts  # it is tried later


def test_trying_leaves_the_global_generators_and_modes_alone():
    family, state = SLAF(2, 3).to(DEVICE), torch.get_rng_state()
    with torch.inference_mode():
        assert device.edge_sum(family, rows(), family.mask, "tf32x3") is not None
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("asked", ["", "on", "autotune", "off", "0"])
def test_kernels_are_chosen_unless_they_are_switched_off(asked, monkeypatch):
    monkeypatch.delenv("KANX_TRITON", raising=False)
    if asked:
        monkeypatch.setenv("KANX_TRITON", asked)
    assert device.enabled() == (asked not in ("off", "0"))
    monkeypatch.setattr(device, "_installed", lambda: False)
    assert not device.enabled()
