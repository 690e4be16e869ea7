"""Shared settings of the test suite."""

import os
import warnings

import torch
from threadpoolctl import threadpool_limits

# The tests' tensors are tiny and two processes run them: threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the programs that tests start
os.environ.setdefault("MPLBACKEND", "Agg")
torch.set_num_threads(1)
threadpool_limits(1)

with warnings.catch_warnings():  # gpytorch uses torch.jit, which warns at import
    warnings.simplefilter("ignore", DeprecationWarning)
    import gpytorch  # noqa: F401


def pytest_configure(config):
    # tests look at models outside their data on purpose; that this is said is tested by itself
    for name in ("OutOfRangeWarning", "MissingValueWarning"):
        config.addinivalue_line("filterwarnings", f"default::kanx.new_rows.{name}")
