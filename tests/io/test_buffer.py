import numpy as np
import pytest

from skspike._event_columns import EVENT_DTYPE
from skspike.io import _buffer
from skspike.io._buffer import EventBuffer


def some_events(n, start=0):
    events = np.zeros(n, EVENT_DTYPE)
    events["t"] = np.arange(start, start + n)
    events["x"], events["p"] = events["t"] % 7, events["t"] % 2
    return events


@pytest.mark.parametrize("sizes", [[], [0], [5], [3, 0, 20, 1], [40, 40], [1] * 33])
@pytest.mark.parametrize("room", [1, 4])
def test_what_goes_in_comes_out(monkeypatch, sizes, room):
    monkeypatch.setattr(_buffer, "_LARGEST", 16)
    buffer = EventBuffer(room)
    starts = np.cumsum([0, *sizes])
    for start, n in zip(starts, sizes, strict=False):
        buffer.append(some_events(n, start))
        assert len(buffer) == start + n
        buffer.end_recording()
    events, offsets = buffer.finish()
    assert np.array_equal(events, some_events(sum(sizes)))
    assert offsets.tolist() == starts.tolist()


def test_strided_events_are_copied_whole():
    buffer = EventBuffer()
    buffer.append(some_events(10)[::3])
    assert np.array_equal(buffer.finish()[0], some_events(10)[::3])
