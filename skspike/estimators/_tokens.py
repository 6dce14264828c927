"""Text to tokens, tokens to numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from numbers import Integral

import numpy as np
from sklearn.base import clone

__all__ = ["END", "TOKENIZERS", "UNKNOWN", "Vocabulary", "fit_tokenizer", "read_sequences"]

UNKNOWN, END = "<unk>", "<eos>"
Sequences = list[list]  # of tokens


def split_words(text: str) -> list[str]:
    """Return what white space separates, and a token at the end of each line."""
    return text.replace("\n", f" {END} ").split()


TOKENIZERS = {"word": split_words, "char": list}


class Vocabulary:
    """The tokens that a model knows, by falling frequency, and their numbers.

    Parameters
    ----------
    tokens : list of int or str
        With `UNKNOWN` and `END` among them.
    """

    def __init__(self, tokens: list) -> None:
        self.tokens = tokens
        self.numbers = {token: number for number, token in enumerate(tokens)}

    @classmethod
    def fit(cls, sequences: Sequences, min_freq: int) -> Vocabulary:
        """Learn the tokens that occur at least `min_freq` times; the first seen break ties."""
        counts = Counter(chain.from_iterable(sequences))
        known = Counter({token: n for token, n in counts.items() if n >= min_freq})
        rare = counts.total() - known.total()
        known[UNKNOWN] += rare
        known[END] += len(sequences)
        return cls([token for token, _ in known.most_common()])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable) -> np.ndarray:
        """Return the numbers of tokens; those not known have that of `UNKNOWN`."""
        unknown = self.numbers[UNKNOWN]
        return np.fromiter((self.numbers.get(t, unknown) for t in tokens), np.int64)

    def decode(self, numbers: Iterable[int]) -> list:
        """Return the tokens of numbers."""
        return [self.tokens[number] for number in numbers]


def fit_tokenizer(tokenizer, X):
    """Return what makes tokens of a text; a transformer is copied and fitted to all texts."""
    if not hasattr(tokenizer, "transform"):
        return TOKENIZERS.get(tokenizer, tokenizer) if isinstance(tokenizer, str) else tokenizer
    return clone(tokenizer).fit([X] if isinstance(X, str) else X)


def read_sequences(owner: str, X, tokenizer) -> tuple[Sequences, bool]:
    """Return the sequences of `X`, and whether it is a collection of them or one alone."""
    if hasattr(X, "__array__") and not isinstance(X, str):  # columns of tables, and tensors
        X = np.asarray(X)
    if tokenizer is not None:
        return _read_texts(owner, X, tokenizer)
    if isinstance(X, str) or not isinstance(X, Sequence | np.ndarray):
        raise TypeError(
            f"X of {owner} with tokenizer=None must be a sequence of tokens, or several. "
            f"Got {type(X).__name__} instead."
        )
    items = X.tolist() if isinstance(X, np.ndarray) else list(X)
    several = len(items) > 0 and not any(isinstance(item, str | Integral | float) for item in items)
    sequences = [_tokens(owner, item) for item in (items if several else [items])]
    return sequences, several


def _read_texts(owner: str, X, tokenizer) -> tuple[Sequences, bool]:
    """Make tokens of one text or several."""
    alone = isinstance(X, str)
    texts = [X] if alone else X
    if not isinstance(texts, Sequence | np.ndarray) or not all(isinstance(t, str) for t in texts):
        raise TypeError(
            f"X of {owner} with a tokenizer must be a text or a sequence of texts. "
            f"Got {type(X).__name__} instead."
        )
    if hasattr(tokenizer, "transform"):
        made = tokenizer.transform(texts) if len(texts) else []
    else:
        made = map(tokenizer, texts)
    return [_tokens(owner, tokens) for tokens in made], not alone


def _tokens(owner: str, items) -> list:
    """Return tokens as Python's own ints and strings."""
    items = items.tolist() if isinstance(items, np.ndarray) else list(items)
    tokens = [int(t) if isinstance(t, Integral) else t for t in items]
    wrong = [t for t in tokens if not isinstance(t, int | str)]
    if wrong:
        raise TypeError(f"A token of {owner} must be an int or a str. Got {wrong[0]!r} instead.")
    return tokens
