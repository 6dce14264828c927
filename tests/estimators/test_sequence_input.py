"""What estimators of sequences take for X, and what they refuse."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from skspike import SpikingSSMClassifier
from tests.estimators.common import samples
from tests.estimators.sequences import OPTIONS, QUICK, fit, ragged

by_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def test_other_samples_than_in_fit_are_refused():
    model = fit()
    with pytest.raises(ValueError, match=r"shape \(n_samples, n_steps, 2\), as in fit.*of 3 feat"):
        model.predict([np.zeros((4, 3))])
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, n_steps, 2\), as in fit"):
        model.predict(np.zeros((4, 2)))
    table = fit(data=samples("table"))
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 6\), as in fit"):
        table.predict([np.zeros((4, 6))])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((0, 2))], "with at least one step. Number 1 has shape (0, 2)"),
        ([np.zeros((3, 2)), np.zeros((4, 3))], "Number 1 has 3, number 0 has 2."),
        ([np.zeros((3, 2)), np.full((4, 2), np.nan)], "contains NaN or infinity: sequence 1 of"),
        ([np.zeros((3, 2)), np.array([["a", "b"]])], "Number 1 has shape (1, 2) and dtype <U1"),
        ([np.zeros((3, 2, 2))], "Number 0 has shape (3, 2, 2)"),
    ],
)
def test_bad_sequences_are_named(X, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SpikingSSMClassifier(**QUICK).fit(X, np.arange(len(X)))


def test_integers_and_tensors():
    X, y = ragged()
    X = [np.round(100 * x).astype(np.int16) for x in X]
    model = fit(data=(X, y))
    expected = model.predict_proba(X)
    np.testing.assert_allclose(
        model.predict_proba([torch.from_numpy(x) for x in X]), expected, atol=1e-6
    )
    np.testing.assert_allclose(
        model.predict_proba([x.astype(np.float64) for x in X]), expected, atol=1e-4
    )


def test_tokens():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = [rng.integers(0, 5, rng.integers(4, 9)) for _ in y]
    for x, label in zip(X, y, strict=True):
        x[1] = 5 + label
    model = fit(data=(X, y), n_tokens=7, max_epochs=20, lr=0.02)
    assert model.score(X, y) > 0.9
    array = np.stack([x[:4] for x in X])
    np.testing.assert_array_equal(model.predict(array), model.predict([x[:4] for x in X]))
    for wrong, message in (
        (array + 3, "must be in [0, 7). Got 3 to"),
        (array + 0.5, "must be whole numbers"),
        (array[:, :, None].repeat(2, axis=2), "must have one token a step. Got 2 numbers"),
        (array[:, :, None, None], "must have shape (n_samples, n_steps). Got shape"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            model.predict(wrong)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "norm": "batch"}], ids=str)
def test_equal_lengths_give_the_same_as_an_array(options):
    X, y = ragged()
    X = np.stack([x[:5] for x in X])
    array, listed = fit(data=(X, y), **options), fit(data=(list(X), y), **options)
    np.testing.assert_allclose(
        array.predict_proba(X), listed.predict_proba(list(X)), rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(listed.predict_proba(X), listed.predict_proba(list(X)))


def test_features_of_any_unit():
    X, y = ragged()
    other = fit(data=([1000 * x - 5 for x in X], y))
    np.testing.assert_allclose(other.mean_, 1000 * fit().mean_ - 5, rtol=1e-4)
    np.testing.assert_allclose(
        other.predict_proba([1000 * x - 5 for x in X]), fit().predict_proba(X), atol=1e-2
    )
