"""Shared settings of the test suite."""

import warnings

import torch

torch.set_num_threads(1)  # the tests' tensors are tiny: threads only get in each other's way

with warnings.catch_warnings():  # gpytorch uses torch.jit, which warns at import
    warnings.simplefilter("ignore", DeprecationWarning)
    import gpytorch  # noqa: F401


def pytest_configure(config):
    # tests look at models outside their data on purpose; that this is said is tested by itself
    config.addinivalue_line("filterwarnings", "default::kanx.tables.OutOfRangeWarning")
