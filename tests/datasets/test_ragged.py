import numpy as np

from skspike.datasets._ragged import split


def test_sequences_are_views_in_order():
    flat = np.arange(6)
    sequences = split(flat, [2, 0, 4])
    assert [s.tolist() for s in sequences] == [[0, 1], [], [2, 3, 4, 5]]
    assert all(np.shares_memory(s, flat) for s in sequences if len(s))


def test_sequences_of_equal_lengths_stay_an_object_array():
    sequences = split(np.arange(6), [3, 3])
    assert sequences.shape == (2,)
    assert sequences.dtype == object
    assert split(np.arange(0), []).shape == (0,)
