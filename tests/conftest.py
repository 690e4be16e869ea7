"""Shared settings of the test suite."""

import torch

torch.set_num_threads(1)  # the tests' tensors are tiny: threads only get in each other's way
