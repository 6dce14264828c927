"""Small recordings for the checks: ordinary ones, and the hard cases one by one."""

from __future__ import annotations

import numpy as np

from .._event_columns import EVENT_DTYPE
from .._events import EventCollection

SENSOR_SIZE = (16, 12)
FIRST, LAST = 1_000, 50_000  # µs


def make_recordings(n: int = 12, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Return recordings of two classes, with all times of a recording different, in order.

    Every recording has an event in the last corner of the sensor, one at `FIRST` and one at `LAST`,
    so that each by itself tells the sensor and the window of all.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return [_make_recording(rng, label) for label in y], y


def _make_recording(rng: np.random.Generator, label: int) -> np.ndarray:
    """Return a recording: events on the left for class 0, on the right for class 1."""
    width, height = SENSOR_SIZE
    n = int(rng.integers(40, 60))
    times = FIRST + 1 + rng.choice(LAST - FIRST - 1, size=n - 2, replace=False)
    recording = np.empty(n, EVENT_DTYPE)
    recording["t"] = np.sort([FIRST, *times, LAST])
    recording["x"] = rng.integers(width // 2, size=n) + label * (width // 2)
    recording["y"] = rng.integers(height, size=n)
    recording["p"] = rng.integers(2, size=n)
    recording["x"][n // 2], recording["y"][n // 2] = width - 1, height - 1
    return recording


def make_collection(n: int = 12, seed: int = 0) -> tuple[EventCollection, np.ndarray]:
    """Return the same recordings as a collection."""
    recordings, y = make_recordings(n, seed)
    return EventCollection(recordings, sensor_size=SENSOR_SIZE), y


def empty() -> np.ndarray:
    """Return a recording without events."""
    return np.empty(0, EVENT_DTYPE)


def single() -> np.ndarray:
    """Return a recording of one event."""
    return np.array([(3, 2, 20_000, True)], EVENT_DTYPE)


def equal_times() -> np.ndarray:
    """Return a recording whose events all have the same time."""
    return np.array([(i % 7, i % 5, 30_000, i % 3 == 0) for i in range(23)], EVENT_DTYPE)


def busy_pixel() -> np.ndarray:
    """Return a recording with 40,000 brighter events of one pixel: too many for a narrow dtype."""
    recording = np.zeros(40_000, EVENT_DTYPE)
    recording["t"] = FIRST + np.arange(40_000)
    recording["x"], recording["y"], recording["p"] = 5, 4, True
    return recording


def shifted(recordings, by: int) -> list[np.ndarray]:
    """Return recordings `by` microseconds later."""
    later = [recording.copy() for recording in recordings]
    for recording in later:
        recording["t"] += by
    return later


def shuffled(recordings, seed: int = 0) -> list[np.ndarray]:
    """Return recordings whose events are out of order."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(recording) for recording in recordings]
