from __future__ import annotations

import numpy as np
import pytest

from skspike.estimators._rows import MAX_REPETITIONS, content_order, mean_one, repeat_rows


def test_the_order_follows_the_rows():
    rng = np.random.default_rng(0)
    X, y = rng.random((30, 2, 3)), rng.integers(0, 3, 30)
    shuffled = rng.permutation(30)
    order = content_order(X, np.arange(30), y)
    again = content_order(X[shuffled], np.arange(30), y[shuffled])
    np.testing.assert_array_equal(X[order], X[shuffled][again])
    np.testing.assert_array_equal(np.sort(order), np.arange(30))


def test_the_order_is_no_order_of_the_values():
    X = np.arange(30.0)[:, None]
    order = content_order(X, np.arange(30), np.zeros(30))
    assert (np.diff(order) < 0).any()


def test_equal_rows_are_ordered_by_their_ties():
    X, y = np.zeros((4, 2)), np.array([1, 0, 1, 0])
    weight = np.array([0.5, 0.2, 0.1, 0.9])
    np.testing.assert_array_equal(content_order(X, np.arange(4), y, weight), [1, 3, 2, 0])


def test_only_the_rows_asked_for():
    X = np.random.default_rng(0).random((9, 2))
    order = content_order(X, np.array([7, 2, 5]), np.zeros(9))
    assert sorted(order) == [2, 5, 7]


def test_whole_weights_repeat():
    rows, factor = repeat_rows(np.array([2, 0, 1]), np.array([3.0, 1.0, 2.0]))
    np.testing.assert_array_equal(rows, [2, 2, 0, 0, 0, 1])
    assert factor is None


@pytest.mark.parametrize("odd", [0.5, MAX_REPETITIONS + 1])
def test_other_weights_scale(odd):
    rows, factor = repeat_rows(np.array([2, 0, 1]), np.array([3.0, 1.0, odd]))
    np.testing.assert_array_equal(rows, [2, 0, 1])
    np.testing.assert_array_equal(factor, [odd, 3.0, 1.0])


def test_no_weights():
    rows, factor = repeat_rows(np.array([2, 0]), None)
    np.testing.assert_array_equal(rows, [2, 0])
    assert factor is None
    assert mean_one(None) is None


def test_weights_that_are_all_zero():
    with pytest.raises(ValueError, match="must leave at least one sample non-zero weight"):
        mean_one(np.zeros(3))


def test_mean_one():
    np.testing.assert_allclose(mean_one(np.array([1.0, 3.0])), [0.5, 1.5])
