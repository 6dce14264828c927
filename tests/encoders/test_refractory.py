import numpy as np
import pytest

from skspike import EventCollection, config_context
from skspike.encoders import RefractoryFilter
from tests.encoders.filters import drawn, recording

BACKENDS = pytest.mark.parametrize("backend", ["auto", "reference"])


def kept(events, period):
    """Return the times of the events that are kept."""
    return RefractoryFilter(period).fit_transform([events])[0]["t"].tolist()


@BACKENDS
def test_the_dead_time_counts_from_the_last_event_kept(backend):
    with config_context(backend=backend):
        assert kept(recording([0, 9, 10, 18, 21, 31]), 10) == [0, 10, 21, 31]
        assert kept(recording(range(10)), 3) == [0, 3, 6, 9]
        assert kept(recording([-5, 0, 4, 5]), 10) == [-5, 5]


@BACKENDS
def test_pixels_rest_by_themselves_and_polarities_together(backend):
    with config_context(backend=backend):
        assert kept(recording([0, 1, 2, 3], x=[0, 1, 0, 1]), 10) == [0, 1]
        assert kept(recording([0, 1, 2, 3], y=[0, 1, 0, 1]), 10) == [0, 1]
        assert kept(recording([0, 1], p=[True, False]), 10) == [0]


@BACKENDS
def test_of_equal_times_the_first_is_kept(backend):
    events = recording([5, 5, 5], x=[0, 0, 1], p=[False, True, True])
    with config_context(backend=backend):
        cleaned = RefractoryFilter(1).fit_transform([events])[0]
        assert cleaned.tolist() == events[[0, 2]].tolist()
        assert kept(events, 0) == [5, 5, 5]
        late = recording([9, 5, 5], p=[True, False, True])  # in order of time 5, 5, 9
        assert RefractoryFilter(4).fit_transform([late])[0]["p"].tolist() == [True, False]


@BACKENDS
@pytest.mark.parametrize("period", [0, 1, 7, 1000])
def test_no_two_events_kept_are_closer_and_none_left_out_was_further(backend, period):
    X = drawn(4, n_events=300)
    with config_context(backend=backend):
        cleaned = RefractoryFilter(period).fit_transform(X)
    for before, after in zip(X, cleaned, strict=True):
        last = {}
        expected = []
        for x, y, t, p in before.tolist():
            if (x, y) not in last or t - last[x, y] >= period:
                expected.append((x, y, t, p))
                last[x, y] = t
        assert after.tolist() == expected


def test_tonic_lets_events_that_are_left_out_prolong_the_dead_time():
    transforms = pytest.importorskip("tonic.transforms")
    rng = np.random.default_rng(0)
    t = 1000 + np.sort(rng.choice(20_000, size=400, replace=False))
    events = recording(t, x=rng.integers(5, size=400), y=rng.integers(5, size=400))
    theirs = transforms.RefractoryPeriod(200)(events)
    ours = RefractoryFilter(200).fit_transform([events])[0]
    assert set(theirs.tolist()) < set(ours.tolist())
    apart = events[::40]  # one of a pixel at a time, far apart: nothing to tell them by
    assert len(transforms.RefractoryPeriod(10)(apart)) == len(kept(apart, 10)) == 10


@pytest.mark.parametrize("period", [-1, 2.5, 2**62])
def test_wrong_periods_raise_in_fit(period):
    with pytest.raises(ValueError, match="'period' parameter of RefractoryFilter must be an int"):
        RefractoryFilter(period).fit(EventCollection([]))
