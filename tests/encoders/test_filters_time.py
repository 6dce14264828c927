import numpy as np
import pytest

from skspike import EventCollection
from skspike._events import EVENT_DTYPE
from skspike.encoders import Denoise, RefractoryFilter
from tests.encoders.filters import drawn, is_subsequence, recording


@pytest.mark.parametrize("cleaner", [Denoise(9), RefractoryFilter(6)], ids=str)
def test_compiled_code_takes_ordered_recordings_and_declines_others(cleaner):
    ordered, shuffled = drawn(3), drawn(3, ordered=False)
    off = EventCollection([recording([1], x=7)])
    recordings = [*ordered, *shuffled, *off]
    events = np.concatenate(recordings)
    offsets = np.cumsum([0, *map(len, recordings)])
    X = EventCollection._from_parts(events, offsets, np.arange(7), (7, 5))
    keep = np.ones(X.n_events, bool)
    done = cleaner.fit(ordered)._mark_compiled(X, keep)
    assert done.tolist() == [True, True, True, True, False, False, False]
    assert keep[offsets[4] :].all()
    kept = keep[: offsets[3]]
    assert np.array_equal(
        np.concatenate([np.empty(0, EVENT_DTYPE), *cleaner.transform(ordered)]),
        np.concatenate([*ordered])[kept],
    )


@pytest.mark.parametrize("cleaner", [Denoise(9), RefractoryFilter(6)], ids=str)
def test_the_memory_of_pixels_is_cleared_after_each_recording(cleaner):
    first = recording([0, 0, 0, 0], x=[0, 1, 2, 3])
    last = recording([3], x=1)
    longer_than_the_memory = recording([0] * 100, x=[0, 1] * 50)
    for before in (first, longer_than_the_memory):
        X = EventCollection([before, last, before], sensor_size=(4, 1))
        cleaned = cleaner.fit_transform(X)
        assert np.array_equal(cleaned[0], cleaned[2])
        assert len(cleaned[1]) == (0 if isinstance(cleaner, Denoise) else 1)


@pytest.mark.parametrize("cleaner", [Denoise(9), RefractoryFilter(6)], ids=str)
def test_recordings_out_of_order_keep_their_order(cleaner):
    X = drawn(5, n_events=80, ordered=False)
    cleaned = cleaner.fit_transform(X)
    for before, after in zip(X, cleaned, strict=True):
        order = np.argsort(before["t"], kind="stable")
        expected = cleaner.transform([before[order]])[0]
        assert np.array_equal(np.sort(after["t"]), expected["t"])
        assert is_subsequence(after, before)
    assert (np.diff(cleaned[4]["t"]) < 0).any()
