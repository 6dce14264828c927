"""What holds for every cleaning step."""

import itertools
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from skspike import EventCollection, FrameEncoder, config_context
from skspike._events import EVENT_DTYPE
from skspike.datasets import make_moving_shapes
from skspike.encoders import Crop, Denoise, HotPixelFilter, RefractoryFilter, Resize
from skspike.encoders._filters_base import blocks
from tests.encoders.filters import HEIGHT, WIDTH, drawn, is_subsequence, recording

FILTERS = [
    Crop(x=(1, 6), t=(5, 30), shift=False),
    Crop(y=(1, 4), t=(2, 20), clock="recording", shift_time=True, n_jobs=2),
    Denoise(9),
    Denoise(5, radius=2, neighborhood="diamond", n_jobs=2),
    RefractoryFilter(6),
    HotPixelFilter(2.0, min_events=2),
    Resize(0.5),
    Resize((3, 9), keep="rate"),
]
IDEMPOTENT = [FILTERS[0], FILTERS[4], FILTERS[5]]
each_filter = pytest.mark.parametrize("cleaner", FILTERS, ids=str)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(-5, 40), st.booleans()
    ),
    max_size=30,
).map(lambda events: np.array(events, EVENT_DTYPE))
COLLECTIONS = st.lists(EVENTS, min_size=1, max_size=4).map(
    lambda recordings: EventCollection(recordings, sensor_size=(WIDTH, HEIGHT))
)


@pytest.fixture(scope="module")
def X():
    return drawn(9)


# Laws --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cleaner", [FILTERS[i] for i in (0, 2, 3, 4, 5)], ids=str)
@given(X=COLLECTIONS)
@settings(max_examples=30)
def test_what_comes_out_is_a_part_of_what_went_in_in_the_same_order(cleaner, X):
    cleaned = cleaner.fit_transform(X)
    assert cleaned.sensor_size == X.sensor_size
    assert len(cleaned) == len(X)
    assert all(map(is_subsequence, cleaned, X))


@pytest.mark.parametrize("cleaner", IDEMPOTENT, ids=str)
@given(X=COLLECTIONS)
@settings(max_examples=30)
def test_cleaning_twice_is_cleaning_once(cleaner, X):
    once = cleaner.fit_transform(X)
    assert cleaner.transform(once) == once


@each_filter
@given(X=COLLECTIONS, random=st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_recordings_are_cleaned_one_by_one_in_any_order(cleaner, X, random):
    order = random.sample(range(len(X)), len(X))
    cleaned = cleaner.fit_transform(X)
    assert cleaner.transform(X[order]) == cleaned[order]
    for i in range(len(X)):
        assert cleaner.transform(X[[i]]) == cleaned[[i]]


@each_filter
@given(X=COLLECTIONS, Y=COLLECTIONS)
@settings(max_examples=30)
def test_what_is_joined_is_cleaned_as_its_parts(cleaner, X, Y):
    cleaner.fit(X)
    parts = [cleaner.transform(X), cleaner.transform(Y)]
    joined = cleaner.transform(EventCollection.concatenate([X, Y]))
    assert joined == EventCollection.concatenate(parts)


@each_filter
@given(X=COLLECTIONS)
@settings(max_examples=30)
def test_the_compiled_twin_is_the_specification(cleaner, X):
    fast = cleaner.fit_transform(X)
    with config_context(backend="reference"):
        assert cleaner.transform(X) == fast


@each_filter
@pytest.mark.parametrize("ordered", [True, False])
def test_the_order_of_events_decides_ties_alone(cleaner, ordered):
    X = drawn(6, n_events=200, seed=1, ordered=ordered)
    rng = np.random.default_rng(0)
    unique = []
    for events in X:  # break the ties, so that an order in time is the only one
        events = events.copy()
        events["t"] = np.argsort(np.argsort(events["t"], kind="stable"))
        unique.append(events)
    shuffles = [rng.permutation(len(events)) for events in unique]
    make = EventCollection
    ordered = make([e[np.argsort(e["t"])] for e in unique], sensor_size=X.sensor_size)
    shuffled = make(
        [e[s] for e, s in zip(unique, shuffles, strict=True)], sensor_size=X.sensor_size
    )
    expected, got = cleaner.fit_transform(ordered), cleaner.transform(shuffled)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b[np.argsort(b["t"])])
    if not cleaner.get_params().get("shift_time") and not isinstance(cleaner, Resize):
        assert all(map(is_subsequence, got, shuffled))


# Hard recordings ---------------------------------------------------------------------------------


@each_filter
def test_nothing_gives_nothing(cleaner, X):
    cleaner.fit(X)
    for nothing in ([], EventCollection([]), X[[]]):
        assert len(cleaner.transform(nothing)) == 0
    empty = cleaner.transform([recording([]), recording([])])
    assert empty.lengths.tolist() == [0, 0]
    assert empty.sensor_size == cleaner.transform(X).sensor_size
    nothing = EventCollection([recording([])], sensor_size=(WIDTH, HEIGHT))
    assert cleaner.fit_transform(nothing).lengths.tolist() == [0]


@each_filter
def test_a_single_event_has_an_answer(cleaner):
    X = EventCollection([recording([7], x=2, y=2)], sensor_size=(WIDTH, HEIGHT))
    kept = cleaner.fit_transform(X).n_events
    alone = isinstance(cleaner, Denoise)
    early = getattr(cleaner, "clock", None) == "recording"  # its window begins after the first
    assert kept == (0 if alone or early else 1)


@each_filter
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize(("x", "y"), [(WIDTH, 0), (0, HEIGHT), (-1, 0), (0, -1), (3000, 0)])
def test_events_off_the_sensor_name_the_recording(cleaner, x, y, backend):
    events = np.concatenate([recording([1, 2]), recording([5]), recording([1, 2], x=[0, x], y=y)])
    offsets = np.array([0, 2, 2, 3, 5])
    X = EventCollection._from_parts(events, offsets, np.array([2, 1, 3, 0]), (WIDTH, HEIGHT))
    cleaner.fit(drawn(2))
    message = (
        f"Events of X of {type(cleaner).__name__} must lie on the sensor of size (7, 5). "
        f"Recording 2 has one at x={x}, y={y} instead."
    )
    with config_context(backend=backend), pytest.raises(ValueError, match=re.escape(message)):
        cleaner.transform(X)


@each_filter
def test_larger_sensors_are_taken_where_the_events_fit(cleaner, X):
    cleaned = cleaner.fit_transform(X)
    wide = EventCollection(list(X), sensor_size=(100, 100))
    assert cleaner.transform(wide) == cleaned
    assert cleaner.transform(list(X)) == cleaned


@each_filter
def test_a_sensor_size_can_be_given(cleaner, X):
    cleaner = clone(cleaner).set_params(sensor_size=(WIDTH, HEIGHT))
    assert cleaner.fit_transform(list(X[:2])).sensor_size == cleaner.fit_transform(X).sensor_size
    assert cleaner.sensor_size_ == (WIDTH, HEIGHT)


@each_filter
def test_the_largest_times_and_sensors_do_not_overflow(cleaner):
    far = 2**61
    events = recording([-far, -far, 0, far - 1, far], x=[0, 1, 2**15 - 1, 5, 6], y=[0, 0, 9, 4, 4])
    X = EventCollection([events], sensor_size=(2**15, 10))
    with config_context(backend="reference"):
        expected = clone(cleaner).fit_transform(X)
    assert clone(cleaner).fit_transform(X) == expected
    if isinstance(cleaner, Denoise):
        assert expected[0]["t"].tolist() == [-far, -far, far]
    if isinstance(cleaner, RefractoryFilter | HotPixelFilter):
        assert expected.n_events == 5


# Copies ------------------------------------------------------------------------------------------

KEEPING = [Crop(), Denoise(2**61, radius=100), RefractoryFilter(0), HotPixelFilter(), Resize(1.0)]


@pytest.mark.parametrize("cleaner", KEEPING, ids=str)
def test_nothing_is_copied_where_nothing_changes(cleaner):
    events = recording([1, 1, 9, 9], x=[0, 1, 0, 1], y=[0, 1, 1, 0])
    X = EventCollection([events] * 4, sensor_size=(WIDTH, HEIGHT))[[3, 1, 2]]
    assert cleaner.fit_transform(X) is X
    wide = EventCollection(list(X), sensor_size=(100, 100))
    assert cleaner.transform(wide) == X
    assert np.shares_memory(cleaner.transform(wide).events, wide.events)


@each_filter
def test_the_input_is_not_modified(cleaner, X):
    recordings = [r.copy()[::-1] for r in X]
    before = [r.copy() for r in recordings]
    cleaned = cleaner.fit(recordings).transform(recordings)
    assert all(map(np.array_equal, recordings, before))
    assert not cleaned.events.flags.writeable


@each_filter
def test_every_form_of_recordings_gives_the_same(cleaner, X, tmp_path):
    cleaner = clone(cleaner).set_params(sensor_size=(WIDTH, HEIGHT))
    expected = cleaner.fit_transform(X)
    tonic = [r.astype([(field, int) for field in "xytp"])[["x", "y", "p", "t"]] for r in X]
    X.save(tmp_path / "events")
    mapped = EventCollection.open(tmp_path / "events")
    for form in (list(X), tuple(X), np.asarray(X), tonic, mapped, X[::-1][::-1]):
        assert cleaner.transform(form) == expected


def test_blocks_cover_what_is_shown(monkeypatch):
    from skspike.encoders import _filters_base

    monkeypatch.setattr(_filters_base, "_BLOCK", 50)
    X = drawn(20, n_events=40)
    views = (X, X[3:9], X[[4, 5, 6, 2, 2, 3]], X[::-1], X[[0]], X[[]])
    for view, cut in itertools.product(views, (False, True)):
        found = list(blocks(view, cut=cut))
        events = [view.events[block.stored] for block in found]
        expected = np.concatenate([np.empty(0, EVENT_DTYPE), *view])
        assert np.array_equal(np.concatenate([np.empty(0, EVENT_DTYPE), *events]), expected)
        owners = np.concatenate([np.empty(0, int), *(b.owners for b in found)])
        assert np.array_equal(np.unique(owners), np.arange(len(view)))
        assert [i for b in found for i in range(b.first, b.last)] == list(range(len(owners)))
        lengths = np.concatenate([np.empty(0, int), *(b.lengths for b in found)])
        assert np.array_equal(np.bincount(owners, lengths, len(view)), view.lengths)
        for block, part in zip(found, events, strict=True):
            assert len(part) == block.lengths.sum() == block.shown.stop - block.shown.start
    assert len(list(blocks(X))) > 5
    assert [len(b.owners) for b in blocks(drawn(2, n_events=120)[1:], cut=True)] == [2, 1]
    assert [b.last - b.first for b in blocks(X[[4, 5, 6, 2, 2, 3]])] == [3, 1, 2]


@each_filter
def test_blocks_and_threads_change_nothing(cleaner, monkeypatch):
    from skspike.encoders import _filters_base, _filters_numba

    X = drawn(40, n_events=60, seed=2)
    expected = cleaner.fit_transform(X)
    monkeypatch.setattr(_filters_base, "_BLOCK", 50)
    monkeypatch.setattr(_filters_numba, "_GRAIN", 0)
    for n_jobs in (1, 2, -1):
        threaded = clone(cleaner).set_params(n_jobs=n_jobs).fit(X)
        assert threaded.transform(X) == expected
        assert threaded.transform(X[::-1]) == expected[::-1]


# scikit-learn ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@each_filter
def test_scikit_learn_checks(cleaner):
    estimator_checks.check_estimator(cleaner)


CHECKS_WITHOUT_DATA = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_feature_names_out_error",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_transformers_unfitted",
    "check_valid_tag_types",
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("cls", [Crop, Denoise, HotPixelFilter, RefractoryFilter, Resize])
@pytest.mark.parametrize("name", CHECKS_WITHOUT_DATA)
def test_scikit_learn_checks_that_need_no_table(cls, name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("this scikit-learn has no such check")
    check(cls.__name__, cls())


@each_filter
def test_fit_is_idempotent_and_starts_afresh(cleaner, X):
    fitted = clone(cleaner).fit(X)
    cleaned = fitted.transform(X)
    assert fitted.fit(X).transform(X) == cleaned
    assert clone(cleaner).fit_transform(X) == cleaned
    other = make_moving_shapes(n_samples=2, sensor_size=(9, 8), random_state=1)[0]
    refitted, new = vars(fitted.fit(other)), vars(clone(cleaner).fit(other))
    assert refitted.keys() == new.keys()
    assert refitted["sensor_size_"] == new["sensor_size_"] == (9, 8)


@each_filter
def test_subsets_and_pickles_change_nothing(cleaner, X):
    fitted = clone(cleaner).fit(X)
    cleaned = fitted.transform(X)
    for train, test in KFold(3).split(X):
        assert fitted.transform(X[train]) == cleaned[train]
        assert fitted.transform(X[test]) == cleaned[test]
    assert pickle.loads(pickle.dumps(fitted)).transform(X) == cleaned


@each_filter
def test_pipelines_name_the_features_behind_a_filter(cleaner, X):
    pipeline = make_pipeline(clone(cleaner), FrameEncoder(n_bins=2)).set_output(transform="pandas")
    frames = pipeline.fit_transform(X)
    assert type(frames) is np.ndarray
    assert pipeline.get_feature_names_out().shape == (frames[0].size,)
    assert pipeline[0].get_feature_names_out().tolist() == ["x", "y", "t", "p"]


@each_filter
def test_unfitted_filters_and_tables_raise(cleaner, X):
    with pytest.raises(NotFittedError):
        clone(cleaner).transform(X)
    name = type(cleaner).__name__
    for call in (clone(cleaner).fit, clone(cleaner).fit(X).transform, clone(cleaner).fit_transform):
        with pytest.raises(TypeError, match=f"X of {name} must be an EventCollection, or a"):
            call(np.ones((4, 3)))
    with pytest.raises(ValueError, match=f"'sensor_size' parameter of {name} must be"):
        clone(cleaner).set_params(sensor_size=(0, 5)).fit(X)
