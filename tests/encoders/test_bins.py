from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skspike import EventCollection
from skspike._events import EVENT_DTYPE
from skspike.encoders._bins import Bins, cut
from skspike.encoders._bins_numba import find_edges


def recording(t):
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"] = t
    return events


BINS = st.builds(
    Bins,
    n=st.integers(1, 9),
    by_time=st.booleans(),
    window=st.sampled_from([None, (0, 20), (-100, 100), (39, 41)]),
    size=st.sampled_from([None, 1, 3, 50]),
    keep_last=st.booleans(),
    closed=st.booleans(),
)
TIMES = st.lists(st.integers(-5, 45), max_size=30)


@given(TIMES, BINS)
def test_the_kernel_is_the_specification(times, bins):
    times = sorted(times)
    lost = np.zeros((1, 3), int)
    edges, limits = find_edges(EventCollection([recording(times)]), bins, lost, 1)
    expected = cut(recording(times), bins)
    assert edges[0].tolist() == expected.edges.tolist()
    assert limits[0].tolist() == [expected.start, expected.stop]
    assert lost[0].tolist() == list(expected.lost)


@given(TIMES, BINS)
def test_every_event_is_in_one_bin_or_lost(times, bins):
    events, edges, start, stop, (before, after, beyond) = cut(recording(times), bins)
    assert events["t"].tolist() == sorted(times)
    assert (np.diff(edges) >= 0).all()
    assert edges[-1] - edges[0] + before + after + beyond == len(times)
    assert before == sum(t < start for t in times)
    assert after == sum(t >= stop for t in times)
    if bins.size is None:
        assert beyond == 0


@pytest.mark.parametrize(
    ("keep_last", "expected"),
    [(True, [[3, 4, 5], [6, 7, 8]]), (False, [[0, 1, 2], [3, 4, 5]])],
)
def test_bins_of_so_many_events(keep_last, expected):
    events, edges, *_, lost = cut(recording(range(9)), Bins(2, False, None, 3, keep_last))
    bins = [events["t"][begin:end].tolist() for begin, end in pairwise(edges)]
    assert bins == expected
    assert lost == (0, 0, 3)


@pytest.mark.parametrize("keep_last", [True, False])
def test_bins_of_so_many_microseconds(keep_last):
    times = [0, 9, 10, 25, 26, 31, 40]
    bins = Bins(3, True, None, 10, keep_last)
    _, edges, _, stop, lost = cut(recording(times), bins)
    begin = stop - 30 if keep_last else 0
    expected = Counter((t - begin) // 10 for t in times if begin <= t < begin + 30)
    assert np.diff(edges).tolist() == [expected[b] for b in range(3)]
    assert lost == (0, 0, len(times) - sum(expected.values()))


def test_a_closed_last_bin_ends_with_the_last_microsecond():
    times = [0, 4, 5, 9, 10]
    _, edges, *_ = cut(recording(times), Bins(2, True, None, closed=True))
    assert edges.tolist() == [0, 2, 5]  # halves of [0, 10]
    _, edges, *_ = cut(recording([7, 7]), Bins(3, True, None, closed=True))
    assert edges.tolist() == [0, 2, 2, 2]
