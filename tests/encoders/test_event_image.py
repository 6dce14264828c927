import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skspike.encoders import EventImageEncoder
from skspike.encoders._event_image_reference import CHANNELS
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
    EventImageEncoder,
    n_bins=st.integers(1, 5),
    channels=st.permutations(sorted(CHANNELS)).map(tuple),
    split=st.sampled_from(["time", "count"]),
    window=WINDOWS,
    downsample=st.integers(1, 4),
    n_jobs=st.sampled_from([None, 2]),
)


def test_each_channel_says_what_its_name_says():
    events = recording([10, 13, 19, 15], x=[1, 1, 1, 2], p=[True, True, False, False])
    encoder = EventImageEncoder(channels=tuple(CHANNELS))
    images, _ = encode(encoder, [events])
    assert images.shape == (1, 1, 7, 5, 7)
    assert images[0, 0, :, 0, 1].tolist() == pytest.approx([1, 2, 3, 1, 1, 1, 0.4])
    assert images[0, 0, :, 0, 2].tolist() == pytest.approx([1, 0, 1, -1, 0.6, 0.6, 0])
    names = encoder.get_feature_names_out().reshape(7, 5, 7)
    assert names[3, 4, 6] == "t0_net_y4_x6"


def test_times_are_those_of_the_bin():
    events = recording([0, 4, 5, 9], x=[0, 1, 2, 3])
    by_time = EventImageEncoder(2, channels=["time"], split="time")
    images, _ = encode(by_time, [events])
    assert images[0, 0, 0, 0].tolist() == pytest.approx([1 / 5, 1, 0, 0, 0, 0, 0])
    assert images[0, 1, 0, 0].tolist() == pytest.approx([0, 0, 1 / 5, 1, 0, 0, 0])
    images, _ = encode(EventImageEncoder(4, channels=["time"]), [events])
    assert images.sum() == 4  # each the last of its own bin


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
def test_counts_sum_up_to_the_events_less_those_warned_of(recordings, encoder):
    assume(any(map(len, recordings)))
    images, lost = encode(encoder, recordings)
    sums = dict(zip(encoder.channels, images.sum(axis=(0, 1, 3, 4), dtype=float), strict=True))
    assert sums["count"] == sums["darker"] + sums["brighter"] == sum(map(len, recordings)) - lost
    assert sums["net"] == sums["brighter"] - sums["darker"]


@settings(max_examples=30, deadline=None)
@given(RECORDINGS, ENCODERS, st.randoms(use_true_random=False), st.integers(-(10**9), 10**9))
def test_recordings_are_encoded_one_by_one_whenever_they_begin(recordings, encoder, random, shift):
    assume(any(map(len, recordings)))
    check_time_shift(encoder, recordings, shift)
    check_subsets(encoder, recordings, random.sample(range(len(recordings)), len(recordings)))


def test_times_of_long_windows_do_not_overflow():
    events = recording([-(2**61), 0, 2**61])
    encoder = EventImageEncoder(1000, channels=["time", "count"], split="time")
    fast, _ = encode(encoder, [events])
    np.testing.assert_array_equal(fast, specify(encoder, [events])[0])
    assert fast[:, :, 1].sum() == 3


def test_counts_may_be_small_ints_and_are_clipped_with_a_warning():
    encoder = EventImageEncoder(channels=["darker", "brighter"], dtype="uint8")
    images, lost = encode(encoder, draw_recordings())
    assert images.dtype == np.uint8
    assert lost == 0
    with pytest.warns(EventLossWarning, match="left out 45 of 300 events: pixels with more"):
        images = encoder.fit_transform([recording([1] * 300)])
    assert images.max() == 255


def test_wrong_parameters_raise():
    for parameters, message in [
        (
            {"channels": "time"},
            "'channels' parameter of EventImageEncoder must be .* Got 'time' instead",
        ),
        ({"channels": ()}, "must be a sequence of different names"),
        ({"channels": ("net", "net")}, "must be a sequence of different names"),
        ({"channels": ("age",)}, "must be a sequence of different names"),
        ({"channels": 3}, "'channels' parameter of EventImageEncoder must be"),
        ({"dtype": "int16"}, r"with channels=\('darker', .*\) must be one of \['float32', 'float"),
        ({"channels": ["net"], "dtype": "uint8"}, "must be one of .*'int8'.* Got 'uint8' instead"),
    ]:
        with pytest.raises(ValueError, match=message):
            EventImageEncoder(**parameters).fit([recording([1])])
