"""Recordings for the tests of the cleaning steps."""

from pathlib import Path

import numpy as np

from skspike import EventCollection
from skspike._events import EVENT_DTYPE

WIDTH, HEIGHT = 7, 5
NMNIST = Path(__file__).parents[3] / "shared" / "data" / "nmnist1k.npz"


def recording(t, x=0, y=0, p=True):
    """Return a recording; what is not given is the same for all events."""
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


def drawn(n, n_events=40, seed=0, ordered=True):
    """Draw recordings of different lengths, the first of them empty."""
    rng = np.random.default_rng(seed)
    recordings = []
    for i in range(n):
        size = n_events * i // max(n - 1, 1)
        t = rng.integers(60, size=size)
        x, y = rng.integers(WIDTH, size=size), rng.integers(HEIGHT, size=size)
        recordings.append(recording(np.sort(t) if ordered else t, x, y, rng.random(size) < 0.5))
    return EventCollection(recordings, sensor_size=(WIDTH, HEIGHT))


def is_subsequence(part, whole):
    """Tell whether the rows of `part` occur in `whole` in the same order."""
    rest = iter(whole.tolist())
    return all(event in rest for event in part.tolist())
