"""Sequences of different lengths: views on one flat array."""

from __future__ import annotations

import numpy as np


def split(flat: np.ndarray, lengths) -> np.ndarray:
    """Cut a flat array into sequences; return an object array of views."""
    ends = np.cumsum(lengths, dtype=np.int64)
    sequences = np.empty(len(ends), object)
    for i, (end, length) in enumerate(zip(ends.tolist(), lengths, strict=True)):
        sequences[i] = flat[end - length : end]
    return sequences
