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


@pytest.mark.parametrize(("duration", "n_pieces"), [(1, 16), (3, 16), (7, 8), (25, 2), (10**6, 1)])
def test_threads_share_a_long_recording(monkeypatch, duration, n_pieces):
    from skspike.encoders import _filters_numba

    monkeypatch.setattr(_filters_numba, "_GRAIN", 20)
    X = drawn(2, n_events=900)[1:]  # some 15 at a time
    pieces, cut = [], _filters_numba._cut

    def spy(*args):
        pieces.append(cut(*args))
        return pieces[-1]

    monkeypatch.setattr(_filters_numba, "_cut", spy)
    cleaner = Denoise(duration, neighborhood="diamond").fit(X)
    expected = cleaner.transform(X)[0]
    assert np.array_equal(cleaner.set_params(n_jobs=2).transform(X)[0], expected)
    assert [len(p[0]) for p in pieces] == [1, n_pieces]


def test_a_piece_out_of_order_declines_the_recording(monkeypatch):
    from skspike.encoders import _filters_numba

    monkeypatch.setattr(_filters_numba, "_GRAIN", 20)
    events = drawn(2, n_events=900)[1]
    events = np.concatenate([events[:500], events[500:600][::-1], events[600:]])
    X = EventCollection([events])
    cleaner = Denoise(5, n_jobs=2).fit(X)
    assert not cleaner._mark_compiled(X, np.ones(900, bool)).any()
    expected = Denoise(5).fit_transform(X)[0]
    assert np.array_equal(cleaner.transform(X)[0], expected)
