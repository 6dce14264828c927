"""Texts become tokens, and tokens numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from skspike.estimators._tokens import END, UNKNOWN, Vocabulary, fit_tokenizer, read_sequences


class Pairs(TransformerMixin, BaseEstimator):
    """Cuts texts into pairs of characters, of which it must have seen the first ones."""

    def fit(self, X, y=None):
        self.firsts_ = {text[:1] for text in X}
        return self

    def transform(self, X):
        if not hasattr(self, "firsts_"):
            raise NotFittedError("not fitted")
        return [[text[i : i + 2] for i in range(0, len(text), 2)] for text in X]


def read(X, tokenizer=None):
    """Read sequences with a tokenizer of any kind."""
    return read_sequences("Owner", X, fit_tokenizer(tokenizer, X))


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        ([1, 2, 1], ([[1, 2, 1]], False)),
        (["a", "b"], ([["a", "b"]], False)),
        (("a", 3), ([["a", 3]], False)),
        (np.array([1, 2], np.int16), ([[1, 2]], False)),
        (np.array(["a", "b"]), ([["a", "b"]], False)),
        ([[1, 2], [3]], ([[1, 2], [3]], True)),
        ([np.array([1, 2]), ["a"]], ([[1, 2], ["a"]], True)),
        (np.array([[1, 2], [3, 4]]), ([[1, 2], [3, 4]], True)),
        (np.array([[1, 2], [3]], dtype=object), ([[1, 2], [3]], True)),
        (pd.Series([3, 1]), ([[3, 1]], False)),
        (torch.tensor([[1, 2]]), ([[1, 2]], True)),
        ([], ([[]], False)),
        ([[]], ([[]], True)),
    ],
)
def test_tokens_alone_or_in_collections(X, expected):
    assert read(X) == expected


@pytest.mark.parametrize(
    ("tokenizer", "X", "expected"),
    [
        ("word", "a bc\nd\n", ([["a", "bc", END, "d", END]], False)),
        ("word", ["a", "b c"], ([["a"], ["b", "c"]], True)),
        ("char", "ab\n", ([["a", "b", "\n"]], False)),
        ("char", np.array(["ab", "c"]), ([["a", "b"], ["c"]], True)),
        ("char", pd.Series(["ab", "c"], index=[5, 9]), ([["a", "b"], ["c"]], True)),
        (str.split, "a b", ([["a", "b"]], False)),
        (lambda text: text.encode(), "a", ([[97]], False)),
        (Pairs(), "abc", ([["ab", "c"]], False)),
        (Pairs(), ["abc", "d"], ([["ab", "c"], ["d"]], True)),
        ("word", "", ([[]], False)),
        ("word", [], ([], True)),
    ],
)
def test_texts_alone_or_in_collections(tokenizer, X, expected):
    assert read(X, tokenizer) == expected


def test_a_transformer_is_copied():
    tokenizer = Pairs()
    fitted = fit_tokenizer(tokenizer, ["abc"])
    assert fitted.firsts_ == {"a"}
    assert not hasattr(tokenizer, "firsts_")


def test_numbers_follow_frequency_and_first_appearance():
    vocabulary = Vocabulary.fit([["b", "a", "c", "a", "c", "d"]], min_freq=1)
    assert vocabulary.tokens == ["a", "c", "b", "d", END, UNKNOWN]
    numbers = vocabulary.encode(["d", "a", "x"])
    assert numbers.tolist() == [3, 0, 5]
    assert vocabulary.decode(numbers) == ["d", "a", UNKNOWN]


def test_rare_tokens_are_counted_as_unknown():
    vocabulary = Vocabulary.fit([["a", "a", "b", "c", "d"], [7, 7]], min_freq=2)
    assert vocabulary.tokens == [UNKNOWN, "a", 7, END]
    assert len(vocabulary) == 4


def test_ints_and_strings_are_different_tokens():
    vocabulary = Vocabulary.fit([[1, "1"]], min_freq=1)
    assert len(set(vocabulary.encode([1, "1"]))) == 2
    assert vocabulary.encode(read([np.int64(1)])[0][0]).tolist() == [0]


@pytest.mark.parametrize("X", ["a text", 5, None])
def test_what_is_no_sequence_of_tokens(X):
    message = (
        "X of Owner with tokenizer=None must be a sequence of tokens, or several. "
        f"Got {type(X).__name__} instead."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        read(X)


@pytest.mark.parametrize("X", [5, ["a", 5], [["a"]]])
def test_what_is_no_text(X):
    message = (
        "X of Owner with a tokenizer must be a text or a sequence of texts. "
        f"Got {type(X).__name__} instead."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        read(X, "word")


@pytest.mark.parametrize("X", [[0.5], [[0.5]], np.array([0.5, 1.0]), [["a", None]]])
def test_what_is_no_token(X):
    message = r"A token of Owner must be an int or a str\. Got (0\.5|None) instead\."
    with pytest.raises(TypeError, match=message):
        read(X)
