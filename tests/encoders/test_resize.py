import numpy as np
import pytest

from skspike import EventCollection, FrameEncoder
from skspike.encoders import Resize
from tests.encoders.filters import drawn, recording


@pytest.fixture(scope="module")
def X():
    return drawn(6, n_events=200, ordered=False)


@pytest.mark.parametrize("size", [(3, 4), (7, 5), (1, 1), (20, 2), (7, 32768), [4, 4]])
def test_places_follow_the_formula(X, size):
    resized = Resize(size).fit_transform(X)
    assert resized.sensor_size == tuple(size)
    for before, after in zip(X, resized, strict=True):
        assert after["x"].tolist() == [x * size[0] // 7 for x in before["x"].tolist()]
        assert after["y"].tolist() == [y * size[1] // 5 for y in before["y"].tolist()]
        np.testing.assert_array_equal(after[["t", "p"]], before[["t", "p"]])


@pytest.mark.parametrize(
    ("factor", "size"),
    [
        (0.5, (50, 4)),
        (1, (100, 7)),
        (2, (200, 14)),
        (1.1, (110, 8)),
        (1e-9, (1, 1)),
        (0.1, (10, 1)),
    ],
)
def test_factors_are_rounded_up(factor, size):
    X = EventCollection([recording([1], x=99, y=6)])
    resized = Resize(factor).fit(X)
    assert resized.new_size_ == size
    event = resized.transform(X)[0][0]
    assert (event["x"], event["y"]) == (99 * size[0] // 100, 6 * size[1] // 7)


def test_the_corners_of_the_largest_sensor_stay_corners():
    side = 2**15
    X = EventCollection([recording([1, 2], x=[0, side - 1], y=[side - 1, 0])])
    for new in (1, 2, 3, side - 1, side):
        event = Resize((new, new)).fit_transform(X)[0][1]
        assert (event["x"], event["y"]) == (new - 1, 0)


def test_halving_is_what_the_frame_encoder_does(X):
    halved = Resize(0.5).fit_transform(X)
    expected = FrameEncoder(n_bins=3, downsample=2).fit_transform(X)
    np.testing.assert_array_equal(FrameEncoder(n_bins=3).fit_transform(halved), expected)


def test_every_mth_event_of_a_pixel_and_polarity_keeps_the_rate():
    t = [5, 1, 2, 3, 4, 6, 7, 8]
    events = recording(t, x=[0, 1, 0, 1, 0, 1, 0, 1], p=[1, 1, 1, 1, 0, 0, 0, 0])
    # Two pixels become one: brighter at 1, 2, 3, 5, darker at 4, 6, 7, 8.
    X = EventCollection([events], sensor_size=(2, 1))
    assert Resize((1, 1), keep="rate").fit_transform(X)[0]["t"].tolist() == [5, 2, 6, 8]


def test_with_equal_rates_the_number_falls_with_the_number_of_pixels():
    rng = np.random.default_rng(0)
    n = 20_000
    events = recording(np.arange(n), x=rng.integers(16, size=n), y=rng.integers(16, size=n))
    X = EventCollection([events, events[::2]], sensor_size=(16, 16))
    thin = Resize(0.25, keep="rate").fit_transform(X)
    pixels = FrameEncoder(n_bins=1).fit_transform(X)[:, 0, 1].reshape(2, 4, 4, 4, 4)
    expected = pixels.sum(axis=(2, 4)) // 16
    np.testing.assert_array_equal(FrameEncoder(n_bins=1).fit_transform(thin)[:, 0, 1], expected)
    assert Resize(2, keep="rate").fit_transform(X).n_events == X.n_events


def test_whole_factors_are_those_of_tonic():
    transforms = pytest.importorskip("tonic.transforms")
    X = drawn(3, n_events=100)
    X = EventCollection(list(X), sensor_size=(8, 6))
    resized = Resize(0.5).fit_transform(X)
    for before, after in zip(X, resized, strict=True):
        if len(before):
            theirs = transforms.Downsample(spatial_factor=0.5)(before)
            np.testing.assert_array_equal(theirs["x"], after["x"])
            np.testing.assert_array_equal(theirs["y"], after["y"])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"size": 0}, ValueError, "'size' parameter of Resize must be a float in the range"),
        ({"size": (0, 4)}, ValueError, "'size' parameter of Resize must be an int in the range"),
        ({"size": (4.5, 4)}, TypeError, "'size' parameter of Resize must be an int in the range"),
        ({"size": (4, 4, 2)}, TypeError, r"'size' parameter of Resize must be a pair \(width"),
        ({"size": 1e9}, ValueError, "'size' parameter of Resize must be an int in the range"),
        ({"size": "half"}, ValueError, "'size' parameter of Resize must be"),
        ({"keep": "some"}, ValueError, "'keep' parameter of Resize must be a str among"),
    ],
)
def test_wrong_parameters_raise_in_fit(parameters, error, message, X):
    with pytest.raises(error, match=message):
        Resize(**parameters).fit(X)
