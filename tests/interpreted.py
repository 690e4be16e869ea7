"""Triton as the tests of its kernels need it: interpreted where there is no GPU.

Import this before anything that imports triton. It skips the module that imports it where triton
is missing, or was imported before without its interpreter.
"""

import importlib.util

import pytest
import torch

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)
with pytest.MonkeyPatch.context() as patch:  # read when triton is imported
    if not torch.cuda.is_available():
        patch.setenv("TRITON_INTERPRET", "1")
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction

    from kanx.kernels import fused, network, rational  # noqa: F401 (their kernels are made on import)

if not torch.cuda.is_available() and not isinstance(tl.zeros, InterpretedFunction):
    pytest.skip("triton was imported before its interpreter was asked for", allow_module_level=True)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    """Say once more that kernels are interpreted: torch asks when it calls one."""
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
