import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skspike.encoders import TimeSurfaceEncoder
from skspike.exceptions import EventLossWarning
from tests.encoders.common import (
    RECORDINGS,
    WINDOWS,
    check_subsets,
    check_time_shift,
    draw_recordings,
    encode,
    recording,
    specify,
)

ENCODERS = st.builds(
    TimeSurfaceEncoder,
    n_bins=st.integers(1, 6),
    tau=st.sampled_from([0.5, 7.0, 1000.0]),
    split=st.sampled_from(["time", "count"]),
    window=WINDOWS,
    n_jobs=st.sampled_from([None, 2]),
)


def test_values_decay_from_the_last_event_to_the_end_of_the_bin():
    events = recording([0, 40, 99], x=[1, 2, 1])
    surfaces, _ = encode(TimeSurfaceEncoder(2, tau=20.0), [events])
    assert surfaces.shape == (1, 2, 2, 5, 7)
    np.testing.assert_allclose(surfaces[0, 0, 1, 0, 1:3], np.exp([-50 / 20, -10 / 20]), rtol=1e-6)
    np.testing.assert_allclose(surfaces[0, 1, 1, 0, 1:3], np.exp([-1 / 20, -60 / 20]), rtol=1e-6)
    assert not surfaces[:, :, 0].any()


def test_by_count_a_surface_is_read_at_the_last_event_of_its_bin():
    events = recording([10, 30, 70], x=[0, 1, 2], p=[True, False, True])
    surfaces, _ = encode(TimeSurfaceEncoder(3, tau=20.0, split="count"), [events])
    np.testing.assert_allclose(surfaces[0, :, 1, 0, 0], np.exp([0, -1, -3]), rtol=1e-6)
    assert surfaces[0, 1, 0, 0, 1] == 1
    assert surfaces[0, 2, 1, 0, 2] == 1
    alone, _ = encode(TimeSurfaceEncoder(3, split="count"), [recording([4])])
    assert alone[0, :, 1, 0, 0].tolist() == [1, 1, 1]
    assert not encode(TimeSurfaceEncoder(3, split="count"), [recording([])])[0].any()


@settings(max_examples=100, deadline=None)
@given(RECORDINGS, ENCODERS, st.booleans())
def test_the_kernel_is_the_specification(recordings, encoder, ordered):
    assume(any(map(len, recordings)))
    if ordered:
        recordings = [r[np.argsort(r["t"], kind="stable")] for r in recordings]
    fast, lost = encode(encoder, recordings)
    exact, lost_by_specification = specify(encoder, recordings)
    np.testing.assert_allclose(fast, exact, rtol=2e-5, atol=1e-12)
    assert lost == lost_by_specification
    assert fast.min() >= 0
    assert fast.max() <= 1


@settings(max_examples=30, deadline=None)
@given(RECORDINGS, ENCODERS, st.randoms(use_true_random=False), st.integers(-(10**9), 10**9))
def test_recordings_are_encoded_one_by_one_whenever_they_begin(recordings, encoder, random, shift):
    assume(any(map(len, recordings)))
    check_time_shift(encoder, recordings, shift)
    check_subsets(encoder, recordings, random.sample(range(len(recordings)), len(recordings)))


def test_threads_change_nothing(monkeypatch):
    from skspike.encoders import _bins_numba

    monkeypatch.setattr(_bins_numba, "GRAIN", 0)
    recordings = draw_recordings(2, n_events=1000)
    alone, _ = encode(TimeSurfaceEncoder(9, tau=100.0, n_jobs=1), recordings)
    shared, _ = encode(TimeSurfaceEncoder(9, tau=100.0, n_jobs=4), recordings)
    np.testing.assert_array_equal(shared, alone)


def test_float64_holds_more_digits():
    recordings = draw_recordings()
    wide, _ = encode(TimeSurfaceEncoder(tau=300.0, dtype="float64"), recordings)
    exact, _ = specify(TimeSurfaceEncoder(tau=300.0, dtype="float64"), recordings)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, exact, rtol=1e-12)


def test_losses_and_wrong_parameters_are_told():
    with pytest.warns(EventLossWarning, match="TimeSurfaceEncoder left out 2 of 3 events"):
        TimeSurfaceEncoder(window=(0, 10)).fit_transform([recording([-1, 5, 10])])
    for parameters, message in [
        ({"dtype": "uint8"}, "'dtype' parameter of TimeSurfaceEncoder must be one of"),
        ({"tau": 0.0}, "'tau' parameter of TimeSurfaceEncoder must be a float in"),
        ({"kind": "sits"}, "'kind' parameter of TimeSurfaceEncoder must be a str among"),
        ({"kind": "hats", "surface_size": 4}, "'surface_size' .* must be odd. Got 4 instead"),
    ]:
        with pytest.raises(ValueError, match=message):
            TimeSurfaceEncoder(**parameters).fit([recording([1])])


def test_tonic_reads_the_same_surfaces_at_the_ends_of_its_windows():
    transforms = pytest.importorskip("tonic.transforms")
    events = draw_recordings(1)[0]
    first = int(events["t"][0])
    theirs = transforms.ToTimesurface(sensor_size=(7, 5, 2), dt=300, tau=200.0)(events)
    n_bins = len(theirs)
    window = (first, first + 300 * n_bins)
    encoder = TimeSurfaceEncoder(n_bins, tau=200.0, window=window, dtype="float64")
    ours, lost = encode(encoder, [events])
    assert lost == (events["t"] >= window[1]).sum()  # tonic leaves out its last window silently
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-9)
