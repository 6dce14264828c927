"""How long the first fit in a new process waits for kernels, with a cold and a warm cache.

Run ``python -m tests.benchmarks.bench_startup`` on an idle machine.
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile

from tests.benchmarks.report import report, significant
from tests.benchmarks.setting import Setting, run

# The first fit compiles (or loads) the encoder's kernel and both passes of the neuron; what the
# same work takes a second time is not waiting.
SCRIPT = """
import time
import torch
from sklearn.pipeline import make_pipeline
from skspike import FrameEncoder, SMAClassifier
from skspike.datasets import make_moving_shapes
from skspike.kernels import lif

X, y = make_moving_shapes(8, sensor_size=(8, 8), random_state=0)


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def encode():
    FrameEncoder(n_bins=4).fit_transform(X)


def neurons():
    x = torch.randn(4, 8, requires_grad=True)
    lif(x)[0].sum().backward()


torch.ones(2, requires_grad=True).sum().backward()  # autograd's own start is not ours
first = seconds(encode) + seconds(neurons)
print(first - seconds(encode) - seconds(neurons))
"""


def wait_for_kernels(cache: str) -> float:
    """Return the seconds that a new process spends on kernels."""
    env = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def bench_startup(setting: Setting, case: str, limit: float) -> None:
    """Measure with a cache that is empty, or filled."""
    if case == "warm" and setting.tiny:
        return  # it takes as long as the cold one
    waits = []
    for _ in range(setting.pick(*[3 if case == "cold" else 7] * 2, 1)):
        with tempfile.TemporaryDirectory() as cache:
            if case == "warm":
                wait_for_kernels(cache)
            waits.append(wait_for_kernels(cache))
    seconds = statistics.median(waits)
    report(
        bench="startup",
        case=f"kernels of the first fit, {case} cache",
        ours="ours",
        peer="the limit of the specification",
        ratio=significant(limit / seconds, 3),
        ratio_target=1.0,
        bytes_saved_ratio=None,
        limit_fraction=None,
        ours_ms=significant(1e3 * seconds),
        peer_ms=1e3 * limit,
        **({"tiny": True} if setting.tiny else {}),
    )


CASES = {
    "cold": functools.partial(bench_startup, case="cold", limit=10.0),
    "warm": functools.partial(bench_startup, case="warm", limit=1.0),
}

if __name__ == "__main__":
    run("tests.benchmarks.bench_startup", __doc__.partition("\n")[0], CASES)
