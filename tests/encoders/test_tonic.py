"""The logic is tested with plain callables and a stand-in for tonic; tonic itself where it is."""

# ruff: noqa: NPY002  (tonic draws from numpy's global generator)

import pickle
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skspike import EventCollection, FrameEncoder
from skspike.datasets import make_moving_shapes
from skspike.encoders import TonicTransformer, ToTabular
from skspike.exceptions import EventFormatError
from tests.encoders.filters import recording


@dataclass(frozen=True)
class Count:
    """Count events in bins of time, as a transform from events to arrays."""

    sensor_size: tuple
    n_time_bins: int = 3

    def __call__(self, events):
        counts = np.zeros((self.n_time_bins, *self.sensor_size[::-1]), np.int16)
        order = np.arange(len(events)) * self.n_time_bins // len(events)
        np.add.at(counts, (order, events["p"], events["y"], events["x"]), 1)
        return counts


@dataclass
class Jitter:
    """Draw from numpy's global generator, and change events in place."""

    std: float = 5.0

    def __call__(self, events):
        self.last = len(events)  # some transforms remember things
        events["t"] += np.random.normal(0, self.std, len(events)).astype(int)
        return events


def halve(events):
    return events[::2]


@pytest.fixture
def tonic(monkeypatch):
    """Put a stand-in in the place of tonic."""
    package, transforms = ModuleType("tonic"), ModuleType("tonic.transforms")
    package.transforms, transforms.Count, transforms.Jitter = transforms, Count, Jitter
    transforms.halve = halve
    monkeypatch.setitem(sys.modules, "tonic", package)
    monkeypatch.setitem(sys.modules, "tonic.transforms", transforms)
    return transforms


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=8, sensor_size=(9, 8), random_state=0)[0]


def test_events_give_a_collection(X):
    step = TonicTransformer(halve)
    halved = step.fit_transform(X)
    assert isinstance(halved, EventCollection)
    assert halved.sensor_size == X.sensor_size
    assert all(np.array_equal(a, b[::2]) for a, b in zip(halved, X, strict=True))
    assert step.returns_events_
    assert step.output_shape_ is None
    assert step.get_feature_names_out().tolist() == ["x", "y", "t", "p"]


def test_arrays_are_stacked(X):
    step = TonicTransformer(Count((9, 8, 2)))
    counts = step.fit_transform(X)
    assert counts.dtype == np.int16
    np.testing.assert_array_equal(counts, FrameEncoder(n_bins=3).fit_transform(X))
    expected = FrameEncoder(n_bins=3).fit(X).get_feature_names_out()
    assert step.get_feature_names_out().tolist() == expected.tolist()
    assert step.fit(X).transform(X[:0]).shape == (0, *step.output_shape_)
    assert step.transform(X[:0]).dtype == np.int16


def test_classes_are_found_by_name_and_told_the_sensor_size(X, tonic):
    step = TonicTransformer("Count", params={"n_time_bins": 2}).fit(X)
    assert step.tonic_transform_ == Count((9, 8, 2), 2)
    other = TonicTransformer("Count", params={"sensor_size": (20, 20, 2)}).fit(X)
    assert other.output_shape_ == (3, 2, 20, 20)
    assert TonicTransformer("Jitter").fit(X).tonic_transform_ == Jitter()
    for name in ("Rotate", "halve"):
        with pytest.raises(ValueError, match=f"the name of a class in tonic.transforms.*'{name}'"):
            TonicTransformer(name).fit(X)


def test_parameters_can_be_searched(tonic):
    X, y = make_moving_shapes(n_samples=24, sensor_size=(9, 8), random_state=0)
    model = make_pipeline(TonicTransformer("Count"), ToTabular(), KNeighborsClassifier(1))
    grid = {"tonictransformer__params": [{"n_time_bins": n} for n in (1, 2)]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_params_["tonictransformer__params"] in grid["tonictransformer__params"]


def test_a_missing_tonic_says_what_to_install(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(ImportError, match=r'not installed: pip install "skspike\[tonic\]"'):
        TonicTransformer("Denoise").fit(X)
    assert len(TonicTransformer(halve).fit_transform(X)) == len(X)


def test_an_int_repeats_what_is_drawn_whatever_is_around(X):
    step = TonicTransformer(Jitter(), random_state=3).fit(X)
    drawn = step.transform(X)
    assert drawn != X
    assert step.transform(X) == drawn
    assert clone(step).fit(X[::-1]).transform(X) == drawn
    assert step.transform(X[[5, 2]]) == drawn[[5, 2]]
    assert TonicTransformer(Jitter(), random_state=4).fit_transform(X) != drawn
    twice = EventCollection([X[0], X[0]], sensor_size=X.sensor_size)
    assert step.transform(twice)[[0]] == drawn[[0]]


def test_the_global_generator_is_put_back_or_used(X):
    np.random.seed(0)
    expected = np.random.random(3)
    np.random.seed(0)
    TonicTransformer(Jitter(), random_state=3).fit_transform(X)
    assert np.array_equal(np.random.random(3), expected)
    step = TonicTransformer(Jitter()).fit(X)
    assert step.transform(X) != step.transform(X)
    assert TonicTransformer(Jitter(), random_state=np.random.RandomState(0)).fit(X)._seed > 0


def test_neither_input_nor_parameter_is_modified(X):
    recordings = [events.copy() for events in X]
    transform = Jitter()
    step = TonicTransformer(transform, random_state=0)
    step.fit(recordings).transform(recordings)
    assert all(map(np.array_equal, recordings, X))
    assert not hasattr(transform, "last")
    assert step.tonic_transform_.last == len(X[-1])
    assert clone(step).tonic_transform == transform
    assert pickle.loads(pickle.dumps(step)).transform(X) == step.transform(X)


def test_recordings_without_events_stay_empty_or_give_zeros(X):
    with_empty = [recording([]), *X[:2], recording([])]
    assert TonicTransformer(halve).fit_transform(with_empty).lengths[[0, 3]].tolist() == [0, 0]
    counts = TonicTransformer(Count((9, 8, 2))).fit_transform(with_empty)
    assert not counts[[0, 3]].any()
    assert counts[1:3].any(axis=(1, 2, 3, 4)).all()
    nothing = TonicTransformer(Count((9, 8, 2))).fit_transform([recording([])])
    assert nothing == EventCollection([recording([])])


def test_times_are_rounded_and_other_fractions_raise(X):
    def scaled(field):
        def scale(events):
            dtype = [(name, float if name == field else int) for name in events.dtype.names]
            events = events.astype(dtype)
            events[field] *= 1.4
            return events

        return scale

    scaled_times = TonicTransformer(scaled("t")).fit_transform(X)
    np.testing.assert_array_equal(scaled_times[0]["t"], np.rint(X[0]["t"] * 1.4))
    with pytest.raises(EventFormatError, match="Field 'x' of recording 0 must hold whole numbers"):
        TonicTransformer(scaled("x")).fit_transform(X)


def test_the_sensor_of_the_output_can_be_given(X):
    def enlarge(events):
        events["x"] *= 2
        return events

    with pytest.raises(EventFormatError, match=r"the range \[0, 8\] of the sensor"):
        TonicTransformer(enlarge).fit_transform(X)
    assert TonicTransformer(enlarge, sensor_size=(18, 8)).fit_transform(X).sensor_size == (18, 8)


def test_recordings_out_of_order_are_put_in_order(X):
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(np.unique(events["t"])) for events in X]
    ordered = TonicTransformer(halve).fit_transform([recording(np.sort(t)) for t in shuffled])
    assert TonicTransformer(halve).fit_transform([recording(t) for t in shuffled]) == ordered


def fail_on_few(events):
    return events if len(events) > 3 else events[100]


def frames_of_any_length(events):
    return np.zeros((len(events), 2))


@pytest.mark.parametrize(
    ("transform", "error", "message"),
    [
        (fail_on_few, ValueError, "Recording 1 of X of TonicTransformer must suit .* IndexError"),
        (frames_of_any_length, ValueError, r"one shape, \(5, 2\) as in fit. Got \(3, 2\) for reco"),
        (str, TypeError, "must return events or an array of numbers. Got an array of dtype <U"),
    ],
)
def test_what_goes_wrong_names_the_recording(transform, error, message):
    with pytest.raises(error, match=message):
        TonicTransformer(transform).fit_transform([recording(range(5)), recording(range(3))])


def test_wrong_use_raises(X):
    with pytest.raises(NotFittedError):
        TonicTransformer(halve).transform(X)
    with pytest.raises(TypeError, match="X of TonicTransformer must be an EventCollection"):
        TonicTransformer(halve).fit(np.ones((3, 4)))
    with pytest.raises(ValueError, match="'tonic_transform' parameter of TonicTransformer must be"):
        TonicTransformer(3).fit(X)
    with pytest.raises(ValueError, match="'params' parameter of TonicTransformer must be None if"):
        TonicTransformer(halve, params={"n": 2}).fit(X)
    step = TonicTransformer(halve)
    assert step.set_output(transform="pandas") is step


def test_tonic_itself(X):
    transforms = pytest.importorskip("tonic.transforms")
    frames = TonicTransformer("ToFrame", params={"n_event_bins": 4}).fit_transform(X)
    direct = transforms.ToFrame(sensor_size=(9, 8, 2), n_event_bins=4)
    tonic_dtype = [(name, int) for name in "xytp"]
    for events, frame in zip(X, frames, strict=True):
        np.testing.assert_array_equal(frame, direct(events.astype(tonic_dtype)))
    chain = transforms.Compose([transforms.Denoise(5000), transforms.RefractoryPeriod(100)])
    cleaned = TonicTransformer(chain).fit_transform(X)
    assert 0 < cleaned.n_events < X.n_events
    for name in ("DropEvent", "TimeJitter", "RandomFlipLR", "UniformNoise", "CenterCrop"):
        params = {"p": 0.5} if name == "DropEvent" else {}
        params |= {"std": 3} if name == "TimeJitter" else {}
        params |= {"n": 10} if name == "UniformNoise" else {}
        params |= {"size": (5, 5)} if name == "CenterCrop" else {}
        step = TonicTransformer(name, params=params, random_state=0).fit(X)
        assert step.transform(X) == clone(step).fit(X).transform(X)
