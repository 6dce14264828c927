"""Sequences in one array, and their batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skspike.estimators._sequences import (
    PaddedRows,
    Sequences,
    are_sequences,
    patch,
    weighted_moments,
)
from tests.estimators.sequences import OPTIONS, fit, objects, ragged

by_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def test_moments_are_those_of_all_steps():
    X, _ = ragged()
    steps = np.concatenate(X)
    np.testing.assert_allclose(fit().mean_, steps.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(fit().scale_, steps.std(axis=0), rtol=1e-6)


def test_a_batch_is_as_long_as_its_longest_sequence():
    parts = [np.arange(3.0)[:, None], np.arange(5.0)[:, None], np.arange(2.0)[:, None]]
    rows = PaddedRows(Sequences.join(parts), torch.device("cpu"))
    (batch,) = rows.stream([rows.index(np.array([2, 0]))])
    assert batch.x[..., 0].tolist() == [[0, 1, 0], [0, 1, 2]]
    assert batch.lengths.tolist() == [2, 3]
    np.testing.assert_array_equal(rows.lengths, [3, 5, 2])


def test_steps_are_joined_and_zeros_fill_the_last():
    x = np.arange(10.0).reshape(1, 5, 2)
    assert patch(x, 2)[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]
    sequences = Sequences.join([x[0], x[0, :2]])
    assert sequences.patched(1) is sequences
    assert [part.shape for part in sequences.patched(2)] == [(3, 4), (1, 4)]


def test_a_list_of_arrays_is_a_list_of_sequences_and_a_list_of_lists_is_a_table():
    X = [np.zeros(3), np.zeros(4)]
    assert are_sequences(X)
    assert are_sequences(tuple(X))
    assert are_sequences(objects(X))
    assert are_sequences(Sequences.join(X))
    assert not are_sequences([[0, 1], [2, 3]])
    assert not are_sequences([])
    assert not are_sequences(np.zeros((2, 3)))
    assert not are_sequences(np.zeros((2, 3), object))


def test_moments_of_arrays_weights_and_constants():
    X = np.random.default_rng(0).normal(3, 2, (6, 4, 2))
    X[..., 1] = 7
    weight = np.array([0, 1, 2, 0, 1, 3])
    mean, scale = weighted_moments(X, weight)
    repeated = np.repeat(X, weight, axis=0)
    np.testing.assert_allclose(mean, repeated.mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(scale, [repeated[..., 0].std(), 1], rtol=1e-6)
    assert [*map(tuple, weighted_moments(repeated, None))] == [tuple(mean), tuple(scale)]
