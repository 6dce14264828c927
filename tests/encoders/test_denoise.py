import numpy as np
import pytest

from skspike import EventCollection, config_context
from skspike.encoders import Denoise
from tests.encoders.filters import NMNIST, drawn, recording

BACKENDS = pytest.mark.parametrize("backend", ["auto", "reference"])


def kept(events, sensor_size=(9, 9), **parameters):
    """Return the times of the events that are kept."""
    X = EventCollection([events], sensor_size=sensor_size)
    return Denoise(**parameters).fit_transform(X)[0]["t"].tolist()


@BACKENDS
def test_a_neighbour_supports_for_less_than_the_window(backend):
    with config_context(backend=backend):
        assert kept(recording([0, 9], x=[3, 4]), window=10) == [9]
        assert kept(recording([0, 10], x=[3, 4]), window=10) == []
        assert kept(recording([0, 5, 12], x=[3, 3, 4]), window=10) == [12]
        assert kept(recording([5, 8], x=[3, 4], p=[True, False]), window=10) == [8]


@BACKENDS
def test_a_pixel_does_not_support_itself(backend):
    with config_context(backend=backend):
        assert kept(recording(range(20), x=3, y=3), window=10) == []


@BACKENDS
def test_events_of_one_time_support_each_other(backend):
    with config_context(backend=backend):
        assert kept(recording([4, 4, 4], x=[1, 2, 6]), window=1) == [4, 4]


@BACKENDS
@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("neighborhood", ["square", "diamond"])
def test_neighbours_are_those_within_the_radius(backend, radius, neighborhood):
    for x in range(9):
        for y in range(9):
            dx, dy = abs(x - 4), abs(y - 4)
            distance = max(dx, dy) if neighborhood == "square" else dx + dy
            events = recording([0, 1], x=[4, x], y=[4, y])
            with config_context(backend=backend):
                found = kept(events, radius=radius, neighborhood=neighborhood)
            assert found == ([1] if 0 < distance <= radius else [])


@BACKENDS
def test_the_edges_of_the_sensor_do_not_touch(backend):
    with config_context(backend=backend):
        for x, y in [([0, 8], [3, 4]), ([8, 0], [3, 4]), ([8, 0], [3, 3]), ([3, 3], [0, 8])]:
            assert kept(recording([0, 1], x=x, y=y)) == []


def test_an_event_that_was_left_out_supports_others():
    events = recording([0, 1, 2], x=[1, 2, 3])
    assert kept(events) == [1, 2]
    assert kept(events[1:]) == [2]


def brute_force(events, window, radius, diamond):
    """Compare every pair of events."""
    t, x, y = (events[name].astype(int) for name in "txy")
    age = t[:, None] - t
    dx, dy = abs(x[:, None] - x), abs(y[:, None] - y)
    distance = dx + dy if diamond else np.maximum(dx, dy)
    return ((age >= 0) & (age < window) & (distance > 0) & (distance <= radius)).any(axis=1)


@BACKENDS
@pytest.mark.parametrize(("window", "radius"), [(1, 1), (3, 1), (7, 2), (30, 1), (2, 5)])
@pytest.mark.parametrize("neighborhood", ["square", "diamond"])
@pytest.mark.parametrize("ordered", [True, False])
def test_what_is_kept_is_what_a_comparison_of_all_pairs_finds(
    backend, window, radius, neighborhood, ordered
):
    X = drawn(4, n_events=60, ordered=ordered)
    with config_context(backend=backend):
        cleaned = Denoise(window, radius=radius, neighborhood=neighborhood).fit_transform(X)
    for before, after in zip(X, cleaned, strict=True):
        expected = before[brute_force(before, window, radius, neighborhood == "diamond")]
        np.testing.assert_array_equal(after, expected)


def test_noise_goes_and_edges_stay():
    rng = np.random.default_rng(0)
    t = np.repeat(np.arange(0, 40_000, 1000), 20)  # a bar of 20 pixels moves to the right
    bar = recording(t, x=t // 1000, y=np.tile(np.arange(20), 40))
    noise = recording(rng.integers(40_000, size=200), x=rng.integers(40, 64, size=200))
    noise["y"] = rng.integers(30, 64, size=200)
    X = EventCollection([bar, noise], sensor_size=(64, 64))
    cleaned = Denoise(1000).fit_transform(X)
    assert len(cleaned[0]) == len(bar)
    assert len(cleaned[1]) < 10


@pytest.mark.parametrize("window", [10_000, 500])
def test_diamonds_are_what_tonic_calls_denoise(window):
    transforms = pytest.importorskip("tonic.transforms")
    rng = np.random.default_rng(0)
    recordings = []
    for _ in range(3):  # times differ and come after `window`: where tonic's rules are ours
        t = window + np.sort(rng.choice(60_000, size=500, replace=False))
        recordings.append(recording(t, x=rng.integers(20, size=500), y=rng.integers(20, size=500)))
    cleaned = Denoise(window, neighborhood="diamond").fit_transform(recordings)
    for before, after in zip(recordings, cleaned, strict=True):
        expected = transforms.Denoise(filter_time=window)(before)
        np.testing.assert_array_equal(after, expected)
        assert 0 < len(after) < len(before)


@pytest.mark.skipif(not NMNIST.exists(), reason="the N-MNIST recordings are not on this machine")
def test_real_recordings_keep_most_of_their_events():
    X = EventCollection.from_npz(NMNIST, sensor_size=(34, 34))[:50]
    cleaned = Denoise().fit_transform(X)
    assert 0.9 < cleaned.n_events / X.n_events < 0.99


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"window": 0}, "'window' parameter of Denoise must be an int in the range"),
        ({"window": 1.5}, "'window' parameter of Denoise must be an int in the range"),
        ({"radius": 0}, "'radius' parameter of Denoise must be an int in the range"),
        ({"neighborhood": "round"}, "'neighborhood' parameter of Denoise must be a str among"),
        ({"n_jobs": "all"}, "'n_jobs' parameter of Denoise must be"),
    ],
)
def test_wrong_parameters_raise_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        Denoise(**parameters).fit(drawn(2))
