import pickle
import re

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing, indexable, resample, shuffle
from sklearn.utils.validation import _num_samples

from skspike import EventCollection, FrameEncoder
from skspike._events import EVENT_DTYPE, as_event_collection, is_events
from skspike.datasets import make_moving_shapes
from skspike.exceptions import EventFormatError


def make_recordings(lengths=(3, 0, 2, 1), seed=0):
    rng = np.random.default_rng(seed)
    recordings = []
    for n in lengths:
        recording = np.empty(n, EVENT_DTYPE)
        recording["x"], recording["y"] = rng.integers(9, size=n), rng.integers(7, size=n)
        recording["t"], recording["p"] = np.sort(rng.integers(10**6, size=n)), rng.random(n) < 0.5
        recordings.append(recording)
    return recordings


@pytest.fixture
def recordings():
    return make_recordings()


@pytest.fixture
def X(recordings):
    return EventCollection(recordings, sensor_size=(9, 7))


def same(X, recordings):
    return len(X) == len(recordings) and all(map(np.array_equal, X, recordings))


# Construction ------------------------------------------------------------------------------------


def test_a_collection_holds_the_recordings(X, recordings):
    assert same(X, recordings)
    assert (len(X), X.shape, X.n_events, X.sensor_size) == (4, (4,), 6, (9, 7))
    assert X.lengths.tolist() == [3, 0, 2, 1]
    assert X.offsets.tolist() == [0, 3, 3, 5, 6]
    assert X.events.dtype == EVENT_DTYPE


def test_a_collection_owns_its_events(X, recordings):
    recordings[0]["x"] = 5
    assert EventCollection(make_recordings(), sensor_size=(9, 7)) == X
    with pytest.raises(ValueError, match=r"read-only"):
        X[0]["x"] = 1


def test_bounds_locate_the_recordings_of_a_view(X):
    starts, stops = X[[2, 0]].bounds()
    assert starts.tolist() == [3, 0]
    assert stops.tolist() == [5, 3]


def test_the_smallest_sensor_is_the_default():
    x, y, t, p = [3, 0], [0, 5], [1, 2], [0, 1]
    X = EventCollection.from_columns(x=x, y=y, t=t, p=p, offsets=[0, 2])
    assert X.sensor_size == (4, 6)
    assert EventCollection([]).sensor_size == (1, 1)
    assert EventCollection(iter([X[0]])).sensor_size == (4, 6)


def test_a_collection_of_a_collection_keeps_its_sensor(X):
    assert EventCollection(X) == X
    assert EventCollection(X, sensor_size=(20, 20)).sensor_size == (20, 20)


def test_npz_files_are_read(X, tmp_path):
    columns = {name: X.events[name] for name in "xytp"}
    np.savez(tmp_path / "all.npz", **columns, offsets=X.offsets, label=[0, 1, 0, 1])
    assert EventCollection.from_npz(tmp_path / "all.npz", sensor_size=(9, 7)) == X
    np.savez(tmp_path / "few.npz", x=X.events["x"], y=X.events["y"], t=X.events["t"])
    with pytest.raises(EventFormatError, match=r"few.npz' must hold .* none named p, offsets"):
        EventCollection.from_npz(tmp_path / "few.npz")


def test_concatenate_joins_views_in_order(X, recordings):
    joined = EventCollection.concatenate([X[2:], X[:1]])
    assert same(joined, [recordings[i] for i in (2, 3, 0)])
    assert joined.sensor_size == (9, 7)
    other = EventCollection(recordings, sensor_size=(20, 10))
    with pytest.raises(ValueError, match=r"one sensor size.* Got \[\(9, 7\), \(20, 10\)\] instead"):
        EventCollection.concatenate([X, other])
    assert EventCollection.concatenate([X, other], sensor_size=(20, 10)).sensor_size == (20, 10)
    with pytest.raises(ValueError, match=r"Got \[\] instead"):
        EventCollection.concatenate([])


# Selection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(1, 3),
        slice(None, None, -2),
        slice(10, 20),
        [2, 0],
        [-1, -4],
        [],
        np.array([1, 1, 1]),
        np.array([3], np.uint8),
        [True, False, True, False],
        np.zeros(4, bool),
        range(1, 3),
    ],
)
@pytest.mark.parametrize("wrap", [lambda key: key, lambda key: (key, Ellipsis)])
def test_selecting_recordings_shares_the_buffer(X, recordings, key, wrap):
    view = X[wrap(key)]
    index = np.arange(4)[
        key if isinstance(key, slice) else np.array(key, dtype=None if len(key) else int)
    ]
    assert same(view, [recordings[i] for i in index])
    assert view.sensor_size == X.sensor_size
    assert np.shares_memory(view.events, X.events)
    assert view.events.size == X.events.size


def test_views_of_views_select_what_is_shown(X, recordings):
    view = X[[3, 2, 0]][1:][[-1]]
    assert same(view, [recordings[0]])


@pytest.mark.parametrize("i", [0, 3, -1, -4, np.int8(2), np.array(1)])
def test_an_int_gives_the_recording_itself(X, recordings, i):
    assert np.array_equal(X[i], recordings[int(i)])
    assert np.shares_memory(X[0], X.events)


@pytest.mark.parametrize("i", [4, -5, (7, ...)])
def test_indices_out_of_range_raise(X, i):
    with pytest.raises(IndexError, match=r"Recording -?[0-9] is out of range of 4 recordings"):
        X[i]


@pytest.mark.parametrize("key", ["a", 1.5, [0.5], np.zeros((2, 2), int), None, (0, 1), ["a"]])
def test_keys_that_select_nothing_raise(X, key):
    with pytest.raises(IndexError, match=r"selected by an int, a slice, a mask or an array"):
        X[key]


@pytest.mark.parametrize("key", [[0, 4], [True, False], [-5]])
def test_arrays_out_of_range_raise(X, key):
    with pytest.raises(IndexError):
        X[key]


# Comparison, text, copies ------------------------------------------------------------------------


def test_equality_compares_recordings_and_sensor(X, recordings):
    assert X[[1, 2]] == EventCollection(recordings[1:3], sensor_size=(9, 7))
    assert X[::-1] != X
    assert X[:3] != X
    assert EventCollection(recordings, sensor_size=(9, 8)) != X
    assert recordings != X
    recordings[2]["p"] = ~recordings[2]["p"]
    assert EventCollection(recordings, sensor_size=(9, 7)) != X
    with pytest.raises(TypeError, match=r"unhashable"):
        hash(X)


def test_repr_is_one_line(X):
    assert repr(X[:3]) == "<EventCollection: 3 recordings, 5 events, sensor_size=(9, 7)>"


def test_an_array_of_it_holds_recordings(X, recordings):
    equally_long = EventCollection(make_recordings((2, 2)))
    for collection in (X, equally_long):
        array = np.asarray(collection)
        assert array.shape == collection.shape
        assert EventCollection(array, sensor_size=collection.sensor_size) == collection
    with pytest.raises(TypeError, match=r"no array of dtype float64: encode it first"):
        np.asarray(X, dtype=float)


def test_compact_keeps_only_what_is_shown(X):
    assert X.compact() is X
    view = X[[3, 0]]
    assert view.compact() == view
    assert len(view.compact().events) == 4
    assert X[::-1].compact() == X[::-1]
    assert X[:0].compact() == X[:0]


def test_pickles_hold_the_events_of_the_view_alone():
    X, _ = make_moving_shapes(n_samples=50, random_state=0)
    whole, part = pickle.dumps(X), pickle.dumps(X[[7]])
    assert pickle.loads(whole) == X
    restored = pickle.loads(part)
    assert restored == X[[7]]
    assert len(part) < len(X[7]) * EVENT_DTYPE.itemsize + 2000 < len(whole) / 10
    assert not restored.events.flags.writeable


def test_hashes_for_caching_follow_the_content(X, recordings):
    again = EventCollection(recordings[::-1], sensor_size=(9, 7))
    assert joblib.hash(X[::-1]) == joblib.hash(again)
    assert joblib.hash(X) != joblib.hash(again)


@given(
    st.lists(st.integers(0, 5), max_size=8).flatmap(
        lambda lengths: st.tuples(
            st.just(lengths),
            st.lists(st.integers(0, max(len(lengths) - 1, 0)), max_size=10 if lengths else 0),
        )
    )
)
def test_any_selection_is_that_of_a_list(case):
    lengths, chosen = case
    recordings = make_recordings(lengths)
    X = EventCollection(recordings, sensor_size=(9, 7))
    view = X[chosen]
    assert same(view, [recordings[i] for i in chosen])
    assert pickle.loads(pickle.dumps(view)) == view == view.compact()
    assert view.n_events == sum(len(recordings[i]) for i in chosen)
    if X.n_events:
        assert np.shares_memory(view.events, X.events)


# What counts as events ---------------------------------------------------------------------------


def test_every_form_of_recordings_becomes_the_same_collection(X, recordings):
    objects = np.empty(4, object)
    objects[:] = recordings
    tonic = [r.astype([("x", int), ("y", int), ("t", int), ("p", int)]) for r in recordings]
    swapped = [r[["y", "p", "t", "x"]] for r in recordings]
    for form in (recordings, tuple(recordings), objects, tonic, swapped):
        assert is_events(form)
        assert same(as_event_collection(form), recordings)
    assert is_events(X)
    assert as_event_collection(X) is X


def test_stacked_recordings_of_equal_length_are_events():
    stacked = np.stack(make_recordings((3, 3)))
    assert is_events(stacked)
    assert same(as_event_collection(stacked), list(stacked))


NO_EVENTS = [
    [[1, 2], [3, 4]],
    [1, 2],
    [np.ones(3), np.ones(2)],
    np.ones((3, 4)),
    np.ones((2, 3, 2, 4, 4)),
    np.array([{"x": 1}, {"x": 2}], dtype=object),
    np.array([1, 2, 3], dtype=object),
    np.array([[1, "a"]], dtype=object),
    make_recordings((3,))[0],
    "events",
    None,
    {"x": 1},
]


@pytest.mark.parametrize("data", NO_EVENTS, ids=lambda data: re.sub(r"\s+", "", repr(data))[:30])
def test_other_data_are_no_events(data):
    assert not is_events(data)
    with pytest.raises(TypeError, match=r"X of Owner must be an EventCollection, or a list or obj"):
        as_event_collection(data, "Owner")


def test_an_empty_list_is_an_empty_collection():
    assert not is_events([])
    assert len(as_event_collection([])) == 0


# scikit-learn ------------------------------------------------------------------------------------


def flatten(frames):
    return frames.reshape(len(frames), -1)


def make_classifier(memory=None):
    return make_pipeline(
        FrameEncoder(n_bins=2, downsample=4, polarity="merged"),
        FunctionTransformer(flatten),
        LogisticRegression(C=0.01, max_iter=1000),
        memory=memory,
    )


@pytest.fixture(scope="module")
def shapes():
    return make_moving_shapes(n_samples=60, target="direction", random_state=0)


def test_scikit_learn_counts_and_selects_recordings(X):
    assert _num_samples(X) == 4
    assert indexable(X, [1, 2, 3, 4])[0] is X
    for indices in ([0, 2], np.array([1, 3]), np.array([True, False, True, False]), slice(1, 3)):
        assert np.shares_memory(_safe_indexing(X, indices).events, X.events)
        index = indices if isinstance(indices, slice) else np.arange(4)[indices]
        assert _safe_indexing(X, indices) == X[index]
    assert np.array_equal(_safe_indexing(X, 2), X[2])


def test_splitting_shuffling_and_resampling_give_views(X):
    train, test, y_train, _ = train_test_split(X, np.arange(4), random_state=0)
    assert train == X[y_train]
    assert len(train) + len(test) == 4
    shuffled, order = shuffle(X, np.arange(4), random_state=1)
    assert shuffled == X[order]
    for view in (train, test, shuffled, resample(X, random_state=0)):
        assert np.shares_memory(view.events, X.events)


def test_no_fold_copies_an_event(X):
    for train, test in KFold(2).split(X):
        assert np.shares_memory(X[train].events, X.events)
        assert EventCollection.concatenate([X[train], X[test]]) == X[np.r_[train, test]]


def test_grid_search_tunes_the_encoder_in_two_processes(shapes):
    search = GridSearchCV(
        make_classifier(), {"frameencoder__n_bins": [1, 3]}, cv=3, n_jobs=2, error_score="raise"
    )
    search.fit(*shapes)
    assert search.best_params_ == {"frameencoder__n_bins": 3}  # one frame hides the direction
    assert search.best_score_ > 0.8
    assert search.predict(shapes[0][:5]).shape == (5,)


def test_cross_validated_predictions_are_those_of_lists(shapes):
    X, y = shapes
    predicted = cross_val_predict(make_classifier(), X, y, cv=3, n_jobs=2)
    of_lists = cross_val_predict(make_classifier(), list(X), y, cv=3)
    assert (predicted == of_lists).all()
    assert (predicted == y).mean() > 0.7


def test_a_cached_pipeline_sees_a_changed_encoder(shapes, tmp_path):
    X, y = shapes
    cached, plain = make_classifier(memory=str(tmp_path)), make_classifier()
    for n_bins in (1, 3, 1):
        for pipeline in (cached, plain):
            pipeline.set_params(frameencoder__n_bins=n_bins).fit(X[10:], y[10:])
        assert np.array_equal(cached.predict_proba(X[:10]), plain.predict_proba(X[:10]))


def test_learning_curves_and_scores_take_collections(shapes):
    sizes, _, scores = learning_curve(
        make_classifier(), *shapes, train_sizes=[20, 40], cv=3, error_score="raise"
    )
    assert sizes.tolist() == [20, 40]
    assert np.isfinite(scores).all()
    assert len(cross_val_score(make_classifier(), *shapes, cv=KFold(3), error_score="raise")) == 3
