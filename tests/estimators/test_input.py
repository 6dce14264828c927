from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch

from skspike import EventCollection, FrameEncoder
from skspike.estimators._batches import Rows
from skspike.estimators._input import check_X
from skspike.estimators._rows import content_order
from skspike.kernels import empty_cache
from tests.estimators.common import (
    SHAPES,
    assert_same_weights,
    quick,
    recordings,
    samples,
    weights,
)


@pytest.mark.parametrize("kind", SHAPES)
def test_every_rank_is_fitted_and_predicted(kind):
    X, y = samples(kind)
    classifier = quick().fit(X, y)
    assert classifier.predict(X).shape == y.shape
    assert classifier.sample_shape_ == SHAPES[kind]
    assert classifier.n_steps_ == (5 if kind in ("series", "frames") else 4)
    assert classifier.n_features_in_ == (2 * 9 * 8 if kind in ("images", "frames") else 6)
    over_time = classifier.predict_proba_over_time(X)
    assert over_time.shape == (len(X), classifier.n_steps_, 2)


@pytest.mark.parametrize("kind", ["images", "frames"])
def test_the_perceptron_reads_pixels_flattened(kind):
    X, y = samples(kind)
    classifier = quick(backbone="sma_mlp").fit(X, y)
    flat = X.reshape(*X.shape[:-3], -1)
    assert_same_weights(weights(classifier), weights(quick().fit(flat, y)))


@pytest.mark.parametrize("kind", ["table", "images"])
def test_a_sample_without_steps_is_constant_current(kind):
    X, y = samples(kind)
    repeated = np.repeat(X[:, None], 4, axis=1)
    one, other = quick().fit(X, y), quick(random_state=1).fit(repeated, y)
    assert np.abs(one.decision_function(X) - other.decision_function(repeated)).max() > 1e-3
    other.model_.load_state_dict(one.model_.state_dict())
    np.testing.assert_allclose(
        one.decision_function(X), other.decision_function(repeated), atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int64", "bool", "float16"])
def test_compact_dtypes_give_the_answer_of_float32(dtype):
    X, y = samples("frames")
    X = (X > 0.7) if dtype == "bool" else np.floor(4 * X).astype(dtype)
    X32 = X.astype(np.float32)
    classifier = quick().fit(X, y)
    np.testing.assert_array_equal(
        classifier.decision_function(X), classifier.decision_function(X32)
    )


def test_memory_layout_does_not_matter():
    X, y = samples("frames")
    strided = np.zeros((len(X), 10, *X.shape[2:]), X.dtype)[:, ::2]
    strided[...] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    expected = weights(quick().fit(X, y))
    for other in (strided, frozen, np.asfortranarray(X), torch.from_numpy(X)):
        assert_same_weights(weights(quick().fit(other, y)), expected)


def test_tensors_of_any_kind():
    X, y = samples("table")
    X = torch.from_numpy(X).requires_grad_()
    classifier = quick().fit(X.bfloat16(), torch.from_numpy(y))
    assert classifier.predict(X).shape == y.shape
    assert list(classifier.classes_) == [0, 1]


def test_data_frames_give_feature_names():
    X, y = samples("table")
    frame = pd.DataFrame(X, columns=list("abcdef"))
    classifier = quick().fit(frame, y)
    assert list(classifier.feature_names_in_) == list("abcdef")
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame[list("fedcba")])
    assert not hasattr(classifier.fit(*samples("frames")), "feature_names_in_")


def test_events_become_frames():
    events, y = recordings()
    encoder = FrameEncoder(n_bins=3)
    classifier = quick(encoder=encoder).fit(events, y)
    frames = encoder.fit_transform(events)
    assert classifier.encoder_ is not encoder
    assert classifier.sample_shape_ == frames.shape[1:]
    assert_same_weights(weights(classifier), weights(quick().fit(frames, y)))
    for X in (EventCollection(events), np.asarray(EventCollection(events)), frames):
        np.testing.assert_array_equal(classifier.predict(X), classifier.predict(events))


def test_the_default_encoder_cuts_n_steps_bins():
    events, y = recordings()
    classifier = quick(n_steps=3).fit(events, y)
    assert classifier.encoder_.n_bins == classifier.n_steps_ == 3
    assert classifier.encoder is None


def test_an_encoder_does_not_outlive_its_events():
    events, y = recordings()
    classifier = quick().fit(events, y)
    classifier.fit(*samples("frames"))
    assert not hasattr(classifier, "encoder_")
    with pytest.raises(
        ValueError, match=re.escape("X of SMAClassifier must be an array, as in fit. Got events")
    ):
        classifier.predict(events)


@pytest.mark.parametrize("shape", [(4, 2, 2, 2, 2, 2), (4, 5, 0, 3), (4, 0, 3)])
def test_shapes_that_no_layout_has(shape):
    message = (
        "X of SMAClassifier must have one of the shapes (n_samples, n_features), "
        "(n_samples, n_steps, n_features), (n_samples, n_channels, height, width), "
        "(n_samples, n_steps, n_channels, height, width), without an empty axis. "
        f"Got shape {shape} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        quick().fit(np.zeros(shape), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "shape", [(3, 4, 2, 9, 8), (3, 5, 1, 9, 8), (3, 5, 2, 9, 7), (3, 2, 9, 8), (3, 5)]
)
def test_predicting_another_shape_than_fitted(shape):
    classifier = quick(max_epochs=1).fit(*samples("frames"))
    message = (
        "X of SMAClassifier must have shape (n_samples, 5, 2, 9, 8), as in fit. "
        f"Got shape {shape} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        classifier.predict(np.zeros(shape))


def test_tables_of_another_width_get_scikit_learns_sentence():
    classifier = quick(max_epochs=1).fit(*samples("table"))
    with pytest.raises(ValueError, match="X has 5 features, but SMAClassifier is expecting 6"):
        classifier.predict(np.zeros((3, 5)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number_is_rejected_in_every_rank(bad):
    X, y = samples("frames")
    X[3, 1, 0, 2, 2] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        quick().fit(X, y)


@pytest.mark.parametrize("huge", [1e39, -1e39])
def test_numbers_too_large_for_float32_are_rejected(huge):
    X, y = samples("table")
    X = X.astype(np.float64)
    X[3, 2] = huge
    with pytest.raises(ValueError, match=r"X of SMAClassifier must fit into float32.*Got 1e\+39"):
        quick().fit(X, y)


def test_vgg_on_vectors():
    message = (
        "X of SMAClassifier with backbone='sma_vgg8' must have shape "
        "(n_samples, n_channels, height, width) or "
        "(n_samples, n_steps, n_channels, height, width). Got shape (n_samples, 5, 6) instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        quick(backbone="sma_vgg8").fit(*samples("series"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_large_arrays_are_never_copied(dtype):
    X = np.ones((64, 5, 2, 60, 60), dtype)
    tracemalloc.start()
    checked = check_X(quick(), X, reset=True)
    order = content_order(checked, np.arange(64), np.zeros(64))
    Rows(checked, torch.device("cpu")).take(slice(0, 64))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(order) == 64
    assert peak < X.nbytes / 8


def test_encoded_recordings_are_in_memory_once():
    events, _ = recordings(n=64)
    X = EventCollection(events, sensor_size=(60, 60))
    model = quick(encoder=FrameEncoder(5))
    check_X(model, X, reset=True)  # compiles
    empty_cache()  # what is used again counts for nothing
    tracemalloc.start()
    checked = check_X(model, X, reset=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert checked.nbytes <= peak < 1.2 * checked.nbytes
