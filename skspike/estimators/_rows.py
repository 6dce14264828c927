"""Which rows a fit shows, in which order and with which weight.

A whole-number weight is a number of repetitions: the row is shown that many times in an epoch, zero
removes it. Other weights scale the loss of the row. Rows are ordered by their content before the
seeded shuffle, so a fit depends neither on the order of the rows nor on whether a repetition is
written as a weight or as a copy of the row.
"""

from __future__ import annotations

import numpy as np

from .._encoded import EncodedRows, row_digests

__all__ = ["content_order", "mean_one", "repeat_rows", "weighted_rows"]

MAX_REPETITIONS = 100


def weighted_rows(n_rows: int, weight: np.ndarray | None) -> np.ndarray:
    """Return the rows that a fit shows: those whose weight is not zero."""
    return np.arange(n_rows) if weight is None else np.flatnonzero(weight)


def content_order(X: np.ndarray | EncodedRows, rows: np.ndarray, *ties: np.ndarray) -> np.ndarray:
    """Sort `rows` by what they hold, not by where they stand.

    Equal rows of `X` are sorted by `ties`, arrays of one number per row, the first one deciding.
    """
    encoded = isinstance(X, EncodedRows)
    keys = X.digests(rows) if encoded else row_digests(X[i] for i in rows)
    return rows[np.lexsort((*(tie[rows] for tie in reversed(ties)), keys))]


def repeat_rows(
    rows: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Turn weights, one for each row of the data, into repetitions where all are whole numbers.

    Returns the rows to show and the factor of each one's loss, None where all factors are 1.
    """
    if weight is None:
        return rows, None
    weight = weight[rows]
    if np.all(weight == np.floor(weight)) and weight.max() <= MAX_REPETITIONS:
        return np.repeat(rows, weight.astype(np.int64)), None
    return rows, weight


def mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    """Scale weights to mean one: the learning rate keeps its meaning whatever their unit."""
    if weight is None:
        return None
    if not weight.any():
        raise ValueError("Sample and class weights must leave at least one sample non-zero weight.")
    return (weight / weight.mean()).astype(np.float32)
