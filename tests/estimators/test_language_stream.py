"""A text read token by token."""

from __future__ import annotations

import numpy as np
import pytest

from tests.estimators.test_language import TEXT, fitted

WORDS = TEXT.replace("\n", " <eos> ").split()[:20]


def test_a_stream_gives_what_whole_texts_do():
    model = fitted()
    stream = model.stream()
    for i, word in enumerate(WORDS):
        expected = model.predict_proba([" ".join(WORDS[:i])])[0]
        np.testing.assert_allclose(stream.predict_proba(), expected, rtol=1e-4, atol=1e-7)
        assert stream.push(word) is stream


def test_tokens_may_come_together():
    model = fitted()
    together = model.stream().push(WORDS).predict_proba()
    one_by_one = model.stream()
    for word in WORDS:
        one_by_one.push(word)
    np.testing.assert_allclose(one_by_one.push([]).predict_proba(), together, rtol=1e-4, atol=1e-7)


def test_the_state_does_not_grow():
    stream = fitted().stream()
    shapes = [[part.shape for part in block] for block in stream._state]
    stream.push(WORDS)
    assert [[part.shape for part in block] for block in stream._state] == shapes


def test_streams_do_not_know_each_other():
    one, other = fitted().stream(), fitted().stream()
    before = other.predict_proba()
    one.push("the")
    np.testing.assert_array_equal(other.predict_proba(), before)


def test_probabilities():
    stream = fitted().stream().push("the")
    assert stream.predict_proba().sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(stream.log_prob().exp(), stream.predict_proba())
    assert stream.push("unheard").predict_proba().shape == (len(fitted().vocabulary_),)
