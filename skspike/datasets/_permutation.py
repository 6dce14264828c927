"""Orders in which the pixels of an image are read."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

from .._validation import check_choice

_PERMUTATIONS = ("bit_reversal", "random")


def check_permutation(owner: str, permutation: str | None) -> None:
    """Raise unless a permutation is known, or none."""
    if permutation is not None:
        check_choice(owner, "permutation", permutation, _PERMUTATIONS)


def permute(X: np.ndarray, permutation: str | None, random_state) -> np.ndarray:
    """Reorder the steps of all sequences alike; `X` is of shape (n_samples, n_steps, ...)."""
    if permutation is None:
        return X
    if permutation == "bit_reversal":
        return X[:, bit_reversal(X.shape[1])]
    return X[:, _draw(X.shape[1], random_state)]


def bit_reversal(length: int) -> np.ndarray:
    """Return the numbers below `length`, sorted by their binary digits from the last on."""
    order = np.zeros(1, np.int64)
    while len(order) < length:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order[order < length]


def _draw(length: int, random_state) -> np.ndarray:
    """Draw a permutation; of an int, that of numpy's RandomState, as published ones are."""
    if not isinstance(random_state, np.random.Generator):
        random_state = check_random_state(random_state)
    return random_state.permutation(length)
