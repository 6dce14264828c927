import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skspike.encoders import VoxelEncoder
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
    VoxelEncoder,
    n_bins=st.integers(1, 6),
    window=WINDOWS,
    polarity=st.sampled_from(["signed", "separate", "merged"]),
    downsample=st.integers(1, 4),
    n_jobs=st.sampled_from([None, 2]),
)


@pytest.mark.parametrize("n_bins", [2, 3, 10])
def test_an_event_is_shared_by_the_formula(n_bins):
    t = np.array([100, 117, 150, 199, 200])
    grid, _ = encode(VoxelEncoder(n_bins, polarity="merged"), [recording(t)])
    position = (n_bins - 1) * (t - 100) / 100
    expected = [np.maximum(0, 1 - np.abs(b - position)).sum() for b in range(n_bins)]
    np.testing.assert_allclose(grid[0, :, 0, 0, 0], expected, rtol=1e-6, atol=1e-7)


def test_events_of_equal_times_and_grids_of_one_bin_begin_with_the_first():
    same = recording([5, 5, 5])
    assert encode(VoxelEncoder(3), [same])[0][0, :, 0, 0, 0].tolist() == [3, 0, 0]
    assert encode(VoxelEncoder(1), [recording([1, 2, 9])])[0][0, :, 0, 0, 0].tolist() == [3]
    assert not encode(VoxelEncoder(3), [recording([])])[0].any()


def test_a_brighter_event_and_a_darker_one():
    events = recording([0, 10], x=[1, 2], y=[3, 4], p=[True, False])
    signed = encode(VoxelEncoder(2), [events])[0]
    assert signed.shape == (1, 2, 1, 5, 7)
    assert signed[0, 0, 0, 3, 1] == 1
    assert signed[0, 1, 0, 4, 2] == -1
    assert np.abs(signed).sum() == 2
    separate = encode(VoxelEncoder(2, polarity="separate"), [events])[0]
    assert np.argwhere(separate[0]).tolist() == [[0, 1, 3, 1], [1, 0, 4, 2]]
    merged = encode(VoxelEncoder(2, polarity="merged"), [events])[0]
    np.testing.assert_array_equal(merged[:, :, 0], separate.sum(axis=2))


@settings(max_examples=100, deadline=None)
@given(RECORDINGS, ENCODERS, st.booleans())
def test_the_kernel_is_the_specification(recordings, encoder, ordered):
    assume(any(map(len, recordings)))
    if ordered:
        recordings = [r[np.argsort(r["t"], kind="stable")] for r in recordings]
    fast, lost = encode(encoder, recordings)
    exact, lost_by_specification = specify(encoder, recordings)
    np.testing.assert_array_equal(fast, exact)
    assert lost == lost_by_specification


@settings(max_examples=60, deadline=None)
@given(RECORDINGS, ENCODERS)
def test_weights_sum_up_to_the_events(recordings, encoder):
    assume(any(map(len, recordings)))
    grids, lost = encode(encoder.set_params(window="recording"), recordings)
    sums = grids.sum(axis=(1, 2, 3, 4), dtype=float)
    if encoder.polarity == "signed":
        expected = [2 * int(r["p"].sum()) - len(r) for r in recordings]
    else:
        expected = [len(r) for r in recordings]
    np.testing.assert_allclose(sums, expected, atol=1e-5)
    assert lost == 0


@settings(max_examples=30, deadline=None)
@given(RECORDINGS, ENCODERS, st.randoms(use_true_random=False), st.integers(-(10**9), 10**9))
def test_recordings_are_encoded_one_by_one_whenever_they_begin(recordings, encoder, random, shift):
    assume(any(map(len, recordings)))
    check_time_shift(encoder, recordings, shift)
    check_subsets(encoder, recordings, random.sample(range(len(recordings)), len(recordings)))


def test_threads_change_nothing(monkeypatch):
    from skspike.encoders import _bins_numba

    monkeypatch.setattr(_bins_numba, "GRAIN", 0)
    recordings = draw_recordings(1, n_events=1000)
    alone, _ = encode(VoxelEncoder(9, n_jobs=1), recordings)
    np.testing.assert_array_equal(encode(VoxelEncoder(9, n_jobs=4), recordings)[0], alone)


def test_float64_holds_more_digits():
    recordings = draw_recordings()
    wide, _ = encode(VoxelEncoder(dtype="float64"), recordings)
    exact, _ = specify(VoxelEncoder(dtype="float64"), recordings)
    narrow, _ = encode(VoxelEncoder(), recordings)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, exact)
    np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-5)


def test_losses_and_wrong_parameters_are_told():
    with pytest.warns(EventLossWarning, match="VoxelEncoder left out 2 of 3 events, in 1 of 1"):
        VoxelEncoder(window=(0, 10)).fit_transform([recording([-1, 5, 10])])
    with pytest.raises(ValueError, match="'dtype' parameter of VoxelEncoder must be one of"):
        VoxelEncoder(dtype="int16").fit([recording([1])])
    with pytest.raises(ValueError, match=r"on the sensor of size \(2, 2\). Recording 0 has one"):
        VoxelEncoder(sensor_size=(2, 2)).fit_transform([recording([1], x=3)])
    with pytest.raises(ValueError, match="'polarity' parameter of VoxelEncoder must be a str"):
        VoxelEncoder(polarity="none").fit([recording([1])])


def test_tonic_gives_the_first_images_of_one_more_bin():
    transforms = pytest.importorskip("tonic.transforms")
    events = draw_recordings(1)[0]
    for_tonic = events.astype([(name, int) for name in "xytp"])
    theirs = transforms.ToVoxelGrid(sensor_size=(7, 5, 2), n_time_bins=8)(for_tonic)
    ours, _ = encode(VoxelEncoder(9, dtype="float64"), [events])
    np.testing.assert_allclose(ours[0, :8], theirs, atol=1e-9)
    # The last instant is what tonic leaves out.
    last = ours[0, 8].sum()
    assert theirs.sum() + last == pytest.approx(2 * int(events["p"].sum()) - len(events))
