"""Training from a file of 2 GB, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from skspike import EventCollection
from skspike._event_columns import EVENT_DTYPE
from tests.estimators.common import recordings

N_RECORDINGS, LENGTH = 1_600, 100_000

CHILD = """
import json, resource, sys
import numpy as np
from skspike import EventCollection, FrameEncoder, SMAClassifier
from skspike._events import EventCollection as Collection

folder, release = json.loads(sys.argv[1])
if not release:
    Collection._release = lambda self: None
X = EventCollection.open(folder)
encoder = FrameEncoder(2, window="fit")
model = SMAClassifier(encoder=encoder, width=4, scales=(1,), max_epochs=1, device="cpu")
FrameEncoder(2).fit_transform(X)
for limit in (1e9, 0):  # encoded at once, and batch by batch
    model.set_params(memory_limit=limit).fit(X, np.arange(len(X)) % 2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a saved collection of 2.08 GB; most of the file is a hole, and reads as zeros."""
    folder = tmp_path_factory.mktemp("large") / "events"
    EventCollection(recordings(n=2)[0]).save(folder)
    np.save(folder / "offsets.npy", np.arange(N_RECORDINGS + 1) * LENGTH)
    shape = (N_RECORDINGS * LENGTH,)
    events = np.lib.format.open_memmap(folder / "events.npy", "w+", EVENT_DTYPE, shape)
    rng = np.random.default_rng(0)
    for i in range(0, N_RECORDINGS, 100):
        block = events[i * LENGTH : (i + 1) * LENGTH]
        block["x"], block["y"] = rng.integers(0, 6, LENGTH), rng.integers(0, 5, LENGTH)
        block["t"] = np.sort(rng.integers(0, 10**6, LENGTH))
    del events
    yield folder
    (folder / "events.npy").unlink()


def peak_of(folder, release=True) -> int:
    """Return the largest resident memory of a process that trains, in bytes, mapped files too."""
    task = json.dumps([str(folder), release])
    done = subprocess.run([sys.executable, "-c", CHILD, task], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units")
def test_training_from_two_gigabytes_takes_less_than_one_and_a_half(folder):
    assert os.path.getsize(folder / "events.npy") > 2e9
    assert peak_of(folder) < 1.5e9


@pytest.mark.slow
@pytest.mark.skipif("SKSPIKE_SMOKE" not in os.environ, reason="shows that the limit is one")
def test_without_release_the_whole_file_is_resident(folder):
    assert peak_of(folder, release=False) > 2e9
