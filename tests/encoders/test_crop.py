import numpy as np
import pytest

from skspike import EventCollection
from skspike.encoders import Crop
from tests.encoders.filters import drawn, recording


@pytest.fixture(scope="module")
def X():
    return drawn(6, n_events=80, ordered=False)


def test_with_the_defaults_nothing_is_left_out(X):
    assert Crop().fit_transform(X) is X


@pytest.mark.parametrize("x", [None, (2, 6), (0, 1), (6, 7), [1, 3]])
@pytest.mark.parametrize("y", [None, (0, 5), (3, 4)])
@pytest.mark.parametrize("t", [None, (10, 30), (-5, 1), (59, 60)])
def test_ranges_are_half_open_and_the_sensor_shrinks(X, x, y, t):
    (left, right), (top, bottom), (start, stop) = x or (0, 7), y or (0, 5), t or (-99, 99)
    cropped = Crop(x=x, y=y, t=t).fit_transform(X)
    assert cropped.sensor_size == (right - left, bottom - top)
    for before, after in zip(X, cropped, strict=True):
        inside = (before["x"] >= left) & (before["x"] < right)
        inside &= (before["y"] >= top) & (before["y"] < bottom)
        inside &= (before["t"] >= start) & (before["t"] < stop)
        expected = before[inside]
        expected["x"] -= left
        expected["y"] -= top
        np.testing.assert_array_equal(after, expected)


def test_without_a_shift_events_stay_where_they_are(X):
    cropped = Crop(x=(2, 5), y=(1, 4), t=(10, 40), shift=False).fit_transform(X)
    assert cropped.sensor_size == X.sensor_size
    moved = Crop(x=(2, 5), y=(1, 4), t=(10, 40)).fit_transform(X)
    for stays, moves in zip(cropped, moved, strict=True):
        np.testing.assert_array_equal(stays["x"], moves["x"] + 2)
        np.testing.assert_array_equal(stays["y"], moves["y"] + 1)
        np.testing.assert_array_equal(stays[["t", "p"]], moves[["t", "p"]])


def times(given, **parameters):
    """Return the times that a crop keeps."""
    return Crop(**parameters).fit_transform([recording(given)])[0]["t"].tolist()


def test_windows_count_from_zero_or_from_the_first_event():
    assert times([100, 105, 110], t=(100, 106)) == [100, 105]
    assert times([100, 105, 110], t=(0, 6), clock="recording") == [100, 105]
    assert times([110, 100, 105], t=(5, 11), clock="recording") == [110, 105]
    assert times([100, 105, 110], t=(-5, 5), clock="recording") == [100]


def test_the_start_of_the_window_can_become_zero():
    assert times([100, 105, 110], t=(90, 106), shift_time=True) == [10, 15]
    assert times([100, 105], t=(-3, 90), clock="recording", shift_time=True) == [3, 8]
    assert times([107, 100], clock="recording", shift_time=True) == [7, 0]
    assert times([107, 100], shift_time=True) == [107, 100]


def test_each_recording_has_its_own_first_event():
    X = [recording([50, 60]), recording([]), recording([7, 5]), recording([])]
    cropped = Crop(t=(0, 10), clock="recording", shift_time=True).fit_transform(X)
    assert [r["t"].tolist() for r in cropped] == [[0], [], [2, 0], []]


def test_a_recording_without_an_event_inside_stays_empty():
    cropped = Crop(t=(0, 5)).fit_transform([recording([9]), recording([1])])
    assert cropped.lengths.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"x": (3, 3)}, ValueError, r"'x' parameter of Crop must be a pair \(start, stop\) with"),
        ({"y": (1, 2, 3)}, ValueError, r"'y' parameter of Crop must be a pair .* Got \(1, 2, 3\)"),
        ({"x": (0, 8)}, ValueError, r"'x' parameter of Crop must be an int in the range \[0, 7\]"),
        ({"y": (-1, 4)}, ValueError, r"'y' parameter of Crop must be an int in the range \[0, 5\]"),
        ({"t": (0.5, 4)}, TypeError, "'t' parameter of Crop must be an int in the range"),
        ({"t": (0, 2**62)}, ValueError, "'t' parameter of Crop must be an int in the range"),
        ({"clock": "wall"}, ValueError, "'clock' parameter of Crop must be a str among"),
        ({"shift": "yes"}, ValueError, "'shift' parameter of Crop must be an instance of"),
    ],
)
def test_wrong_parameters_raise_in_fit(parameters, error, message):
    with pytest.raises(error, match=message):
        Crop(**parameters).fit(EventCollection([], sensor_size=(7, 5)))
