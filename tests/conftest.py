"""What every test shares: idle threads, hypothesis' settings, no GPU tests without a GPU."""

import os

import pytest
from hypothesis import settings

# Before torch is imported: its idle threads sleep instead of spinning. Tests are small, and on a
# busy machine spinning makes them several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The same examples in every run, and no deadline: a first call may compile a kernel.
settings.register_profile("skspike", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("skspike")


def pytest_runtest_setup(item):
    """Skip a test marked `gpu` where there is no CUDA device."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
