from __future__ import annotations

import numpy as np
import pytest

from skspike import EventCollection
from skspike.utils._samples import (
    FIRST,
    LAST,
    SENSOR_SIZE,
    busy_pixel,
    empty,
    equal_times,
    make_collection,
    make_recordings,
    shifted,
    shuffled,
    single,
)


def test_each_recording_tells_the_sensor_and_the_window_of_all():
    recordings, y = make_recordings()
    assert len(recordings) == len(y) == 12
    assert np.bincount(y).tolist() == [6, 6]
    for recording in recordings:
        assert EventCollection([recording]).sensor_size == SENSOR_SIZE
        assert (recording["t"][0], recording["t"][-1]) == (FIRST, LAST)
        assert (np.diff(recording["t"]) > 0).all()
    assert len({recording.tobytes() for recording in recordings}) == 12


def test_the_collection_holds_the_recordings():
    X, y = make_collection(5, seed=3)
    recordings, labels = make_recordings(5, seed=3)
    assert EventCollection(recordings, sensor_size=SENSOR_SIZE) == X
    np.testing.assert_array_equal(y, labels)


def test_hard_recordings_are_what_they_are_called():
    assert [len(r) for r in (empty(), single(), equal_times(), busy_pixel())] == [0, 1, 23, 40_000]
    assert np.ptp(equal_times()["t"]) == 0
    assert len(np.unique(busy_pixel()[["x", "y", "p"]])) == 1
    assert (np.diff(busy_pixel()["t"]) == 1).all()


def test_changed_copies_leave_the_recordings_alone():
    recordings = make_recordings(3)[0]
    before = [recording.tobytes() for recording in recordings]
    later, mixed = shifted(recordings, 10**12), shuffled(recordings)
    assert [recording.tobytes() for recording in recordings] == before
    for old, new, other in zip(recordings, later, mixed, strict=True):
        np.testing.assert_array_equal(new["t"], old["t"] + 10**12)
        assert (np.diff(other["t"]) < 0).any()
        np.testing.assert_array_equal(np.sort(other, order="t"), old)


@pytest.mark.parametrize("make", [make_recordings, make_collection])
def test_samples_repeat(make):
    for a, b in zip(make()[0], make()[0], strict=True):
        np.testing.assert_array_equal(a, b)
