"""Texts as numbers of characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

_SPECIAL = ("<pad>", "<unk>", "<eos>")
_UNK, _EOS = 1, 2
_N_CODE_POINTS = 0x110000  # of Unicode


class CharacterNumbers:
    """Turns texts into numbers of characters, with an end, of at most so many in all.

    The characters that come often enough in some texts are numbered by their frequency, those of
    the same frequency by their order in Unicode, as torchtext does.
    """

    def __init__(self, texts: Iterable[str], max_length: int, min_count: int = 1) -> None:
        self._end = max_length - 1
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text[: self._end])
        characters = sorted(
            (c for c, count in counts.items() if count >= min_count), key=lambda c: (-counts[c], c)
        )
        self.vocabulary = np.array([*_SPECIAL, *characters])
        self.dtype = np.min_scalar_type(len(self.vocabulary) - 1)
        self._number = np.full(_N_CODE_POINTS, _UNK, self.dtype)
        self._number[[*map(ord, characters)]] = len(_SPECIAL) + np.arange(len(characters))

    def length(self, text: str) -> int:
        """Return how many numbers a text becomes."""
        return min(len(text), self._end) + 1

    def __call__(self, text: str) -> np.ndarray:
        """Return the numbers of a text."""
        points = np.frombuffer(text[: self._end].encode("utf-32-le"), "<u4")
        return np.append(self._number[points], self.dtype.type(_EOS))
