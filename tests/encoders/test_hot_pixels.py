import numpy as np
import pytest

from skspike import EventCollection
from skspike.encoders import HotPixelFilter
from tests.encoders.filters import NMNIST, recording


def seen(counts):
    """Return a collection of two recordings with so many events of each pixel."""
    counts = np.asarray(counts)
    y, x = np.nonzero(counts)
    n = counts[y, x]
    x, y = np.repeat(x, n), np.repeat(y, n)
    half = len(x) // 3
    events = recording(np.arange(len(x)), x=x, y=y)
    return EventCollection([events[half:], events[:half]], sensor_size=counts.shape[::-1])


def hot(counts, **parameters):
    """Return the hot pixels as a list of (x, y)."""
    return HotPixelFilter(**parameters).fit(seen(counts)).hot_pixels_.tolist()


def plain(level=20):
    return np.full((8, 10), level)


def test_a_pixel_among_quiet_ones_is_hot_above_the_ratio():
    counts = plain()
    counts[3, 6] = 100
    assert hot(counts) == []
    counts[3, 6] = 101
    assert hot(counts) == [[6, 3]]
    assert hot(counts, ratio=6.0) == []
    assert hot(counts, min_events=101) == [[6, 3]]
    assert hot(counts, min_events=102) == []


def test_pixels_are_sorted_from_the_busiest_on():
    counts = plain()
    counts[0, 0], counts[7, 9], counts[3, 3] = 300, 900, 500
    assert hot(counts) == [[9, 7], [3, 3], [0, 0]]


def test_a_hot_column_and_a_hot_pair_are_found():
    counts = plain()
    counts[:, 4] = 500
    assert sorted(hot(counts)) == [[4, y] for y in range(8)]
    counts = plain(0)
    counts[2, 2:4] = 50
    assert sorted(hot(counts)) == [[2, 2], [3, 2]]


def test_the_scene_is_not_hot_even_where_it_ends():
    counts = plain(0)
    counts[2:6, 3:8] = 1000  # a block, whose corners have three busy neighbours
    assert hot(counts) == []
    counts[3, 5] = 6000
    assert hot(counts) == [[5, 3]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 2)])
def test_sensors_too_small_for_neighbours(shape):
    counts = np.zeros(shape, int)
    counts[0, 0] = 10
    assert hot(counts) == [[0, 0]]
    assert hot(counts, min_events=11) == []
    assert hot(np.zeros(shape, int)) == []


def test_all_events_of_hot_pixels_go_in_every_recording():
    counts = plain()
    counts[3, 6] = 400
    X = seen(counts)
    cleaned = HotPixelFilter().fit_transform(X)
    assert cleaned.n_events == X.n_events - 400
    for before, after in zip(X, cleaned, strict=True):
        expected = before[(before["x"] != 6) | (before["y"] != 3)]
        np.testing.assert_array_equal(after, expected)
    new = [recording([1, 2, 3], x=[6, 6, 5], y=[3, 4, 3])]
    assert HotPixelFilter().fit(X).transform(new)[0]["t"].tolist() == [2, 3]


def test_hot_pixels_are_those_of_the_last_fit():
    counts = plain()
    counts[3, 6] = 400
    cleaner = HotPixelFilter().fit(seen(counts))
    assert cleaner.fit(seen(plain())).hot_pixels_.shape == (0, 2)


def test_events_off_a_given_sensor_raise_in_fit():
    with pytest.raises(ValueError, match=r"HotPixelFilter must lie .* \(3, 3\). Recording 1 has"):
        HotPixelFilter(sensor_size=(3, 3)).fit([recording([1]), recording([1, 2], x=[0, 3])])


@pytest.mark.skipif(not NMNIST.exists(), reason="the N-MNIST recordings are not on this machine")
def test_the_hot_pixels_of_real_recordings():
    X = EventCollection.from_npz(NMNIST, sensor_size=(34, 34))
    assert hot_pixels(X) == [[18, 30], [1, 13], [29, 1]]
    assert hot_pixels(X[:50]) == [[18, 30], [1, 13], [29, 1]]


def hot_pixels(X):
    return HotPixelFilter().fit(X).hot_pixels_.tolist()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ratio": 0.5}, "'ratio' parameter of HotPixelFilter must be a float in the range"),
        ({"ratio": np.nan}, "'ratio' parameter of HotPixelFilter must be a float in the range"),
        ({"min_events": 0}, "'min_events' parameter of HotPixelFilter must be an int in the"),
    ],
)
def test_wrong_parameters_raise_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        HotPixelFilter(**parameters).fit(seen(plain()))
