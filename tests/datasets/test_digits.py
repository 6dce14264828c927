import inspect
import re

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, train_test_split

from skspike import EventCollection, FrameEncoder
from skspike.datasets import load_digits_events


@pytest.fixture(scope="module")
def digits():
    return load_digits_events()


def test_all_digits_are_recorded(digits):
    assert isinstance(digits.data, EventCollection)
    assert len(digits.data) == len(digits.target) == len(digits.groups) == 1797
    assert (digits.target == load_digits().target).all()
    assert digits.data.sensor_size == (20, 20)
    assert digits.target_names.tolist() == list("0123456789")
    assert "three saccades" in digits.DESCR


def test_recordings_are_ordered_and_last_three_saccades(digits):
    lengths = digits.data.lengths
    assert 500 < lengths.min() < lengths.max() < 4000
    for recording in digits.data[::100]:
        t = recording["t"]
        assert (np.diff(t) >= 0).all()
        assert 0 <= t[0] < 20_000
        assert 280_000 < t[-1] < 300_000
        assert 0.3 < recording["p"].mean() < 0.7


def test_recordings_carry_the_class(digits):
    frames = FrameEncoder(n_bins=3).fit_transform(digits.data).reshape(1797, -1)
    train, test, y_train, y_test = train_test_split(
        np.sqrt(frames), digits.target, stratify=digits.target, random_state=0
    )
    model = LogisticRegression(C=0.01, max_iter=1000).fit(train, y_train)
    assert model.score(test, y_test) > 0.95


def test_events_lie_along_the_strokes(digits):
    counts = FrameEncoder(n_bins=1, polarity="merged", downsample=2).fit_transform(digits.data)
    ink = load_digits().images
    # The border of the 10 × 10 blocks is margin: what remains are the 8 × 8 pixels of the image.
    seen = counts[:, 0, 0, 1:-1, 1:-1]
    edges = np.abs(np.diff(ink, axis=2, append=0)) + np.abs(np.diff(ink, axis=1, append=0))
    assert np.corrcoef(seen.ravel(), edges.ravel())[0, 1] > 0.4
    corners = counts[:, 0, 0, ::9, ::9]
    assert seen.mean() > 5 * corners.mean()


def test_the_first_samples_are_those_of_the_whole(digits):
    X, y, groups = load_digits_events(n_samples=150, return_X_y=True, return_groups=True)
    assert digits.data[:150] == X
    assert (y == digits.target[:150]).all()
    assert (groups == digits.groups[:150]).all()
    assert len(load_digits_events(n_samples=3, return_X_y=True)) == 2


def test_groups_are_blocks_that_split_evenly(digits):
    assert (np.diff(digits.groups) >= 0).all()
    sizes = np.bincount(digits.groups)
    assert len(sizes) == 13
    assert np.ptp(sizes) <= 1
    for train, test in GroupKFold(5).split(digits.data, digits.target, digits.groups):
        assert set(digits.target[test]) == set(range(10))
        assert not set(digits.groups[train]) & set(digits.groups[test])


def test_random_state_decides_and_global_generators_rest():
    state = np.random.mtrand._rand.get_state()[1].copy()
    first = load_digits_events(n_samples=4, random_state=1).data
    assert first == load_digits_events(n_samples=4, random_state=1).data
    assert first != load_digits_events(n_samples=4).data
    assert (
        load_digits_events(n_samples=4, random_state=None).data
        != load_digits_events(n_samples=4, random_state=None).data
    )
    assert (np.random.mtrand._rand.get_state()[1] == state).all()


@pytest.mark.parametrize("sensor_size", [(8, 8), (40, 24), (24, 40)])
def test_any_sensor_will_do(sensor_size):
    X = load_digits_events(n_samples=5, sensor_size=sensor_size, noise=0).data
    assert X.sensor_size == sensor_size
    centre = [np.mean(np.concatenate([r[axis] for r in X])) for axis in "xy"]
    assert np.allclose(centre, (np.array(sensor_size) - 1) / 2, rtol=0.1)


def test_parameters_change_the_camera():
    def n_events(**parameters):
        return load_digits_events(n_samples=10, **parameters).data.n_events

    assert n_events(contrast=0.6) < n_events() < n_events(noise=10)
    assert n_events(refractory=20_000) < n_events()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of load_digits_events must be an int in the"),
        ({"n_samples": 1798}, "range [1, 1797]. Got 1798 instead"),
        ({"sensor_size": (20, 7)}, "'sensor_size' parameter of load_digits_events must be an int"),
        ({"contrast": 0}, "'contrast' parameter of load_digits_events must be a float"),
        ({"refractory": -1}, "'refractory' parameter of load_digits_events must be a float"),
        ({"noise": -1}, "'noise' parameter of load_digits_events must be a float"),
    ],
)
def test_wrong_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_digits_events(**parameters)


def test_every_parameter_is_by_name():
    kinds = {p.kind for p in inspect.signature(load_digits_events).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
