"""Predictions while a sequence goes on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skspike import SpikingSSMClassifier
from tests.estimators.common import samples
from tests.estimators.sequences import OPTIONS, fit, ragged

by_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


@pytest.mark.parametrize(
    "options", [o for o in OPTIONS if not o.get("bidirectional") and "patch_size" not in o], ids=str
)
def test_a_stream_answers_as_the_whole(options):
    X, _ = ragged()
    model = fit(**options)
    for chunk in (1, 4):
        stream = model.stream()
        parts = [stream.push(X[3][i : i + chunk]) for i in range(0, len(X[3]), chunk)]
        got = np.concatenate(parts)
        for t in (1, 4, len(X[3])):
            expected = model.predict_proba([X[3][:t]])[0]
            np.testing.assert_allclose(got[t - 1], expected, rtol=0, atol=1e-10)
        assert stream.n_steps == len(X[3])
    over_time = model.predict_proba_over_time([X[3]])[0]
    np.testing.assert_allclose(over_time, got, rtol=0, atol=1e-10)


def test_streams_side_by_side_begin_anew():
    X = np.stack([x[:5] for x in ragged()[0]])
    model = fit()
    stream = model.stream(n_samples=len(X))
    first = stream.push(X)
    stream.reset()
    np.testing.assert_array_equal(stream.push(X), first)
    np.testing.assert_allclose(first[:, -1], model.predict_proba(X), rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="must have 3 axes, 24 samples first"):
        stream.push(X[:3])


def test_patches_wait_until_they_are_complete():
    model, x = fit(patch_size=3), ragged()[0][0][:9]
    stream = model.stream()
    parts = [stream.push(x[i : i + 2]) for i in range(0, 9, 2)]
    assert [len(p) for p in parts] == [0, 1, 1, 0, 1]
    np.testing.assert_allclose(parts[-1][-1], model.predict_proba([x])[0], rtol=0, atol=1e-10)


def test_what_looks_ahead_cannot_stream():
    message = "'bidirectional' parameter of SpikingSSMClassifier must be False to answer before"
    model = fit(bidirectional=True)
    with pytest.raises(ValueError, match=message):
        model.stream()
    with pytest.raises(ValueError, match=message):
        model.predict_proba_over_time(ragged()[0])


def test_only_series_stream_and_only_equal_ones_are_answered_over_time():
    with pytest.raises(ValueError, match="must be fitted to series to stream"):
        fit(data=samples("table")).stream()
    with pytest.raises(ValueError, match="must have equal numbers of steps to be predicted over"):
        fit().predict_proba_over_time(ragged()[0])
    with pytest.raises(NotFittedError):
        SpikingSSMClassifier().stream()
