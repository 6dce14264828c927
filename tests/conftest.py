"""What every test shares: hypothesis' settings, and the skip of GPU tests without a GPU."""

import pytest
from hypothesis import settings

# The same examples in every run, and no deadline: a first call may compile a kernel.
settings.register_profile("skspike", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("skspike")


def pytest_runtest_setup(item):
    """Skip a test marked `gpu` where there is no CUDA device."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
