"""What every test shares: idle threads, hypothesis' settings, no GPU tests without a GPU.

Also how many processes share the tests, where that is not said: `pytest -n 2` says it.
"""

import os

import pytest
from hypothesis import settings

MOST_WORKERS = 4  # each holds torch, and compiles what others may compile too

# Before torch is imported: its idle threads sleep instead of spinning. Tests are small, and on a
# busy machine spinning makes them several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # the other cores have workers of their own

# The same examples in every run, and no deadline: a first call may compile a kernel.
settings.register_profile("skspike", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("skspike")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the options
def pytest_cmdline_main(config):
    """Let every core take test files if all of them are asked for, and one process for a part."""
    if hasattr(config, "workerinput") or config.args_source is not config.ArgsSource.TESTPATHS:
        return  # a worker starts none; without xdist there is no such option
    options = config.option
    if getattr(options, "numprocesses", 0) is None and options.dist == "no":
        options.numprocesses = 0 if options.usepdb else min(_count_cores(), MOST_WORKERS)
        options.dist = "loadfile"  # whose tests share fixtures, and the kernels they compile
        options.loadscopereorder = False  # by number of tests; here the long files come first


def _count_cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_runtest_setup(item):
    """Skip a test marked `gpu` where there is no CUDA device."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
