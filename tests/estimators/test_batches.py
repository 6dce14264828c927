from __future__ import annotations

import numpy as np
import pytest
import torch

from skspike.estimators._batches import Batches

CPU = torch.device("cpu")


def test_all_rows_once_in_order_without_a_generator():
    X = np.arange(14).reshape(7, 2)
    batches = Batches(X, np.arange(7), batch_size=3, device=CPU)
    assert [len(x) for x, _ in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([x.numpy() for x, _ in batches]), X)
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in batches]), np.arange(7))


def test_a_new_order_every_iteration_and_the_same_after_the_same_seed():
    def orders():
        rng = np.random.RandomState(3)
        batches = Batches(np.arange(50), np.arange(50), batch_size=8, device=CPU, rng=rng)
        return [np.concatenate([y.numpy() for _, y in batches]) for _ in range(2)]

    first, second = orders()
    np.testing.assert_array_equal(np.sort(first), np.arange(50))
    assert (first != second).any()
    np.testing.assert_array_equal(orders()[1], second)


def test_x_y_and_weight_stay_together():
    rows = np.array([4, 4, 0, 2])
    batches = Batches(
        np.arange(5) * 10,
        rows,
        batch_size=3,
        device=CPU,
        rows=rows,
        weight=rows.astype(np.float32) / 2,
        rng=np.random.RandomState(0),
    )
    seen = []
    for x, y in batches:
        np.testing.assert_array_equal(x["x"].numpy(), y.numpy() * 10)
        np.testing.assert_array_equal(x["sample_weight"].numpy(), y.numpy() / 2)
        seen += y.tolist()
    assert sorted(seen) == [0, 2, 4, 4]


def test_a_batch_smaller_than_the_minimum_repeats_its_rows():
    batches = Batches(np.arange(3), np.arange(3), batch_size=2, device=CPU, min_size=2)
    assert [y.tolist() for _, y in batches] == [[0, 1], [2, 2]]


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int16", "float16", "float32", "float64"])
def test_compact_dtypes_stay_compact(dtype):
    ((x, _),) = Batches(np.ones((2, 3), dtype), batch_size=2, device=CPU)
    assert str(x.dtype) == f"torch.{dtype}"


@pytest.mark.parametrize("dtype", [np.longdouble, ">f4", ">i2", "uint16", "uint64"])
def test_dtypes_that_torch_lacks_become_float32(dtype):
    ((x, _),) = Batches(np.full((2, 3), 7, dtype), batch_size=2, device=CPU)
    assert x.dtype == torch.float32
    assert (x == 7).all()


def test_read_only_and_strided_arrays_are_read_without_a_warning(recwarn):
    X = np.arange(48.0).reshape(6, 8)[::-2, ::3]
    X.flags.writeable = False
    ((x, _),) = Batches(X, batch_size=9, device=CPU)
    np.testing.assert_array_equal(x.numpy(), X)
    assert not recwarn.list
