"""Triton as the tests of its kernels need it: interpreted where there is no GPU.

Import this before anything that imports triton. It skips the module that imports it where triton
is missing, or was imported before without its interpreter.
"""

import importlib.util
import math

import pytest
import torch

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)
with pytest.MonkeyPatch.context() as patch:  # read when triton is imported
    if not torch.cuda.is_available():
        patch.setenv("TRITON_INTERPRET", "1")
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction

    from kanx.kernels import fused, network, rational, tiles  # noqa: F401 (kernels are made on import)

if not torch.cuda.is_available() and not isinstance(tl.zeros, InterpretedFunction):
    pytest.skip("triton was imported before its interpreter was asked for", allow_module_level=True)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    """Say once more that kernels are interpreted: torch asks when it calls one."""
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")


COUNT = 5  # functions of every table


def table(kind):
    """Return the table of five functions of a kind; see `kanx.kernels.tiles`."""
    g = torch.arange(COUNT, dtype=torch.float32)
    if kind == tiles.RECURRENCE:  # Legendre
        return torch.stack([(2 * g + 1) / (g + 1), g / (g + 1)])
    if kind == tiles.GAUSSIAN:
        return torch.stack([torch.linspace(-1, 1, COUNT), torch.full((COUNT,), 2.0)])
    if kind == tiles.WAVE:
        return torch.stack([1 + g, torch.where(g % 2 == 0, 0.0, -math.pi / 2)])
    degree = 2 if kind == tiles.QUADRATIC else 3
    rate = (COUNT - degree) / 2
    return torch.stack([-1 + (g - degree) / rate, torch.full((COUNT,), rate)])
