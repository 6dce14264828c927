"""Stacks of frames as papers define them, and frames of other libraries."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skspike import FrameEncoder
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
    FrameEncoder,
    n_bins=st.integers(1, 3),
    frames_per_step=st.integers(1, 3),
    split=st.sampled_from(["time", "count"]),
    bin_size=st.sampled_from([None, 1, 4, 30]),
    keep=st.sampled_from(["last", "first"]),
    window=WINDOWS,
    values=st.sampled_from(["counts", "sign", "last"]),
    downsample=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "int8"]),
    n_jobs=st.sampled_from([None, 2]),
)


@settings(max_examples=150, deadline=None)
@given(RECORDINGS, ENCODERS, st.booleans())
def test_the_kernel_is_the_specification(recordings, encoder, ordered):
    assume(any(map(len, recordings)))
    if ordered:
        recordings = [r[np.argsort(r["t"], kind="stable")] for r in recordings]
    fast, lost = encode(encoder, recordings)
    exact, lost_by_specification = specify(encoder, recordings)
    np.testing.assert_array_equal(fast, exact)
    assert lost == lost_by_specification
    if encoder.values == "counts":
        assert fast.sum() + lost == sum(map(len, recordings))


@settings(max_examples=30, deadline=None)
@given(RECORDINGS, ENCODERS, st.randoms(use_true_random=False), st.integers(-(10**9), 10**9))
def test_recordings_are_encoded_one_by_one_whenever_they_begin(recordings, encoder, random, shift):
    assume(any(map(len, recordings)))
    check_time_shift(encoder, recordings, shift)
    check_subsets(encoder, recordings, random.sample(range(len(recordings)), len(recordings)))


def test_the_last_polarity_and_the_sign_of_the_sum():
    events = recording([1, 2, 3, 4], x=[0, 0, 0, 1], p=[True, True, False, False])
    for values, expected in (("last", [-1, -1, 0]), ("sign", [1, -1, 0]), ("signed", [1, -1, 0])):
        frames, _ = encode(FrameEncoder(1, values=values, dtype="int8"), [events])
        assert frames.shape == (1, 1, 1, 5, 7)
        assert frames[0, 0, 0, 0, :3].tolist() == expected
    many = recording(range(300), p=np.arange(300) < 299)
    frames, lost = encode(FrameEncoder(1, values="sign", dtype="int8"), [many])
    assert frames.max() == 1
    assert lost == 0


def test_the_last_of_events_at_one_time_is_the_last_in_the_recording():
    for order in ([True, False], [False, True]):
        frames, _ = encode(FrameEncoder(1, values="last"), [recording([5, 5], p=order)])
        assert frames[0, 0, 0, 0, 0] == (1 if order[1] else -1)


def test_stacks_by_time_end_with_the_recording():
    # Three steps of three frames of 20 ms each: the 180 ms up to the last event, included.
    events = draw_recordings(1, n_events=500, duration=300_000)[0]
    encoder = FrameEncoder(
        3, split="time", bin_size=20_000, frames_per_step=3, values="sign", dtype="int8"
    )
    with pytest.warns(EventLossWarning, match="9 bins of 20000 µs hold no more"):
        frames = encoder.set_params(sensor_size=(7, 5)).fit_transform([events])
    expected = np.zeros((9, 5, 7), int)
    age = int(events["t"][-1]) - events["t"]
    kept = age < 180_000
    which = 8 - age[kept] // 20_000
    where = which, events["y"][kept], events["x"][kept]
    np.add.at(expected, where, np.where(events["p"][kept], 1, -1))
    np.testing.assert_array_equal(frames, np.sign(expected).reshape(1, 3, 3, 5, 7))
    assert encoder.get_feature_names_out()[5 * 7] == "t0_f1_p0_y0_x0"


def test_stacks_by_number_hold_so_many_events():
    events = draw_recordings(1)[0]
    for keep, kept in (("last", events[-120:]), ("first", events[:120])):
        encoder = FrameEncoder(3, bin_size=20, keep=keep, frames_per_step=2)
        frames, lost = encode(encoder, [events])
        assert frames.shape == (1, 3, 4, 5, 7)
        assert lost == 280
        np.testing.assert_array_equal(frames.reshape(6, -1).sum(axis=1), [20] * 6)
        all_at_once, _ = encode(FrameEncoder(1), [kept])
        np.testing.assert_array_equal(frames.reshape(6, 2, 5, 7).sum(axis=0), all_at_once[0, 0])


def test_bins_of_a_size_may_reach_over_a_short_recording():
    short = recording([0, 1, 2])
    for keep, expected in (("last", [0, 1, 2]), ("first", [2, 1, 0])):
        frames, lost = encode(FrameEncoder(3, bin_size=2, keep=keep), [short])
        assert frames.sum(axis=(2, 3, 4))[0].tolist() == expected
        assert lost == 0


def test_bins_too_large_for_any_time_raise():
    with pytest.raises(ValueError, match=r"at most 2\*\*61 for all bins together. Got"):
        FrameEncoder(4, bin_size=2**60).fit([recording([1])])
    with pytest.raises(ValueError, match="with values='last' must be one of"):
        FrameEncoder(values="last", dtype="uint8").fit([recording([1])])


# Other libraries ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def events():
    return draw_recordings(1, n_events=1003, duration=50_000)[0]


def test_tonic_drops_what_we_count(events):
    transforms = pytest.importorskip("tonic.transforms")
    size = {"sensor_size": (7, 5, 2)}
    # n_time_bins: everything but the last event.
    ours = encode(FrameEncoder(8, split="time"), [events])[0][0]
    theirs = transforms.ToFrame(**size, n_time_bins=8)(events)
    assert ours.sum() - theirs.sum() == np.abs(ours - theirs).sum() == 1
    # n_event_bins: everything but the remainder of 1003 by 8; bins of equal size.
    ours, _ = encode(FrameEncoder(8, bin_size=1003 // 8, keep="first"), [events])
    np.testing.assert_array_equal(ours[0], transforms.ToFrame(**size, n_event_bins=8)(events))
    # time_window: the same frames, with the last and incomplete one if asked for.
    theirs = transforms.ToFrame(**size, time_window=7000, include_incomplete=True)(events)
    sized = FrameEncoder(len(theirs), split="time", bin_size=7000, keep="first")
    ours, lost = encode(sized, [events])
    assert lost == 0
    np.testing.assert_array_equal(ours[0], theirs)


@pytest.fixture
def integrate(monkeypatch):
    """Return spikingjelly's function; its module wants torchvision, of which it needs nothing."""
    spikingjelly = pytest.importorskip("spikingjelly")
    for name in ("torchvision", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    path = Path(spikingjelly.__path__[0]) / "datasets" / "utils.py"
    spec = spec_from_file_location("spikingjelly.datasets.utils", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.integrate_events_by_fixed_frames_number


def test_spikingjelly_cuts_elsewhere(events, integrate):
    columns = {name: events[name].astype(int) for name in "xytp"}
    # By number: bins of equal size, and the remainder of 1003 by 8 in the last.
    theirs = integrate(columns, split_by="number", frames_num=8, H=5, W=7)
    ours, lost = encode(FrameEncoder(8, bin_size=1003 // 8, keep="first"), [events])
    np.testing.assert_array_equal(ours[0, :7], theirs[:7])
    assert (theirs[7] - ours[0, 7]).sum() == lost == 1003 % 8
    # By time: edges are rounded down to whole microseconds.
    theirs = integrate(columns, split_by="time", frames_num=8, H=5, W=7)
    ours = encode(FrameEncoder(8, split="time"), [events])[0][0]
    assert ours.sum() == 1003
    assert np.abs(theirs - ours).sum() <= 8
