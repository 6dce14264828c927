import pickle
import re
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags

from skspike import EventCollection, FrameEncoder, config_context
from skspike._events import EVENT_DTYPE
from skspike.datasets import make_moving_shapes
from skspike.exceptions import EventLossWarning

WIDTH, HEIGHT = 7, 5
NMNIST = Path(__file__).parents[3] / "shared" / "data" / "nmnist1k.npz"


def recording(t, x=0, y=0, p=True):
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


def encode(recordings, **parameters):
    """Encode recordings on a small sensor; a list, so that coordinates are not checked before."""
    return FrameEncoder(sensor_size=(WIDTH, HEIGHT), **parameters).fit_transform(recordings)


def both_backends(recordings, **parameters):
    """Encode with the kernel and with the specification, which must agree, warnings included."""
    fast, said = encode_and_listen(recordings, **parameters)
    with config_context(backend="reference"):
        exact, said_by_specification = encode_and_listen(recordings, **parameters)
    assert fast.dtype == exact.dtype
    assert said == said_by_specification
    np.testing.assert_array_equal(fast, exact)
    for message in said:
        warnings.warn(message, EventLossWarning, stacklevel=2)
    return fast


def encode_and_listen(recordings, **parameters):
    """Return frames and the text of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = encode(recordings, **parameters)
    assert all(issubclass(warning.category, EventLossWarning) for warning in caught)
    return frames, [str(warning.message) for warning in caught]


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=40, sensor_size=(16, 12), random_state=0)[0]


# The formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "n_bins"), [(10, 3), (3, 10), (7, 7), (1, 4), (0, 2), (103, 10)])
def test_bins_by_count_follow_the_formula(n, n_bins):
    frames = both_backends([recording(np.arange(n))], n_bins=n_bins)
    expected = Counter(i * n_bins // n for i in range(n))
    assert frames.sum(axis=(2, 3, 4))[0].tolist() == [expected[b] for b in range(n_bins)]


@pytest.mark.parametrize(
    ("t", "n_bins"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 3),
        ([5, 5, 6, 104], 4),
        ([-7, -3, 0, 2], 5),
        ([0, 1], 10),
        ([0, 3], 2),
        ([0, 2**61], 7),
        ([-(2**61), -5, 2**61], 1000),
        ([10**15, 10**15 + 3, 10**15 + 10**6], 10),
    ],
)
def test_bins_by_time_follow_the_formula(t, n_bins):
    frames = both_backends([recording(t)], n_bins=n_bins, split="time")
    start, stop = t[0], t[-1] + 1
    expected = Counter((time - start) * n_bins // (stop - start) for time in t)
    assert frames.sum(axis=(2, 3, 4))[0].tolist() == [expected[b] for b in range(n_bins)]


@pytest.mark.parametrize("n_bins", [1, 3, 4, 10])
def test_bins_of_a_window_follow_the_formula(n_bins):
    t = np.arange(-3, 12)
    with pytest.warns(EventLossWarning):
        frames = both_backends([recording(t)], n_bins=n_bins, split="time", window=(0, 10))
    expected = Counter(int(time) * n_bins // 10 for time in t if 0 <= time < 10)
    assert frames.sum(axis=(2, 3, 4))[0].tolist() == [expected[b] for b in range(n_bins)]


def test_an_event_lands_on_its_pixel_and_channel():
    events = recording([1, 2, 3], x=[6, 0, 2], y=[4, 1, 0], p=[True, False, True])
    frames = both_backends([events], n_bins=3)
    assert frames.shape == (1, 3, 2, HEIGHT, WIDTH)
    assert np.argwhere(frames).tolist() == [[0, 0, 1, 4, 6], [0, 1, 0, 1, 0], [0, 2, 1, 0, 2]]


# Relations between settings ----------------------------------------------------------------------


@pytest.mark.parametrize("split", ["count", "time"])
def test_values_and_polarities_are_views_of_the_same_counts(X, split):
    make = partial(FrameEncoder, n_bins=4, split=split)
    off, on = np.moveaxis(make().fit_transform(X), 2, 0)
    assert off.sum() > 0
    assert on.sum() > 0
    merged = make(polarity="merged").fit_transform(X)[:, :, 0]
    signed = make(values="signed").fit_transform(X)[:, :, 0]
    binary = make(values="binary").fit_transform(X)
    both = make(values="binary", polarity="merged").fit_transform(X)[:, :, 0]
    np.testing.assert_array_equal(merged, on + off)
    np.testing.assert_array_equal(signed, on - off)
    np.testing.assert_array_equal(binary, np.stack([off > 0, on > 0], axis=2))
    np.testing.assert_array_equal(both, on + off > 0)


@pytest.mark.parametrize("downsample", [1, 2, 3, 5, 100])
def test_downsampling_adds_blocks_and_keeps_partial_ones(X, downsample):
    full = FrameEncoder(n_bins=2).fit_transform(X)
    small = FrameEncoder(n_bins=2, downsample=downsample).fit_transform(X)
    rows = np.add.reduceat(full, np.arange(0, 12, downsample), axis=3)
    np.testing.assert_array_equal(small, np.add.reduceat(rows, np.arange(0, 16, downsample), 4))


def test_bins_by_count_differ_by_one_event_at_most(X):
    sizes = FrameEncoder(n_bins=7).fit_transform(X).sum(axis=(2, 3, 4))
    assert np.ptp(sizes, axis=1).max() <= 1


# Hard recordings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["count", "time"])
@pytest.mark.parametrize("values", ["counts", "binary", "signed"])
def test_an_empty_recording_gives_zeros(split, values):
    frames = both_backends([recording([]), recording([3])], split=split, values=values)
    assert not frames[0].any()
    assert frames[1].sum() == 1


def test_nothing_gives_nothing():
    encoder = FrameEncoder(n_bins=2).fit([recording([1])])
    for nothing in ([], EventCollection([])):
        assert encoder.transform(nothing).shape == (0, 2, 2, 1, 1)


@pytest.mark.parametrize("split", ["count", "time"])
def test_a_single_event_is_in_the_first_bin(split):
    frames = both_backends([recording([123456])], split=split)
    assert np.argwhere(frames).tolist() == [[0, 0, 1, 0, 0]]


def test_equal_times_are_split_by_count_and_share_a_bin_in_time():
    equal = recording([9] * 6, x=range(6))
    by_count = both_backends([equal], n_bins=3)
    assert np.argwhere(by_count)[:, 1].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.argwhere(by_count)[:, 4].tolist() == [0, 1, 2, 3, 4, 5]  # equal times keep order
    by_time = both_backends([equal], n_bins=3, split="time")
    assert by_time.sum(axis=(2, 3, 4)).tolist() == [[6, 0, 0]]


@pytest.mark.parametrize("split", ["count", "time"])
@pytest.mark.parametrize("window", ["recording", "fit", (0, 10**9)])
def test_recordings_out_of_order_are_put_in_order(X, split, window):
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(r) for r in X]
    for i, r in enumerate(shuffled):  # equal times have an order: break the ties
        r["t"] = np.argsort(np.argsort(r["t"], kind="stable"))
        shuffled[i] = r
    ordered = [r[np.argsort(r["t"])] for r in shuffled]
    make = partial(FrameEncoder, n_bins=4, split=split, window=window)
    np.testing.assert_array_equal(make().fit_transform(shuffled), make().fit_transform(ordered))


def test_order_in_time_is_stable():
    rng = np.random.default_rng(0)
    t, x = rng.integers(4, size=700), rng.integers(WIDTH, size=700)
    in_order = sorted(range(700), key=lambda i: t[i])  # Python's sort is stable
    frames = both_backends([recording(t, x=x)], n_bins=700)
    assert np.argwhere(frames)[:, 4].tolist() == x[in_order].tolist()
    swapped = both_backends([recording([1, 0], x=[5, 6])], n_bins=2)
    assert np.argwhere(swapped)[:, 4].tolist() == [6, 5]


@pytest.mark.parametrize(("x", "y"), [(WIDTH, 0), (0, HEIGHT), (-1, 0), (0, -1), (300, 300)])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_events_off_the_sensor_name_the_recording(x, y, backend):
    events = np.concatenate([recording([1]), recording([2], x=x, y=y)])
    X = EventCollection._from_parts(events, np.array([0, 1, 2]), np.arange(2), (WIDTH, HEIGHT))
    message = f"sensor of size (7, 5). Recording 1 has one at x={x}, y={y} instead"
    with config_context(backend=backend), pytest.raises(ValueError, match=re.escape(message)):
        FrameEncoder().fit_transform(X)


def test_a_recording_larger_than_those_of_fit_raises():
    encoder = FrameEncoder().fit([recording([1], x=3, y=2)])
    assert encoder.sensor_size_ == (4, 3)
    with pytest.raises(ValueError, match=r"size \(4, 3\). Recording 0 has one at x=4, y=0"):
        encoder.transform([recording([1], x=4)])


# Losses are told ---------------------------------------------------------------------------------


def test_events_outside_a_window_are_counted_in_a_warning():
    recordings = [recording([-5, 0, 99]), recording([100, 200, 300, 5]), recording([1])]
    message = (
        "FrameEncoder left out 4 of 8 events, in 2 of 3 recordings: 1 before and 3 after the "
        "window [0, 100) µs."
    )
    for split in ("count", "time"):
        with pytest.warns(EventLossWarning, match=re.escape(message)):
            frames = both_backends(recordings, split=split, window=(0, 100))
        assert frames.sum() == 4


def test_a_window_learned_in_fit_aligns_recordings():
    early, late = recording([0, 10, 20]), recording([60, 70, 99])
    frames = both_backends([early, late], n_bins=2, split="time", window="fit")
    assert frames.sum(axis=(2, 3, 4)).tolist() == [[3, 0], [0, 3]]
    encoder = FrameEncoder(window="fit").fit([late, early])
    assert encoder.window_ == (0, 100)
    with pytest.warns(EventLossWarning, match="1 before and 0 after the window"):
        encoder.transform([recording([-1, 5])])
    with pytest.raises(ValueError, match=r"window='fit' must hold an event. Got none"):
        FrameEncoder(window="fit").fit([recording([])])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize("extra", [0, 3])
def test_counts_too_large_for_the_dtype_are_clipped_with_a_warning(dtype, extra):
    limit = np.iinfo(dtype).max
    recordings = [recording([1, 2]), recording(np.arange(limit + extra))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = both_backends(recordings, n_bins=1, dtype=dtype)
    assert frames.max() == limit
    assert frames[0].sum() == 2
    assert len(caught) == (1 if extra else 0)
    for warning in caught:
        message = f"left out 3 of {limit + 5} events: pixels with more events than {dtype} can"
        assert message in str(warning.message)


@pytest.mark.parametrize(("n_on", "n_off"), [(0, 128), (0, 200), (200, 200), (400, 200), (128, 0)])
def test_signed_values_are_clipped_whatever_their_order(n_on, n_off):
    events = recording(np.arange(n_on + n_off), p=np.arange(n_on + n_off) < n_on)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        frames = both_backends([events], n_bins=1, values="signed", dtype="int8")
    assert frames[0, 0, 0, 0, 0] == np.clip(n_on - n_off, -127, 127)


def test_floats_are_as_careful_as_ints(monkeypatch):
    from skspike.encoders import _base

    monkeypatch.setitem(_base.LIMITS, "float32", 4)
    with pytest.warns(EventLossWarning, match="left out 2 of 6 events: .* than float32 can count"):
        assert encode([recording(range(6))], n_bins=1).max() == 4


# Properties --------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(
        st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(-5, 40), st.booleans()
    ),
    max_size=30,
).map(lambda events: np.array(events, EVENT_DTYPE))
RECORDINGS = st.lists(EVENTS, min_size=1, max_size=4)
SETTINGS = st.fixed_dictionaries(
    {
        "n_bins": st.integers(1, 12),
        "split": st.sampled_from(["count", "time"]),
        "window": st.sampled_from(["recording", "fit", (0, 20), (-100, 100), (39, 41)]),
        "polarity": st.sampled_from(["separate", "merged"]),
        "downsample": st.integers(1, 4),
        "dtype": st.sampled_from(["float32", "int16"]),
        "n_jobs": st.sampled_from([None, 2]),
    }
)


def encode_counting_losses(recordings, **parameters):
    """Return frames and how many events warnings say are left out."""
    frames, said = encode_and_listen(recordings, **parameters)
    return frames, sum(int(re.match(r"FrameEncoder left out (\d+) of", m)[1]) for m in said)


@settings(max_examples=300)
@given(RECORDINGS, SETTINGS, st.booleans())
def test_events_in_are_the_sum_of_frames_or_the_warned_count(recordings, parameters, ordered):
    n_events = sum(map(len, recordings))
    assume(n_events or parameters["window"] != "fit")
    if ordered:  # so that the kernel takes them
        recordings = [r[np.argsort(r["t"], kind="stable")] for r in recordings]
    frames, lost = encode_counting_losses(recordings, **parameters)
    assert frames.sum() + lost == n_events
    assert frames.min() >= 0
    signed, lost_signed = encode_counting_losses(recordings, values="signed", **parameters)
    assert lost_signed == lost
    if parameters["window"] in ("recording", "fit", (-100, 100)):
        assert lost == 0
        assert signed.sum() == sum(2 * int(r["p"].sum()) - len(r) for r in recordings)


@settings(max_examples=200)
@given(RECORDINGS, SETTINGS, st.sampled_from(["counts", "binary", "signed"]), st.booleans())
def test_the_kernel_is_the_specification(recordings, parameters, values, ordered):
    assume(any(map(len, recordings)))
    if ordered:
        recordings = [r[np.argsort(r["t"], kind="stable")] for r in recordings]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        both_backends(recordings, values=values, **parameters)


@given(RECORDINGS, SETTINGS, st.randoms(use_true_random=False))
def test_recordings_are_encoded_one_by_one_in_any_order(recordings, parameters, random):
    assume(any(map(len, recordings)))
    order = random.sample(range(len(recordings)), len(recordings))
    X = EventCollection(recordings, sensor_size=(WIDTH, HEIGHT))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        encoder = FrameEncoder(**parameters).fit(X)
        frames = encoder.transform(X)
        np.testing.assert_array_equal(encoder.transform(X[order]), frames[order])
        for i in range(len(X)):
            np.testing.assert_array_equal(encoder.transform(X[[i]])[0], frames[i])


def test_threads_share_the_work(X, monkeypatch):
    from skspike.encoders import _bins_numba

    chunks = []

    def spy(body, n, **options):
        parallel_for(lambda *chunk: (chunks.append(chunk), body(*chunk)), n, **options)

    parallel_for = _bins_numba.parallel_for
    monkeypatch.setattr(_bins_numba, "parallel_for", spy)
    expected = FrameEncoder(n_bins=3).fit_transform(X)
    assert chunks == [(0, 40), (0, 40)]  # too little work for threads
    monkeypatch.setattr(_bins_numba, "GRAIN", 0)
    np.testing.assert_array_equal(FrameEncoder(n_bins=3, n_jobs=2).fit_transform(X), expected)
    shared = sorted(chunks[2:], key=lambda chunk: chunk[1])
    assert len(shared) > 2
    assert shared[0][0] == 0
    assert shared[-1][1] == 40


def test_the_kernel_takes_ordered_recordings(X):
    from skspike.encoders._frames_numba import encode_collection

    encoder = FrameEncoder(n_bins=3).fit(X)
    frames = np.zeros((len(X), *encoder.output_shape_), "float32")
    lost = np.zeros((len(X), 3), int)
    done = encode_collection(X, encoder._plan(), frames, lost, 2**24, 1)
    assert done.all()
    assert frames.sum() == X.n_events


# scikit-learn ------------------------------------------------------------------------------------


def test_scikit_learn_generates_one_check_for_input_that_is_no_table():
    assert not get_tags(FrameEncoder()).input_tags.two_d_array
    with pytest.warns(SkipTestWarning):
        checks = list(estimator_checks.estimator_checks_generator(FrameEncoder()))
    assert [check.func.__name__ for _, check in checks] == ["check_estimator_cloneable"]
    with pytest.warns(SkipTestWarning):
        estimator_checks.check_estimator(FrameEncoder())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@estimator_checks.parametrize_with_checks([FrameEncoder(), FrameEncoder(3, split="time")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# The checks of scikit-learn's battery that need no table, run by name.
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


@pytest.mark.parametrize("name", CHECKS_WITHOUT_DATA)
def test_scikit_learn_checks_that_need_no_table(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("this scikit-learn has no such check")
    check("FrameEncoder", FrameEncoder())


ENCODERS = [
    FrameEncoder(n_bins=3),
    FrameEncoder(n_bins=3, split="time", window="fit", dtype="uint8"),
    FrameEncoder(n_bins=2, split="time", values="signed", dtype="int16", downsample=3),
    FrameEncoder(n_bins=2, values="binary", polarity="merged", sensor_size=(20, 20), n_jobs=2),
]
each_encoder = pytest.mark.parametrize("encoder", ENCODERS, ids=str)


@each_encoder
def test_every_form_of_recordings_gives_the_same_frames(encoder, X, tmp_path):
    encoder = clone(encoder).set_params(sensor_size=(16, 12))
    expected = encoder.fit(X).transform(X)
    objects = np.asarray(X)
    tonic = [r.astype([(field, int) for field in "xytp"])[["x", "y", "p", "t"]] for r in X]
    X.save(tmp_path / "events")
    mapped = EventCollection.open(tmp_path / "events")
    for form in (list(X), tuple(X), objects, tonic, mapped, X[::-1][::-1]):
        np.testing.assert_array_equal(encoder.fit_transform(form), expected)


@each_encoder
def test_the_input_is_not_modified(encoder, X):
    recordings = [r.copy()[::-1] for r in X]
    before = [r.copy() for r in recordings]
    clone(encoder).fit(recordings).transform(recordings)
    assert all(map(np.array_equal, recordings, before))


@each_encoder
def test_fit_is_idempotent_and_starts_afresh(encoder, X):
    fitted = clone(encoder).fit(X)
    frames = fitted.transform(X)
    np.testing.assert_array_equal(fitted.fit(X).transform(X), frames)
    np.testing.assert_array_equal(clone(encoder).fit_transform(X), frames)
    other = make_moving_shapes(n_samples=2, sensor_size=(9, 8), random_state=1)[0]
    assert vars(fitted.fit(other)) == vars(clone(encoder).fit(other))
    assert encoder.get_params() == clone(encoder).get_params()


@each_encoder
def test_subsets_threads_and_pickles_change_nothing(encoder, X):
    fitted = clone(encoder).fit(X)
    frames = fitted.transform(X)
    for train, test in KFold(3).split(X):
        np.testing.assert_array_equal(fitted.transform(X[train]), frames[train])
        np.testing.assert_array_equal(fitted.transform(X[test]), frames[test])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), frames)
    for n_jobs in (1, 2, -1):
        np.testing.assert_array_equal(fitted.set_params(n_jobs=n_jobs).transform(X), frames)


@each_encoder
def test_output_has_the_promised_shape_dtype_and_names(encoder, X):
    fitted = clone(encoder).fit(X)
    frames = fitted.transform(X)
    assert frames.shape == (len(X), *fitted.output_shape_)
    assert frames.dtype == encoder.dtype
    assert frames.flags.c_contiguous
    names = fitted.get_feature_names_out()
    assert names.shape == frames[0].reshape(-1).shape
    b, p, y, x = (size - 1 for size in fitted.output_shape_)
    assert fitted.get_feature_names_out()[-1] == f"t{b}_p{p}_y{y}_x{x}"
    assert names[fitted.output_shape_[3]] == "t0_p0_y1_x0"


def test_unfitted_encoders_say_so(X):
    for method in ("transform", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(FrameEncoder(), method)(X)


def test_set_output_changes_nothing(X):
    encoder = FrameEncoder(n_bins=2)
    assert encoder.set_output(transform="pandas") is encoder
    pipeline = make_pipeline(FrameEncoder(n_bins=2), FunctionTransformer())
    frames = pipeline.set_output(transform="pandas")[:1].fit_transform(X)
    assert type(frames) is np.ndarray
    assert frames.ndim == 5


def test_recordings_have_no_number_of_features(X):
    assert not hasattr(FrameEncoder().fit(X), "n_features_in_")


@pytest.mark.parametrize("table", [np.ones((4, 3)), [[1, 2], [3, 4]], np.ones((2, 3, 2, 4, 4))])
def test_tables_raise(table, X):
    for call in (FrameEncoder().fit, FrameEncoder().fit(X).transform, FrameEncoder().fit_transform):
        with pytest.raises(TypeError, match="X of FrameEncoder must be an EventCollection, or a"):
            call(table)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_bins": 0}, ValueError, "'n_bins' parameter of FrameEncoder must be an int in the r"),
        ({"split": "both"}, ValueError, "'split' parameter of FrameEncoder must be a str among"),
        ({"values": "sum"}, ValueError, "'values' parameter of FrameEncoder must be a str among"),
        ({"downsample": 0.5}, ValueError, "'downsample' parameter of FrameEncoder must be an int"),
        ({"window": "all"}, ValueError, "'window' parameter of FrameEncoder must be"),
        ({"window": (5, 5)}, ValueError, r"must be a pair \(start, stop\) with start < stop. Got"),
        ({"window": (1, 2, 3)}, ValueError, r"must be a pair \(start, stop\) with start < stop"),
        ({"window": (0.5, 2)}, TypeError, "'window' parameter of FrameEncoder must be an int"),
        ({"sensor_size": (0, 5)}, ValueError, "'sensor_size' parameter of FrameEncoder must be"),
        ({"sensor_size": [5]}, TypeError, r"must be a pair \(width, height\). Got \[5\] instead"),
        ({"dtype": "float16"}, ValueError, "'dtype' parameter of FrameEncoder .* Got 'float16'"),
        ({"dtype": None}, ValueError, "'dtype' parameter of FrameEncoder must be an instance of"),
        ({"dtype": "uint8", "values": "signed"}, ValueError, "with values='signed' must be one"),
    ],
)
def test_wrong_parameters_raise_in_fit(parameters, error, message, X):
    with pytest.raises(error, match=message):
        FrameEncoder(**parameters).fit(X)


@pytest.mark.parametrize("dtype", ["int32", np.uint8, np.dtype("float64"), "int64"])
def test_dtypes_may_be_named_or_given(dtype, X):
    frames = FrameEncoder(n_bins=1, dtype=dtype).fit_transform(X)
    assert frames.dtype == np.dtype(dtype)
    assert frames.sum(dtype=np.int64) == X.n_events


@pytest.mark.skipif(not NMNIST.exists(), reason="the N-MNIST recordings are not on this machine")
@pytest.mark.parametrize("split", ["count", "time"])
def test_every_event_of_real_recordings_is_counted(split):
    X = EventCollection.from_npz(NMNIST, sensor_size=(34, 34))
    frames = FrameEncoder(split=split, dtype="uint8").fit_transform(X)
    assert frames.sum(dtype=np.int64) == X.n_events == 4_133_231
